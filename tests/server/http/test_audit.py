"""Whatever changes something, gives bytes out or is refused leaves its row; a route that does not say so has none."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from protocol.catalog import Cohort, NewCohort, SetLabel, SetLabelKind
from protocol.messages import Content, Delete, Kind, Login, Make, Part, Revision, WantedContent
from protocol.sharing import CodeMade, Codes, NewCode, Redeem, Share
from server.http.table import ROUTES
from tests.support.server import mb_server
from tests.support.service import Caller, ServiceUnderTest, a_service

FIRST = Revision(1, 1)
LEAVES = {  # each route: the word of its row, or None for what changes nothing and gives no bytes of files out
    "GET /openapi.json": None,
    "GET /api/v1/hello": None,
    "POST /api/v1/login": "login",
    "POST /api/v1/logout": "logout",
    "POST /api/v1/redeem": "code",
    "GET /api/v1/devices": None,
    "DELETE /api/v1/devices/{device}": "revoke-device",
    "GET /api/v1/views": None,
    "POST /api/v1/wait": None,
    "GET /api/v1/codes": None,
    "GET /api/v1/notices": None,
    "POST /api/v1/codes/look": None,
    "DELETE /api/v1/codes/{code}": "code",
    "PUT /api/v1/codes/{code}/devices/{device}": "code",
    "POST /api/v1/views/{view}/nodes/{node}/codes": "code",
    "GET /api/v1/views/{view}/changes": None,
    "GET /api/v1/views/{view}/list": None,
    "POST /api/v1/views/{view}/content": "read",
    "GET /api/v1/views/{view}/files/{node}": "download",
    "HEAD /api/v1/views/{view}/files/{node}": None,
    "GET /api/v1/views/{view}/nodes/{node}/grants": None,
    "GET /api/v1/views/{view}/activity": None,
    "POST /api/v1/views/{view}/missing": None,
    "POST /api/v1/views/{view}/chunks": None,  # bytes without a name; they are told of by the commit that names them
    "POST /api/v1/views/{view}/commit": "import",
    "GET /api/v1/views/{view}/nodes/{node}/versions": None,
    "GET /api/v1/views/{view}/nodes/{node}/versions/{revision}": None,
    "GET /api/v1/views/{view}/trash": None,
    "PUT /api/v1/views/{view}/nodes/{node}/grants": "share",
    "DELETE /api/v1/views/{view}/nodes/{node}/grants/{principal}": "unshare",
    "GET /api/v1/views/{view}/jobs": None,
    "GET /api/v1/views/{view}/jobs/{job}": None,
    "GET /api/v1/views/{view}/jobs/{job}/held": "look",
    "POST /api/v1/views/{view}/jobs/{job}/retry": "retry",
    "POST /api/v1/views/{view}/jobs/{job}/reject": "reject",
    "POST /api/v1/views/{view}/jobs/{job}/release": "release",
    "POST /api/v1/views/{view}/nodes/{node}/withdraw": "withdraw",
    "GET /api/v1/views/{view}/rules": None,
    "GET /api/v1/views/{view}/rules/{rule}": None,
    "POST /api/v1/views/{view}/rules": "rule",
    "POST /api/v1/views/{view}/rules/{rule}": "rule",
    "DELETE /api/v1/views/{view}/rules/{rule}": "rule",
    "POST /api/v1/views/{view}/rules/{rule}/run": "rule",
    "GET /api/v1/views/{view}/blocks": None,
    "GET /api/v1/views/{view}/cohorts": None,
    "POST /api/v1/views/{view}/cohorts": "cohort",
    "DELETE /api/v1/views/{view}/cohorts/{cohort}": "cohort",
    "GET /api/v1/views/{view}/search": "find",
    "GET /api/v1/views/{view}/search.csv": "find",
    "GET /api/v1/views/{view}/counts": "find",
    "GET /api/v1/views/{view}/nodes/{node}/labels": None,
    "PUT /api/v1/views/{view}/nodes/{node}/labels/{label}": "label",
    "DELETE /api/v1/views/{view}/nodes/{node}/labels/{label}": "label",
    "GET /api/v1/views/{view}/label-kinds": None,
    "PUT /api/v1/views/{view}/label-kinds/{label}": "label",
    "DELETE /api/v1/views/{view}/label-kinds/{label}": "label",
}
ON_JOBS = {
    route for route in LEAVES if "{job}" in route or "withdraw" in route or "/rules" in route
}  # they need a block: tests/server/hooks


def test_every_route_says_what_it_leaves_in_the_log() -> None:
    assert {f"{route.method} {route.path}" for route in ROUTES} == set(LEAVES)


async def rows(server: ServiceUnderTest) -> list[dict[str, Any]]:
    done = await asyncio.to_thread(mb_server, "audit", "export", "--data", server.data)
    assert done.returncode == 0, done.stderr
    return [json.loads(line)["row"] for line in done.stdout.splitlines()]


async def done(caller: Caller, method: str, path: str, **more: Any) -> bytes:
    status, body, _ = await caller.raw(method, path, **more)
    assert status < 300, (method, path, status, body)
    return body


async def test_each_of_them_leaves_it(tmp_path: Path) -> None:
    async with a_service(tmp_path / "data") as server:
        ada, ben = await server.sign_in("ada"), await server.sign_in("ben")
        other = await server.sign_in("ada")
        assert other.signed_in is not None
        assert ada.view is not None
        left: dict[str, list[dict[str, Any]]] = {}
        seen = len(await rows(server))

        async def leaves(route: str) -> list[dict[str, Any]]:
            nonlocal seen
            now = await rows(server)
            left[route], seen = now[seen:], len(now)
            assert LEAVES[route] in [row["did"] for row in left[route]], (route, left[route])
            return left[route]

        login = Login(user="ben", password="a long enough passphrase", device=uuid4(), device_name="x")
        await done(server.nobody(), "POST", "/login", body=login)
        await leaves("POST /api/v1/login")
        folder = uuid4()
        await ada.commit(
            Make(node=folder, parent=ada.view.root, name="Study", content=Content(kind=Kind.FOLDER))
        )
        file = await ada.put_file("scan.dcm", b"bytes", parent=folder)
        [made] = [
            row
            for row in await leaves("POST /api/v1/commit".replace("/api/v1", "/api/v1/views/{view}"))
            if file.hex in row["nodes"]
        ]
        assert made["nodes"] == file.hex + "01000000" + "01" + "00" * 7
        await ada.fetch(WantedContent(parts=[Part(node=file, revision=FIRST)]))
        [read] = await leaves("POST /api/v1/views/{view}/content")
        assert UUID(read["actor"]) == ada.signed_in.user_id if ada.signed_in else False
        await done(ada, "GET", f"{ada.at}/files/{file}")
        await leaves("GET /api/v1/views/{view}/files/{node}")
        await done(ada, "PUT", f"{ada.at}/nodes/{folder}/grants", body=Share(who="user:ben", role="reader"))
        await leaves("PUT /api/v1/views/{view}/nodes/{node}/grants")
        assert ben.signed_in is not None
        await done(ada, "DELETE", f"{ada.at}/nodes/{folder}/grants/{ben.signed_in.user_id}")
        await leaves("DELETE /api/v1/views/{view}/nodes/{node}/grants/{principal}")
        made_code = await ada.ask(
            "POST", f"{ada.at}/nodes/{folder}/codes", answer=CodeMade, body=NewCode(approve=True)
        )
        await leaves("POST /api/v1/views/{view}/nodes/{node}/codes")
        device = uuid4()
        redeem = Redeem(code=made_code.secret, device=device, device_name="guest")
        status, _, _ = await server.nobody().raw("POST", "/redeem", body=redeem)
        assert status >= 400  # it waits to be let in
        [listed] = (await ada.ask("GET", "/codes", answer=Codes)).codes
        await done(ada, "PUT", f"/codes/{made_code.code}/devices/{listed.devices[0].device}")
        await leaves("PUT /api/v1/codes/{code}/devices/{device}")
        await done(server.nobody(), "POST", "/redeem", body=redeem)
        await leaves("POST /api/v1/redeem")
        await done(ada, "DELETE", f"/codes/{made_code.code}")
        await leaves("DELETE /api/v1/codes/{code}")
        await done(ada, "DELETE", f"/devices/{other.signed_in.device}")
        await leaves("DELETE /api/v1/devices/{device}")
        of_file, kind = f"{ada.at}/nodes/{file}/labels/region", f"{ada.at}/label-kinds/region"
        for method, path, route, more in (
            ("PUT", of_file, "nodes/{node}/labels/{label}", {"body": SetLabel(values=["knee"])}),
            ("DELETE", of_file, "nodes/{node}/labels/{label}", {}),
            ("PUT", kind, "label-kinds/{label}", {"body": SetLabelKind(values=["knee"])}),
            ("DELETE", kind, "label-kinds/{label}", {}),
            ("GET", f"{ada.at}/search?q=region%3Dknee", "search", {}),
            ("GET", f"{ada.at}/search.csv?q=region%3Dknee", "search.csv", {}),
            ("GET", f"{ada.at}/counts", "counts", {}),
        ):
            await done(ada, method, path, **more)
            await leaves(f"{method} /api/v1/views/{{view}}/{route}")
        wanted = NewCohort(path=["Knees"], query="region=knee")
        cohort = await ada.ask("POST", f"{ada.at}/cohorts", answer=Cohort, body=wanted)
        await leaves("POST /api/v1/views/{view}/cohorts")
        await done(ada, "DELETE", f"{ada.at}/cohorts/{cohort.cohort}")
        await leaves("DELETE /api/v1/views/{view}/cohorts/{cohort}")
        await ada.commit(Delete(node=file, place_revision=FIRST, content_revision=FIRST))
        path = "ada/Home/Study/scan.dcm"
        who = await asyncio.to_thread(mb_server, "audit", "who-read", path, "--json", "--data", server.data)
        told = [(one["who"], one["did"], one["version"]) for one in json.loads(who.stdout)]
        assert told == [("ada", "read", "1.1"), ("ada", "download", "1.1")]  # also of a file in the trash
        await done(ada, "POST", "/logout")
        await leaves("POST /api/v1/logout")
        assert {route for route, did in LEAVES.items() if did} - ON_JOBS == left.keys()
        assert b"scan.dcm" not in json.dumps(await rows(server)).encode()  # no name of a file is kept
    whole = await asyncio.to_thread(mb_server, "audit", "verify", "--json", "--data", tmp_path / "data")
    found = json.loads(whole.stdout)
    assert (whole.returncode, found["broken"], found["waiting"]) == (0, [], 0), whole.stdout


async def test_every_denial_leaves_a_row_that_says_who_asked(tmp_path: Path) -> None:
    async with a_service(tmp_path / "data") as server:
        ada, ben = await server.sign_in("ada"), await server.sign_in("ben")
        assert ada.view is not None
        assert ben.signed_in is not None
        for route in ROUTES:
            if "{view}" not in route.path:
                continue
            names = {
                "view": ada.view.view,
                "node": ada.view.root,
                "revision": "1.1",
                "principal": uuid4(),
                "job": 999_999,
                "rule": uuid4(),
                "cohort": uuid4(),
                "label": "region",
            }
            path = route.path.format(**names).removeprefix("/api/v1")
            status, _, _ = await ben.raw(route.method, path)
            assert status == 404, path
        login = Login(user="ben", password="not the right one", device=uuid4(), device_name="x")
        for _ in range(3):
            assert (await server.nobody().raw("POST", "/login", body=login))[0] == 401
        assert (await server.nobody().raw("GET", "/views"))[0] == 401
    exported = await asyncio.to_thread(mb_server, "audit", "export", "--data", tmp_path / "data")
    denied = [
        row
        for row in (json.loads(line)["row"] for line in exported.stdout.splitlines())
        if row["result"] != "done"
    ]
    by_ben = [row for row in denied if row["did"] == "ask" and row.get("actor") == ben.signed_in.user_id.hex]
    for route in ROUTES:
        if "{view}" in route.path:
            assert any(row["detail"].startswith(f"{route.method} {route.path} ") for row in by_ben), (
                route.path
            )
    wrong = [row for row in denied if row["result"] == "wrong-password"]
    assert sum(row["count"] for row in wrong) == 3
    assert {row["actor"] for row in wrong} == {ben.signed_in.user_id.hex}
    assert "not-signed-in" in {row["result"] for row in denied}


@pytest.mark.parametrize(
    "words",
    [
        ("user", "add", "eve", "--password-stdin"),
        ("project", "create", "Nerves"),
        ("team", "create", "mri"),
        ("gc",),
        ("thin",),
    ],
)
async def test_what_an_operator_does_is_in_the_log(operated: Path, words: tuple[str, ...]) -> None:
    finished = await asyncio.to_thread(
        mb_server, *words, "--data", operated, stdin="a long enough passphrase\n"
    )
    assert finished.returncode == 0, finished.stderr
    exported = await asyncio.to_thread(mb_server, "audit", "export", "--data", operated)
    last = json.loads(exported.stdout.splitlines()[-1])["row"]
    wanted = " ".join(word for word in words if not word.startswith("--"))
    assert (last["did"], last["address"]) == ("operate", "operator")
    assert last["detail"].startswith(wanted)


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("operated") / "data"
    made = mb_server(
        "init", "--data", data, "--admin", "ada", "--password-stdin", stdin="a long enough passphrase\n"
    )
    assert made.returncode == 0, made.stderr
    return data
