"""A block may be hostile: its answer counts only if all of it is allowed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from blocks.contract.job import InputFile, Job, read_job, write_job
from blocks.contract.manifest import Manifest, read_manifest
from blocks.contract.output import check_finished, open_output
from protocol.errors import Refused

MANIFEST = """
contract = 1
name = "copy"
version = "1"
summary = "Copies."
produces = ["derived", "verdict"]
resources = { output_bytes = 100, output_files = 3 }
program = { type = "command", command = ["cp"] }
accepts = [{}]
"""
RELEASED = {"source": 0, "verdict": "released", "outputs": [{"file": "a/b.dcm"}]}


def a_manifest(text: str = MANIFEST) -> Manifest:
    return read_manifest(text.encode())


def a_job(files: int = 1) -> Job:
    return Job(
        id="1",
        block="copy",
        version="1",
        parameters={},
        files=[
            InputFile(file=f"{n}", path=["folder", f"{n}.dcm"], kind="dicom", size_bytes=1)
            for n in range(files)
        ],
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a well-behaved block leaves behind."""
    (tmp_path / "out/a").mkdir(parents=True)
    (tmp_path / "out/a/b.dcm").write_bytes(b"image")
    answer(tmp_path, RELEASED)
    return tmp_path


def answer(folder: Path, *files: dict[str, Any]) -> None:
    (folder / "result.json").write_bytes(msgspec.json.encode({"contract": 1, "files": files}))


def test_a_job_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_job(tmp_path, a_job(2))

    assert read_job(tmp_path) == a_job(2)


def test_an_honest_answer_is_accepted_and_its_outputs_can_be_read(folder: Path) -> None:
    finished = check_finished(folder, a_job(), a_manifest())

    assert finished.size_bytes == {"a/b.dcm": 5}
    with os.fdopen(open_output(folder, "a/b.dcm"), "rb") as file:
        assert file.read() == b"image"


def a_link(folder: Path) -> None:
    (folder / "out/a/b.dcm").unlink()
    (folder / "out/a/b.dcm").symlink_to("/etc/hostname")


def a_linked_folder(folder: Path) -> None:
    (folder / "out/etc").symlink_to("/etc")


def out_itself_a_link(folder: Path) -> None:
    (folder / "out").rename(folder / "elsewhere")
    (folder / "out").symlink_to("elsewhere")


def a_hard_link(folder: Path) -> None:
    os.link(folder / "result.json", folder / "out/a/c")


def a_fifo(folder: Path) -> None:
    os.mkfifo(folder / "out/pipe")


def a_result_that_is_a_fifo(folder: Path) -> None:
    (folder / "result.json").unlink()
    os.mkfifo(folder / "result.json")


def a_result_that_is_a_link(folder: Path) -> None:
    (folder / "result.json").rename(folder / "elsewhere")
    (folder / "result.json").symlink_to("elsewhere")


def no_result(folder: Path) -> None:
    (folder / "result.json").unlink()


def too_many_bytes(folder: Path) -> None:
    (folder / "out/a/b.dcm").write_bytes(b"x" * 101)


def too_many_files(folder: Path) -> None:
    for n in range(4):
        (folder / f"out/{n}").touch()


def a_name_that_is_not_text(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/out/\xff")).touch()


def a_file_not_named(folder: Path) -> None:
    (folder / "out/extra").touch()


def too_deep(folder: Path) -> None:
    (folder / ("out/" + "d/" * 130)).mkdir(parents=True)


@pytest.mark.parametrize(
    "misdeed",
    [
        a_link,
        a_linked_folder,
        out_itself_a_link,
        a_hard_link,
        a_fifo,
        a_result_that_is_a_fifo,
        a_result_that_is_a_link,
        no_result,
        too_many_bytes,
        too_many_files,
        a_name_that_is_not_text,
        a_file_not_named,
        too_deep,
    ],
)
def test_what_may_not_lie_there_spoils_the_whole_answer(
    folder: Path, misdeed: Callable[[Path], None]
) -> None:
    misdeed(folder)

    with pytest.raises(Refused, match="not accepted"):
        check_finished(folder, a_job(), a_manifest())


def changed(**fields: object) -> list[dict[str, Any]]:
    return [{**RELEASED, **fields}]


@pytest.mark.parametrize(
    "files",
    [
        [],
        [RELEASED, RELEASED],
        changed(source=1),
        changed(source=-1),
        changed(verdict="fine"),
        changed(verdict="quarantined"),
        changed(verdict="failed"),
        changed(labels=[{"name": "side", "value": "left"}]),
        changed(outputs=[]),
        changed(outputs=[{"file": "../result.json"}]),
        changed(outputs=[{"file": "a/b.dcm"}, {"file": "a/b.dcm", "output": "second"}]),
        changed(outputs=[{"file": "a/b.dcm", "kind": "version"}]),
        changed(outputs=[{"file": "a/b.dcm", "path": [".."]}]),
        changed(outputs=[{"file": "a/b.dcm", "path": ["a/b"]}]),
        changed(outputs=[{"file": "a/b.dcm", "path": ["x" * 256]}]),
        changed(outputs=[{"file": "a/b.dcm", "path": [".mb-sync"]}]),
    ],
)
def test_an_answer_that_does_not_fit_its_job_is_refused(folder: Path, files: list[dict[str, Any]]) -> None:
    answer(folder, *files)

    with pytest.raises(Refused, match=r"not accepted|not a result"):
        check_finished(folder, a_job(), a_manifest())


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b"null", b'{"files": 1}', b"[" * 100_000, b'{"files": [], "contract": 9}']
)
def test_bytes_that_are_no_answer_are_refused(folder: Path, data: bytes) -> None:
    (folder / "result.json").write_bytes(data)

    with pytest.raises(Refused, match=r"not accepted|not a result"):
        check_finished(folder, a_job(), a_manifest())


def test_twins_among_the_outputs_are_refused(folder: Path) -> None:
    (folder / "out/second").touch()
    answer(
        folder,
        {
            **RELEASED,
            "outputs": [
                {"file": "a/b.dcm", "path": ["Image.dcm"]},
                {"file": "second", "output": "second", "path": ["IMAGE.dcm"]},
            ],
        },
    )

    with pytest.raises(Refused, match="under one name"):
        check_finished(folder, a_job(), a_manifest())


def test_a_refusal_never_repeats_what_the_block_wrote(folder: Path) -> None:
    answer(folder, {**RELEASED, "verdict": "Jane Doe"})

    with pytest.raises(Refused) as refused:
        check_finished(folder, a_job(), a_manifest())
    assert "Jane" not in str(refused.value)
