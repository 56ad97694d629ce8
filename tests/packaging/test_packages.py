"""What `make package` builds, on a machine that has no Python: installed, and a folder synced with it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.clean_root import CleanRoot, without_python
from tests.support.mb_sync import MbSync
from tests.support.server import PASSWORD, RunningServer

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="Debian's packages are for Linux"),
    pytest.mark.timeout(1_500),  # it builds what it tries
]
LINK = re.compile(r"https?://\S+/s#[0-9A-Z-]+")


@pytest.fixture
def bare(debian: CleanRoot, tmp_path: Path) -> CleanRoot:
    root = without_python(debian, tmp_path / "machine")
    assert root.run("sh", "-c", "command -v python3").returncode != 0
    return root


def install(root: CleanRoot, package: Path) -> None:
    shutil.copy(package, root.folder / "root")
    root.done("dpkg", "--install", f"/root/{package.name}")


def test_from_the_package_to_the_first_synced_file_in_four_steps_without_python(
    packages: Path, bare: CleanRoot, tmp_path: Path
) -> None:
    [package] = packages.glob("mb-sync-*.deb")
    with RunningServer(tmp_path / "server") as server:
        server.add_user("ada")
        laptop = MbSync(tmp_path / "laptop")
        laptop.login(server.url, "ada", PASSWORD)
        folder = tmp_path / "Study"
        folder.mkdir()
        (folder / "cohort.csv").write_text("patient,age\n")
        laptop.done("add", "/Home/Study", folder, "--create")
        laptop.done("once")

        install(bare, package)
        bare.done("mb-sync", "login", server.url, "--user", "ada", "--password-stdin", stdin=PASSWORD + "\n")
        bare.done("mb-sync", "add", "/Home/Study", "/root/Study")
        bare.done("mb-sync", "start")
        try:
            bare.done("mb-sync", "wait", "--timeout", "120")
            there = bare.folder / "root/Study"
            assert (there / "cohort.csv").read_text() == "patient,age\n"
            (there / "notes.txt").write_text("from the other computer")
            bare.done("mb-sync", "wait", "--timeout", "120")
            assert "All synced" in bare.done("mb-sync", "status")
            assert "no place for an icon" in bare.run("mb-sync", "tray").stderr
        finally:
            bare.done("mb-sync", "stop")
        laptop.done("once")
        assert (folder / "notes.txt").read_text() == "from the other computer"
        assert bare.done("mb-sync", "--version").startswith("mb-sync, version ")
        bare.done("dpkg", "--remove", "mb-sync")
        assert (there / "cohort.csv").exists()
        assert not (bare.folder / "usr/lib/medical-blocks").exists()


def test_a_code_becomes_files_in_one_step_without_python(
    packages: Path, bare: CleanRoot, tmp_path: Path
) -> None:
    [package] = packages.glob("mb-synclight-*.deb")
    [single] = packages.glob("mb-synclight-*-linux-*")
    with RunningServer(tmp_path / "server") as server:
        server.add_user("ada")
        laptop = MbSync(tmp_path / "laptop")
        laptop.login(server.url, "ada", PASSWORD)
        folder = tmp_path / "Study"
        folder.mkdir()
        (folder / "cohort.csv").write_text("patient,age\n")
        laptop.done("add", "/Home/Study", folder, "--create")
        laptop.done("once")
        link = laptop.done("code", "create", "/Home/Study", "--devices", "3").strip()
        assert LINK.fullmatch(link)

        install(bare, package)
        bare.done("mb-synclight", "-", "/root/Study", "--once", stdin=link + "\n")
        assert (bare.folder / "root/Study/cohort.csv").read_text() == "patient,age\n"
        bare.done("mb-synclight", "verify", "/root/Study")
        assert "no place for an icon" in bare.run("mb-synclight", "tray").stderr  # what draws it is there
        # typed as an argument: redeemed, and the program replaces itself
        bare.done("mb-synclight", "--home", "/root/second", link, "/root/Second", "--once")
        assert (bare.folder / "root/Second/cohort.csv").exists()

        shutil.copy(single, bare.folder / "root/light")
        refused = bare.run("/root/light", "--home", "/root/third", link, "/root/Third", "--once")
        assert refused.returncode == 1
        assert "list of processes" in refused.stderr
        bare.done("/root/light", "--home", "/root/third", "-", "/root/Third", "--once", stdin=link + "\n")
        assert (bare.folder / "root/Third/cohort.csv").exists()


def test_the_packages_bring_units_and_licences(packages: Path) -> None:
    for name in ("mb-sync", "mb-synclight"):
        [deb] = packages.glob(f"{name}-*.deb")
        listed = subprocess.run(
            ["dpkg-deb", "--contents", deb], capture_output=True, text=True, check=True
        ).stdout
        assert f"./usr/lib/systemd/user/{name}.service" in listed
        assert "/licences/python/LICENSE.txt" in listed
        assert "/licences/cryptography/" in listed
        [rpm] = packages.glob(f"{name}-*.rpm")
        assert rpm.read_bytes()[:4] == bytes.fromhex("edabeedb")  # RPM's lead
