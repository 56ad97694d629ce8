"""`mb-sync doctor` and `support-bundle` on a real client home: what they find, and that nothing names anybody."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sqlite3
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.computers import until
from tests.support.mb_sync import MbSync
from tests.support.server import PASSWORD, RunningServer

# None of these may leave, whole or in part.
PATIENT, BORN, STUDY, PROJECT = "Kwiatkowska", "19500101", "Wennergren", "Nervenkohorte"
USER, DEVICE = "zanetta.quill", "Quillons-Laptop"
CANARIES = (PATIENT, BORN, STUDY, PROJECT, "zanetta", "quill", "Brunhilde", "127.0.0.1", "localhost")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("server") / "data") as running:
        running.add_user(USER)
        running.add_user("ana")
        yield running


@pytest.fixture
def ana(server: RunningServer, tmp_path: Path) -> Iterator[MbSync]:
    mb_sync = MbSync(tmp_path / "home")
    mb_sync.login(server.url, "ana", PASSWORD)
    yield mb_sync
    mb_sync("stop")


def checks(mb_sync: MbSync) -> dict[str, Any]:
    """check → what was found; of several of one kind the worst."""
    said = json.loads(mb_sync("doctor", "--json").stdout)
    order = ["ok", "warning", "error"]
    return {
        one["check"]: one for one in sorted(said["checks"], key=lambda found: order.index(found["result"]))
    }


def test_all_is_well_where_it_is(ana: MbSync, tmp_path: Path) -> None:
    ana.done("start")
    ana.done("add", "/Home/Study", tmp_path / "study", "--create")
    ana.done("wait", "--timeout", "90")
    ana.comes_to("synced")
    ran = ana("doctor")
    assert ran.returncode == 0, ran.stdout
    assert "✗" not in ran.stdout
    found = checks(ana)
    assert set(found) >= {
        *("home", "home-rights", "home-room", "proxy", "server", "certificate", "clock", "account", "state"),
        *("client", "starts-at-login", "watches", "folder", "file-system", "folder-room"),
    }
    assert [check for check, one in found.items() if one["result"] == "error"] == []
    assert found["client"]["message"] == "MB-Sync is running: All synced"


def test_nobody_signed_in_and_a_server_that_is_not_there(server: RunningServer, tmp_path: Path) -> None:
    nobody = MbSync(tmp_path / "none")
    ran = nobody("doctor")
    assert ran.returncode == 1
    assert "✗ Nobody is signed in here" in ran.stdout
    assert not (tmp_path / "none").exists()
    signed_in = MbSync(tmp_path / "home")
    signed_in.login(server.url, "ana", PASSWORD)
    config = tmp_path / "home" / "config.toml"
    config.write_text(config.read_text().replace(server.url, "http://127.0.0.1:9"))
    found = checks(signed_in)
    assert found["server"]["result"] == "error"
    assert "cannot be reached" in found["server"]["message"]
    assert found["client"]["result"] == "warning"


def test_each_thing_that_is_wrong_is_named_with_what_to_do(ana: MbSync, tmp_path: Path) -> None:
    lost, bare = tmp_path / "lost", tmp_path / "bare"
    for name in (lost, bare):
        ana.done("add", f"/Home/{name.name}", name, "--create")
    ana.done("once")
    shutil.rmtree(lost)
    shutil.rmtree(bare / ".mb-sync")
    ana.home.chmod(0o755)
    before = (ana.home / "state.db").read_bytes()
    said = ana("doctor")
    assert said.returncode == 1
    assert f"✗ {lost} is not there" in said.stdout
    assert f"✗ {bare} has lost its marker" in said.stdout
    assert "! Others may look into the client home (mode 0755)" in said.stdout
    assert (ana.home / "state.db").read_bytes() == before
    assert not (ana.home / "state.db-wal").exists()  # looked at, not opened

    (ana.home / "token").write_text("x" * 43 + "\n")
    assert checks(ana)["account"]["result"] == "error"
    assert "mb-sync login" in checks(ana)["account"]["hint"]

    (ana.home / "state.db").write_bytes(before[:4_096] + os.urandom(len(before) - 4_096))
    assert checks(ana)["state"]["result"] == "error"


# ---- what leaves this computer ---------------------------------------------------------------------------


@pytest.fixture
def planted(server: RunningServer, tmp_path: Path) -> Iterator[MbSync]:
    """A client home and a folder in which everything carries a name, and much went wrong."""
    mb_sync = MbSync(tmp_path / "home")
    mb_sync.login(server.url, USER, PASSWORD, device_name=DEVICE)
    folder = tmp_path / STUDY
    below = folder / f"{PATIENT} Brunhilde {BORN}"
    below.mkdir(parents=True)
    (below / f"{PATIENT}_{BORN}.dcm").write_bytes(f"{PATIENT}^Brunhilde".encode())
    os.mkfifo(below / f"{PATIENT}.fifo")
    with open(os.fsencode(below) + b"/" + PATIENT.encode() + b"\xff.txt", "wb") as file:
        file.write(b"x")
    (folder / ".mbignore").write_text(f"{PATIENT}*.log\n")
    (folder / f"{PATIENT}: {BORN}.txt").write_text("no name for Windows")
    mb_sync.done("add", f"/Home/{PROJECT}/{PATIENT}", folder, "--create")
    mb_sync.done("start")
    mb_sync("wait", "--timeout", "90")
    until(lambda: mb_sync.json("status")["state"] == "attention", "it has something to complain about")
    yield mb_sync
    mb_sync("stop")


def found_in(data: bytes, secrets: tuple[str, ...]) -> list[str]:
    """Each in any case, as UTF-8 and as escaped in JSON."""
    text = data.decode("utf-8", "replace").lower()
    return [secret for secret in secrets if secret.lower() in text]


def secrets_of(mb_sync: MbSync, server: RunningServer) -> tuple[str, ...]:
    token = (mb_sync.home / "token").read_text().strip()
    port = server.url.rpartition(":")[2]
    places = (str(mb_sync.home), str(mb_sync.home.parent), mb_sync.home.parent.name, str(Path.home()))
    return (
        *CANARIES,
        token,
        token[4:20],
        f":{port}",
        platform.node(),
        *(one for one in places if len(one) > 5),
    )


def test_no_log_names_a_person_or_a_file(planted: MbSync, server: RunningServer) -> None:
    logs = list((planted.home / "log").iterdir())
    assert logs
    for log in logs:
        assert found_in(log.read_bytes(), secrets_of(planted, server)[:-1]) == [], log.name


def test_no_byte_of_a_support_bundle_names_anybody(
    planted: MbSync, server: RunningServer, tmp_path: Path
) -> None:
    secrets = secrets_of(planted, server)
    with (planted.home / "log" / "mb-sync.log").open("a") as log:  # what a fault of ours might have written
        log.write(
            f"2026-11-22 14:03:00,000 ERROR sync_client.engine.round failed {tmp_path}/{PATIENT}.dcm born={BORN}\n"
            f"2026-11-22 14:03:00,001 INFO {PATIENT.lower()}.engine folder={PATIENT} files=3 node={STUDY.lower()}\n"
            f"Traceback (most recent call last):\n"
            f'  File "{Path.home()}/lib/sync_client/engine/round.py", line 7, in step\n    open("{PATIENT}")\n'
            f"OSError at {PATIENT}: https://127.0.0.1:8443/{PROJECT} {secrets[len(CANARIES)]}\n"
        )
    file = tmp_path / "report.zip"
    ran = planted("support-bundle", file)
    assert (ran.returncode, ran.stdout) == (0, f"Written: {file}\n")
    with zipfile.ZipFile(file) as bundle:
        parts = {name: bundle.read(name) for name in bundle.namelist()}
    assert all(f"  {name} " in ran.stderr for name in parts)  # what is in it was shown
    assert found_in(file.read_bytes() + b"".join(map(str.encode, parts)), secrets) == []
    for name, text in parts.items():
        assert found_in(text, secrets) == [], f"{name}: {text.decode()}"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    # and it is worth sending
    status = json.loads(parts["status.json"])
    assert (status["state"], len(status["folders"])) == ("attention", 1)
    assert sum(status["folders"][0]["problems"].values()) >= 2
    assert "…" not in status["folders"][0]["problems"]
    assert {one["check"]: one["result"] for one in json.loads(parts["doctor.json"])}["server"] == "ok"
    assert json.loads(parts["home.json"])["rows"]["nodes"] > 0
    log = parts["log/mb-sync.log"].decode()
    assert "INFO sync_client.daemon started pid=" in log
    assert "ERROR sync_client.engine.round failed …" in log
    assert "files=3" in log
    assert "sync_client/engine/round.py:7" in log
    assert "OSError at …" in log


def test_a_bundle_takes_no_other_files_place_and_may_be_looked_at_first(ana: MbSync, tmp_path: Path) -> None:
    file = tmp_path / "report.zip"
    assert ana.done("support-bundle", file, "--dry-run") == "Nothing was written.\n"
    assert not file.exists()
    file.write_text("mine")
    ran = ana("support-bundle", file)
    assert (ran.returncode, ran.stderr.splitlines()[-1]) == (
        1,
        f"mb-sync: {file} is there already. Choose another name.",
    )
    assert file.read_text() == "mine"
    assert ana("support-bundle", tmp_path / "no" / "where.zip").returncode == 1


def test_the_doctor_reads_the_records_of_a_client_at_work(ana: MbSync, tmp_path: Path) -> None:
    with ana.running():
        ana.done("add", "/Home/Study", tmp_path / "s", "--create")
        ana.done("wait", "--timeout", "90")
        assert checks(ana)["state"]["result"] == "ok"
    with sqlite3.connect(ana.home / "state.db") as database:
        assert database.execute("SELECT count(*) FROM folders").fetchone() == (1,)
