"""What docs/blocks.md shows is what happens: its files are written, its commands typed, as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.podman import busybox_image, podman_settings, remove_image

PAGE = Path(__file__).parents[2] / "docs" / "blocks.md"
BASE = "docker.io/library/busybox:1.37"
NAMED = re.compile(r"`(?P<path>[\w./-]+)`:\n\n```\w+\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
TYPED = re.compile(r"^```\n(?P<lines>\$ .*?)^```$", re.DOTALL | re.MULTILINE)


class Reader:
    """Somebody with the page, a terminal and an empty folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.typed = 0

    def follows(self, heading: str) -> None:
        """Every file and every command of that section."""
        section = re.split(
            r"^#+ ", PAGE.read_text().partition(f"# {heading}\n")[2], maxsplit=1, flags=re.MULTILINE
        )[0]
        for file in NAMED.finditer(section):
            target = self.folder / file["path"]
            target.parent.mkdir(exist_ok=True)
            target.write_text(file["text"])
        for shown in TYPED.finditer(section):
            for command in re.split(r"^\$ ", shown["lines"], flags=re.MULTILINE)[1:]:
                self.types(*command.split("\n", 1))

    def types(self, command: str, expected: str) -> None:
        self.typed += 1
        programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        said = subprocess.run(
            ["/bin/sh", "-ec", command], cwd=self.folder, env=os.environ | {"PATH": programs},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert said.returncode == 0, f"{command}: {said.stdout}"
        pattern = re.escape(expected.strip("\n")).replace("…", ".*")
        assert re.fullmatch(pattern, said.stdout.strip("\n")), f"{command}: {said.stdout}"


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


def test_a_block_in_five_minutes(reader: Reader) -> None:
    """A command: it runs in a sandbox of bubblewrap."""
    assert shutil.which("bwrap"), "bubblewrap is not installed: .ci/run does it"
    reader.follows("A block in five minutes")
    assert reader.typed == 3
    reader.types("python3 count-slices/test_block.py", "passed")


@pytest.mark.usefixtures("image_of_busybox")
def test_a_block_as_a_container(reader: Reader) -> None:
    try:
        reader.follows("As a container")
        assert reader.typed == 4
    finally:
        if (made := reader.folder / "image.id").exists():
            remove_image(made.read_text())


@pytest.fixture
def image_of_busybox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The image that the page begins with, as if it had been fetched: no test reaches the internet."""
    with podman_settings(tmp_path_factory.mktemp("podman")):
        busybox_image("sh", "wc", "cat", name=BASE)
        yield
        remove_image(BASE)
