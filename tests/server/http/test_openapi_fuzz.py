"""Requests made from the server's own description of itself: no fault of the server, no answer beside its schema.

The real server as a process; what is true and what is false of the description is tried, signed in and not.
MB_SEED chooses the requests; MB_BUDGET_SECONDS makes them many (`make test-long`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from uuid import uuid4

import msgspec
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, SerializationContext
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from protocol.frames import HEAD
from protocol.messages import FRAMES, MSGPACK, PROTOCOL_VERSION, Login, to_json
from tests.support.server import ADMIN, PASSWORD, RunningServer

SEED = int(os.environ.get("MB_SEED") or 1)
EXAMPLES = int(float(os.environ.get("MB_BUDGET_SECONDS") or 0) * 2) or 8
ENDS_ITSELF = "/api/v1/logout"  # what follows would find a dead token
LASTS = "/api/v1/wait"
CHECKS = [not_a_server_error, response_schema_conformance, content_type_conformance]
MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)


@schemathesis.serializer(MSGPACK)
def as_msgpack(context: SerializationContext, value: object) -> bytes:
    try:
        return msgspec.msgpack.encode(value)
    except (OverflowError, ValueError):  # it knows no integers beyond 64 bits
        return b"\xc1"


@schemathesis.serializer(FRAMES)
def as_frames(context: SerializationContext, value: object) -> bytes:
    return HEAD + (value if isinstance(value, bytes) else str(value).encode("utf-8", "replace"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("server") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def token(server: RunningServer) -> str:
    login = Login(user=ADMIN, password=PASSWORD, device=uuid4(), device_name="laptop")
    headers = {"Content-Type": "application/json"}
    answer = requests.post(f"{server.url}/api/v1/login", data=to_json(login), headers=headers, timeout=30)
    return str(answer.json()["token"])


def in_time(case: Case) -> Case:
    """A long poll that holds for its fifty seconds would tell nothing new."""
    if case.path == LASTS and isinstance(case.body, dict) and case.body.get("timeout_seconds", 50.0) != "":
        given_seconds = case.body.get("timeout_seconds", 50.0)
        if isinstance(given_seconds, int | float) and given_seconds > 0.05:
            case.body["timeout_seconds"] = 0.05 if given_seconds <= 50 else given_seconds
    return case


def true_to_the_tree(case: Case, view: str, node: str) -> Case:
    """Ids by chance would only ever meet "not found"."""
    for name, value in (("view", view), ("node", node)):
        if name in (case.path_parameters or {}) and case.meta is not None:
            case.path_parameters[name] = value
    return case


def test_no_request_makes_a_fault_and_every_answer_is_as_described(server: RunningServer, token: str) -> None:
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    headers = {"Authorization": f"Bearer {token}"}
    views = requests.get(f"{server.url}/api/v1/views", headers=headers, timeout=30).json()["views"]
    view, root = views[0]["view"], views[0]["root"]
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path == ENDS_ITSELF:
            continue
        for mode in MODES:
            cases = operation.as_strategy(generation_mode=mode)

            @seed(SEED)
            @settings(
                max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck)
            )
            @given(case=cases)
            def call(case: Case) -> None:
                nonlocal tried
                tried += 1
                if tried % 3:
                    case = true_to_the_tree(case, view, root)
                answer = in_time(case).call(headers=headers if tried % 10 else None, timeout=60)
                case.validate_response(answer, checks=CHECKS)

            try:
                call()
            except Unsatisfiable:  # nothing false can be said of what takes nothing
                assert mode is schemathesis.GenerationMode.NEGATIVE
    assert tried > 20 * EXAMPLES
    assert requests.get(f"{server.url}/api/v1/hello", timeout=30).json()["protocol"] == PROTOCOL_VERSION
    assert "Traceback" not in server.log()
