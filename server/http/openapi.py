"""The description of the interface for other people's programs.

Owns: `GET /openapi.json`, made from the declarations of the routes and the message structs.
May import: msgspec, protocol, server.http.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from protocol.messages import JSON, MSGPACK, Problem
from server.http.routes import On, Route, Stream

_REF = "#/components/schemas/{name}"
_PATH_MEANINGS = {
    "view": "id of a view",
    "node": "id of a node",
    "device": "id of a device",
    "principal": "id of a user, a team, a project or a sync code",
    "code": "name of a sync code, MBS-XXXXXX",
    "revision": "EPOCH.NUMBER",
    "job": "number of a job",
    "rule": "id of a rule",
    "label": "name of a label",
    "cohort": "id of a cohort",
}
_TEXTS = ("code", "revision", "job", "label")


def describe(routes: Iterable[Route], *, version: str) -> dict[str, Any]:
    """An OpenAPI 3.1 document."""
    listed = list(routes)
    kinds = [kind for route in listed for kind in (route.request, route.answer) if _is_message(kind)]
    kinds = list(dict.fromkeys([*kinds, Problem]))
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    schema_of = dict(zip(kinds, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in listed:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Medical-Blocks", "version": version, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, schema_of: dict[Any, Any]) -> dict[str, Any]:
    done = "200" if route.answer is not None else "204"
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": (route.handler.__doc__ or "").strip().splitlines()[0],
        "parameters": [
            {
                "name": name,
                "in": "path",
                "required": True,
                "description": _PATH_MEANINGS[name],
                "schema": {"type": "string"} if name in _TEXTS else {"type": "string", "format": "uuid"},
            }
            for name in re.findall(r"{(\w+)}", route.path)
        ]
        + [
            {
                "name": query.name,
                "in": "query",
                "description": query.meaning,
                "schema": {"type": "integer" if query.kind is int else "string"},
            }
            for query in route.query
        ],
        "responses": {
            done: {"description": "done"} | _body(route.answer, schema_of),
            "default": {"description": "not done, and why"} | _body(Problem, schema_of),
        },
        "security": [] if route.on is On.NOTHING else [{"token": []}],
        "x-acts-on": route.on.value,
    }
    if route.action is not None:
        operation["x-action"] = route.action.value
    if route.request is not None:
        operation["requestBody"] = {"required": True} | _body(route.request, schema_of)
    return operation


def _body(kind: Any, schema_of: dict[Any, Any]) -> dict[str, Any]:
    if kind is None:
        return {}
    if isinstance(kind, Stream):
        binary = {"type": "object"} if kind is Stream.SCHEMA else {"type": "string", "format": "binary"}
        return {"content": {kind.value: {"schema": binary}}}
    return {"content": {JSON: {"schema": schema_of[kind]}, MSGPACK: {"schema": schema_of[kind]}}}


def _is_message(kind: Any) -> bool:
    return kind is not None and not isinstance(kind, Stream)
