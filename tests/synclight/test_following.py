"""A folder that somebody shared, on the computer of somebody who only receives: real processes, folders and server."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sync_client.lock import is_held
from tests.support.base_install import install_base
from tests.support.codes import CodeMaker, GivenCode
from tests.support.computers import Computer
from tests.support.light import MbSyncLight, files, until
from tests.support.server import RunningServer

pytestmark = pytest.mark.timeout(300)


@dataclass
class Sharing:
    """ada, who gives codes for folders of hers."""

    server: RunningServer
    ada: Computer

    def share(self, name: str, contents: dict[str, bytes]) -> None:
        for path, data in contents.items():
            self.ada.write(f"{name}/{path}", data)
        self.ada.once()

    def changes(self, name: str, contents: dict[str, bytes]) -> None:
        for path, data in contents.items():
            self.ada.write(f"{name}/{path}", data)
        self.ada.once()

    def code(self, name: str, **asked: Any) -> GivenCode:
        return CodeMaker(self.ada).make(f"/Home/{name}", **asked)

    def revoke(self, code: GivenCode) -> None:
        CodeMaker(self.ada).revoke(code)


@pytest.fixture(scope="module")
def sharing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sharing]:
    base = tmp_path_factory.mktemp("sharing")
    with RunningServer(base / "server") as server:
        server.add_user("ada")
        ada = Computer(base, "ada")
        ada.login(server, "ada")
        ada.follow("/Home")
        yield Sharing(server, ada)
        server.check_deep()


@pytest.fixture(scope="module")
def base_install(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_base(tmp_path_factory.mktemp("base") / "environment")


@pytest.fixture
def light(tmp_path: Path) -> MbSyncLight:
    return MbSyncLight(tmp_path / "light")


STUDY = {"scan.dcm": b"scan", "series/1.dcm": b"one" * 200_000, "series/2.dcm": b"two"}


def test_it_brings_everything_once_keeps_what_is_ones_own_and_verifies_every_byte(
    sharing: Sharing, base_install: Path, tmp_path: Path
) -> None:
    """Installed as an outside collaborator does it, without extras."""
    light = MbSyncLight(tmp_path / "light", base_install)
    folder = tmp_path / "Study"
    sharing.share("once", STUDY)
    code = sharing.code("once", label="First reading", devices=1)
    ran = light("-", folder, "--once", "--json", stdin=code.link)
    assert ran.returncode == 0, ran.stderr
    [answer] = json.loads(ran.stdout)
    assert (answer["state"], answer["files"], answer["folder"]) == ("synced", 3, str(folder))
    assert (answer["label"], answer["shared_by"], answer["running"]) == ("First reading", "ada", False)
    assert files(folder) == STUDY
    [device] = CodeMaker(sharing.ada).listed(code).devices
    assert not device.waiting

    (folder / "scan.dcm").write_bytes(b"changed by me")
    (folder / "notes.txt").write_bytes(b"mine")
    (folder / "series/2.dcm").unlink()
    big = folder / "series/1.dcm"
    seen = big.stat()
    damaged = bytearray(big.read_bytes())
    damaged[300_000] ^= 1
    big.write_bytes(damaged)
    os.utime(big, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    found = light("verify", folder, "--json")
    assert found.returncode == 3
    bad = {one["path"]: one["why"] for one in json.loads(found.stdout)["files"] if one["why"]}
    assert set(bad) == {"scan.dcm", "series/1.dcm", "series/2.dcm"}
    assert (bad["series/2.dcm"], "bytes differ" in bad["series/1.dcm"]) == ("it is missing", True)

    assert light("--once").returncode == 0
    own = {"scan (my copy).dcm": b"changed by me", "notes.txt": b"mine", "series/1 (my copy).dcm": damaged}
    assert files(folder) == STUDY | own
    assert light("verify", folder, "--checksums", tmp_path / "list").returncode == 0
    checked = subprocess.run(["sha256sum", "-c", str(tmp_path / "list")], cwd=folder, capture_output=True)
    assert (checked.returncode, checked.stdout.count(b": OK")) == (0, 3), checked.stderr


def test_what_changes_arrives_while_it_runs_and_one_process_works_in_a_home(
    sharing: Sharing, light: MbSyncLight, tmp_path: Path
) -> None:
    sharing.share("alpha", {"a": b"1"})
    sharing.share("beta", {"b": b"1"})
    alpha, beta = tmp_path / "alpha", tmp_path / "beta"
    with light.running("-", alpha, stdin=sharing.code("alpha").link) as running:
        until(lambda: alpha.exists() and files(alpha) == {"a": b"1"}, "the first one is there")
        beside = light("-", beta, stdin=sharing.code("beta").link)
        assert (beside.returncode, "goes on with it" in beside.stderr) == (0, True)
        until(lambda: beta.exists() and files(beta) == {"b": b"1"}, "the second one as well")
        sharing.changes("alpha", {"a": b"2", "new/c": b"3"})
        until(lambda: files(alpha) == {"a": b"2", "new/c": b"3"}, "what changed arrives")
        second = light()
        assert (second.returncode, "at work" in second.stderr) == (1, True)
        until(lambda: light.state(alpha)["state"] == "synced", "it says so")
        assert light.state(beta)["running"]
        assert light("remove", beta).returncode == 0  # asks the one that works
        sharing.changes("beta", {"b": b"2"})
        assert [one["folder"] for one in light.list()] == [str(alpha)]
        assert files(beta) == {"b": b"1"}
        assert running.process.poll() is None
    assert running.process.returncode == 0
    assert light("remove", alpha).returncode == 0
    assert (light.list(), files(alpha)) == ([], {"a": b"2", "new/c": b"3"})
    assert not (alpha / ".mb-sync/marker.json").exists()


def test_killed_half_way_it_goes_on_where_it_was(
    sharing: Sharing, light: MbSyncLight, tmp_path: Path
) -> None:
    contents = {f"series/{number:03}": os.urandom(20_000) for number in range(250)}
    sharing.share("killed", contents)
    folder = tmp_path / "killed"
    link = sharing.code("killed").link
    for wanted, begin in ((1, ["-", folder]), (60, [])):
        with light.running(*begin, stdin=link) as running:
            until(lambda: folder.exists() and len(files(folder)) >= wanted, "some of it is there")  # noqa: B023 - used at once
            running.kill9()
        until(lambda: not is_held(light.home / "lock"), "it is dead")
    assert light("--once").returncode == 0
    assert files(folder) == contents
    assert not list((folder / ".mb-sync/tmp").iterdir())


def test_a_mass_delete_of_the_other_side_waits_for_a_yes(
    sharing: Sharing, light: MbSyncLight, tmp_path: Path
) -> None:
    sharing.share("mass", {"stays": b"1"} | {f"series/{number:03}": b"%d" % number for number in range(120)})
    folder = tmp_path / "mass"
    assert light("-", folder, "--once", stdin=sharing.code("mass").link).returncode == 0
    assert "Nothing waits" in light("apply", folder).stderr
    sharing.ada.delete("mass/series")
    sharing.ada.once()
    sharing.ada.mb_sync.done("guard", "apply", sharing.ada.folder)
    sharing.ada.once()
    waits = light("--once")
    assert (waits.returncode, "mb-synclight apply FOLDER" in waits.stderr) == (3, True)
    assert len(files(folder)) == 121
    assert light("apply", folder).returncode == 0
    assert light("--once").returncode == 0
    assert files(folder) == {"stays": b"1"}
    assert len(list((folder / ".mb-sync/trash").iterdir())) >= 120


def test_when_it_is_revoked_the_files_stay_and_the_reason_is_shown(
    sharing: Sharing, light: MbSyncLight, tmp_path: Path
) -> None:
    sharing.share("revoked", {"a": b"1"})
    sharing.share("going-on", {"b": b"1"})
    ends, goes_on = tmp_path / "ends", tmp_path / "goes-on"
    first, second = sharing.code("revoked"), sharing.code("going-on")
    with light.running("-", ends, stdin=first.link) as running:
        until(lambda: is_held(light.home / "lock"), "it works")
        assert light("-", goes_on, stdin=second.link).returncode == 0
        until(lambda: goes_on.exists() and files(goes_on) == {"b": b"1"}, "both are there")
        until(lambda: ends.exists() and files(ends) == {"a": b"1"}, "both are there")
        sharing.revoke(first)
        until(lambda: light.state(ends)["state"] == "ended", "it is told")
        assert "code was revoked" in light.state(ends)["words"]
        sharing.changes("revoked", {"a": b"2"})
        sharing.changes("going-on", {"b": b"2"})
        until(lambda: files(goes_on) == {"b": b"2"}, "the other one goes on")
        assert files(ends) == {"a": b"1"}
        sharing.revoke(second)
        assert running.ended() == 1  # nothing is followed any more
    assert running.said().count("Your files stay where they are.") == 2
    assert files(goes_on) == {"b": b"2"}
    redeemed = light("-", tmp_path / "elsewhere", "--once", stdin=first.link)
    assert (redeemed.returncode, "was revoked" in redeemed.stderr) == (1, True)
    again = light("--once")
    assert (again.returncode, again.stderr.count("code was revoked")) == (1, 2)
