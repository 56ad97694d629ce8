"""`mb-server project` and `mb-server team` beside a running server."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from protocol.errors import NotFound
from protocol.messages import Changes, View, Views
from protocol.resources import Listing
from tests.support.server import mb_server
from tests.support.service import Caller, ServiceUnderTest, a_service


async def command(server: ServiceUnderTest, *words: str) -> str:
    done = await asyncio.to_thread(mb_server, *words, "--data", server.data)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def seen_by(caller: Caller) -> dict[str, View]:
    return {view.name: view for view in (await caller.ask("GET", "/views", answer=Views)).views}


async def test_a_project_is_seen_by_its_members_with_the_rights_of_their_roles(tmp_path: Path) -> None:
    async with a_service(tmp_path / "data", users=("ada", "ben", "cleo", "dan")) as server:
        ada, ben, cleo = [await server.sign_in(name) for name in ("ada", "ben", "cleo")]
        await command(server, "project", "create", "Nerves")
        assert set(await seen_by(ada)) == {"/Home"}
        await command(server, "team", "create", "mri")
        await command(server, "team", "add", "mri", "ben")
        await command(server, "project", "grant", "Nerves", "user:ada", "--role", "owner")
        await command(server, "project", "grant", "Nerves", "team:mri", "--role", "reader")
        assert (await seen_by(ada))["/Projects/Nerves"].rights == [
            "metadata",
            "read",
            "write",
            "versions",
            "share",
            "people",
            "review",
            "release",
            "rules",
            "withdraw",
        ]
        assert (await seen_by(ben))["/Projects/Nerves"].rights == ["metadata", "read", "people"]
        assert set(await seen_by(cleo)) == {"/Home"}

        ada.view = (await seen_by(ada))["/Projects/Nerves"]
        await ada.put_file("scan.dcm", b"bytes")
        ben.view = (await seen_by(ben))["/Projects/Nerves"]
        page = await ben.ask("GET", f"{ben.at}/changes", answer=Changes)
        assert [state.name for state in page.nodes] == ["scan.dcm"]

        await command(server, "team", "remove", "mri", "ben")
        assert set(await seen_by(ben)) == {"/Home"}
        with pytest.raises(NotFound):
            await ben.ask("GET", f"{ben.at}/changes", answer=Changes)


async def test_only_a_clinician_sees_the_intake_and_nothing_else_of_the_project(tmp_path: Path) -> None:
    async with a_service(tmp_path / "data", users=("ada", "ben")) as server:
        ada, ben = await server.sign_in("ada"), await server.sign_in("ben")
        await command(server, "project", "create", "Nerves", "--template", "imaging")
        await command(server, "project", "grant", "Nerves", "user:ada", "--role", "owner")
        await command(server, "project", "grant", "Nerves", "user:ben", "--role", "clinician")
        assert set(await seen_by(ada)) == {"/Home", "/Projects/Nerves"}
        assert set(await seen_by(ben)) == {"/Home", "/Projects/Nerves/Intake"}
        ada.view = (await seen_by(ada))["/Projects/Nerves"]
        listing = await ada.ask("GET", f"{ada.at}/list", answer=Listing)
        assert [item.name for item in listing.items] == ["Data"]
        await command(server, "project", "revoke", "Nerves", "user:ben", "--clinician")
        assert set(await seen_by(ben)) == {"/Home"}
        await asyncio.to_thread(server_is_sound, server)


async def test_who_sees_only_names_learns_no_size_no_time_and_no_content(tmp_path: Path) -> None:
    async with a_service(tmp_path / "data", users=("ada", "ben")) as server:
        ada, ben = await server.sign_in("ada"), await server.sign_in("ben")
        await command(server, "project", "create", "Nerves")
        await command(server, "project", "grant", "Nerves", "user:ada", "--role", "editor")
        await command(server, "project", "grant", "Nerves", "user:ben", "--role", "metadata")
        ada.view = (await seen_by(ada))["/Projects/Nerves"]
        await ada.put_file("scan.dcm", b"some bytes")
        ben.view = (await seen_by(ben))["/Projects/Nerves"]
        assert ben.view.used_bytes == 0
        page = await ben.ask("GET", f"{ben.at}/changes", answer=Changes)
        assert [(state.name, state.content, state.changed_at_ms) for state in page.nodes] == [
            ("scan.dcm", None, 0)
        ]
        listing = await ben.ask("GET", f"{ben.at}/list", answer=Listing)
        assert [(item.name, item.size, item.mtime_ns) for item in listing.items] == [("scan.dcm", 0, 0)]


def server_is_sound(server: ServiceUnderTest) -> None:
    done = mb_server("check", "--deep", "--data", server.data)
    assert done.returncode == 0, done.stdout


def test_the_lists_say_who_has_which_role(tmp_path: Path) -> None:
    data = str(tmp_path / "data")

    def run(*words: str, stdin: str = "") -> tuple[int, str, str]:
        done = mb_server(*words, "--data", data, stdin=stdin)
        return done.returncode, done.stdout, done.stderr

    assert run("init", "--admin", "ada", "--password-stdin", stdin="a long enough passphrase")[0] == 0
    assert "no project yet" in run("project", "list")[2]
    assert "no team yet" in run("team", "list")[2]
    for words in (
        ("team", "create", "mri"),
        ("team", "add", "mri", "ada"),
        ("project", "create", "Nerves", "--template", "imaging"),
        ("project", "grant", "Nerves", "team:mri", "--role", "editor"),
        ("project", "grant", "Nerves", "user:ada", "--role", "clinician"),
    ):
        assert run(*words)[0] == 0, words
    assert json.loads(run("team", "list", "--json")[1]) == [{"name": "mri", "members": ["ada"]}]
    assert json.loads(run("project", "list", "--json")[1]) == [
        {
            "name": "Nerves",
            "intake": True,
            "members": [
                {"who": "team:mri", "role": "editor"},
                {"who": "user:ada", "role": "clinician"},
            ],
        }
    ]
    assert run("project", "revoke", "Nerves", "user:ada")[0] == 1  # the role in the intake is another one
    refused = [
        ("There is a project nerves already", ("project", "create", "nerves")),
        ("There is a team MRI already", ("team", "create", "MRI")),
        ("There is no team x-ray", ("project", "grant", "Nerves", "team:x-ray", "--role", "reader")),
        ("'ada' names nobody", ("project", "grant", "Nerves", "ada", "--role", "reader")),
        ("There is no project Muscles", ("project", "grant", "Muscles", "user:ada", "--role", "reader")),
        ("cannot be a project name", ("project", "create", "a/b")),
    ]
    for sentence, words in refused:
        code, _, told = run(*words)
        assert (code, sentence in told) == (1, True), told
    run("project", "create", "Plain")
    code, _, told = run("project", "grant", "Plain", "user:ada", "--role", "clinician")
    assert (code, "has no intake" in told) == (1, True)
