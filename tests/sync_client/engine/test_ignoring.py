"""Rules of `.mbignore` files: as git reads them, file by file, and none that keeps a computer busy."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from sync_client.engine.ignoring import Ignoring, words


def rules(**files: str) -> Ignoring:
    """Keys are folders, "_" for a slash, "" for the top."""
    ignoring = Ignoring()
    for folder, text in files.items():
        ignoring.take(tuple(filter(None, folder.strip("_").split("_"))), text.encode())
    return ignoring


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        ("a.log", True),
        ("deep/down/a.log", True),
        ("keep.log", False),
        ("build/", True),
        ("build", False),  # a file
        ("deep/build/", True),
        ("build/inside.txt", True),
        ("build/keep.log", True),  # nothing is taken back out of an ignored folder
        ("top.txt", True),
        ("deep/top.txt", False),
        ("deep/only.tmp", False),
        ("deep/near/only.tmp", True),
        (".mbignore", False),
        ("scan.dcm", False),
    ],
)
def test_rules_are_read_as_git_reads_them(path: str, *, ignored: bool) -> None:
    ignoring = rules(_="*.log\n!keep.log\n# a note\nbuild/\n/top.txt\n\n.mbig*\n", deep_near="*.tmp\n")
    parts = tuple(path.rstrip("/").split("/"))
    assert ignoring.ignores(parts, folder=path.endswith("/")) is ignored


def test_a_nearer_file_beats_one_further_up_and_a_later_line_an_earlier_one() -> None:
    ignoring = rules(_="*.dcm", near="!*.dcm\nbad.dcm")
    assert ignoring.ignores(("a.dcm",), folder=False)
    assert not ignoring.ignores(("near", "a.dcm"), folder=False)
    assert ignoring.ignores(("near", "bad.dcm"), folder=False)


def test_only_one_kind_of_file_is_synced() -> None:
    ignoring = rules(_="*\n!*/\n!*.dcm")
    assert not ignoring.ignores(("a", "b"), folder=True)
    assert not ignoring.ignores(("a", "b", "c.dcm"), folder=False)
    assert ignoring.ignores(("a", "b", "c.txt"), folder=False)


TRICKY = [
    *("*", "!*/", "!*.dcm", "/*", "!/a", "a/", "a/*", "!a/b", "**/c", "a/**", "a/**/c", "!c/", "b*", "*a*b*"),
    *("?", "[ab]", "[!a]", "a/b", "/a/b/", "!b", "c", "\\!a", "*.t?t", "a b", "ab/"),
]


@pytest.mark.skipif(shutil.which("git") is None, reason="compares with git")
def test_random_rules_decide_as_git_does(tmp_path: Path) -> None:
    import random  # noqa: PLC0415 - only here

    chance = random.Random(7)
    names = ["a", "b", "c", "ab", "a.txt", "x.dcm", "aab"]
    paths = {tuple(chance.choice(names) for _ in range(chance.randint(1, 4))) for _ in range(60)}
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    folders = {path[:depth] for path in paths for depth in range(1, len(path))}
    everything = folders | {path for path in paths if path not in folders}
    for path in sorted(everything, key=len):
        if path in folders:
            tmp_path.joinpath(*path).mkdir(exist_ok=True)
        else:
            tmp_path.joinpath(*path).touch()
    for _ in range(40):
        ignoring = Ignoring()
        for place in [(), *chance.sample(sorted(folders), 2)]:
            text = "\n".join(chance.sample(TRICKY, 3)) + "\n"
            tmp_path.joinpath(*place, ".gitignore").write_text(text)
            ignoring.take(place, text.encode())
        asked = "".join("/".join(path) + "\n" for path in sorted(everything))
        ran = subprocess.run(
            ["git", "-C", str(tmp_path), "check-ignore", "--stdin"],
            input=asked,
            capture_output=True,
            text=True,
            check=False,
        )
        ours = {"/".join(path) for path in everything if ignoring.ignores(path, folder=path in folders)}
        assert ours == set(ran.stdout.splitlines()), [
            (str(file.relative_to(tmp_path)), file.read_text()) for file in tmp_path.rglob(".gitignore")
        ]
        for file in tmp_path.rglob(".gitignore"):
            file.unlink()


def test_no_line_keeps_a_computer_busy() -> None:
    began = time.process_time()
    hostile = rules(_="*a" * 120 + "b\n" + "*" * 200 + "\n" + "**/" * 200 + "b\n" + "a*?" * 100 + "b\n")
    for length in (100, 255):
        hostile.ignores(("a" * length, "a" * length), folder=False)
    assert time.process_time() - began < 10.0  # it takes milliseconds, or else for ever


def test_who_decides_is_named() -> None:
    ignoring = rules(_="# notes\n*.log\n!keep.log")
    assert words(ignoring.explain(("a.log",), folder=False)) == "It is ignored: .mbignore, line 2: *.log"
    assert (
        words(ignoring.explain(("x", "keep.log"), folder=False))
        == "It is synced: .mbignore, line 3: !keep.log"
    )
    assert "No rule" in words(ignoring.explain(("scan.dcm",), folder=False))
    assert "dropping" in words(ignoring.explain(("x", "Thumbs.db"), folder=False))
