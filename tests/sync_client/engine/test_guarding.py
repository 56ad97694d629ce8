"""A mass delete or rewrite waits until somebody decides, in both directions; the rest goes on."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from protocol.errors import BadRequest
from protocol.messages import Content, Delete, DeleteTree, Kind, Put, Revision
from sync_client.engine import guarding
from sync_client.engine.engine import Engine
from sync_client.engine.guards import WINDOW_SECONDS
from tests.support.one_engine import Setting, names, shown
from tests.support.service import manifest_of

MANY = 110


def a_study(study: Path, count: int = MANY) -> None:
    (study / "series").mkdir(parents=True)
    for image in range(count):
        (study / "series" / f"{image}.dcm").write_bytes(b"DICM %d" % image)


def files(folder: Path) -> int:
    return sum(1 for path in folder.rglob("*.dcm") if ".mb-sync" not in path.parts)


def what_waits(engine: Engine) -> list[tuple[str, int]]:
    return [(item["what"], item["count"]) for item in engine.guards()]


def the_whole_list(engine: Engine, item: dict[str, Any]) -> list[list[dict[str, Any]]]:
    parts, after = [], 0
    while after is not None:
        part = engine.guard_list(Path(item["folder"]), item["what"], after)
        parts.append(part["items"])
        after = part["next"]
    return parts


async def delete_there(setting: Setting) -> None:
    """Another computer deletes the folder `series` with all that is in it."""
    node = (await setting.on_server("/study"))["series"][0]
    delete = DeleteTree(node=node, place_revision=Revision(1, 1), cursor=await setting.head())
    [result] = await setting.other.commit(delete)
    assert result.status == "done"


async def test_a_mass_delete_here_waits_and_is_passed_on_when_somebody_agrees(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarding, "LISTED_AT_ONCE", 40)
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
        a_study(study)
        assert await engine.once()
        shutil.rmtree(study / "series")
        (study / "new.dcm").write_bytes(b"DICM new")
        assert not await engine.once()
        assert engine.status()["state"] == "attention"
        assert shown(engine) == {"": "guard"}
        assert what_waits(engine) == [("deleted-here", MANY + 1)]
        [item] = engine.guards()
        assert item["sample"][0].startswith("series")
        assert item["share"] == round((MANY + 1) / (MANY + 2), 3)
        parts = the_whole_list(engine, item)
        assert len(parts) == 1 + MANY // 40
        assert all(len(part) <= 40 for part in parts), "nobody else waits long for it"
        listed = {one["path"]: one["size"] for part in parts for one in part}
        assert listed == {"series": None, **{f"series/{n}.dcm": len(b"DICM %d" % n) for n in range(MANY)}}
        with pytest.raises(BadRequest, match="is no mass change"):
            engine.guard_list(study, "deleted-nowhere", 0)
        assert engine.guard_list(study, "deleted-there", 0)["items"] == []
    assert set(await setting.on_server("/study")) == {"series", "new.dcm"}  # the rest went on
    async with setting.engine() as engine:  # and after a restart it still waits
        assert not await engine.once()
        assert what_waits(engine) == [("deleted-here", MANY + 1)]
        assert len(await setting.on_server("/study/series")) == MANY
        assert (await engine.decide_guard(None, apply=True))["count"] == MANY + 1
        assert await engine.once()
        assert engine.guards() == []
    assert set(await setting.on_server("/study")) == {"new.dcm"}


async def test_what_was_deleted_here_comes_back_when_somebody_says_so(setting: Setting) -> None:
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
        a_study(study)
        assert await engine.once()
        before = await setting.on_server("/study/series")
        shutil.rmtree(study / "series")
        assert not await engine.once()
        await engine.decide_guard(study, apply=False)
        assert await engine.once()
        assert files(study) == MANY
        assert await setting.on_server("/study/series") == before


async def test_put_back_by_hand_nothing_waits_any_more(setting: Setting) -> None:
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
        a_study(study)
        assert await engine.once()
        (study / "series").rename(setting.base / "away")
        assert not await engine.once()
        (setting.base / "away").rename(study / "series")
        assert await engine.once()
        assert engine.guards() == []
        assert files(study) == len(await setting.on_server("/study/series")) == MANY


async def test_a_few_deletes_are_passed_on_and_many_in_a_row_ask(setting: Setting) -> None:
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
        a_study(study, 160)
        assert await engine.once()
        for image in range(90):
            (study / "series" / f"{image}.dcm").unlink()
        assert await engine.once()
        assert len(await setting.on_server("/study/series")) == 70
        for image in range(90, 110):
            (study / "series" / f"{image}.dcm").unlink()
        assert not await engine.once()
        assert what_waits(engine) == [("deleted-here", 20)]
        assert len(await setting.on_server("/study/series")) == 70


async def test_what_was_deleted_before_a_restart_counts_too(setting: Setting) -> None:
    """Else whatever deletes in pieces, and restarts the client between them, is never asked about."""
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
        a_study(study, 160)
        assert await engine.once()
        for image in range(45):
            (study / "series" / f"{image}.dcm").unlink()
        assert await engine.once()
    async with setting.engine() as engine:
        for image in range(45, 90):
            (study / "series" / f"{image}.dcm").unlink()
        assert await engine.once()
    for image in range(90, 110):
        (study / "series" / f"{image}.dcm").unlink()
    async with setting.engine() as engine:
        assert not await engine.once()
        assert what_waits(engine) == [("deleted-here", 20)]
        await engine.decide_guard(None, apply=True)
        assert await engine.once()
    (study / "series" / "110.dcm").unlink()
    async with setting.engine() as engine:  # the decision covers what came before it
        assert await engine.once()
    assert len(await setting.on_server("/study/series")) == 49


@pytest.mark.parametrize(
    ("jump", "up_seconds", "asks"),
    [
        (-3 * 86_400.0, None, True),
        (3 * 86_400.0, None, True),  # put forward: no time has passed all the same
        (3 * 86_400.0, 60.0, True),  # started anew a minute ago: nobody knows how long it was off
        (-3 * 86_400.0, WINDOW_SECONDS + 6, False),
    ],
)
async def test_a_clock_that_is_set_over_a_restart_forgets_nothing(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, jump: float, up_seconds: float | None, asks: bool
) -> None:
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
        a_study(study, 160)
        assert await engine.once()
        for image in range(90):
            (study / "series" / f"{image}.dcm").unlink()
        assert await engine.once()
    wall, up = time.time, time.monotonic
    monkeypatch.setattr(time, "time", lambda: wall() + jump)
    if up_seconds is not None:
        behind = up() - up_seconds
        monkeypatch.setattr(guarding, "this_boot", lambda: "another one")
        monkeypatch.setattr(time, "monotonic", lambda: up() - behind)
    for image in range(90, 110):
        (study / "series" / f"{image}.dcm").unlink()
    async with setting.engine() as engine:
        assert await engine.once() is not asks


async def test_a_mass_delete_there_leaves_the_disk_alone_and_the_edit_goes_on(setting: Setting) -> None:
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
        a_study(study)
        (study / "plan.txt").write_bytes(b"first")
        assert await engine.once()
        await delete_there(setting)
        (study / "plan.txt").write_bytes(b"second one")
        assert not await engine.once()
        assert files(study) == MANY
        assert what_waits(engine) == [("deleted-there", MANY + 1)]
        assert (await setting.on_server("/study"))["plan.txt"][1] == 10
        await engine.decide_guard(None, apply=True)
        assert await engine.once()
        assert names(study) == {"plan.txt"}


async def test_what_was_deleted_there_comes_back_out_of_the_trash_as_it_was(setting: Setting) -> None:
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
        a_study(study)
        assert await engine.once()
        before = await setting.on_server("/study/series")
        await delete_there(setting)
        setting.proxy.requests.clear()
        assert not await engine.once()
        await engine.decide_guard(None, apply=False)
        assert await engine.once()
        assert engine.guards() == []
        assert await setting.on_server("/study/series") == before
        assert setting.proxy.count("/chunks") == 0
        assert files(study) == MANY


async def test_single_files_deleted_there_come_back_too(setting: Setting) -> None:
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
        a_study(study)
        assert await engine.once()
        before = await setting.on_server("/study/series")
        done = await setting.other.commit(
            *(
                Delete(node=node, place_revision=Revision(1, 1), content_revision=Revision(1, 1))
                for node, _ in before.values()
            )
        )
        assert {result.status for result in done} == {"done"}
        assert not await engine.once()
        assert what_waits(engine) == [("deleted-there", MANY)]
        await engine.decide_guard(None, apply=False)
        assert await engine.once()
        assert await setting.on_server("/study/series") == before


async def test_an_emptied_remote_folder_asks_before_the_disk_is_emptied(setting: Setting) -> None:
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
        a_study(study, 12)
        assert await engine.once()
        await delete_there(setting)
        assert not await engine.once()
        assert files(study) == 12
        assert what_waits(engine) == [("deleted-there", 13)]


async def test_files_that_somebody_encrypts_are_not_sent_and_come_back(setting: Setting) -> None:
    chance = random.Random(2)
    text = b"".join(b"patient %d had a scan of the knee\n" % number for number in range(40))
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
        study.mkdir(exist_ok=True)
        for image in range(210):
            (study / f"{image}.dcm").write_bytes(b"%d " % image + text)
        assert await engine.once()
        before = await setting.on_server("/study")
        for image in range(210):
            (study / f"{image}.dcm").write_bytes(chance.randbytes(2_000))
        (study / "new.txt").write_bytes(b"a new file goes on its way")
        assert not await engine.once()
        assert what_waits(engine) == [("rewritten-here", 210)]
        after = await setting.on_server("/study")
        assert after.pop("new.txt")
        assert after == before
        await engine.decide_guard(None, apply=False)
        assert await engine.once()
        assert (study / "7.dcm").read_bytes() == b"7 " + text
        assert await setting.on_server("/study") == before | {
            "new.txt": (await setting.on_server("/study"))["new.txt"]
        }


async def test_many_ordinary_edits_are_sent_unasked(setting: Setting) -> None:
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
        study.mkdir(exist_ok=True)
        for image in range(210):
            (study / f"{image}.dcm").write_bytes(b"%d of the first reading, " % image * 40)
        assert await engine.once()
        for image in range(210):
            (study / f"{image}.dcm").write_bytes(b"%d of the second reading, " % image * 40)
        assert await engine.once()
        assert engine.guards() == []


async def test_encrypted_versions_of_the_server_do_not_reach_the_disk(setting: Setting) -> None:
    chance = random.Random(3)
    text = b"".join(b"patient %d had a scan of the knee\n" % number for number in range(40))
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
        study.mkdir(exist_ok=True)
        for image in range(210):
            (study / f"{image}.dcm").write_bytes(b"%d " % image + text)
        assert await engine.once()
        noise = [chance.randbytes(2_000) for _ in range(210)]
        await setting.other.upload(*noise)
        held = await setting.on_server("/study")
        done = await setting.other.commit(
            *(
                Put(
                    node=node,
                    content_revision=Revision(1, 1),
                    content=Content(kind=Kind.FILE, manifest=manifest_of(data)),
                )
                for (node, _), data in zip(held.values(), noise, strict=True)
            )
        )
        assert {result.status for result in done} == {"done"}
        assert not await engine.once()
        assert what_waits(engine) == [("rewritten-there", 210)]
        assert (study / "7.dcm").read_bytes() == b"7 " + text
        await engine.decide_guard(None, apply=False)
        assert await engine.once()
        assert (study / "7.dcm").read_bytes() == b"7 " + text
        assert (await setting.on_server("/study"))["7.dcm"][1] == len(b"7 " + text)
