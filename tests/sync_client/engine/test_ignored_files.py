"""What `.mbignore` names is not synced, and a new rule deletes nothing anywhere."""

from __future__ import annotations

import shutil

from protocol.messages import Content, DeleteTree, Kind, Put, Revision
from sync_client.engine.engine import Engine
from tests.support.one_engine import Setting, names, shown
from tests.support.service import manifest_of


async def edit_there(setting: Setting, name: str, data: bytes) -> None:
    """On another computer."""
    node, _ = (await setting.on_server("/study"))[name]
    await setting.other.upload(data)
    content = Content(kind=Kind.FILE, manifest=manifest_of(data))
    [result] = await setting.other.commit(Put(node=node, content_revision=Revision(1, 1), content=content))
    assert result.status == "done"


def notes(engine: Engine) -> str:
    return " ".join(engine.status()["notes"])


async def test_what_is_ignored_never_goes_up_and_the_rules_do(setting: Setting) -> None:
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
        (study / "build" / "deep").mkdir(parents=True)
        (study / "build" / "deep" / "x.o").write_bytes(b"object")
        (study / "a.log").write_bytes(b"log")
        (study / "keep.log").write_bytes(b"log to keep")
        (study / "scan.dcm").write_bytes(b"DICM")
        (study / ".mbignore").write_text("*.log\n!keep.log\nbuild/\n")
        assert await engine.once()
        assert set(await setting.on_server("/study")) == {".mbignore", "keep.log", "scan.dcm"}
        (study / ".mbignore").write_text("build/\n")
        assert await engine.once()
        assert set(await setting.on_server("/study")) == {".mbignore", "keep.log", "scan.dcm", "a.log"}
        states = engine.file_status([study / "build" / "deep", study / "a.log"])
        assert [item["state"] for item in states] == ["excluded", "synced"]


async def test_a_new_rule_deletes_nothing_and_without_it_both_edits_are_kept(setting: Setting) -> None:
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
        for name in ("both.log", "here.log", "gone.log"):
            (study / name).write_bytes(b"as it was")
        assert await engine.once()
        before = await setting.on_server("/study")
        (study / ".mbignore").write_text("*.log\n")
        assert await engine.once()
        assert "3 items that were synced are ignored now" in notes(engine)
        (study / "both.log").write_bytes(b"edited here")
        (study / "here.log").write_bytes(b"edited here, too")
        (study / "gone.log").unlink()
        await edit_there(setting, "both.log", b"edited elsewhere")
        assert await engine.once()
        now = await setting.on_server("/study")
        assert (now["here.log"], now["gone.log"]) == (before["here.log"], before["gone.log"])
        assert (study / "both.log").read_bytes() == b"edited here"
    async with setting.engine() as engine:  # a restart changes nothing
        assert await engine.once()
        assert (study / "both.log").read_bytes() == b"edited here"
        assert set(await setting.on_server("/study")) == {".mbignore", *before}
        (study / ".mbignore").unlink()
        assert await engine.once()
        [copy] = [name for name in names(study) if "(conflict " in name]
        assert (study / copy).read_bytes() == b"edited here"
        assert (study / "both.log").read_bytes() == b"edited elsewhere"
        assert (await setting.on_server("/study"))["here.log"][1] == len(b"edited here, too")
        assert "gone.log" not in await setting.on_server("/study")


async def test_a_rule_from_another_computer_counts_at_once(setting: Setting) -> None:
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
        (study / "a.log").write_bytes(b"as it was")
        assert await engine.once()
        top = (await setting.on_server("/"))["study"][0]
        await setting.other.put_file(".mbignore", b"*.log\n", parent=top)
        assert await engine.once()
        (study / "a.log").write_bytes(b"edited")
        (study / "b.log").write_bytes(b"new")
        assert await engine.once()
        assert {name: size for name, (_, size) in (await setting.on_server("/study")).items()} == {
            ".mbignore": 6,
            "a.log": 9,
        }


async def test_ignored_files_keep_a_folder_that_was_deleted_elsewhere(setting: Setting) -> None:
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
        for name in ("never", "before"):
            (study / name).mkdir()
            (study / name / "scan.dcm").write_bytes(b"DICM")
        (study / "before" / "was.log").write_bytes(b"synced before the rule")
        assert await engine.once()
        (study / ".mbignore").write_text("*.log\n")
        (study / "never" / "a.log").write_bytes(b"never synced")
        assert await engine.once()
        for name in ("never", "before"):
            node = (await setting.on_server("/study"))[name][0]
            [result] = await setting.other.commit(
                DeleteTree(node=node, place_revision=Revision(1, 1), cursor=await setting.head())
            )
            assert result.status == "done"
        assert not await engine.once()
        assert names(study / "never") == {"a.log"}
        assert names(study / "before") == {"was.log"}
        assert set(shown(engine)) == {"never", "before"}
        assert set(await setting.on_server("/study")) == {".mbignore"}
        shutil.rmtree(study / "never")
        shutil.rmtree(study / "before")
        assert await engine.once()
        assert names(study) == {".mbignore"}


async def test_the_line_that_decides_is_named_from_the_disk_of_now(setting: Setting) -> None:
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
        (study / "series").mkdir()
        (study / "series" / ".mbignore").write_text("# big\n*.raw\n")
        found = engine.ignore_test(study / "series" / "a.raw")
        assert (found["ignored"], found["line"], found["rule"]) == (True, 2, "*.raw")
        assert found["file"] == str(study / "series" / ".mbignore")
        assert engine.ignore_test(study / "a.raw")["ignored"] is False
        assert engine.ignore_test(study / "Thumbs.db")["ignored"] is True


async def test_a_half_done_download_of_another_computer_is_not_deleted(setting: Setting) -> None:
    async with setting.engine() as engine:
        await setting.follow(engine, "study")
        assert await engine.once()
        top = (await setting.on_server("/"))["study"][0]
        await setting.other.put_file("film.part", b"half", parent=top)
        assert await engine.once()
        assert await engine.once()
        assert set(await setting.on_server("/study")) == {"film.part"}
