"""What is around every request.

Owns: request ids, errors as `Problem`, the line in the log.
May import: aiohttp, protocol, server.http.

A line of the log holds ids and counts: no path, query, name or token of anybody.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from protocol.errors import MedicalBlocksError, TooManyTries
from server.http.exchange import REQUEST_ID, common_headers, problem
from server.http.routes import PRINCIPAL, Route

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_CODES = {404: "not-found", 405: "bad-request", 413: "too-large", 417: "bad-request"}
_WORDS = {
    404: "There is nothing at this address. See /openapi.json for what there is.",
    405: "This resource does not know that method. See /openapi.json.",
}


@web.middleware
async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer whatever happens, and say in one line what did."""
    request[REQUEST_ID] = secrets.token_hex(8)
    began = time.perf_counter()
    status = 499  # the caller went away
    try:
        response = await _answered(request, handler)
        status = response.status
    finally:
        principal = request.get(PRINCIPAL)
        log.info(
            "request id=%s method=%s route=%s status=%d ms=%.1f device=%s",
            request[REQUEST_ID],
            request.method,
            _route_name(request),
            status,
            (time.perf_counter() - began) * 1000,
            principal.device if principal is not None else "-",
        )
    return response


async def mark(request: web.Request, response: web.StreamResponse) -> None:
    """Headers of every answer, streamed ones too.  For `on_response_prepare`."""
    for name, value in common_headers(request[REQUEST_ID]).items():
        response.headers.setdefault(name, value)


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except MedicalBlocksError as error:
        response = problem(request, error.status, error.code, str(error))
        if isinstance(error, TooManyTries):
            response.headers["Retry-After"] = str(max(1, round(error.retry_after_seconds)))
        return response
    except web.HTTPException as error:
        words = _WORDS.get(error.status, f"{error.reason}. See /openapi.json.")
        code = _CODES.get(error.status, "bad-request")
        response = problem(request, error.status, code, words)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except ConnectionError:
        raise  # the caller went away in the middle: there is nobody to answer
    except Exception:  # the boundary: a bug is told to the operator, not to the caller
        request_id = request[REQUEST_ID]
        log.exception("request id=%s failed unexpectedly", request_id)
        words = f"The server met a fault of its own. Tell its operator the request id {request_id}."
        return problem(request, 500, "internal", words)


def _route_name(request: web.Request) -> str:
    handler = getattr(request.match_info.handler, "__self__", None)
    return handler.path if isinstance(handler, Route) else "-"
