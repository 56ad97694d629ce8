"""A server that means no good: the client stays alive, writes nothing outside its folder, and says so in `status`.

Each test gives the server one good file beside its malice where the two can be told apart: that one must arrive.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest
import zstandard
from aiohttp import web

from protocol.frames import HEAD, Codec, Frame, encode_frames, end_of_stream, frame_of
from protocol.ids import ChunkId
from protocol.messages import (
    FRAMES,
    MSGPACK,
    Changes,
    Content,
    Kind,
    Manifest,
    NodeState,
    Reset,
    ResetCause,
    Stored,
    ToUpload,
)
from sync_client.engine.engine import Engine
from sync_client.engine.trees import NO_NODE, PARKED
from tests.support.hostile_server import (
    ROOT,
    HostileServer,
    a_content,
    a_hostile_server,
    a_state,
    an_engine,
    commit_of,
    committed,
    reply,
)

SOON_SECONDS = 90.0
MIB = 1024 * 1024
LONG = float(os.environ.get("MB_BUDGET_SECONDS") or 0) >= 300
GOOD = b"the good file"


@pytest.fixture
async def server() -> AsyncIterator[HostileServer]:
    async with a_hostile_server() as running:
        yield running


async def soon(is_so: Callable[[], bool], what: str = "") -> None:
    ends = time.monotonic() + SOON_SECONDS
    while not is_so():
        assert time.monotonic() < ends, what
        await asyncio.sleep(0.02)


def told(engine: Engine) -> dict[str, str]:
    """Path → message of what `status` lists."""
    [folder] = engine.status()["folders"]
    return {problem["path"]: problem["message"] for problem in folder["problems"]}


def state_of(engine: Engine) -> str:
    return str(engine.status()["state"])


def everything(base: Path) -> set[str]:
    """All that lies below `base`, but for the client home and what MB-Sync keeps to itself."""
    found: set[str] = set()
    for folder, folders, files in os.walk(base):
        folders[:] = [name for name in folders if name not in {".mb-sync", "home"}]
        found |= {str(Path(folder, name).relative_to(base)) for name in (*folders, *files)}
    return found


# ---- names and trees -------------------------------------------------------------------------------------

BAD_NAMES = [
    "..",
    ".",
    "",
    "../outside",
    "a/../../outside",
    "/outside",
    "nul\0byte",
    "line\nbreak",
    ".mb-sync",
    ".MB-SYNC",
    "C:\\outside",
    "x" * 256,
    "ü" * 128,
    "y" * 1_000_000,
]


async def test_no_name_leads_out_of_the_folder_and_each_is_told(
    server: HostileServer, tmp_path: Path
) -> None:
    (tmp_path / "bystander").write_bytes(b"mine")
    for name in BAD_NAMES:
        server.add(name, b"evil")
        folder = a_state(name)
        server.states = [*server.states, folder]
        server.data[hashlib.sha256(b"below").digest()] = b"below"
        server.states = [*server.states, a_state("below", parent=folder.node, content=a_content(b"below"))]
    server.add("good.txt", GOOD)
    async with an_engine(server, tmp_path) as engine:
        await soon(lambda: state_of(engine) == "attention", "the problems are shown")
        assert (tmp_path / "here" / "good.txt").read_bytes() == GOOD
        problems = engine.status()["folders"][0]["problems"]
        assert sum(problem["code"] == "refused-here" for problem in problems) == 2 * len(BAD_NAMES)
        assert all(len(problem["path"]) < 1_000 and "\n" not in problem["path"] for problem in problems)
    assert everything(tmp_path) == {"bystander", "here", "here/good.txt"}
    async with an_engine(server, tmp_path) as engine:  # the feed does not tell it again, `status` does
        await soon(lambda: state_of(engine) == "attention", "the problems are still shown")


async def test_a_refused_entry_that_is_put_right_is_followed(server: HostileServer, tmp_path: Path) -> None:
    bad = server.add("..", GOOD)
    async with an_engine(server, tmp_path) as engine:
        await soon(lambda: state_of(engine) == "attention")
    server.pages = lambda cursor: Changes(
        nodes=[a_state("good.txt", node=bad.node, content=bad.content, revision=2)]
        if cursor == "end"
        else [],
        more=False,
        cursor="later",
    )
    async with an_engine(server, tmp_path) as engine:
        await soon(lambda: state_of(engine) == "synced")
    assert everything(tmp_path) == {"here", "here/good.txt"}


async def test_trees_that_are_none_are_named_and_the_rest_goes_on(
    server: HostileServer, tmp_path: Path
) -> None:
    deep = [a_state("d") for _ in range(300)]
    chain = [
        msgspec.structs.replace(state, parent=deep[at - 1].node if at else ROOT)
        for at, state in enumerate(deep)
    ]
    server.states = [
        a_state("orphan", parent=uuid4()),
        a_state("reserved", node=NO_NODE),
        a_state("parked", node=PARKED),
        a_state("in the waiting room", parent=PARKED),
        a_state("twin", content=a_content(b"1")),
        a_state("TWIN", content=a_content(b"2")),
        *chain,
    ]
    server.data = {hashlib.sha256(text).digest(): text for text in (b"1", b"2")}
    server.add("good.txt", GOOD)
    async with an_engine(server, tmp_path) as engine:
        await soon(lambda: (tmp_path / "here" / "good.txt").exists(), "the good file came")
        await soon(lambda: state_of(engine) == "attention", "the rest is shown")
        assert {"?/orphan", "TWIN", "reserved", "parked", "in the waiting room"} <= set(told(engine))
    assert {path.split("/")[0] for path in everything(tmp_path)} == {"here"}


async def test_folders_that_lie_in_each_other_are_never_made_nor_called_synced(
    server: HostileServer, tmp_path: Path
) -> None:
    one, two = uuid4(), uuid4()
    server.states = [
        a_state("circle one", node=one, parent=two),
        a_state("circle two", node=two, parent=one),
        a_state("own parent", node=UUID(int=77), parent=UUID(int=77)),
    ]
    server.add("good.txt", GOOD)
    async with an_engine(server, tmp_path) as engine:
        await soon(lambda: (tmp_path / "here" / "good.txt").exists(), "the good file came")
        await soon(lambda: {"?/circle one", "?/own parent"} <= set(told(engine)), "they are named")
        assert state_of(engine) == "attention"
        rounds = engine.syncs[1].rounds_ended
        await asyncio.sleep(1.5)
        assert engine.syncs[1].rounds_ended <= rounds + 3, "what comes to nothing is tried for ever"
    assert everything(tmp_path) == {"here", "here/good.txt"}


# ---- contents --------------------------------------------------------------------------------------------


async def test_manifests_of_absurd_sizes_take_no_disk_and_stop_nobody(
    server: HostileServer, tmp_path: Path
) -> None:
    chunks, lengths = hashlib.sha256(b"x").digest() * 2_000, [4 * MIB] * 2_000
    huge = [
        Manifest(2**63 - 1, b"1" * 32, [5]),
        Manifest(2**62, b"1" * 32, [36], indirect=True),
        Manifest(5, b"1" * 31, [5]),
        Manifest(5, b"1" * 64, [5]),
        Manifest(10, b"1" * 32, [5, 5]),
        Manifest(
            2_000 * 4 * MIB, chunks, lengths
        ),  # 8 GiB of one chunk: true to itself, and no chunk is that long
    ]
    server.states = [
        a_state(f"huge {n}", content=Content(kind=Kind.FILE, manifest=one)) for n, one in enumerate(huge)
    ]
    server.data[hashlib.sha256(b"x").digest()] = b"x"
    server.add("good.txt", GOOD)
    async with an_engine(server, tmp_path) as engine:
        await soon(lambda: (tmp_path / "here" / "good.txt").exists(), "the good file came")
        await soon(lambda: len(told(engine)) == len(huge), "each is shown")
    assert everything(tmp_path) == {"here", "here/good.txt"}
    assert list((tmp_path / "here" / ".mb-sync" / "tmp").iterdir()) == []


async def test_a_file_larger_than_the_disk_is_refused_before_a_byte_is_asked_for(
    server: HostileServer, tmp_path: Path
) -> None:
    disk = os.statvfs(tmp_path)
    records = disk.f_bavail * disk.f_frsize // (4 * MIB) + 1
    size = records * 4 * MIB
    leaf = hashlib.sha256(b"x").digest() + (4 * MIB).to_bytes(4, "little")
    table = leaf * records
    cut = [table[at : at + 36 * 100_000] for at in range(0, len(table), 36 * 100_000)]
    manifest = Manifest(
        size, b"".join(hashlib.sha256(part).digest() for part in cut), list(map(len, cut)), indirect=True
    )
    server.states = [a_state("larger", content=Content(kind=Kind.FILE, manifest=manifest))]
    server.data = {hashlib.sha256(part).digest(): part for part in cut}
    async with an_engine(server, tmp_path) as engine:
        await soon(lambda: "larger" in told(engine), "it is shown")
        assert "No space left" in told(engine)["larger"]
    assert os.statvfs(tmp_path).f_bavail > disk.f_bavail * 0.8
    assert everything(tmp_path) == {"here"}


async def test_links_and_times_that_no_disk_holds_are_named(server: HostileServer, tmp_path: Path) -> None:
    server.add("nul", b"a\0b", kind=Kind.LINK)
    server.add("empty", b"", kind=Kind.LINK)
    server.add("long", b"x" * 4_097, kind=Kind.LINK)
    server.add("out", b"../../../etc/passwd", kind=Kind.LINK)
    server.add("past.txt", b"past", mtime_ns=-(2**63))
    server.add("future.txt", b"future", mtime_ns=2**63 - 1)
    server.add("good.txt", GOOD)
    async with an_engine(server, tmp_path) as engine:
        await soon(lambda: (tmp_path / "here" / "good.txt").exists(), "the good file came")
        await soon(lambda: {"nul", "empty", "long"} <= set(told(engine)), "each is shown")
    assert os.readlink(tmp_path / "here" / "out") == "../../../etc/passwd"  # text, and never followed
    assert (tmp_path / "here" / "past.txt").read_bytes() == b"past"


async def test_nothing_is_written_through_a_link_that_the_server_put_there(
    server: HostileServer, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    link = server.add("way", str(tmp_path / "outside").encode(), kind=Kind.LINK)
    server.add("good.txt", GOOD)
    evil = a_state("evil", parent=link.node, content=a_content(b"evil"))
    server.states = [*server.states, evil]
    server.data[hashlib.sha256(b"evil").digest()] = b"evil"
    async with an_engine(server, tmp_path) as engine:
        await soon(lambda: (tmp_path / "here" / "good.txt").exists())
        await soon(lambda: bool(told(engine)))
    assert list((tmp_path / "outside").iterdir()) == []


Sender = Callable[[bytes], bytes]


def a_stream(*frames: Frame) -> bytes:
    return HEAD + encode_frames(frames) + end_of_stream(len(frames))


def lying(chunk: bytes, data: bytes) -> bytes:
    return a_stream(Frame(ChunkId(chunk), Codec.PLAIN, len(data), data))


def a_bomb(chunk: bytes) -> bytes:
    payload = zstandard.ZstdCompressor().compress(bytes(512 * MIB))
    return a_stream(Frame(ChunkId(chunk), Codec.ZSTD, len(payload), payload))


@pytest.mark.parametrize(
    "sent",
    [
        lambda chunk: lying(chunk, b"other bytes"),
        lambda chunk: lying(hashlib.sha256(b"other").digest(), b"other"),
        lambda chunk: lying(chunk, b"long" * MIB),
        lambda chunk: a_stream(),
        lambda chunk: a_stream(*[frame_of(ChunkId(chunk), b"wanted")] * 3),
        lambda chunk: HEAD + b"\x00\xff\xff\xff\xff\xff\xff\xff\xff" + bytes(32),
        lambda chunk: HEAD + b"\x63" + bytes(40),
        lambda chunk: b"<html>" * 1_000,
        lambda chunk: b"",
        a_bomb,
    ],
    ids=["bytes", "id", "length", "none", "more", "4 GiB", "codec", "page", "nothing", "bomb"],
)
async def test_bytes_that_are_not_what_was_asked_for_are_never_a_file(
    server: HostileServer, tmp_path: Path, sent: Sender
) -> None:
    wanted = server.add("wanted.txt", b"wanted")
    assert wanted.content is not None
    body = sent(wanted.content.manifest.chunks)

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type=FRAMES)

    server.answers["/content"] = answer
    async with an_engine(server, tmp_path) as engine:
        await soon(lambda: bool(told(engine)) or state_of(engine) == "offline", "it is shown")
        assert state_of(engine) != "synced"
    assert everything(tmp_path) == {"here"}
    assert list((tmp_path / "here" / ".mb-sync" / "tmp").iterdir()) == []


# ---- answers ---------------------------------------------------------------------------------------------


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": MSGPACK})
    await response.prepare(request)
    with_nulls = b"\xdd\x7f\xff\xff\xff" + b"\xc0" * MIB
    for _ in range(1_000):
        await response.write(with_nulls)
    return response


async def with_wrong_length(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": MSGPACK, "Content-Length": "1000000"})
    await response.prepare(request)
    await response.write(b"\x80")
    if request.transport is not None:
        request.transport.close()
    return response


async def elsewhere(request: web.Request) -> web.StreamResponse:
    raise web.HTTPTemporaryRedirect(location="http://192.0.2.1/steal")


def always(body: bytes, **headers: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type=MSGPACK, headers=headers)

    return answer


BOMB = zstandard.ZstdCompressor().compress(bytes(512 * MIB))


@pytest.mark.parametrize(
    "answer",
    [
        endless,
        with_wrong_length,
        elsewhere,
        always(b"\x91" * 1_000_000),
        always(b"[" * 1_000_000),
        always(b"\xdd\xff\xff\xff\xff"),
        always(BOMB, **{"Content-Encoding": "zstd"}),
        always(b"\x80", **{"Content-Encoding": "gzip"}),
        always(b""),
    ],
    ids=["endless", "length", "redirect", "deep", "json", "4 G items", "bomb", "gzip", "empty"],
)
async def test_answers_that_are_none_change_nothing_and_are_shown(
    server: HostileServer, tmp_path: Path, answer: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> None:
    async with an_engine(server, tmp_path) as engine:
        await soon(lambda: state_of(engine) == "synced")
        (tmp_path / "here" / "mine.txt").write_bytes(b"mine")
        server.answers["/changes"] = server.answers["/commit"] = server.answers["/missing"] = answer
        engine.syncs[1].server_moved()
        await soon(lambda: state_of(engine) in {"error", "offline"}, "it is shown")
        assert (tmp_path / "here" / "mine.txt").read_bytes() == b"mine"
        server.answers.clear()
        await soon(lambda: state_of(engine) == "synced", "it heals when the server does")


async def test_answers_beside_the_question_are_refused(server: HostileServer, tmp_path: Path) -> None:
    async def commit(request: web.Request) -> web.Response:
        return reply(committed(await commit_of(request), count=3))

    async def missing(request: web.Request) -> web.Response:
        return reply(ToUpload(wanted=[0, 1_000_000]))

    async def chunks(request: web.Request) -> web.Response:
        await request.read()
        return reply(Stored(stored=1, damaged=[-1, 99]))

    async with an_engine(server, tmp_path) as engine:
        await soon(lambda: state_of(engine) == "synced")
        for number, (path, handler) in enumerate(
            (("/missing", missing), ("/chunks", chunks), ("/commit", commit))
        ):
            server.answers = {path: handler}
            (tmp_path / "here" / f"{number}.bin").write_bytes(os.urandom(200_000))
            engine.syncs[1].disk_moved({()})
            await soon(lambda: state_of(engine) == "error", f"{path} is shown")
            assert "does not go with" in " ".join(told(engine).values())
        server.answers = {}
        await soon(lambda: state_of(engine) == "synced", "it heals when the server does")


async def test_a_feed_that_goes_in_circles_is_told(server: HostileServer, tmp_path: Path) -> None:
    good = server.add("good.txt", GOOD)
    turns = {"": "one", "one": "two", "two": "one"}
    server.pages = lambda cursor: Changes(nodes=[good], more=True, cursor=turns[cursor])
    async with an_engine(server, tmp_path) as engine:
        await soon(lambda: "circles" in " ".join(told(engine).values()))
        assert len(server.asked) < 100
        server.pages = lambda cursor: Reset(cause=ResetCause.PURGED, cursor=cursor)
        await soon(lambda: "anew" in " ".join(told(engine).values()))
        assert len(server.asked) < 200
        server.pages = None
        await soon(lambda: state_of(engine) == "synced", "it heals when the server does")
    assert (tmp_path / "here" / "good.txt").read_bytes() == GOOD


async def test_what_a_server_says_reaches_no_terminal_as_it_is(server: HostileServer, tmp_path: Path) -> None:
    words = "\x1b]0;owned\x07\x1b[2J\u202eevil" + "x" * 50_000
    body = msgspec.msgpack.encode({"error": "refused", "message": words})

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type=MSGPACK, status=409)

    server.answers["/changes"] = answer
    async with an_engine(server, tmp_path) as engine:
        await soon(lambda: state_of(engine) == "error")
        [message] = told(engine).values()
    assert message.isprintable()
    assert len(message) < 10_000


async def test_a_million_children_are_taken_in_by_pages_in_bounded_memory(
    server: HostileServer, tmp_path: Path
) -> None:
    """In CI fewer; they never come to an end, so that nothing of them may reach the disk."""
    pages, page = (500 if LONG else 10), 2_000
    states = [a_state(f"{n:07}") for n in range(page)]

    def feed(cursor: str) -> Changes:
        number = int(cursor or "0")
        nodes = [
            msgspec.structs.replace(
                state, node=UUID(int=(number + 1) << 32 | at), name=f"{number:05} {at:05}"
            )
            for at, state in enumerate(states)
        ]
        return Changes(nodes=nodes, more=True, cursor=f"{number + 1}")

    server.pages = feed
    async with an_engine(server, tmp_path) as engine:
        await soon(lambda: engine.syncs[1].folder.cursor == "2" or bool(told(engine)), "two pages")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        ends = time.monotonic() + (3_000 if LONG else 60)
        while int(engine.syncs[1].folder.cursor) < pages:
            assert time.monotonic() < ends
            await asyncio.sleep(0.05)
        grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown_kib < (300 if LONG else 100) * 1024
        assert state_of(engine) != "synced"
    assert everything(tmp_path) == {"here"}


def test_states_of_this_file_are_what_a_page_holds() -> None:
    """A guard against a support file that says less than it means to."""
    page = Changes(nodes=[a_state(".."), a_state("x", deleted=True)], more=False, cursor="")
    again = msgspec.msgpack.decode(msgspec.msgpack.Encoder(uuid_format="bytes").encode(page), type=Changes)
    assert [type(state) for state in again.nodes] == [NodeState, NodeState]
