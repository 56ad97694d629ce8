"""What happens in one folder happens in the other, whichever of the two it is."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest

from tests.support.computers import Computer, Seen, Together

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(params=["down", "up"])
def ends(request: pytest.FixtureRequest, corner: Together) -> tuple[Computer, Computer]:
    """Who acts, and who must see it."""
    return (corner.a, corner.b) if request.param == "up" else (corner.b, corner.a)


Act = Callable[[Computer, str], None]


def test_every_change_arrives(corner: Together, ends: tuple[Computer, Computer]) -> None:
    here, there = ends
    top = f"stories-{here.name}"
    for story in STORIES.values():
        story.before(here, f"{top}/{story.name}")
    corner.settle()
    for story in STORIES.values():
        story.act(here, f"{top}/{story.name}")
    seen = corner.settle()
    assert there.tree() == here.tree() == seen
    for story in STORIES.values():
        story.check(there, f"{top}/{story.name}")
    assert corner.conflict_copies() == []
    assert here.problems() == there.problems() == {}


class Story:
    """A change: what stood before, what is done, what must be seen on the other computer."""

    def __init__(self, name: str, before: Act, act: Act, check: Act) -> None:
        self.name, self.before, self.act, self.check = name, before, act, check
        STORIES[name] = self


STORIES: dict[str, Story] = {}


def _nothing(computer: Computer, top: str) -> None:
    computer.at(top).mkdir(parents=True)


def _files(*names: str) -> Act:
    def before(computer: Computer, top: str) -> None:
        computer.at(top).mkdir(parents=True)
        for name in names:
            computer.write(f"{top}/{name}", f"{top}/{name} as it was".encode())

    return before


def _holds(name: str, data: bytes) -> Act:
    def check(computer: Computer, top: str) -> None:
        assert computer.read(f"{top}/{name}") == data

    return check


def _only(*names: str) -> Act:
    def check(computer: Computer, top: str) -> None:
        found = {str(path.relative_to(computer.at(top))) for path in computer.at(top).rglob("*")}
        assert found == set(names), top

    return check


def _replace_file_by_folder(computer: Computer, top: str) -> None:
    computer.delete(f"{top}/thing")
    computer.write(f"{top}/thing/inside.txt", b"in the folder")


def _replace_folder_by_file(computer: Computer, top: str) -> None:
    computer.delete(f"{top}/thing")
    computer.write(f"{top}/thing", b"a file again")


def _executable(computer: Computer, top: str) -> None:
    computer.at(f"{top}/run.sh").chmod(0o755)


def _is_executable(computer: Computer, top: str) -> None:
    assert os.access(computer.at(f"{top}/run.sh"), os.X_OK)


def _swap(computer: Computer, top: str) -> None:
    computer.move(f"{top}/one", f"{top}/between")
    computer.move(f"{top}/two", f"{top}/one")
    computer.move(f"{top}/between", f"{top}/two")


def _swapped(computer: Computer, top: str) -> None:
    assert computer.read(f"{top}/one").endswith(b"two as it was")
    assert computer.read(f"{top}/two").endswith(b"one as it was")


Story("create", _nothing, lambda c, top: c.write(f"{top}/a/b/new.txt", b"new"), _holds("a/b/new.txt", b"new"))
Story("edit", _files("f"), lambda c, top: c.write(f"{top}/f", b"edited"), _holds("f", b"edited"))
Story("save", _files("f"), lambda c, top: c.save(f"{top}/f", b"saved"), _holds("f", b"saved"))
Story("rename", _files("old"), lambda c, top: c.move(f"{top}/old", f"{top}/new"), _only("new"))
Story("move", _files("f", "d/x"), lambda c, top: c.move(f"{top}/f", f"{top}/d/f"), _only("d", "d/x", "d/f"))
Story(
    "move-folder",
    _files("from/deep/f", "to/g"),
    lambda c, top: c.move(f"{top}/from", f"{top}/to/from"),
    _only("to", "to/g", "to/from", "to/from/deep", "to/from/deep/f"),
)
Story("delete", _files("f", "g"), lambda c, top: c.delete(f"{top}/f"), _only("g"))
Story("delete-tree", _files("d/e/f", "d/g", "h"), lambda c, top: c.delete(f"{top}/d"), _only("h"))
Story("empty-folder", _nothing, lambda c, top: c.at(f"{top}/empty").mkdir(), _only("empty"))
Story("executable", _files("run.sh"), _executable, _is_executable)
Story(
    "link",
    _nothing,
    lambda c, top: c.at(f"{top}/link").symlink_to("no/such/thing"),
    lambda c, top: _is_link(c.tree()[f"{top}/link"]),
)
Story("empty-file", _nothing, lambda c, top: c.write(f"{top}/empty", b""), _holds("empty", b""))
Story(
    "empty-grows",
    lambda c, top: c.write(f"{top}/f", b""),
    lambda c, top: c.write(f"{top}/f", b"not empty any more"),
    _holds("f", b"not empty any more"),
)
Story("file-to-folder", _files("thing"), _replace_file_by_folder, _only("thing", "thing/inside.txt"))
Story(
    "folder-to-file", _files("thing/a", "thing/b"), _replace_folder_by_file, _holds("thing", b"a file again")
)
Story("case", _files("readme"), lambda c, top: c.move(f"{top}/readme", f"{top}/README"), _only("README"))
Story("nfc", _nothing, lambda c, top: c.write(f"{top}/Z\u00fcrich", b"composed"), _only("Z\u00fcrich"))
Story("nfd", _nothing, lambda c, top: c.write(f"{top}/Zu\u0308rich", b"decomposed"), _only("Zu\u0308rich"))
Story(
    "respelled",
    _files("Z\u00fcrich"),
    lambda c, top: c.move(f"{top}/Z\u00fcrich", f"{top}/Zu\u0308rich"),
    _only("Zu\u0308rich"),
)
Story("swap", _files("one", "two"), _swap, _swapped)


def _is_link(seen: Seen) -> None:
    assert seen == Seen("link", "no/such/thing")


def test_a_small_edit_in_a_large_file_sends_little(corner: Together, ends: tuple[Computer, Computer]) -> None:
    here, there = ends
    path = f"large-{here.name}.bin"
    data = bytearray(random.Random(here.name).randbytes(5_000_000))
    here.write(path, data)
    corner.settle()
    sent, received = _sent(here), _received(there)
    data[2_500_000:2_500_010] = b"an insertion"
    here.write(path, data)
    corner.settle()
    assert there.read(path) == data
    assert _sent(here) - sent < 3_500_000
    assert _received(there) - received < 3_500_000


def test_a_copy_and_a_move_send_no_content(corner: Together, ends: tuple[Computer, Computer]) -> None:
    here, there = ends
    top = f"again-{here.name}"
    data = random.Random(top).randbytes(2 << 20)
    here.write(f"{top}/first.bin", data)
    corner.settle()
    sent, received = _sent(here), _received(there)
    here.write(f"{top}/second.bin", data)
    here.move(f"{top}/first.bin", f"{top}/sub/moved.bin")
    corner.settle()
    assert there.read(f"{top}/second.bin") == there.read(f"{top}/sub/moved.bin") == data
    assert _sent(here) - sent < 100_000
    assert _received(there) - received < 100_000


def _sent(computer: Computer) -> int:
    return int(computer.status()["traffic"]["sent_bytes"])


def _received(computer: Computer) -> int:
    return int(computer.status()["traffic"]["received_bytes"])
