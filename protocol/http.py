"""The one HTTP client: every call that our programs make to a server.

Owns: one typed method for each resource, and the two streams of chunks.
May import: protocol; nothing else in protocol imports this module.

A call ends in an answer or in a MedicalBlocksError.  Unavailable is what passes by itself (no connection, a
time-out, 503) and was tried again before it is raised; LocalProblem is what a person must put right.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Sequence,
)
from contextlib import aclosing, suppress
from typing import TypeVar
from urllib.parse import quote
from uuid import UUID

from protocol.catalog import (
    Cohort,
    Cohorts,
    Counts,
    Found,
    LabelKinds,
    Labels,
    LabelsChanged,
    NewCohort,
    SetLabel,
    SetLabelKind,
)
from protocol.errors import (
    BadRequest,
    LocalProblem,
    NotSignedIn,
    ServerFault,
    Unavailable,
)
from protocol.exchange import Exchange
from protocol.frames import Frame, FrameReader
from protocol.hooks import Blocks, ChangeRule, Job, Jobs, NewRule, Release, Rule, RuleRun, Rules, Withdrawn
from protocol.ids import CHUNK_ID_BYTES
from protocol.limits import (
    MAX_ANSWER_BYTES,
)
from protocol.messages import (
    FRAMES,
    MAX_PAGE_NODES,
    MSGPACK,
    PROTOCOL_VERSION,
    Changes,
    Commit,
    CommitAnswer,
    Committed,
    Content,
    Feed,
    Hello,
    Login,
    Missing,
    Moved,
    Reset,
    Revision,
    SignedIn,
    Stored,
    ToUpload,
    Views,
    Wait,
    WantedContent,
    to_msgpack,
)
from protocol.notices import Notices
from protocol.patience import Tries
from protocol.resources import Activity, Devices, Listing, Trash, Versions
from protocol.sharing import CodeMade, Codes, NewCode, Redeem, Redeemed, Share, SyncCode, WhoSees
from protocol.upload_body import Batches, UploadBody

HELD_SECONDS = 600.0  # a block works on the whole file before its first byte comes
WAIT_GRACE_SECONDS = 15.0  # a long poll may be answered this much later than it asked for

T = TypeVar("T")


class ServerApi(Exchange):
    """`async with ServerApi(url, token) as api:`.  Any number of calls at once; `Exchange` says what it takes."""

    # ---- who we are ------------------------------------------------------------------------------------

    async def hello(self) -> Hello:
        """What the server is.  Raises LocalProblem: it is none of ours, or speaks another protocol."""
        hello = await self._ask("GET", "/hello", Hello)
        if hello.protocol != PROTOCOL_VERSION:
            older = "this program" if hello.protocol > PROTOCOL_VERSION else "the server"
            raise LocalProblem(
                f"The server {self.url} speaks version {hello.protocol} of the protocol, "
                f"this program version {PROTOCOL_VERSION}",
                hint=f"Update {older}.",
            )
        return hello

    async def login(self, login: Login) -> SignedIn:
        """Never repeated by itself: a try may count against the account."""
        return await self._ask("POST", "/login", SignedIn, login, repeat=False)

    async def redeem(self, redeem: Redeem) -> Redeemed:
        """Never repeated by itself: a try may count.  Raises CodeWaiting: to be asked again in a while."""
        return await self._ask("POST", "/redeem", Redeemed, redeem, repeat=False)

    async def logout(self) -> None:
        with suppress(NotSignedIn):  # the first try did it, and its answer was lost
            await self._tell("POST", "/logout")

    async def devices(self) -> Devices:
        return await self._ask("GET", "/devices", Devices)

    async def revoke_device(self, device: UUID) -> None:
        await self._tell("DELETE", f"/devices/{device}")

    # ---- trees -----------------------------------------------------------------------------------------

    async def views(self) -> Views:
        return await self._ask("GET", "/views", Views)

    async def changes(self, view: UUID, cursor: str, limit: int = MAX_PAGE_NODES) -> Feed:
        query = {"after": cursor, "limit": str(limit)}
        feed: Feed = await self._ask("GET", f"/views/{view}/changes", Changes | Reset, query=query)
        return feed

    async def wait(self, wait: Wait) -> Moved:
        """Ends when one of the views has moved, or when the time that `wait` names is up."""
        stall_seconds = wait.timeout_seconds + WAIT_GRACE_SECONDS
        return await self._ask("POST", "/wait", Moved, wait, stall_seconds=stall_seconds)

    async def commit(self, view: UUID, commit: Commit) -> CommitAnswer:
        """Safe to repeat: a batch that the server has already is answered as it was the first time."""
        path = f"/views/{view}/commit"
        answer: CommitAnswer = await self._ask("POST", path, Committed | Reset, commit)
        if isinstance(answer, Committed) and (
            answer.operation != commit.operation or len(answer.results) != len(commit.ops)
        ):
            raise _beside_the_question("commit")
        return answer

    async def versions(self, view: UUID, node: UUID) -> Versions:
        return await self._ask("GET", f"/views/{view}/nodes/{node}/versions", Versions)

    async def version(self, view: UUID, node: UUID, revision: Revision) -> Content:
        name = f"{revision.epoch}.{revision.number}"
        return await self._ask("GET", f"/views/{view}/nodes/{node}/versions/{name}", Content)

    async def trash(self, view: UUID, after: str = "") -> Trash:
        return await self._ask("GET", f"/views/{view}/trash", Trash, query={"after": after})

    async def listing(self, view: UUID, path: str, after: str = "") -> Listing:
        """The children of the folder at `path` (like "/a/b"; "/" or "" is the root), a page at a time."""
        return await self._ask("GET", f"/views/{view}/list", Listing, query={"path": path, "after": after})

    # ---- who may see what --------------------------------------------------------------------------------

    async def who_sees(self, view: UUID, node: UUID) -> WhoSees:
        return await self._ask("GET", f"/views/{view}/nodes/{node}/grants", WhoSees)

    async def share(self, view: UUID, node: UUID, share: Share) -> WhoSees:
        return await self._ask("PUT", f"/views/{view}/nodes/{node}/grants", WhoSees, share)

    async def unshare(self, view: UUID, node: UUID, principal: UUID) -> WhoSees:
        return await self._ask("DELETE", f"/views/{view}/nodes/{node}/grants/{principal}", WhoSees)

    async def activity(
        self, view: UUID, *, before: str = "", limit: int = 50, kind: str = "", node: UUID | None = None
    ) -> Activity:
        query = {"before": before, "limit": str(limit), "kind": kind, "node": str(node or "")}
        asked = {name: value for name, value in query.items() if value}
        return await self._ask("GET", f"/views/{view}/activity", Activity, query=asked)

    async def make_code(self, view: UUID, node: UUID, asked: NewCode) -> CodeMade:
        """Never repeated by itself: each would make another code."""
        return await self._ask("POST", f"/views/{view}/nodes/{node}/codes", CodeMade, asked, repeat=False)

    async def codes(self) -> Codes:
        return await self._ask("GET", "/codes", Codes)

    async def notices(self) -> Notices:
        return await self._ask("GET", "/notices", Notices)

    async def revoke_code(self, code: str) -> None:
        await self._tell("DELETE", f"/codes/{quote(code, safe='')}")

    async def let_in(self, code: str, device: UUID) -> SyncCode:
        return await self._ask("PUT", f"/codes/{quote(code, safe='')}/devices/{device}", SyncCode)

    # ---- what blocks held back ---------------------------------------------------------------------------

    async def jobs(self, view: UUID, *, states: str = "", after: str = "") -> Jobs:
        return await self._ask("GET", f"/views/{view}/jobs", Jobs, query={"states": states, "after": after})

    async def job(self, view: UUID, job: int) -> Job:
        return await self._ask("GET", f"/views/{view}/jobs/{job}", Job)

    async def retry(self, view: UUID, job: int) -> Job:
        return await self._ask("POST", f"/views/{view}/jobs/{job}/retry", Job, repeat=False)

    async def release(self, view: UUID, job: int, asked: Release) -> Job:
        return await self._ask("POST", f"/views/{view}/jobs/{job}/release", Job, asked, repeat=False)

    async def reject(self, view: UUID, job: int) -> Job:
        return await self._ask("POST", f"/views/{view}/jobs/{job}/reject", Job, repeat=False)

    async def rules(self, view: UUID, after: str = "") -> Rules:
        return await self._ask("GET", f"/views/{view}/rules", Rules, query={"after": after})

    async def blocks(self, view: UUID) -> Blocks:
        return await self._ask("GET", f"/views/{view}/blocks", Blocks)

    async def add_rule(self, view: UUID, asked: NewRule) -> Rule:
        """Never repeated by itself: each would make another rule."""
        return await self._ask("POST", f"/views/{view}/rules", Rule, asked, repeat=False)

    async def change_rule(self, view: UUID, rule: UUID, asked: ChangeRule) -> Rule:
        return await self._ask("POST", f"/views/{view}/rules/{rule}", Rule, asked)

    async def remove_rule(self, view: UUID, rule: UUID) -> None:
        await self._tell("DELETE", f"/views/{view}/rules/{rule}")

    async def run_rule(self, view: UUID, rule: UUID, *, node: UUID | None = None) -> RuleRun:
        """node: only this file, or what lies below this folder."""
        chosen = {} if node is None else {"node": str(node)}
        path = f"/views/{view}/rules/{rule}/run"
        return await self._ask("POST", path, RuleRun, query=chosen, repeat=False)

    # ---- the catalog -------------------------------------------------------------------------------------

    async def search(
        self, view: UUID, query: str, *, level: str, order: str, after: str = "", limit: int = 50
    ) -> Found:
        asked = {"q": query, "level": level, "order": order, "after": after, "limit": str(limit)}
        return await self._ask("GET", f"/views/{view}/search", Found, query=asked)

    async def counts(self, view: UUID, query: str = "") -> Counts:
        return await self._ask("GET", f"/views/{view}/counts", Counts, query={"q": query})

    async def search_table(self, view: UUID, query: str) -> bytes:
        """CSV in UTF-8, with a line for each file that fits."""

        async def once() -> bytes:
            path = f"/views/{view}/search.csv"
            async with self._exchange(
                "GET", path, query={"q": query}, accept=f"text/csv, {MSGPACK}"
            ) as response:
                return await self._read_all(response, MAX_ANSWER_BYTES)

        return await self._patiently(once)

    async def cohorts(self, view: UUID) -> Cohorts:
        return await self._ask("GET", f"/views/{view}/cohorts", Cohorts)

    async def make_cohort(self, view: UUID, asked: NewCohort) -> Cohort:
        """Never repeated by itself: the second would find the first one's folder."""
        return await self._ask("POST", f"/views/{view}/cohorts", Cohort, asked, repeat=False)

    async def remove_cohort(self, view: UUID, cohort: UUID) -> None:
        await self._tell("DELETE", f"/views/{view}/cohorts/{cohort}")

    async def labels(self, view: UUID, node: UUID) -> Labels:
        return await self._ask("GET", f"/views/{view}/nodes/{node}/labels", Labels)

    async def set_label(self, view: UUID, node: UUID, name: str, values: list[str]) -> LabelsChanged:
        path = f"/views/{view}/nodes/{node}/labels/{quote(name, safe='')}"
        return await self._ask("PUT", path, LabelsChanged, SetLabel(values=values))

    async def remove_label(self, view: UUID, node: UUID, name: str) -> LabelsChanged:
        path = f"/views/{view}/nodes/{node}/labels/{quote(name, safe='')}"
        return await self._ask("DELETE", path, LabelsChanged)

    async def label_kinds(self, view: UUID) -> LabelKinds:
        return await self._ask("GET", f"/views/{view}/label-kinds", LabelKinds)

    async def set_label_kind(self, view: UUID, name: str, asked: SetLabelKind) -> LabelKinds:
        path = f"/views/{view}/label-kinds/{quote(name, safe='')}"
        return await self._ask("PUT", path, LabelKinds, asked)

    async def remove_label_kind(self, view: UUID, name: str) -> None:
        await self._tell("DELETE", f"/views/{view}/label-kinds/{quote(name, safe='')}")

    async def withdraw(self, view: UUID, node: UUID) -> Withdrawn:
        return await self._ask("POST", f"/views/{view}/nodes/{node}/withdraw", Withdrawn)

    async def held(self, view: UUID, job: int, output: str = "") -> AsyncIterator[bytes]:
        """The cleaned output that waits, piece by piece.  Never repeated: it is made for this request."""
        path, query = f"/views/{view}/jobs/{job}/held", {"output": output}
        async with self._exchange(
            "GET", path, accept="*/*", query=query, stall_seconds=HELD_SECONDS
        ) as response:
            async for piece in response.content.iter_any():
                self.bytes_received += len(piece)
                yield piece

    # ---- chunks ----------------------------------------------------------------------------------------

    async def missing(self, view: UUID, missing: Missing) -> ToUpload:
        answer = await self._ask("POST", f"/views/{view}/missing", ToUpload, missing)
        if not _are_indexes(answer.wanted, len(missing.chunks) // CHUNK_ID_BYTES):
            raise _beside_the_question("missing")
        return answer

    async def upload(
        self, view: UUID, frames: Batches | Callable[[], Batches], *, replaces_bytes: int = 0
    ) -> Stored:
        """Send chunks as one stream.  replaces_bytes: so many of them are to take the place of what is there.

        Raises OverQuota: there is no room for them.  Those before are stored, and count until their lease ends.

        frames: lists of frames, each list written as soon as it is there.  An ordinary iterable is asked on
        the event loop, so it must not block.  Only a list of lists, or a callable that makes the frames anew,
        is sent again when the connection is lost.
        """
        if callable(frames):
            return await self._patiently(lambda: self._upload_once(view, frames(), replaces_bytes))
        if isinstance(frames, Sequence):
            return await self._patiently(lambda: self._upload_once(view, frames, replaces_bytes))
        return await self._upload_once(view, frames, replaces_bytes)

    async def content(self, view: UUID, wanted: WantedContent) -> AsyncGenerator[list[Frame], None]:
        """The frames of the wanted chunks, in order, as they come; the stream is whole when this ends.

        Who leaves early says so: `async with aclosing(api.content(…)) as stream`.
        Raises Unavailable: no answer after all tries, or the stream was cut after its first frames.
        """
        body = to_msgpack(wanted)
        tries = Tries(self._patience)
        while True:
            given = False
            try:
                async with aclosing(self._content_once(view, body)) as stream:
                    async for frames in stream:
                        given = True
                        yield frames
            except Unavailable as error:
                if given:
                    raise
                await tries.pause(error)
            else:
                return

    async def _upload_once(self, view: UUID, frames: Batches, replaces_bytes: int) -> Stored:
        body = UploadBody(frames, self._stall_seconds, self._count_sent, self.pace_up)
        pieces = body.pieces()
        path = f"/views/{view}/chunks" + (f"?replaces={replaces_bytes}" if replaces_bytes > 0 else "")
        try:
            async with (
                asyncio.timeout(None) as body.clock,
                self._exchange("POST", path, pieces, FRAMES) as response,
            ):
                stored = await self._decoded(response, Stored)
                if not _are_indexes(stored.damaged, body.frames_sent):
                    raise _beside_the_question("chunks")
                return stored
        except TimeoutError as error:
            raise self._unreachable("it stopped taking bytes") from error
        except Unavailable:
            if body.problem is not None:  # the frames could not be made: no fault of the network
                raise body.problem from None
            raise
        finally:
            body.clock = None
            with suppress(RuntimeError):  # aiohttp is just ending them itself
                await pieces.aclose()

    async def _content_once(self, view: UUID, body: bytes) -> AsyncGenerator[list[Frame], None]:
        reader = FrameReader()
        accept = f"{FRAMES}, {MSGPACK}"
        async with self._exchange("POST", f"/views/{view}/content", body, accept=accept) as response:
            if response.content_type != FRAMES:
                raise self._not_ours(f"it answers with {response.content_type}")
            try:
                while piece := await response.content.readany():
                    self.bytes_received += len(piece)
                    await self.pace_down.spend(len(piece))
                    if frames := reader.feed(piece):
                        yield frames
            except BadRequest as error:
                raise ServerFault(error.what, hint=error.hint) from error
            if not reader.finished:
                raise self._unreachable("the stream of chunks was cut")


def _are_indexes(numbers: Sequence[int], count: int) -> bool:
    """Each names one of `count` things, and none twice."""
    return all(0 <= number < count for number in numbers) and len(set(numbers)) == len(numbers)


def _beside_the_question(what: str) -> ServerFault:
    return ServerFault(
        f"The server's answer to {what} does not go with what it was asked",
        hint="Nothing was changed by it here; its operator must look at the server.",
    )
