"""Podman for tests: settings with which it runs inside another container, and an image of busybox that nobody fetches.

with podman_settings(folder): …                    for everything that runs podman meanwhile
name = busybox_image("sh", "wc", name=…)           imported; `remove_image` takes it away
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# As root inside another container: developers' machines and CI ask for these.
SETTINGS = (
    '[containers]\nnetns="none"\ndefault_ulimits=["nofile=1024:4096","nproc=4096:4096"]\n'
    '[engine]\nruntime="runc"\ncgroup_manager="cgroupfs"\nevents_logger="none"\n'
)


@contextmanager
def podman_settings(folder: Path) -> Iterator[None]:
    assert shutil.which("podman"), "podman is not installed: .ci/run does it"
    settings = folder / "containers.conf"
    settings.write_text(SETTINGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTAINERS_CONF", str(settings))
        patch.setenv("BUILDAH_ISOLATION", "chroot")
        yield


def busybox_image(*programs: str, files: dict[str, bytes] | None = None, name: str = "") -> str:
    """Its id, `sha256:…`.  programs: of busybox, in /bin.  files: what lies in it besides, by path."""
    busybox = shutil.which("busybox")
    assert busybox, "busybox is not installed: .ci/run does it"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(busybox, "bin/busybox")
        for program in programs:
            link = tarfile.TarInfo(f"bin/{program}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for place in ("tmp", "job", "proc", "dev", "sys", "etc"):
            folder = tarfile.TarInfo(place)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
        for path, data in (files or {}).items():
            file = tarfile.TarInfo(path)
            file.size = len(data)
            tar.addfile(file, io.BytesIO(data))
    return said("import", "-", *([name] if name else []), stdin=packed.getvalue()).split()[-1]


def said(*words: str, stdin: bytes = b"") -> str:
    """What podman answers; it must succeed."""
    return subprocess.run(
        ["podman", *words], input=stdin, capture_output=True, check=True, timeout=300
    ).stdout.decode()


def remove_image(name: str) -> None:
    subprocess.run(["podman", "rmi", "--force", name], capture_output=True, check=False, timeout=300)
