"""Which entry of the disk is which node: real files in a real folder."""

from __future__ import annotations

import os
import random
import shutil
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from protocol.messages import Kind
from sync_client.engine.trees import PARKED, Place
from tests.support.followed import Followed, a_node


@pytest.fixture(params=[None, 1, 3], ids=["at once", "one by one", "in parts"])
def here(request: pytest.FixtureRequest, tmp_path: Path) -> Followed:
    return Followed(tmp_path / "folder", enough=request.param)


def test_of_what_did_not_change_nothing_is_kept_but_the_folders(here: Followed) -> None:
    for name in ("same/1", "same/deep/2", "edited/3", "edited/deep/4", "edited/5"):
        here.write(name, name)
    here.scan()
    here.write("edited/3", "another text")
    kept = {
        "/".join((*one.parts, entry.name)): entry.kind
        for one in here.list_in_parts(2)
        for entry in one.entries
    }
    files = {path for path, kind in kept.items() if kind is Kind.FILE}
    assert files == {"edited/3", "edited/5"}
    assert set(kept) - files == {"same", "same/deep", "edited", "edited/deep"}


def test_what_is_new_is_a_node_and_is_read(here: Followed) -> None:
    here.write("study/a.dcm", "one")
    bound = here.scan()
    assert here.paths() == {"study", "study/a.dcm"}
    assert bound.unread == [here.node_at("study/a.dcm")]


def test_what_is_untouched_is_neither_a_change_nor_read(here: Followed) -> None:
    here.write("study/a.dcm", "one")
    here.scan()
    bound = here.scan()
    assert not bound.changes
    assert not bound.unread


def test_an_edit_in_place_keeps_the_node(here: Followed) -> None:
    here.write("a", "one")
    here.scan()
    node = here.node_at("a")
    here.write("a", "two", age_seconds=30)
    assert here.scan().unread == [node]


def test_an_edit_that_keeps_size_and_time_is_seen(here: Followed) -> None:
    file = here.write("a", "one")
    here.scan()
    before = file.stat()
    file.write_text("two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert here.scan().unread == [here.node_at("a")]


def test_a_file_replaced_by_an_editor_keeps_its_node(here: Followed) -> None:
    here.write("a", "one")
    here.scan()
    node = here.node_at("a")
    os.replace(here.write("a.new", "two"), here.path / "a")
    bound = here.scan()
    assert bound.unread == [node]
    assert here.paths() == {"a"}


def test_a_save_whose_temporary_file_was_seen_still_keeps_the_node(here: Followed) -> None:
    here.write("a", "one")
    here.scan()
    node = here.node_at("a")
    here.write("a.new", "two")
    here.scan()
    temporary = here.node_at("a.new")
    here.rows[temporary] = replace(here.rows[temporary], content=None)  # seen, and not read yet
    os.replace(here.path / "a.new", here.path / "a")
    here.scan()
    assert here.node_at("a") == node


def test_of_two_nodes_said_to_stand_at_one_name_the_one_that_does_not_is_gone(here: Followed) -> None:
    here.write("a", "one")
    here.scan()
    node = here.node_at("a")
    local = here.rows[node]
    for order in (0, 1):
        stale = a_node()
        other = replace(local, fingerprint=replace(local.fingerprint, inode=1 << 60))
        here.rows = {stale: other, node: local} if order else {node: local, stale: other}
        bound = here.scan()
        assert (stale, None) in bound.changes
        assert set(here.rows) == {node}


def test_a_moved_file_is_the_same_node_and_is_not_read_again(here: Followed) -> None:
    here.write("in/a", "one")
    (here.path / "out").mkdir()
    here.scan()
    node = here.node_at("in/a")
    (here.path / "in/a").rename(here.path / "out/b")
    bound = here.scan()
    assert here.node_at("out/b") == node
    assert [changed for changed, _ in bound.changes] == [node]
    assert not bound.unread


def test_a_moved_folder_is_one_change(here: Followed) -> None:
    for number in range(5):
        here.write(f"patient/study/{number}", str(number))
    (here.path / "archive").mkdir()
    here.scan()
    node, child = here.node_at("patient"), here.node_at("patient/study/3")
    (here.path / "patient").rename(here.path / "archive/renamed")
    bound = here.scan()
    assert [changed for changed, _ in bound.changes] == [node]
    assert here.node_at("archive/renamed/study/3") == child


def test_a_folder_moved_into_a_new_folder_while_one_of_its_name_is_made(here: Followed) -> None:
    here.write("d/old", "one")
    here.scan()
    node = here.node_at("d")
    (here.path / "new").mkdir()
    (here.path / "d").rename(here.path / "new/d")
    here.write("d/other", "two")
    here.scan()
    assert here.node_at("new/d") == node
    assert here.paths() == {"d", "d/other", "new", "new/d", "new/d/old"}


def test_a_child_that_left_a_folder_before_it_was_deleted_survives(here: Followed) -> None:
    here.write("d/keep", "one")
    here.write("d/drop", "two")
    here.scan()
    node = here.node_at("d/keep")
    (here.path / "d/keep").rename(here.path / "kept")
    shutil.rmtree(here.path / "d")
    here.scan()
    assert here.node_at("kept") == node
    assert here.paths() == {"kept"}


def test_a_swap_of_two_files_is_two_moves(here: Followed) -> None:
    here.write("a", "one")
    here.write("b", "two")
    here.scan()
    a, b = here.node_at("a"), here.node_at("b")
    (here.path / "a").rename(here.path / "c")
    (here.path / "b").rename(here.path / "a")
    (here.path / "c").rename(here.path / "b")
    bound = here.scan()
    assert (here.node_at("a"), here.node_at("b")) == (b, a)
    assert not bound.unread


def test_parent_and_child_can_change_places(here: Followed) -> None:
    here.write("p/c/file", "one")
    here.scan()
    p, c = here.node_at("p"), here.node_at("p/c")
    (here.path / "p/c").rename(here.path / "c")
    (here.path / "p").rename(here.path / "c/p")
    here.scan()
    assert (here.node_at("c"), here.node_at("c/p")) == (c, p)
    assert here.paths() == {"c", "c/p", "c/file"}


def test_a_hard_link_is_a_node_of_its_own(here: Followed) -> None:
    file = here.write("a", "one")
    here.scan()
    node = here.node_at("a")
    os.link(file, here.path / "b")
    here.scan()
    assert here.node_at("a") == node
    assert here.node_at("b") != node


def test_a_hard_link_to_a_folder_that_was_not_looked_at_is_no_move(here: Followed) -> None:
    file = here.write("in/a", "one")
    (here.path / "out").mkdir()
    here.scan()
    node = here.node_at("in/a")
    os.link(file, here.path / "out/b")
    here.look_at("out")
    assert here.asked == [node]
    assert here.node_at("in/a") == node
    assert here.node_at("out/b") != node


def test_a_move_is_seen_when_only_the_folder_it_went_to_is_looked_at(here: Followed) -> None:
    here.write("in/a", "one")
    (here.path / "out").mkdir()
    here.scan()
    node = here.node_at("in/a")
    (here.path / "in/a").rename(here.path / "out/b")
    here.look_at("out")
    assert here.node_at("out/b") == node


def test_an_inode_that_is_used_again_is_no_move(here: Followed) -> None:
    here.write("a", "one")
    here.scan()
    node = here.node_at("a")
    was = here.rows[node].fingerprint
    (here.path / "a").unlink()
    here.write("b", "two")
    here.scan()
    new = here.node_at("b")
    assert new != node
    # the disk may or may not have used the number again; with the number forced equal the birth time still tells
    here.rows[new] = replace(
        here.rows[new], fingerprint=replace(here.rows[new].fingerprint, birth_ns=was.birth_ns)
    )
    (here.path / "b").rename(here.path / "c")
    here.scan()
    assert here.node_at("c") != new


def test_the_executable_bit_is_a_change_that_needs_no_reading(here: Followed) -> None:
    here.write("run.sh", "one")
    here.scan()
    node = here.node_at("run.sh")
    (here.path / "run.sh").chmod(0o755)
    bound = here.scan()
    assert not bound.unread
    content = here.rows[node].content
    assert content is not None
    assert content.executable


def test_a_young_file_is_read_again_once(here: Followed) -> None:
    here.write("a", "one", age_seconds=0)
    here.scan(seconds_later=0)
    node = here.node_at("a")
    assert here.scan(seconds_later=0).recent == [node]
    time.sleep(2.1)
    bound = here.scan(seconds_later=0)
    assert bound.unread == [node]
    assert not bound.changes
    assert not here.scan(seconds_later=0).unread


def test_a_file_from_the_future_is_not_read_at_every_scan(here: Followed) -> None:
    here.write("a", "one", age_seconds=-4_000_000_000)
    here.scan()
    assert not here.scan().unread


def test_what_became_unfollowable_is_not_therefore_deleted(here: Followed) -> None:
    here.write("a", "one")
    here.scan()
    (here.path / "a").unlink()
    os.mkfifo(here.path / "a")
    bound = here.scan()
    assert not bound.changes


def test_a_folder_that_may_not_be_listed_keeps_its_children(here: Followed) -> None:
    here.write("d/a", "one")
    here.scan()
    (here.path / "d").rename(here.path.parent / "elsewhere")
    assert not here.look_at("d").changes  # it vanished between the event and the look
    assert here.paths() == {"d", "d/a"}


def test_a_parked_node_is_not_missed(here: Followed) -> None:
    here.write("a", "one")
    here.scan()
    node = here.node_at("a")
    (here.path / ".mb-sync/tmp").mkdir(parents=True)
    (here.path / "a").rename(here.path / ".mb-sync/tmp/x.parked")
    here.rows[node] = replace(here.rows[node], place=Place(PARKED, "a"))
    assert not here.scan().changes
    assert node in here.rows


def test_a_file_that_became_a_folder_is_another_node(here: Followed) -> None:
    here.write("a", "one")
    here.scan()
    node = here.node_at("a")
    (here.path / "a").unlink()
    here.write("a/b", "two")
    here.scan()
    assert here.node_at("a") != node
    assert node not in here.rows


def test_a_link_is_a_node_whose_content_is_its_text(here: Followed) -> None:
    (here.path / "link").symlink_to("some/where")
    here.scan()
    content = here.rows[here.node_at("link")].content
    assert content is not None
    assert (content.kind, content.size) == (Kind.LINK, len("some/where"))


def test_random_moves_and_replacements_are_bound_as_they_happened(tmp_path: Path) -> None:
    """Files that are only ever moved or edited in place keep their nodes, however deep the shuffle."""
    deadline = time.monotonic() + 4
    seed = 0
    while time.monotonic() < deadline and seed < 60:
        seed += 1
        _one_history(Followed(tmp_path / str(seed), enough=(None, 1, 4)[seed % 3]), random.Random(seed))


def _one_history(here: Followed, chance: random.Random) -> None:
    truth: dict[str, str] = {}  # path -> the birth certificate written in it, for files
    born = 0
    for step in range(6):
        for _ in range(chance.randrange(1, 8)):
            folders = ["", *(path for path in _walk(here.path) if (here.path / path).is_dir())]
            files = [path for path in _walk(here.path) if (here.path / path).is_file()]
            match chance.choice(["file", "file", "folder", "move", "move", "move", "edit", "save", "delete"]):
                case "file":
                    born += 1
                    target = here.path / chance.choice(folders) / f"f{born}"
                    target.write_text(f"{born}")
                case "folder":
                    born += 1
                    (here.path / chance.choice(folders) / f"d{born}").mkdir()
                case "move" if files or len(folders) > 1:
                    source = here.path / chance.choice(files + folders[1:] or files)
                    target = here.path / chance.choice(folders) / f"m{chance.randrange(6)}"
                    if not target.exists() and source not in target.parents:
                        source.rename(target)
                case "edit" if files:
                    with (here.path / chance.choice(files)).open("a") as file:
                        file.write("+")
                case "save" if files:
                    file = here.path / chance.choice(files)
                    (here.path / "saving~tmp").write_text(file.read_text() + "*")
                    (here.path / "saving~tmp").replace(file)
                case "delete" if files:
                    (here.path / chance.choice(files)).unlink()
        before = {_birth(truth[path]): node for path, node in _nodes(here).items() if path in truth}
        here.scan()
        assert here.paths() == set(_walk(here.path)), step
        truth = {
            path: (here.path / path).read_text() for path in _walk(here.path) if (here.path / path).is_file()
        }
        for path, node in _nodes(here).items():
            if path not in truth:
                continue
            known = before.get(_birth(truth[path]))
            if known is not None and known in here.rows and "*" not in truth[path]:
                assert node == known, (step, path)
            content = here.rows[node].content
            assert content is not None
            assert content.size == len(truth[path])


def _birth(text: str) -> str:
    return text.rstrip("+*")


def _nodes(here: Followed) -> dict[str, object]:
    return {"/".join(here.parts(node)): node for node in here.rows}


def _walk(path: Path) -> list[str]:
    return [str(found.relative_to(path)) for found in sorted(path.rglob("*"))]
