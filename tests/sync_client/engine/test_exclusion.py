"""What a person does not want on this computer: gone here, untouched there, and back when asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from protocol.errors import LocalProblem
from sync_client.engine.engine import Engine
from tests.support.one_engine import Setting, shown
from tests.sync_client.engine.test_names_on_disk import another_computer


class Pair:
    """Two computers that follow one folder; `there` excludes."""

    def __init__(self, here: Engine, a: Path, there: Engine, b: Path) -> None:
        self.here, self.a, self.there, self.b = here, a, there, b

    async def settle(self) -> None:
        for engine in (self.here, self.there, self.here, self.there):
            await engine.once()


def tree(folder: Path) -> dict[str, bytes]:
    """Files by path; folders have b"/"."""
    found = {}
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if parts[0] != ".mb-sync":
            found["/".join(parts)] = b"/" if path.is_dir() else path.read_bytes()
    return found


@pytest.fixture
async def pair(setting: Setting) -> AsyncIterator[Pair]:
    async with setting.engine() as here, another_computer(setting) as there:
        folder = await setting.follow(here, "study")
        for number in range(150):  # more than a guard lets go by unasked
            (folder / "raw" / "deep").mkdir(parents=True, exist_ok=True)
            (folder / "raw" / "deep" / f"{number}.dcm").write_bytes(b"%d" % number)
        (folder / "notes.txt").write_bytes(b"notes")
        await there.add_folder("/Home/study", setting.base / "b", create=False)
        made = Pair(here, folder, there, setting.base / "b")
        await made.settle()
        assert tree(made.a) == tree(made.b)
        yield made


async def test_excluded_it_goes_here_and_stays_there_through_renames_until_it_is_wanted_again(
    pair: Pair,
) -> None:
    before = tree(pair.a)
    pair.there.exclude(pair.b / "raw")
    await pair.settle()
    assert tree(pair.b) == {"notes.txt": b"notes"}
    assert tree(pair.a) == before
    assert shown(pair.there) == {}
    assert pair.there.file_status([pair.b / "raw" / "deep"])[0]["state"] == "excluded"
    (pair.a / "raw").rename(pair.a / "renamed")
    (pair.a / "renamed" / "new.dcm").write_bytes(b"new")
    (pair.b / "own.txt").write_bytes(b"own")
    await pair.settle()
    assert tree(pair.b) == {"notes.txt": b"notes", "own.txt": b"own"}
    assert tree(pair.a)["own.txt"] == b"own"
    [listed] = pair.there.excluded()
    assert listed["path"] == str(pair.b / "renamed")
    with pytest.raises(LocalProblem, match="not excluded"):
        pair.there.include(pair.b / "raw")
    pair.there.include(pair.b / "renamed")
    await pair.settle()
    assert tree(pair.b) == tree(pair.a)
    assert len(tree(pair.b)) == len(before) + 2
    assert pair.there.excluded() == []


async def test_what_is_not_on_the_server_keeps_all_of_it_here(pair: Pair) -> None:
    (pair.b / "raw" / "deep" / "7.dcm").write_bytes(b"edited here, and not sent yet")
    for sync in pair.there.syncs.values():
        sync.look_at_all()
        root = sync.root
        assert root is not None
        await sync.looker.look(root)  # seen, not sent
    before = tree(pair.b)
    with pytest.raises(LocalProblem, match=r"not on the server yet are raw/deep/7\.dcm"):
        pair.there.exclude(pair.b / "raw")
    assert pair.there.excluded() == []
    await pair.settle()
    assert tree(pair.b) == tree(pair.a) == before


async def test_an_edit_that_nobody_saw_yet_survives_the_exclusion(pair: Pair) -> None:
    pair.there.exclude(pair.b / "raw")
    (pair.b / "raw" / "deep" / "7.dcm").write_bytes(b"edited just now")
    await pair.settle()
    assert (pair.b / "raw" / "deep" / "7.dcm").read_bytes() == b"edited just now"
    assert len(tree(pair.b)) == 4
    assert shown(pair.there)["raw"] == "excluded"
    assert (pair.a / "raw" / "deep" / "7.dcm").read_bytes() == b"7"
    pair.there.include(pair.b / "raw")
    await pair.settle()
    assert tree(pair.a) == tree(pair.b)
    assert {b"7", b"edited just now"} < set(tree(pair.a).values())


async def test_what_is_excluded_is_not_deleted_with_the_folder_it_lies_in(pair: Pair) -> None:
    pair.there.exclude(pair.b / "raw" / "deep")
    await pair.settle()
    assert tree(pair.b) == {"raw": b"/", "notes.txt": b"notes"}
    (pair.b / "raw").rmdir()
    await pair.settle()
    assert len(tree(pair.a)) == 153
    assert shown(pair.there) == {"raw": "excluded"}


async def test_the_root_of_a_followed_folder_cannot_be_excluded(pair: Pair) -> None:
    with pytest.raises(LocalProblem, match="mb-sync remove"):
        pair.there.exclude(pair.b)
