"""The table of routes: every one is declared, described, and closed to those it is not for."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
from aiohttp import web
from openapi_spec_validator import OpenAPIV31SpecValidator

from protocol.errors import NotFound, NotSignedIn
from protocol.messages import JSON, MSGPACK
from server.access.rights import Action
from server.http.openapi import describe
from server.http.routes import On, add_routes, check_declared, route
from server.http.table import ROUTES
from tests.support.service import a_service

EXPECTED = {  # what each route acts on, and the right it asks for
    "GET /openapi.json": "nothing",
    "GET /api/v1/hello": "nothing",
    "POST /api/v1/login": "nothing",
    "POST /api/v1/logout": "account",
    "POST /api/v1/redeem": "nothing",
    "POST /api/v1/codes/look": "nothing",
    "GET /api/v1/devices": "person",
    "DELETE /api/v1/devices/{device}": "person",
    "GET /api/v1/codes": "person",
    "GET /api/v1/notices": "person",
    "DELETE /api/v1/codes/{code}": "person",
    "PUT /api/v1/codes/{code}/devices/{device}": "person",
    "GET /api/v1/views": "account",
    "POST /api/v1/wait": "account",
    "GET /api/v1/views/{view}/changes": "view metadata",
    "POST /api/v1/views/{view}/missing": "view write",
    "POST /api/v1/views/{view}/chunks": "view write",
    "POST /api/v1/views/{view}/commit": "view write",
    "POST /api/v1/views/{view}/content": "view read",
    "GET /api/v1/views/{view}/files/{node}": "view read",
    "HEAD /api/v1/views/{view}/files/{node}": "view read",
    "GET /api/v1/views/{view}/nodes/{node}/versions": "view versions",
    "GET /api/v1/views/{view}/nodes/{node}/versions/{revision}": "view versions",
    "GET /api/v1/views/{view}/trash": "view versions",
    "GET /api/v1/views/{view}/list": "view metadata",
    "GET /api/v1/views/{view}/nodes/{node}/grants": "view people",
    "GET /api/v1/views/{view}/activity": "view people",
    "PUT /api/v1/views/{view}/nodes/{node}/grants": "view share",
    "DELETE /api/v1/views/{view}/nodes/{node}/grants/{principal}": "view share",
    "POST /api/v1/views/{view}/nodes/{node}/codes": "view share",
    "GET /api/v1/views/{view}/jobs": "view review",
    "GET /api/v1/views/{view}/jobs/{job}": "view review",
    "GET /api/v1/views/{view}/jobs/{job}/held": "view review",
    "POST /api/v1/views/{view}/jobs/{job}/retry": "view review",
    "POST /api/v1/views/{view}/jobs/{job}/reject": "view review",
    "POST /api/v1/views/{view}/jobs/{job}/release": "view release",
    "POST /api/v1/views/{view}/nodes/{node}/withdraw": "view withdraw",
    "GET /api/v1/views/{view}/blocks": "view rules",
    "GET /api/v1/views/{view}/rules": "view rules",
    "GET /api/v1/views/{view}/rules/{rule}": "view rules",
    "POST /api/v1/views/{view}/rules": "view rules",
    "POST /api/v1/views/{view}/rules/{rule}": "view rules",
    "DELETE /api/v1/views/{view}/rules/{rule}": "view rules",
    "POST /api/v1/views/{view}/rules/{rule}/run": "view rules",
    "GET /api/v1/views/{view}/cohorts": "view metadata",
    "POST /api/v1/views/{view}/cohorts": "view write",
    "DELETE /api/v1/views/{view}/cohorts/{cohort}": "view write",
    "GET /api/v1/views/{view}/search": "view metadata",
    "GET /api/v1/views/{view}/search.csv": "view read",
    "GET /api/v1/views/{view}/counts": "view metadata",
    "GET /api/v1/views/{view}/nodes/{node}/labels": "view metadata",
    "PUT /api/v1/views/{view}/nodes/{node}/labels/{label}": "view write",
    "DELETE /api/v1/views/{view}/nodes/{node}/labels/{label}": "view write",
    "GET /api/v1/views/{view}/label-kinds": "view metadata",
    "PUT /api/v1/views/{view}/label-kinds/{label}": "view write",
    "DELETE /api/v1/views/{view}/label-kinds/{label}": "view write",
}


def test_every_route_asks_for_the_right_that_the_table_says() -> None:
    found = {
        f"{declared.method} {declared.path}": declared.on.value
        + (f" {declared.action.value}" if declared.action else "")
        for declared in ROUTES
    }
    assert found == EXPECTED


def test_a_route_without_a_declaration_stops_the_start() -> None:
    async def undeclared(_: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    add_routes(app, ROUTES)
    check_declared(app)
    app.router.add_get("/api/v1/planted", undeclared)
    with pytest.raises(RuntimeError, match="planted"):
        check_declared(app)


@pytest.mark.parametrize(
    ("path", "on", "action"),
    [
        ("/views/{view}/x", On.ACCOUNT, None),
        ("/views/{view}/x", On.VIEW, None),
        ("/x", On.VIEW, Action.READ),
        ("/x", On.ACCOUNT, Action.READ),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(path: str, on: On, action: Action | None) -> None:
    with pytest.raises(ValueError, match="names the view"):
        route("GET", path, on=on, action=action)


def test_the_description_is_valid_openapi() -> None:
    document = msgspec.json.decode(msgspec.json.encode(describe(ROUTES, version="1")))
    OpenAPIV31SpecValidator(document).validate()
    described = {f"{method.upper()} {path}" for path, known in document["paths"].items() for method in known}
    assert described == set(EXPECTED)


@pytest.mark.parametrize("codec", [JSON, MSGPACK])
async def test_no_route_answers_without_a_token_or_with_a_wrong_one(tmp_path: Path, codec: str) -> None:
    async with a_service(tmp_path / "data") as server:
        for declared in ROUTES:
            if declared.on is On.NOTHING or declared.method == "HEAD":
                continue
            path = _filled(declared.path, str(uuid4()))
            for headers in ({}, {"Authorization": "Bearer mbt_wrong"}, {"Authorization": "Basic YTpi"}):
                with pytest.raises(NotSignedIn):
                    await server.nobody(codec).ask(declared.method, path, answer=None, headers=headers)


async def test_another_users_view_is_not_there_in_the_same_words_as_one_that_never_was(
    tmp_path: Path,
) -> None:
    async with a_service(tmp_path / "data") as server:
        ada, ben = await server.sign_in("ada"), await server.sign_in("ben")
        assert ada.view is not None
        for declared in ROUTES:
            if declared.on is not On.VIEW or declared.method == "HEAD":
                continue
            words = set()
            for view in (str(ada.view.view), str(uuid4())):
                with pytest.raises(NotFound) as told:
                    await ben.ask(declared.method, _filled(declared.path, view), answer=None)
                words.add(str(told.value))
            assert len(words) == 1


def _filled(path: str, view: str) -> str:
    known = {
        "view": view,
        "node": str(uuid4()),
        "device": str(uuid4()),
        "revision": "1.1",
        "principal": str(uuid4()),
        "code": "MBS-NONE00",
        "job": "999999",
        "rule": str(uuid4()),
        "label": "region",
        "cohort": str(uuid4()),
    }
    return path.format(**known).removeprefix("/api/v1")
