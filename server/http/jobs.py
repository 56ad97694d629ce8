"""What blocks made of the files of a view, and what they held back.

Owns: `jobs` of a view.
May import: aiohttp, sqlalchemy, protocol, server.access, server.audit, server.hooks, server.http.

Whoever may not review here learns nothing of its jobs: no name, no count, no time.  Every answer about one job is the
same for a number that was never given and for a job of another folder.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web
from sqlalchemy.orm import Session

from protocol.errors import BadRequest, NotFound
from protocol.hooks import Job, JobReason, Jobs, Release, Withdrawn
from server.access.rights import Action
from server.audit.rows import Did, pack_nodes, record
from server.hooks import reviewing
from server.hooks.jobs import OPEN_ENDS, Leased, State
from server.hooks.withdrawing import Withdrawal, lies_in, withdraw
from server.http.ranges import attachment
from server.http.routes import Call, On, Query, Stream, route
from server.http.streams import sending, write

PAGE = 200
PIECE_BYTES = 1 << 20
WAITING = "held"  # instead of states: what waits for a person
_ONE = "/views/{view}/jobs/{job}"


@route(
    "GET",
    "/views/{view}/jobs",
    on=On.VIEW,
    action=Action.REVIEW,
    answer=Jobs,
    query=(
        Query("states", str, "only these, with commas between; `held`: what waits for a person; empty: all"),
        Query("after", str, "`next` of the page before; empty: the newest"),
    ),
)
async def get_jobs(call: Call) -> Jobs:
    """A page of the jobs on the files of this view, the newest first."""
    states = _states(call.text("states"))
    before = _place(call.text("after")) if call.text("after") else None

    def read(session: Session) -> list[reviewing.Job]:
        within = reviewing.rules_within(session, call.view)
        return reviewing.list_jobs(
            session, states=states, names=True, within=within, before=before, limit=PAGE + 1
        )

    found = await call.service.database.read(read)
    page = found[:PAGE]
    last = f"{page[-1].made_at_ms}.{page[-1].id}" if len(found) > PAGE else ""
    return Jobs(jobs=[_message(one) for one in page], next=last)


@route("GET", _ONE, on=On.VIEW, action=Action.REVIEW, answer=Job)
async def get_job(call: Call) -> Job:
    """One job, with the report of its block."""
    return await call.service.database.read(lambda session: _found(session, call, whole=True))


@route(
    "GET",
    _ONE + "/held",
    on=On.VIEW,
    action=Action.REVIEW,
    answer=Stream.FILE,
    query=(Query("output", str, "which output, where the block made several"),),
)
async def get_held(call: Call) -> web.StreamResponse:
    """The cleaned output that a block held back, to be judged: the very bytes that a release lets pass."""
    number = _number(call.request.match_info["job"])

    def look(session: Session) -> Leased:
        job = reviewing.held_back(session, number, within=reviewing.rules_within(session, call.view))
        _note(session, call, Did.LOOK, reviewing.find_job(session, number))
        return job

    job = await call.service.database.write(look)  # in the log before the first byte leaves
    async with call.service.looking.at(job, call.text("output")) as held:
        response = web.StreamResponse(
            headers={
                "Content-Type": Stream.FILE.value,
                "Content-Disposition": attachment(held.name),
                "Content-Security-Policy": "sandbox; default-src 'none'",
                "X-Content-Type-Options": "nosniff",
                "Cache-Control": "no-store",
            }
        )
        response.content_length = held.size_bytes
        async with sending(call, response):
            await response.prepare(call.request)
            while piece := await asyncio.to_thread(held.file.read, PIECE_BYTES):
                await write(response, piece)
            await response.write_eof()
    return response


@route("POST", _ONE + "/retry", on=On.VIEW, action=Action.REVIEW, answer=Job)
async def post_retry(call: Call) -> Job:
    """Do it again from the beginning: after its block was mended, or to take a rejection back."""
    return await _decided(call, Did.RETRY, reviewing.retry)


@route("POST", _ONE + "/release", on=On.VIEW, action=Action.RELEASE, request=Release, answer=Job)
async def post_release(call: Call, asked: Release) -> Job:
    """Let the cleaned output pass that the reviewer saw, to the byte.  The original never does."""

    def release(session: Session, job: int, *, now_ms: int, within: reviewing.Rules) -> None:
        reviewing.release(session, job, now_ms=now_ms, within=within, seen=bytes.fromhex(asked.held))

    return await _decided(call, Did.RELEASE, release)


@route("POST", _ONE + "/reject", on=On.VIEW, action=Action.REVIEW, answer=Job)
async def post_reject(call: Call) -> Job:
    """Nothing of this version ever appears; `retry` takes that back."""
    return await _decided(call, Did.REJECT, reviewing.reject)


@route("POST", "/views/{view}/nodes/{node}/withdraw", on=On.VIEW, action=Action.WITHDRAW, answer=Withdrawn)
async def post_withdraw(call: Call) -> Withdrawn:
    """Take a file, or all below a folder, out together with all that blocks made of it, wherever that lies now."""
    node, service = call.node(), call.service

    def work(session: Session) -> Withdrawal:
        if not lies_in(session, call.view, node):
            raise NotFound("There is no such file or folder", hint="Look at the folder again.")
        done = withdraw(
            session, service.store, service.cursors, (call.view.space, node.bytes), now_ms=service.clock()
        )
        packed = pack_nodes([(node.bytes, 0, 0)])
        record(session, [call.entry(Did.WITHDRAW, detail=done.words, nodes=packed)])
        return done

    done = await service.database.write(work)
    for space in done.spaces:
        service.wakeups.notify(space)
    return Withdrawn(sources=done.sources, derived=done.derived, jobs=done.jobs)


async def _decided(call: Call, did: Did, decide: Callable[..., None]) -> Job:
    """In the log, in the transaction of the decision."""
    number = _number(call.request.match_info["job"])

    def work(session: Session) -> Job:
        within = reviewing.rules_within(session, call.view)
        decide(session, number, now_ms=call.service.clock(), within=within)
        found = reviewing.find_job(session, number, within=within)
        _note(session, call, did, found)
        return _message(found)

    return await call.service.database.write(work)


def _found(session: Session, call: Call, *, whole: bool) -> Job:
    number = _number(call.request.match_info["job"])
    within = reviewing.rules_within(session, call.view)
    return _message(reviewing.find_job(session, number, within=within), whole=whole)


def _note(session: Session, call: Call, did: Did, job: reviewing.Job) -> None:
    version = (job.node.bytes, job.revision.epoch, job.revision.number)
    record(session, [call.entry(did, detail=f"job {job.id}", nodes=pack_nodes([version]))])


def _message(job: reviewing.Job, *, whole: bool = False) -> Job:
    return Job(
        job=job.id,
        state=job.state.value,
        block=job.block,
        rule=job.rule,
        folder=job.source,
        node=job.node,
        file=job.file,
        reasons=[JobReason(code=code, text=text) for code, text in job.reasons],
        held=job.held.hex() if job.held else "",
        tries=job.tries,
        made_at_ms=job.made_at_ms,
        ended_at_ms=job.ended_at_ms,
        report=job.report.decode("utf-8", "replace") if whole and job.report else "",
    )


def _states(asked: str) -> tuple[State, ...]:
    if asked == WAITING:
        return OPEN_ENDS
    try:
        return tuple(State(word) for word in asked.split(",") if word)
    except ValueError as error:
        known = ", ".join(State)
        raise BadRequest(f"{asked[:80]!r} names a state that is none", hint=f"States: {known}.") from error


def _place(text: str) -> tuple[int, int]:
    """In the list of jobs: when one was made, and its number."""
    made_at_ms, _, number = text.partition(".")
    return _number(made_at_ms), _number(number)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise BadRequest(f"{text[:30]!r} is no number of a job", hint="Take it from the list of jobs.")
    return int(text)
