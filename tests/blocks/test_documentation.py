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

from tests.support.computers import Computer, until
from tests.support.forks import Programs
from tests.support.podman import busybox_image, podman_settings, remove_image
from tests.support.server import RunningServer

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
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(file["text"])
        for shown in TYPED.finditer(section):
            for command in re.split(r"^\$ ", shown["lines"], flags=re.MULTILINE)[1:]:
                self.types(*command.split("\n", 1))

    def types(self, command: str, expected: str) -> None:
        self.typed += 1
        said = self.says(command)
        assert said.returncode == 0, f"{command}: {said.stdout}"
        pattern = re.escape(expected.strip("\n")).replace("…", ".*")
        assert re.fullmatch(pattern, said.stdout.strip("\n")), f"{command}: {said.stdout}"

    def says(self, command: str) -> subprocess.CompletedProcess[str]:
        programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return subprocess.run(
            ["/bin/sh", "-ec", command], cwd=self.folder, env=os.environ | {"PATH": programs},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False,
        )  # fmt: skip


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


def test_a_block_in_five_minutes(reader: Reader) -> None:
    """A command: it runs in a sandbox of bubblewrap."""
    assert shutil.which("bwrap"), "bubblewrap is not installed: .ci/run does it"
    reader.follows("A block in five minutes")
    assert reader.typed == 3
    reader.types("python3 count-slices/test_block.py", "passed")


def test_a_block_as_a_python_class(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed into a folder beside this environment, which every worker shares; without the internet."""
    installed = reader.folder / "installed"
    for name, value in {"TARGET": str(installed), "NO_INDEX": "1", "NO_BUILD_ISOLATION": "0"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    monkeypatch.setenv("PIP_ROOT_USER_ACTION", "ignore")
    monkeypatch.setenv("PYTHONPATH", str(installed))
    reader.follows("As a Python class")
    assert reader.typed == 3

    assert_a_server_runs_it_once_trusted(reader.folder, installed)

    refused = reader.says("mb-server block try count-words c.txt")
    assert (refused.returncode, "does not name it as trusted" in refused.stdout) == (1, True)
    manifest = installed / "count_words" / "block.toml"
    manifest.write_text(manifest.read_text().replace("counting:", "another:"))
    other = reader.says("mb-server block try count-words c.txt --trust")
    assert (other.returncode, "is that of another" in other.stdout) == (1, True)
    manifest.unlink()
    absent = reader.says("mb-server block try count-words c.txt --trust")
    assert (absent.returncode, "without its block.toml" in absent.stdout) == (1, True)


def assert_a_server_runs_it_once_trusted(base: Path, installed: Path) -> None:
    with (
        Programs(base / "programs", {"PYTHONPATH": str(installed)}) as programs,
        RunningServer(base / "data", programs=programs) as server,
    ):
        server.add_user("ada")
        ada = Computer(base, "ada")
        ada.login(server, "ada")
        ada.follow("/Home")
        ada.write("Texts/d.txt", b"one two three")
        ada.once()
        added = server.command("rule", "add", "count-words", "/Home/ada/Texts", "/Home/ada/Texts")
        assert added.returncode == 0, added.stderr
        failed = ("job", "list", "--state", "failed")
        until(lambda: "does not name it as trusted" in server.command(*failed).stdout, "it is refused")
        settings = base / "data" / "server.toml"
        settings.write_text(settings.read_text() + 'blocks_trusted = "other, count-words"\n')
        server.restart()
        assert server.command("job", "retry", "--failed").returncode == 0
        labels = ("label", "list", "/Home/ada/Texts/d.txt", "--json")
        until(lambda: '"3"' in server.command(*labels).stdout, "it has counted")


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
