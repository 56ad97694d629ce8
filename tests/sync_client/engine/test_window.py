"""Of a whole view, a folder that is followed below its root is told exactly its own subtree."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from protocol.ids import Cursor, NodeId, ViewId
from protocol.messages import Content as WireContent
from protocol.messages import Kind, NodeState, Revision
from sync_client.engine.database import StateDatabase
from sync_client.engine.effects import content_of, take_remote
from sync_client.engine.stored_trees import StoredTrees
from sync_client.engine.trees import Place, Remote, Row, root_row
from sync_client.engine.window import Window

TOP = NodeId(UUID(int=1))  # the root of the view
ROOT = NodeId(UUID(int=2))  # the followed folder, somewhere below


@dataclass(frozen=True)
class Node:
    parent: NodeId
    name: str
    folder: bool
    stamp: int
    deleted: bool = False
    place: int = 1
    content: int = 1


class ModelView:
    """The nodes of a view, by what the feed of a server says of them."""

    def __init__(self) -> None:
        self.stamp = 1
        self.nodes = {ROOT: Node(TOP, "studies", folder=True, stamp=1)}

    def change(self, node: NodeId, **fields: object) -> None:
        self.stamp += 1
        self.nodes[node] = replace(self.nodes[node], stamp=self.stamp, **fields)  # type: ignore[arg-type]  # its fields

    def make(self, parent: NodeId, *, folder: bool) -> NodeId:
        node = NodeId(uuid4())
        self.nodes[node] = Node(parent, node.hex[:6], folder, 0)
        self.change(node)
        return node

    def move(self, node: NodeId, parent: NodeId) -> None:
        self.change(node, parent=parent, place=self.nodes[node].place + 1)

    def edit(self, node: NodeId) -> None:
        self.change(node, content=self.nodes[node].content + 1)

    def delete(self, node: NodeId) -> None:
        self.change(node, deleted=True, place=self.nodes[node].place + 1)

    def restore(self, node: NodeId) -> None:
        """Its whole subtree is listed again."""
        self.change(node, deleted=False, place=self.nodes[node].place + 1)
        for below in self.below(node):
            self.change(below)

    def chain(self, node: NodeId) -> Iterator[NodeId]:
        """The node and all above it."""
        while node in self.nodes:
            yield node
            node = self.nodes[node].parent

    def is_alive(self, node: NodeId) -> bool:
        return not any(self.nodes[one].deleted for one in self.chain(node))

    def below(self, top: NodeId) -> list[NodeId]:
        """Alive, without the node itself."""
        return [
            node for node in self.nodes if node != top and top in self.chain(node) and self.is_alive(node)
        ]

    def feed(self, after: int) -> list[NodeState]:
        fresh = [(node.stamp, key) for key, node in self.nodes.items() if node.stamp > after]
        return [self.state(key) for _, key in sorted(fresh)]

    def state(self, key: NodeId) -> NodeState:
        node, alive = self.nodes[key], self.is_alive(key)
        return NodeState(
            node=key,
            parent=node.parent,
            name=node.name,
            place_revision=Revision(1, node.place),
            content_revision=Revision(1, node.content),
            place_operation=TOP,
            content_operation=TOP,
            content=wire_content(node) if alive else None,
            deleted=not alive,
        )


def wire_content(node: Node) -> WireContent:
    return WireContent(kind=Kind.FOLDER if node.folder else Kind.FILE)


class Client:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.after = 0
        self.state = StateDatabase(path)
        self.state.connection.execute("PRAGMA synchronous=OFF")
        with self.state.transaction():
            self.folder = self.state.add_folder(
                follow=uuid4(),
                view=ViewId(TOP),
                root=ROOT,
                whole_view=False,
                remote="/Home/studies",
                local=path / "studies",
                cursor=Cursor(""),
            )
        self.begin()
        self.trees.save(root_row(ROOT), dirty=False)

    def begin(self) -> None:
        self.trees = StoredTrees(self.state, self.folder.id, ROOT)
        self.window = Window(self.folder, self.state, self.trees)

    def start_again(self) -> None:
        self.state.close()
        self.state = StateDatabase(self.path)
        self.begin()

    def read(self, view: ModelView, *, page: int, pages: int = 1_000) -> None:
        """As engine.looking takes pages; fewer `pages` than there are: the head is not reached."""
        states = view.feed(self.after)
        cuts = [states[start : start + page] for start in range(0, len(states), page)] or [[]]
        for number, part in enumerate(cuts[:pages], 1):
            head = number == len(cuts)
            with self.trees.transaction(lasting=False):
                inside = self.window.take(part, head=head)
                take_remote(self.trees, inside, (), head=head, alone=False)
                if head:
                    coming, leaving = self.window.judge(part)
                    take_remote(self.trees, coming, leaving, alone=True)
            self.after = view.stamp if head else view.nodes[NodeId(part[-1].node)].stamp

    def did(self, view: ModelView, *nodes: NodeId) -> None:
        """An operation of this client's own, that its feed does not tell."""
        with self.trees.transaction():
            for node in nodes:
                row, now = self.trees.row(node) or Row(node), view.nodes[node]
                remote = Remote(
                    Place(now.parent, now.name),
                    content_of(wire_content(now)),
                    Revision(1, now.place),
                    Revision(1, now.content),
                )
                gone = not view.is_alive(node)
                self.trees.save(Row(node, None if gone else remote, row.local, row.agreed), dirty=False)
            self.window.take_own(nodes, lambda content: WireContent(kind=content.kind))
        self.after = view.stamp

    def sees(self) -> dict[NodeId, tuple[Place, int, int]]:
        return {
            row.node: (row.remote.place, row.remote.place_revision.number, row.remote.content_revision.number)
            for row in self.trees.all_rows()
            if row.remote is not None and row.node != ROOT
        }


def subtree(view: ModelView) -> dict[NodeId, tuple[Place, int, int]]:
    nodes = ((node, view.nodes[node]) for node in view.below(ROOT))
    return {key: (Place(node.parent, node.name), node.place, node.content) for key, node in nodes}


def something_happens(view: ModelView, dice: random.Random) -> None:
    alive = [node for node in view.nodes if view.is_alive(node)]
    folders = [TOP, *(node for node in alive if view.nodes[node].folder)]
    node = dice.choice(alive) if alive else None
    match dice.choice(["make", "make", "make", "move", "move", "edit", "delete", "restore"]):
        case "make":
            view.make(dice.choice(folders), folder=dice.random() < 0.6)
        case "edit" if node is not None:
            view.edit(node)
        case "move" if node is not None:
            parent = dice.choice(folders)
            if node not in view.chain(parent):
                view.move(node, parent)
        case "delete" if node is not None and (node != ROOT or dice.random() < 0.1):
            view.delete(node)
        case "restore":
            dead = [
                one
                for one, state in view.nodes.items()
                if state.deleted and (state.parent == TOP or view.is_alive(state.parent))
            ]
            if dead:
                view.restore(dice.choice(dead))


def something_of_its_own(view: ModelView, client: Client, dice: random.Random) -> None:
    """Inside, at the head, with nothing else going on."""
    inside = view.below(ROOT)
    folders = [ROOT, *(node for node in inside if view.nodes[node].folder)]
    if not inside or dice.random() < 0.4:
        client.did(view, view.make(dice.choice(folders), folder=dice.random() < 0.6))
        return
    node, parent = dice.choice(inside), dice.choice(folders)
    if dice.random() < 0.3:
        gone = [node, *view.below(node)]
        view.delete(node)
        client.did(view, *gone)
    elif node not in view.chain(parent):
        view.move(node, parent)
        client.did(view, node)


@pytest.mark.parametrize("seed", range(12))
def test_after_any_history_the_trees_hold_just_what_is_below_the_followed_folder(
    tmp_path: Path, seed: int
) -> None:
    dice, view, client = random.Random(seed), ModelView(), Client(tmp_path / "state.db")
    for _ in range(40):
        for _ in range(dice.choice([1, 1, 3, 10])):
            something_happens(view, dice)
        if dice.random() < 0.2:
            client.read(view, page=2, pages=1)
        if dice.random() < 0.1:
            client.start_again()
        client.read(view, page=dice.choice([1, 3, 1_000]))
        assert client.window.root_is_gone() == (not view.is_alive(ROOT))
        if view.is_alive(ROOT):
            assert client.sees() == subtree(view)
            if dice.random() < 0.4:
                something_of_its_own(view, client, dice)
                assert client.sees() == subtree(view)
    client.state.close()


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    client = Client(tmp_path / "state.db")
    with closing(client.state):
        yield client


def test_a_folder_that_moves_in_brings_all_below_it_though_only_one_record_tells(client: Client) -> None:
    view = ModelView()
    outside = view.make(TOP, folder=True)
    inner = view.make(outside, folder=True)
    view.make(inner, folder=False)
    client.read(view, page=100)
    assert client.sees() == {}
    view.move(outside, ROOT)
    assert len(view.feed(client.after)) == 1
    client.read(view, page=100)
    assert len(client.sees()) == 3
    view.move(outside, TOP)
    client.read(view, page=100)
    assert client.sees() == {}


def test_what_leaves_a_folder_before_that_folder_leaves_stays_inside(client: Client) -> None:
    view = ModelView()
    folder = view.make(ROOT, folder=True)
    file = view.make(folder, folder=False)
    client.read(view, page=100)
    view.move(file, ROOT)
    view.move(folder, TOP)
    client.read(view, page=1)
    assert set(client.sees()) == {file}


def test_nothing_goes_into_the_trees_before_the_head(client: Client) -> None:
    view = ModelView()
    view.make(view.make(ROOT, folder=True), folder=False)
    client.read(view, page=1, pages=2)
    assert client.sees() == {}
    client.read(view, page=1)
    assert client.sees() == subtree(view)


def test_after_a_new_listing_nothing_of_the_old_one_is_believed(client: Client) -> None:
    view = ModelView()
    outside = view.make(TOP, folder=True)
    lost = view.make(outside, folder=False)
    client.read(view, page=100)
    client.window.forget()
    del view.nodes[lost]
    view.move(outside, ROOT)
    client.after = 0
    client.read(view, page=100)
    assert set(client.sees()) == {outside}


def test_for_the_whole_view_all_but_its_root_goes_into_the_trees_at_once(tmp_path: Path) -> None:
    view = ModelView()
    view.make(ROOT, folder=False)
    with closing(StateDatabase(tmp_path / "state.db")) as state:
        folder = state.add_folder(
            follow=uuid4(),
            view=ViewId(TOP),
            root=ROOT,
            whole_view=True,
            remote="/Home",
            local=tmp_path / "home",
            cursor=Cursor(""),
        )
        window = Window(folder, state, StoredTrees(state, folder.id, ROOT))
        assert [state.parent for state in window.take(view.feed(0), head=True)] == [ROOT]
        assert window.judge(view.feed(0)) == ([], [])
        assert not window.root_is_gone()
        window.take_own([NodeId(uuid4())], lambda content: WireContent(kind=content.kind))
        assert state.connection.execute("SELECT count(*) FROM seen_states").fetchone() == (0,)
