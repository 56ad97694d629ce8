"""What each program's `completion` prints, sourced in a real bash, as the Tab key asks it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.forks import environment

PROGRAMS = Path(sys.executable).parent


def completed(tmp_path: Path, *words: str) -> list[str]:
    """What bash offers after these words, the last of which is not finished."""
    script = f"""
        eval "$({words[0]} completion bash)" || exit 1
        how=$(complete -p {words[0]}) || exit 1
        compopt() {{ echo "$@" >> {tmp_path}/how; }}
        COMP_WORDS=({" ".join(repr(word) for word in words)}) COMP_CWORD={len(words) - 1} COMPREPLY=()
        [[ $how =~ -F\\ ([a-z_]+) ]] && "${{BASH_REMATCH[1]}}" {words[0]} {words[-1]!r} {words[-2]!r}
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    ran = subprocess.run(
        ["bash", "--norc", "-c", script],
        env=environment() | {"PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=180,
    )
    assert ran.stderr == ""
    return ran.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("mb-sync", "filest"), ["filestatus"]),
        (("mb-sync", "code", "rev"), ["revoke"]),
        (("mb-sync", "login", "--tok"), ["--token-file"]),
        (("mb-sync", "wait", "--ti"), ["--timeout"]),
        (("mb-sync", "conflicts", "res"), ["resolve"]),
        (("mb-sync", "explorer", "o"), ["on", "off"]),
        (("mb-server", "quarant"), ["quarantine"]),
        (("mb-server", "user", "disa"), ["disable"]),
        (("mb-synclight", "ver"), ["verify"]),
        (("mb-synclight", "list", "--js"), ["--json"]),
    ],
    ids=" ".join,
)
def test_bash_completes_commands_and_options(
    tmp_path: Path, words: tuple[str, ...], offered: list[str]
) -> None:
    assert completed(tmp_path, *words) == offered


@pytest.mark.parametrize("words", [("mb-sync", "remove", "x"), ("mb-sync", "filestatus", "x")], ids=" ".join)
def test_places_of_this_computer_complete_as_files(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert completed(tmp_path, *words) == []
    assert (tmp_path / "how").read_text() == "-o default\n"


@pytest.mark.parametrize("program", ["mb-sync", "mb-server", "mb-synclight"])
def test_there_is_one_for_each_shell_and_none_for_another(program: str) -> None:
    def said(shell: str) -> subprocess.CompletedProcess[str]:
        command = [PROGRAMS / program, "completion", shell]
        return subprocess.run(
            command, env=environment(), capture_output=True, text=True, check=False, timeout=180
        )

    assert "compdef" in said("zsh").stdout
    assert "complete" in said("fish").stdout
    ran = said("tcsh")
    assert (ran.returncode, ran.stdout) == (2, "")
