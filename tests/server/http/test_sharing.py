"""Folders that are shared: what each side sees of the other's moves, and that nothing is said of what lies outside."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import pytest

from protocol.errors import AccessDenied, BadRequest, NotFound, Refused
from protocol.messages import (
    AnyOp,
    Changes,
    Content,
    Copy,
    DeleteTree,
    Feed,
    Kind,
    Make,
    Missing,
    Move,
    Moved,
    NodeState,
    Part,
    Put,
    Reset,
    ResetCause,
    Restore,
    Revision,
    Status,
    ToUpload,
    View,
    Views,
    Wait,
    WantedContent,
    Watched,
)
from protocol.resources import Listing, Trash, Versions
from protocol.sharing import Share, WhoSees
from tests.support.server import mb_server
from tests.support.service import Caller, ServiceUnderTest, a_service, manifest_of

FIRST = Revision(1, 1)
FOLDER = Content(kind=Kind.FOLDER)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServiceUnderTest]:
    async with a_service(tmp_path / "data", users=("ada", "ben", "cleo")) as running:
        yield running
        done = await asyncio.to_thread(mb_server, "check", "--data", running.data)
        assert done.returncode == 0, done.stdout


class Person:
    """One device of a user, and what it made of the feed of the view it looks at."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.cursor = ""
        self.known: dict[UUID, NodeState] = {}

    # ---- what they do ------------------------------------------------------------------------------------

    async def folder(self, name: str, parent: UUID | None = None) -> UUID:
        assert self.caller.view is not None
        node = uuid4()
        await self.do(Make(node=node, parent=parent or self.caller.view.root, name=name, content=FOLDER))
        return node

    async def file(self, name: str, data: bytes, parent: UUID | None = None) -> UUID:
        return await self.caller.put_file(name, data, parent=parent)

    async def do(self, op: AnyOp) -> None:
        assert await self.try_to(op) is Status.DONE

    async def try_to(self, op: AnyOp) -> Status:
        [result] = await self.caller.commit(op)
        return result.status

    async def move(self, node: UUID, parent: UUID, name: str) -> None:
        state = self.known[node]
        await self.do(Move(node=node, place_revision=state.place_revision, parent=parent, name=name))

    async def share(self, node: UUID, who: str, role: str) -> WhoSees:
        body = Share(who=who, role=role)
        path = f"{self.caller.at}/nodes/{node}/grants"
        answer: WhoSees = await self.caller.ask("PUT", path, answer=WhoSees, body=body)
        return answer

    async def unshare(self, node: UUID, who: str) -> None:
        path = f"{self.caller.at}/nodes/{node}/grants"
        seen = await self.caller.ask("GET", path, answer=WhoSees)
        [principal] = [seer.principal for seer in seen.seers if seer.who == who and seer.here]
        await self.caller.ask("DELETE", f"{path}/{principal}", answer=WhoSees)

    # ---- what they see -----------------------------------------------------------------------------------

    async def views(self) -> dict[str, View]:
        return {view.name: view for view in (await self.caller.ask("GET", "/views", answer=Views)).views}

    async def look_at(self, name: str) -> Person:
        """The same device, at another view."""
        other = Person(Caller(self.caller.url, self.caller.client, token=self.caller.token))
        other.caller.view = (await self.views())[name]
        other.caller.batches = 1_000 * (1 + len(name))  # numbers of one device, told apart
        return other

    async def page(self, limit: int = 5_000) -> Feed:
        path = f"{self.caller.at}/changes?after={self.cursor}&limit={limit}"
        answer: Feed = await self.caller.ask("GET", path, answer=Changes | Reset)
        return answer

    async def follow(self, limit: int = 5_000) -> list[str]:
        """Take in the feed up to its head; the paths that are known then."""
        while True:
            page = await self.page(limit)
            assert isinstance(page, Changes), page
            self.cursor = page.cursor
            for node in page.gone:
                for lost in [node, *self._below(node)]:
                    self.known.pop(lost, None)
            self.known |= {state.node: state for state in page.nodes}
            if not page.more:
                return self.paths()

    def _below(self, folder: UUID) -> list[UUID]:
        children = [state.node for state in self.known.values() if state.parent == folder]
        return children + [node for child in children for node in self._below(child)]

    def paths(self) -> list[str]:
        assert self.caller.view is not None
        root = self.caller.view.root

        def path(state: NodeState) -> str | None:
            if state.deleted:
                return None
            if state.parent == root:
                return state.name
            above = self.known.get(state.parent)
            assert above is not None, "a node without its folder"
            over = path(above)
            return None if over is None else f"{over}/{state.name}"

        return sorted(found for state in self.known.values() if (found := path(state)) is not None)


async def people(server: ServiceUnderTest) -> tuple[Person, Person, Person]:
    ada, ben, cleo = [Person(await server.sign_in(name)) for name in ("ada", "ben", "cleo")]
    return ada, ben, cleo


async def a_shared_study(server: ServiceUnderTest, role: str = "editor") -> tuple[Person, Person, UUID]:
    """ada's home with /Study (shared with ben) and /private beside it; ben looks at the study."""
    ada, ben, _ = await people(server)
    study = await ada.folder("Study")
    await ada.folder("private")
    await ada.file("scan", b"scan", study)
    await ada.follow()
    await ada.share(study, "user:ben", role)
    return ada, await ben.look_at("/Shared/Study"), study


def node_of(person: Person, path: str) -> UUID:
    at: UUID | None = None
    assert person.caller.view is not None
    parent = person.caller.view.root
    for name in path.split("/"):
        [at] = [
            s.node for s in person.known.values() if s.parent == parent and s.name == name and not s.deleted
        ]
        parent = at
    assert at is not None
    return at


# ---- seeing ----------------------------------------------------------------------------------------------


async def test_a_folder_is_its_owners_alone_until_it_is_shared(server: ServiceUnderTest) -> None:
    ada, ben, cleo = await people(server)
    study = await ada.folder("Study")
    assert set(await ben.views()) == {"/Home"}
    await ada.share(study, "user:ben", "reader")
    views = await ben.views()
    assert views["/Shared/Study"].rights == ["metadata", "read", "people"]
    assert views["/Shared/Study"].root == study
    assert set(await cleo.views()) == set(await ada.views()) == {"/Home"}


@pytest.mark.parametrize("limit", [1, 3, 5_000])
async def test_the_feed_tells_what_lies_inside_and_follows_it(server: ServiceUnderTest, limit: int) -> None:
    ada, ben, study = await a_shared_study(server)
    series = await ada.folder("series", study)
    for number in range(4):
        await ada.file(f"slice {number}", b"%d" % number, series)
    assert await ben.follow(limit) == ["scan", "series", *[f"series/slice {n}" for n in range(4)]]
    private = node_of(ada, "private")
    await ada.file("diary", b"mine alone", private)
    page = await ben.page(limit)
    assert isinstance(page, Changes)
    assert (page.nodes, page.gone, page.more) == ([], [], False)
    await ada.file("new", b"new", series)
    assert "series/new" in await ben.follow(limit)
    assert not any("diary" in path or "private" in path for path in ben.paths())


@pytest.mark.parametrize("limit", [1, 5_000])
async def test_what_is_moved_out_is_gone_and_what_is_moved_in_is_listed(
    server: ServiceUnderTest, limit: int
) -> None:
    ada, ben, study = await a_shared_study(server)
    private = node_of(ada, "private")
    outside = await ada.folder("outside", private)
    await ada.file("old", b"old", await ada.folder("deep", outside))
    series = await ada.folder("series", study)
    stays = await ada.file("stays", b"1", series)
    await ada.follow()
    await ben.follow(limit)

    await ada.move(outside, study, "inside")
    await ada.follow()
    assert await ben.follow(limit) == [
        "inside",
        "inside/deep",
        "inside/deep/old",
        "scan",
        "series",
        "series/stays",
    ]

    await ada.move(series, private, "series")  # out, emptied there, and back
    await ada.follow()
    await ada.move(stays, private, "stays")
    await ada.file("came", b"2", series)
    await ada.follow()
    away = await ben.follow(limit) if limit == 1 else None
    assert away is None or away == ["inside", "inside/deep", "inside/deep/old", "scan"]
    await ada.move(series, study, "series")
    await ada.follow()
    assert await ben.follow(limit) == [
        "inside",
        "inside/deep",
        "inside/deep/old",
        "scan",
        "series",
        "series/came",
    ]

    fresh = Person(ben.caller)
    assert await fresh.follow(limit) == ben.paths()


async def test_a_deleted_file_is_told_as_deleted_and_a_restored_folder_comes_back(
    server: ServiceUnderTest,
) -> None:
    ada, ben, study = await a_shared_study(server)
    series = await ada.folder("series", study)
    await ada.file("a", b"a", series)
    await ada.follow()
    assert await ben.follow() == ["scan", "series", "series/a"]
    state = ada.known[series]
    await ada.do(DeleteTree(node=series, place_revision=state.place_revision, cursor=ada.cursor))
    assert await ben.follow() == ["scan"]
    await ada.follow()
    await ada.do(Restore(node=series, place_revision=ada.known[series].place_revision))
    assert await ben.follow() == ["scan", "series", "series/a"]


async def test_nothing_outside_is_told_by_any_resource(server: ServiceUnderTest) -> None:
    ada, ben, study = await a_shared_study(server)
    private = node_of(ada, "private")
    diary = await ada.file("diary", b"mine alone", private)
    trashed = await ada.folder("trashed", private)
    await ada.follow()
    await ada.do(
        DeleteTree(node=trashed, place_revision=ada.known[trashed].place_revision, cursor=ada.cursor)
    )
    await ada.follow()
    at = ben.caller.at
    for absent in (diary, uuid4()):
        part = WantedContent(parts=[Part(node=absent, revision=FIRST)])
        with pytest.raises(NotFound, match="There is no such file or version"):
            await ben.caller.fetch(part)
        with pytest.raises(NotFound, match="There is no such file or version"):
            await ben.caller.ask("GET", f"{at}/files/{absent}", answer=None)
        with pytest.raises(NotFound, match="There is no such file"):
            await ben.caller.ask("GET", f"{at}/nodes/{absent}/versions", answer=Versions)
        with pytest.raises(NotFound, match="There is no such version"):
            await ben.caller.ask("GET", f"{at}/nodes/{absent}/versions/1.1", answer=Content)
        with pytest.raises(NotFound, match="There is no such folder"):
            await ben.caller.ask("GET", f"{at}/nodes/{absent}/grants", answer=WhoSees)
        assert await ben.try_to(
            Put(node=absent, content_revision=FIRST, content=Content(kind=Kind.FILE))
        ) is (Status.STALE)
        assert (
            await ben.try_to(Move(node=absent, place_revision=FIRST, parent=study, name="x")) is Status.STALE
        )
    for parent in (private, uuid4()):
        assert (
            await ben.try_to(Make(node=uuid4(), parent=parent, name="x", content=FOLDER))
            is Status.PARENT_GONE
        )
    revision = ada.known[trashed].place_revision
    assert await ben.try_to(Restore(node=trashed, place_revision=revision, parent=study)) is Status.STALE
    trash = await ben.caller.ask("GET", f"{at}/trash", answer=Trash)
    assert trash.items == []
    listing = await ben.caller.ask("GET", f"{at}/list?path=/", answer=Listing)
    assert [item.name for item in listing.items] == ["scan"]
    assert (await ben.views())["/Shared/Study"].used_bytes == 0


async def test_a_chunk_outside_is_as_unknown_as_one_that_is_nowhere(server: ServiceUnderTest) -> None:
    ada, ben, _ = await a_shared_study(server)
    await ada.file("diary", b"mine alone", node_of(ada, "private"))
    chunks = [hashlib.sha256(data).digest() for data in (b"scan", b"mine alone", b"nowhere")]
    asked = Missing(chunks=b"".join(chunks))
    answer = await ben.caller.ask("POST", f"{ben.caller.at}/missing", answer=ToUpload, body=asked)
    assert answer.wanted == [1, 2]
    assert ben.caller.view is not None
    for data, status in ((b"scan", Status.DONE), (b"mine alone", Status.MISSING_CHUNKS)):
        content = Content(kind=Kind.FILE, manifest=manifest_of(data))
        make = Make(node=uuid4(), parent=ben.caller.view.root, name=f"my {data.decode()}", content=content)
        assert await ben.try_to(make) is status


# ---- roles -----------------------------------------------------------------------------------------------


async def test_a_reader_reads_and_changes_nothing(server: ServiceUnderTest) -> None:
    _, ben, study = await a_shared_study(server, "reader")
    await ben.follow()
    [scan] = ben.known
    assert await ben.caller.fetch(WantedContent(parts=[Part(node=scan, revision=FIRST)])) == [b"scan"]
    for request in (ben.folder("mine"), ben.caller.upload(b"x"), ben.share(study, "user:cleo", "reader")):
        with pytest.raises(AccessDenied):
            await request
    with pytest.raises(AccessDenied):
        await ben.caller.ask("GET", f"{ben.caller.at}/trash", answer=Trash)


async def test_who_gets_the_right_to_contents_lists_again_and_so_does_who_loses_it(
    server: ServiceUnderTest,
) -> None:
    ada, ben, study = await a_shared_study(server, "metadata")
    assert await ben.follow() == ["scan"]
    [state] = ben.known.values()
    assert state.content is None
    with pytest.raises(AccessDenied):
        await ben.caller.fetch(WantedContent(parts=[Part(node=state.node, revision=FIRST)]))
    for role, seen in (("reader", True), ("editor", True), ("metadata", False)):
        await ada.share(study, "user:ben", role)
        page = await ben.page()
        if role != "editor":
            assert isinstance(page, Reset)
            assert page.cause is ResetCause.RIGHTS
            ben.cursor = page.cursor
        await ben.follow()
        [state] = ben.known.values()
        assert (state.content is not None) is seen


async def test_a_folder_below_a_shared_one_can_be_shared_with_more_and_with_others(
    server: ServiceUnderTest,
) -> None:
    ada, ben, study = await a_shared_study(server, "reader")
    results = await ada.folder("results", study)
    await ada.file("table", b"1", results)
    await ada.share(results, "user:ben", "editor")
    await ada.share(results, "user:cleo", "reader")
    deeper = await ben.look_at("/Shared/results")
    assert deeper.caller.view is not None
    assert "write" in deeper.caller.view.rights
    await deeper.file("mine", b"2")
    assert await ben.follow() == ["results", "results/mine", "results/table", "scan"]
    cleo = await Person(await server.sign_in("ada")).look_at("/Home")  # ada herself, on another device
    assert await cleo.follow() == [
        "Study",
        "Study/results",
        "Study/results/mine",
        "Study/results/table",
        "Study/scan",
        "private",
    ]
    await ada.unshare(results, "user:ben")
    with pytest.raises(AccessDenied):  # what is granted above still lets him read
        await deeper.file("more", b"3")
    assert await deeper.follow() == ["mine", "table"]


async def test_only_a_folder_of_ones_own_can_be_given_and_only_as_the_rules_say(
    server: ServiceUnderTest,
) -> None:
    ada, ben, study = await a_shared_study(server)
    await ben.follow()
    refused: list[tuple[type[Exception], Any]] = [
        (AccessDenied, ben.share(study, "user:cleo", "reader")),
        (NotFound, ada.share(uuid4(), "user:ben", "reader")),
        (NotFound, ada.share(study, "user:nobody", "reader")),
        (NotFound, ada.share(study, "project:nothing", "reader")),
        (BadRequest, ada.share(study, "ben", "reader")),
        (BadRequest, ada.share(study, "user:ben", "clinician")),
        (BadRequest, ada.share(study, "user:ben", "owner")),
        (Refused, ada.share(study, "user:ada", "reader")),
        (Refused, ada.share(node_of(ben, "scan"), "user:ben", "reader")),
    ]
    assert ada.caller.view is not None
    refused.append((Refused, ada.share(ada.caller.view.root, "user:ben", "reader")))
    for kind, request in refused:
        with pytest.raises(kind):
            await request


async def test_who_can_see_a_folder_is_listed_with_where_it_came_from(server: ServiceUnderTest) -> None:
    ada, ben, study = await a_shared_study(server)
    for words in (("create", "mri"), ("add", "mri", "ben"), ("add", "mri", "cleo")):
        assert (await asyncio.to_thread(mb_server, "team", *words, "--data", server.data)).returncode == 0
    results = await ada.folder("results", study)
    seen = await ada.share(results, "team:mri", "reader")
    told = [(seer.who, seer.role, seer.here, seer.on, seer.people) for seer in seen.seers]
    assert told == [
        ("user:ada", "owner", False, "/", []),
        ("team:mri", "reader", True, "/Study/results", ["ben", "cleo"]),
        ("user:ben", "editor", False, "/Study", []),
    ]
    path = f"{ben.caller.at}/nodes/{results}/grants"
    bens = await ben.caller.ask("GET", path, answer=WhoSees)
    assert [seer.on for seer in bens.seers] == ["", "/results", "/"]


async def test_shared_folders_of_one_name_are_told_apart(server: ServiceUnderTest) -> None:
    ada, ben, cleo = await people(server)
    for owner in (ada, cleo):
        for _ in range(2):
            above = await owner.folder(uuid4().hex)
            await owner.share(await owner.folder("Study", above), "user:ben", "reader")
    assert set(await ben.views()) == {
        "/Home",
        "/Shared/Study (ada)",
        "/Shared/Study (ada) 2",
        "/Shared/Study (cleo)",
        "/Shared/Study (cleo) 2",
    }


# ---- what moves while somebody listens -------------------------------------------------------------------


SOON = 5.0  # a quarter of a second is usual; a poll lasts twenty, and the machine may be busy


async def wait(person: Person, *, seconds: float = 20.0, generation: str = "") -> Moved:
    assert person.caller.view is not None
    watched = Watched(view=person.caller.view.view, cursor=person.cursor)
    body = Wait(views=[watched], generation=generation, timeout_seconds=seconds)
    answer: Moved = await person.caller.ask("POST", "/wait", answer=Moved, body=body)
    return answer


async def test_only_what_moves_inside_wakes_who_listens(server: ServiceUnderTest) -> None:
    ada, ben, study = await a_shared_study(server)
    await ben.follow()
    private = node_of(ada, "private")
    async with asyncio.TaskGroup() as group:
        poll = group.create_task(wait(ben, seconds=1.5))
        await asyncio.sleep(0.2)
        await ada.file("diary", b"mine", private)
        assert (await poll).views == []
    async with asyncio.TaskGroup() as group:
        poll = group.create_task(wait(ben))
        await asyncio.sleep(0.2)
        await ada.file("diary 2", b"mine", private)
        await asyncio.sleep(0.4)
        assert not poll.done()
        await ada.file("new", b"new", study)
        assert ben.caller.view is not None
        assert (await poll).views == [ben.caller.view.view]


async def test_the_end_of_a_share_is_told_at_once_and_it_is_not_there_any_more(
    server: ServiceUnderTest,
) -> None:
    ada, ben, study = await a_shared_study(server)
    await ben.follow()
    assert ben.caller.view is not None
    async with asyncio.TaskGroup() as group:
        poll = group.create_task(wait(ben))
        await asyncio.sleep(0.2)
        began = time.monotonic()
        await ada.unshare(study, "user:ben")
        assert (await poll).views == [ben.caller.view.view]
    assert time.monotonic() - began < SOON
    with pytest.raises(NotFound):
        await ben.page()
    assert set(await ben.views()) == {"/Home"}
    await ada.file("later", b"later", study)
    await ada.share(study, "user:ben", "reader")  # shared again, he goes on from where he was
    assert await ben.follow() == ["later", "scan"]


async def test_the_end_of_a_share_cuts_a_download_that_is_under_way(server: ServiceUnderTest) -> None:
    ada, ben, study = await a_shared_study(server, "reader")
    chunk = 4 * 1024 * 1024
    large = [bytes([number]) * chunk for number in range(24)]
    await ada.caller.upload(*large)
    file = await ada.caller.put_file("large", *large, parent=study)
    url = f"{ben.caller.url}/api/v1{ben.caller.at}/files/{file}"
    headers = {"Authorization": f"Bearer {ben.caller.token}"}
    async with ben.caller.client.get(url, headers=headers) as reply:
        assert reply.status == 200
        await reply.content.readexactly(chunk)
        await ada.unshare(study, "user:ben")
        began = time.monotonic()
        with pytest.raises(aiohttp.ClientError):
            await read_slowly(reply)
        assert time.monotonic() - began < SOON


async def read_slowly(reply: aiohttp.ClientResponse) -> None:
    """The rest; of some tens of MiB that takes longer than a second."""
    async for _ in reply.content.iter_any():
        await asyncio.sleep(0.05)


async def test_a_new_share_wakes_whom_it_is_for_and_nobody_else(server: ServiceUnderTest) -> None:
    ada, ben, cleo = await people(server)
    study = await ada.folder("Study")
    polls = {}
    async with asyncio.TaskGroup() as group:
        for person in (ben, cleo):
            await person.follow()
            generation = (await person.caller.ask("GET", "/views", answer=Views)).generation
            polls[person] = group.create_task(wait(person, seconds=20.0, generation=generation))
        await asyncio.sleep(0.2)
        began = time.monotonic()
        await ada.share(study, "user:ben", "reader")
        await polls[ben]
        assert time.monotonic() - began < SOON
        await asyncio.sleep(0.3)
        assert not polls[cleo].done()
        polls[cleo].cancel()


async def test_a_shared_folder_that_is_deleted_leaves_the_list_and_comes_back_with_it(
    server: ServiceUnderTest,
) -> None:
    ada, ben, study = await a_shared_study(server)
    await ben.follow()
    await ada.follow()
    await ada.do(DeleteTree(node=study, place_revision=ada.known[study].place_revision, cursor=ada.cursor))
    assert set(await ben.views()) == {"/Home"}
    with pytest.raises(NotFound):
        await ben.page()
    await ada.follow()
    await ada.do(Restore(node=study, place_revision=ada.known[study].place_revision))
    assert "/Shared/Study" in await ben.views()
    assert await ben.follow() == ["scan"]
    assert await Person(ben.caller).follow() == ["scan"]


async def test_ones_own_work_in_a_shared_folder_is_not_told_again_whatever_happens_outside(
    server: ServiceUnderTest,
) -> None:
    from protocol.messages import Commit, Committed  # noqa: PLC0415 - used here alone

    ada, ben, _ = await a_shared_study(server)
    await ben.follow()
    await ada.file("diary", b"mine", node_of(ada, "private"))
    assert ben.caller.view is not None
    make = Make(node=uuid4(), parent=ben.caller.view.root, name="mine", content=FOLDER)
    batch = Commit(operation=uuid4(), number=50, ops=[make], cursor=ben.cursor)
    answer = await ben.caller.ask("POST", f"{ben.caller.at}/commit", answer=Committed, body=batch)
    assert answer.cursor != ""
    ben.cursor = answer.cursor
    page = await ben.page()
    assert isinstance(page, Changes)
    assert page.nodes == []


# ---- intakes ---------------------------------------------------------------------------------------------


async def test_what_an_intake_holds_goes_nowhere_else_by_the_hands_of_who_may_see_it(
    server: ServiceUnderTest,
) -> None:
    _, ben, cleo = await people(server)

    async def operator(*words: str) -> None:
        done = await asyncio.to_thread(mb_server, *words, "--data", server.data)
        assert done.returncode == 0, done.stderr

    await operator("project", "create", "Nerves", "--template", "imaging")
    for who, role in (("ada", "owner"), ("ben", "editor"), ("ben", "clinician")):
        await operator("project", "grant", "Nerves", f"user:{who}", "--role", role)
    intake = await ben.look_at("/Projects/Nerves/Intake")
    named = await intake.file("Meier^Anna", b"names a person")
    halves = (b"a" * 10, b"b" * 10)
    await intake.caller.put_file("two chunks", *halves)
    project = await ben.look_at("/Projects/Nerves")
    assert project.caller.view is not None
    await project.caller.upload(b"names a person", *halves)

    def a_file(name: str, *chunks: bytes) -> Make:
        assert project.caller.view is not None
        content = Content(kind=Kind.FILE, manifest=manifest_of(*chunks))
        return Make(node=uuid4(), parent=project.caller.view.root, name=name, content=content)

    assert await project.try_to(a_file("x", b"names a person")) is Status.IDENTIFIED
    assert await project.try_to(a_file("x", *halves)) is Status.IDENTIFIED
    assert await project.try_to(a_file("half", halves[0])) is Status.DONE  # not the whole of it
    assert await project.try_to(a_file("empty")) is Status.DONE
    assert intake.caller.view is not None
    copy = Copy(
        node=uuid4(),
        parent=project.caller.view.root,
        name="y",
        from_view=intake.caller.view.view,
        from_node=named,
        from_revision=FIRST,
    )
    assert await project.try_to(copy) is Status.IDENTIFIED
    await intake.follow()
    await intake.do(
        DeleteTree(node=named, place_revision=intake.known[named].place_revision, cursor=intake.cursor)
    )
    home = await ben.look_at("/Home")
    await home.caller.upload(b"names a person")
    assert home.caller.view is not None
    make = Make(
        node=uuid4(),
        parent=home.caller.view.root,
        name="z",
        content=Content(kind=Kind.FILE, manifest=manifest_of(b"names a person")),
    )
    assert await home.try_to(make) is Status.IDENTIFIED  # held once is enough
    with pytest.raises(AccessDenied):
        await intake.share(await intake.folder("f"), "user:cleo", "reader")
    await cleo.file("z", b"names a person")  # who may not see it learns nothing of it
