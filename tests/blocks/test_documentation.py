"""What docs/blocks.md shows is what happens: its files are written, its commands typed, as they stand there."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "blocks.md"
BASE = "docker.io/library/busybox:1.37"
# As root inside another container: developers' machines and CI ask for these
SETTINGS = (
    '[containers]\nnetns="none"\ndefault_ulimits=["nofile=1024:4096","nproc=4096:4096"]\n'
    '[engine]\nruntime="runc"\ncgroup_manager="cgroupfs"\nevents_logger="none"\n'
)
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
def image_of_busybox(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """The image that the page begins with, as if it had been fetched: no test reaches the internet."""
    busybox = shutil.which("busybox")
    assert busybox, "busybox is not installed: .ci/run does it"
    assert shutil.which("podman"), "podman is not installed: .ci/run does it"
    settings = tmp_path_factory.mktemp("podman") / "containers.conf"
    settings.write_text(SETTINGS)
    monkeypatch.setenv("CONTAINERS_CONF", str(settings))
    monkeypatch.setenv("BUILDAH_ISOLATION", "chroot")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(busybox, "bin/busybox")
        for name in ("sh", "wc", "cat"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    subprocess.run(["podman", "import", "-", BASE], input=packed.getvalue(), capture_output=True, check=True)
    yield
    remove_image(BASE)


def remove_image(name: str) -> None:
    subprocess.run(["podman", "rmi", "--force", name], capture_output=True, check=False)
