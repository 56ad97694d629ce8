"""How our programs start each other and others, installed and built."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from sync_client.own_program import is_single_file, others_environment, own_environment, own_program


def test_an_installed_program_starts_itself_by_its_module_and_as_it_is() -> None:
    assert own_program("synclight") == [sys.executable, "-P", "-m", "synclight"]
    assert own_environment() == dict(os.environ)
    assert not is_single_file()


@pytest.mark.parametrize("unpacked", [False, True], ids=["folder", "one file"])
def test_a_built_program_starts_itself(
    unpacked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "opt" / "mb-sync" / "mb-sync"
    inside = tmp_path / "tmp" / "_MEI1" if unpacked else program.parent / "_internal"
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "_MEIPASS", str(inside), raising=False)
    monkeypatch.setattr(sys, "executable", str(program))
    assert own_program("sync_client") == [str(program)]
    assert own_environment()["PYINSTALLER_RESET_ENVIRONMENT"] == "1"
    assert is_single_file() is unpacked


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"LD_LIBRARY_PATH": "/ours"}, {}),
        (
            {"LD_LIBRARY_PATH": "/ours:/theirs", "LD_LIBRARY_PATH_ORIG": "/theirs"},
            {"LD_LIBRARY_PATH": "/theirs"},
        ),
        ({"_PYI_ARCHIVE_FILE": "/ours", "HOME": "/home/ada"}, {"HOME": "/home/ada"}),
    ],
)
def test_what_a_built_program_starts_sees_nothing_of_it(
    before: dict[str, str], after: dict[str, str]
) -> None:
    assert others_environment(before, built=True) == after


def test_an_installed_program_changes_nothing_for_what_it_starts() -> None:
    variables = {"LD_LIBRARY_PATH": "/theirs", "HOME": "/home/ada"}
    assert others_environment(variables, built=False) == variables
