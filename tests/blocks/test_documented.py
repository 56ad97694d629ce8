"""What docs/blocks.md shows works as it stands: its command block in a sandbox, its container block in podman."""

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

from tests.blocks.runners.test_container import SETTINGS

PAGE = (Path(__file__).parents[2] / "docs/blocks.md").read_text()
BASE = "docker.io/library/busybox"


def section(title: str) -> str:
    """All between this headline of the page and the next."""
    found = re.search(rf"^#+ {re.escape(title)}$", PAGE, re.MULTILINE)
    assert found is not None, f"docs/blocks.md has no {title!r} any more"
    # A comment inside code looks like a headline: code is stepped over
    fenced = re.compile(r"^```.*?^```$|^(#+ )", re.MULTILINE | re.DOTALL)
    ends = (match.start() for match in fenced.finditer(PAGE, found.end()) if match[1])
    return PAGE[found.end() : next(ends, len(PAGE))]


def code(title: str, language: str) -> str:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", section(title), re.MULTILINE | re.DOTALL)
    [text] = [text for said, text in fenced if said == language]
    return str(text)


def do_as_shown(session: str, folder: Path) -> None:
    """Type each line after `$`; what it prints must be the lines that stand below it."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for part in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]:
        command, shown = part.split("\n", 1)
        ended = subprocess.run(
            command,
            shell=True,
            cwd=folder,
            env=os.environ | {"PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,  # as a terminal shows them
            text=True,
            timeout=240,
            check=False,
        )
        assert ended.returncode == 0, f"{command}: {ended.stdout}"
        if not command.startswith("podman "):
            assert ended.stdout == shown, command


@pytest.fixture
def busybox_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The image that the page builds upon, made of this machine's busybox: tests ask no registry."""
    busybox = shutil.which("busybox")
    if shutil.which("podman") is None or busybox is None:
        pytest.skip("podman or busybox is not installed: .ci/run does it")
    (tmp_path / "containers.conf").write_text(SETTINGS)
    monkeypatch.setenv("CONTAINERS_CONF", str(tmp_path / "containers.conf"))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(busybox, "bin/busybox")
        for name in ("sh", "wc"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for name in ("tmp", "job", "proc", "dev", "sys", "etc"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
    subprocess.run(
        ["podman", "import", "-", f"{BASE}:latest"], input=packed.getvalue(), capture_output=True, check=True
    )
    yield
    for name in ("localhost/count", BASE):
        subprocess.run(["podman", "rmi", "--force", name], capture_output=True, check=False)


def test_the_block_in_five_minutes_does_what_the_page_shows(tmp_path: Path) -> None:
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed: .ci/run does it")

    do_as_shown(code("A block in five minutes", ""), tmp_path)

    assert 'type = "command"' in (tmp_path / "count-slices/block.toml").read_text()
    subprocess.run([sys.executable, tmp_path / "count-slices/test_block.py"], check=True, capture_output=True)


@pytest.mark.usefixtures("busybox_image")
def test_the_container_block_of_the_page_is_built_and_does_what_it_shows(tmp_path: Path) -> None:
    block = tmp_path / "count-bytes"
    block.mkdir()
    (tmp_path / "a.txt").write_text("hello world\n")
    title = "As a container"
    (block / "count.sh").write_text(code(title, "sh"))
    (block / "Dockerfile").write_text(code(title, "dockerfile"))
    build, attempt = re.split(r"(?=^\$ mb-server)", code(title, ""), flags=re.MULTILINE)

    do_as_shown(build, tmp_path)
    listed = subprocess.run(
        ["podman", "images", "--digests", "--format", "{{.Digest}}", "localhost/count"],
        capture_output=True,
        text=True,
        check=True,
    )
    [digest] = listed.stdout.split()
    (block / "block.toml").write_text(code(title, "toml").replace("sha256:…", digest))

    do_as_shown(attempt, tmp_path)
    kept = tmp_path / "kept"
    do_as_shown(f"$ mb-server block try ./count-bytes a.txt --keep {kept} --json > told.json\n", tmp_path)
    assert (kept / "out/size.txt").read_text().strip() == "12"
