"""A folder handed to somebody outside: the commands of both sides, as processes, over TLS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from protocol.codes import parse_link
from tests.support.light import MbSyncLight, files, until
from tests.support.mb_sync import MbSync
from tests.support.server import RunningServer, mb_server

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    data = tmp_path_factory.mktemp("server") / "data"
    with RunningServer(data, options=("--tls", "auto")) as running:
        running.add_user("ada", PASSWORD)
        running.add_user("ben", PASSWORD)
        yield running


@pytest.fixture(scope="module")
def ada(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> MbSync:
    """She has /Home/Study with one file in it."""
    place = tmp_path_factory.mktemp("ada")
    mb_sync = MbSync(place / "home")
    told = mb_server("tls", "--data", server.data).stdout.strip()
    login = ("login", server.url, "--user", "ada", "--password-stdin", "--fingerprint", told)
    assert mb_sync(*login, stdin=PASSWORD + "\n").returncode == 0
    folder = place / "folder"
    (folder / "Study").mkdir(parents=True)
    (folder / "Study" / "scan.dcm").write_bytes(b"pixels" * 1000)
    mb_sync.done("add", "/Home", folder)
    assert mb_sync("once").returncode == 0
    return mb_sync


def test_the_link_brings_the_folder_and_ends_when_it_is_revoked(
    server: RunningServer, ada: MbSync, tmp_path: Path
) -> None:
    made = ada(
        "code", "create", "/Home/Study", "--label", "Jo, Basel", "--devices", "1", "--expires", "7d", "--qr"
    )
    assert made.returncode == 0, made.stderr
    [text] = made.stdout.splitlines()
    link = parse_link(text)
    assert link.server == server.url
    assert link.fingerprint == "".join(mb_server("tls", "--data", server.data).stdout.split())
    assert "/Home/Study" in made.stderr
    assert "█" in made.stderr
    assert text not in made.stderr

    jo, folder = MbSyncLight(tmp_path / "jo"), tmp_path / "received"
    got = jo("-", folder, "--once", stdin=text)
    assert got.returncode == 0, got.stderr
    assert files(folder) == {"scan.dcm": b"pixels" * 1000}

    [code] = ada.json("code", "list")
    assert (code["folder"], code["label"], code["state"]) == ("Study", "Jo, Basel", "open")
    [device] = code["devices"]
    assert not device["waiting"]
    assert code["code"] in ada.done("code", "list")
    assert f"code:{code['code']}" in ada.done("who", "/Home/Study")

    again = MbSyncLight(tmp_path / "other")("-", tmp_path / "elsewhere", "--once", stdin=text)
    assert again.returncode == 1
    assert "as many devices as it allows" in again.stderr

    ada.done("code", "revoke", code["code"].lower())
    ended = jo("--once")
    assert "revoked" in ended.stderr + ended.stdout
    assert files(folder) == {"scan.dcm": b"pixels" * 1000}
    assert ada.json("code", "list")[0]["state"] == "revoked"


def test_a_pin_is_told_apart_from_the_link_and_a_device_is_let_in(
    server: RunningServer, ada: MbSync, tmp_path: Path
) -> None:
    made = ada.json("code", "create", "/Home/Study", "--pin", "--approve", "--browse")
    assert made["pin"] not in made["link"]
    said = ada.done("code", "list")
    assert made["code"] in said
    assert [one["browse"] for one in ada.json("code", "list") if one["code"] == made["code"]] == [True]
    pin = tmp_path / "pin"
    pin.write_text(made["pin"])
    jo, folder = MbSyncLight(tmp_path / "jo"), tmp_path / "received"
    with jo.running("-", folder, "--once", "--pin", f"@{pin}", stdin=made["link"]) as waiting:
        until(lambda: devices_of(ada, made["code"]) != [], "it asks to be let in")
        [device] = devices_of(ada, made["code"])
        assert device["waiting"]
        assert f"mb-sync code approve {made['code']}" in ada.done("code", "list")
        ada.done("code", "approve", made["code"], UUID(device["device"]).hex[-8:])
        assert waiting.ended() == 0, waiting.said()
    assert files(folder) == {"scan.dcm": b"pixels" * 1000}


def reads_of(ada: MbSync) -> list[tuple[str, str]]:
    reads = ada.json("activity", "/Home/Study", "--kind", "reads")
    return [(one["who"], one["path"]) for one in reads]


def devices_of(ada: MbSync, code: str) -> list[dict[str, Any]]:
    [found] = [one for one in ada.json("code", "list") if one["code"] == code]
    return list(found["devices"])


def test_what_cannot_be_done_is_said(ada: MbSync) -> None:
    for words, said in [
        (("create", "/Home"), "whole home"),
        (("create", "/Home/Nowhere"), "no"),
        (("revoke", "MBS-000000"), "no such sync code"),
        (("approve", "MBS-000000", "laptop"), "no sync code"),
    ]:
        ran = ada("code", *words)
        assert ran.returncode == 1, words
        assert said in ran.stderr
    assert ada("code", "create", "/Home/Study", "--expires", "2y").returncode == 2


def test_a_folder_is_shared_over_tls_and_its_owner_is_told_who_did_what(
    server: RunningServer, ada: MbSync, tmp_path: Path
) -> None:
    ben = MbSync(tmp_path / "ben")
    told = mb_server("tls", "--data", server.data).stdout.strip()
    login = ("login", server.url, "--user", "ben", "--password-stdin", "--fingerprint", told)
    assert ben(*login, stdin=PASSWORD + "\n").returncode == 0
    said = ada.done("share", "/Home/Study", "--with", "user:ben", "--role", "reader")
    assert "user:ben is reader of /Home/Study" in said
    folder = tmp_path / "study"
    ben.done("add", "/Shared/Study", folder)
    assert ben("once").returncode == 0
    assert files(folder) == {"scan.dcm": b"pixels" * 1000}

    [added] = ben.json("activity", "/Shared/Study")
    assert (added["who"], added["did"], added["path"], added["count"]) == (
        "ada",
        "import",
        "/Shared/Study",
        2,
    )
    assert ben.json("activity", folder / "scan.dcm")[0]["path"] == "/Shared/Study/scan.dcm"
    assert ben("activity", "/Shared/Study", "--kind", "reads").returncode == 1
    until(lambda: ("ben", "/Home/Study/scan.dcm") in reads_of(ada), "reads are told, some seconds later")
    shown = ada.done("activity", "/Home/Study", "--limit", "100")
    assert "shared /Home/Study: reader to user:ben" in shown
    assert "2 added in /Home/Study" in shown
    assert ada("activity", "/Home/Study/none").returncode == 1
    assert ada("activity", tmp_path / "nowhere").returncode == 1
    assert ada("activity", "--kind", "reads").returncode == 1

    ada.done("share", "/Home/Study", "--with", "user:ben", "--remove")
    assert ada.json("activity", "/Home/Study", "--kind", "rights")[0]["detail"] == "from user:ben"
    assert ben("activity", "/Shared/Study").returncode == 1
