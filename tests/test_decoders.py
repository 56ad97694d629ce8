"""Whatever comes from outside: each decoder answers bytes of any kind with a value or an error that it declares.

In bounded time and memory: 0.1 s of this thread and 64 MiB for an input of some kilobytes.  Inputs are true ones with
a few bytes changed, cut or repeated, since those get further than noise does, and noise.
MB_SEED chooses which; MB_BUDGET_SECONDS makes them many (`make test-long`).
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
import zstandard
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from protocol.bodies import accepts_zstd, expanded
from protocol.errors import BadRequest, ContentDamaged, LocalProblem, TooLarge
from protocol.frames import HEAD, FrameReader, encode_frames, end_of_stream, frame_of, open_frame
from protocol.ids import ChunkId, NodeId, ViewId, parse_chunk_id, parse_node_id, split_chunk_ids
from protocol.manifests import check_shape, content_digest, read_records, write_records
from protocol.messages import (
    AnyOp,
    Changes,
    Commit,
    Committed,
    Content,
    Delete,
    Kind,
    Login,
    Make,
    Manifest,
    Missing,
    NodeState,
    OpResult,
    Part,
    Reset,
    Revision,
    Status,
    Wait,
    WantedContent,
    Watched,
    to_json,
    to_msgpack,
)
from protocol.names import Os, from_disk, is_junk, name_key, path_refusal, refusal, shown, to_disk, unportable
from protocol.server_address import server_address
from server.access.cursors import Cursors, Position
from server.config import SETTINGS_FILE, load_settings
from server.http.exchange import understood
from server.http.ranges import Unsatisfiable, asked_range, attachment, matches
from sync_client.control_server import ControlServer
from sync_client.engine.disk import FollowedRoot
from sync_client.engine.intake import why_not
from sync_client.engine.marker import read_marker
from sync_client.home import ClientHome, read_account, read_identity

SEED = int(os.environ.get("MB_SEED") or 1)
EXAMPLES = int(float(os.environ.get("MB_BUDGET_SECONDS") or 0) * 50) or 60
MIB = 1024 * 1024
MAX_INPUT_BYTES = 16 * 1024
MAX_SECONDS, MAX_MEMORY_BYTES = 0.1, 64 * MIB
ID = UUID(int=7)
FIRST = Revision(1, 1)
CURSORS = Cursors(bytes(32))

Decode = Callable[[bytes], object]


@dataclass(frozen=True)
class Decoder:
    """errors: those that its documentation names."""

    decode: Decode
    errors: tuple[type[Exception], ...]
    samples: tuple[bytes, ...]


def text_of(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


# ---- true inputs -----------------------------------------------------------------------------------------

CHUNK = hashlib.sha256(b"x").digest()
FILE = Content(kind=Kind.FILE, manifest=Manifest(1, CHUNK, [1]), mtime_ns=-1)
OPS: list[AnyOp] = [
    Make(node=ID, parent=ID, name="a.dcm", content=FILE, group=1),
    Delete(node=ID, place_revision=FIRST, content_revision=FIRST),
]
REQUESTS: tuple[Any, ...] = (
    Login(user="ada", password="secret", device=ID, device_name="laptop"),
    Wait(views=[Watched(view=ID, cursor="x")]),
    Missing(chunks=CHUNK),
    WantedContent(parts=[Part(node=ID, revision=FIRST, positions=[0, 1], through=True)]),
    Commit(operation=ID, number=3, ops=OPS, cursor="x"),
)
STATE = NodeState(
    node=ID,
    parent=ID,
    name="ü/..",
    place_revision=FIRST,
    content_revision=FIRST,
    place_operation=ID,
    content_operation=ID,
    content=FILE,
)
FEED = (Changes(nodes=[STATE], more=True, cursor="c"), Reset(cause="rights", cursor="c"))  # type: ignore[arg-type]  # as on the wire
STREAM = (
    HEAD
    + encode_frames([frame_of(ChunkId(CHUNK), b"x"), frame_of(ChunkId(CHUNK), bytes(9_000))])
    + end_of_stream(2)
)
ZSTD = zstandard.ZstdCompressor().compress(bytes(100_000))
RECORDS = write_records([(ChunkId(CHUNK), 5), (ChunkId(CHUNK), 4 * MIB)])


# ---- decoders --------------------------------------------------------------------------------------------


TOO_LONG = refusal("x" * 256)


def names(data: bytes) -> object:
    name = text_of(data[:1_000])  # one of more than 255 is refused before anything else is done with it
    why = refusal(name)
    if why is None:
        assert name.encode()
        assert name_key(name)
        for system in Os:
            spelled = to_disk(name, system)
            if system is Os.WINDOWS:  # limits units of UTF-16; a quoted sign costs more bytes than units
                assert len(spelled.encode("utf-16-le")) // 2 <= 255
                assert refusal(spelled) in (None, TOO_LONG)
            else:
                assert refusal(spelled) is None
            assert from_disk(spelled, system) == name
    assert path_refusal(name.split("/")) is None or len(data) > 127
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown(name))
    return unportable(name), is_junk(name), why


def a_feed_page(data: bytes) -> object:
    page = msgspec.msgpack.decode(data, type=Changes | Reset)
    if isinstance(page, Changes):
        for state in page.nodes:
            if why_not(state) is None and state.content is not None and not state.deleted:
                assert state.parent == UUID(int=0) or refusal(state.name) is None
                assert check_shape(state.content.manifest) == ""
                content_digest(state.content.manifest)
    return page


def frames(data: bytes) -> object:
    reader, opened = FrameReader(), []
    step = 1 + data[-1] * 17 if data else 1
    for at in range(0, len(data), step):
        for frame in reader.feed(data[at : at + step]):
            with suppress(ContentDamaged):
                opened.append(len(open_frame(frame)))
    reader.close()
    return opened


def a_manifest(data: bytes) -> object:
    manifest = msgspec.msgpack.decode(data, type=Manifest)
    if check_shape(manifest) == "":
        assert len(split_chunk_ids(manifest.chunks)) == len(manifest.lengths)
    return content_digest(manifest)


def a_range(data: bytes) -> object:
    header = text_of(data)
    attachment(header.encode("utf-8", "replace").decode())
    accepts_zstd(header)
    matches(header, '"x"')
    span = asked_range(header, 1_000)
    assert span is None or 0 <= span.first < span.end <= 1_000
    return span


def a_question(data: bytes) -> object:
    return ControlServer(Path("/nowhere"), None, unix=True)._opened(data)  # type: ignore[arg-type]  # nothing is handled


DECODERS: dict[str, Decoder] = {
    "name": Decoder(
        names, (), (b"a.dcm", "Grüße ﬀ.nii.gz".encode(), b"CON.txt ", "\uf03a".encode(), b"../..")
    ),
    "ids": Decoder(
        lambda data: (parse_node_id(text_of(data)), parse_chunk_id(text_of(data))),
        (BadRequest,),
        (str(ID).encode(), CHUNK.hex().encode()),
    ),
    "feed": Decoder(
        a_feed_page, (msgspec.DecodeError, UnicodeDecodeError, RecursionError), tuple(map(to_msgpack, FEED))
    ),
    "answer to a batch": Decoder(
        lambda data: msgspec.msgpack.decode(data, type=Committed | Reset),
        (msgspec.DecodeError, UnicodeDecodeError, RecursionError),
        (to_msgpack(Committed(operation=ID, results=[OpResult(status=Status.DONE, place_revision=FIRST)])),),
    ),
    "frames": Decoder(frames, (BadRequest,), (STREAM, STREAM[:-45])),
    "manifest": Decoder(
        a_manifest, (msgspec.DecodeError, BadRequest), (to_msgpack(FILE.manifest), to_msgpack(Manifest()))
    ),
    "records": Decoder(
        lambda data: list(read_records(data, size=5 + 4 * MIB)), (ContentDamaged,), (RECORDS, RECORDS[:36])
    ),
    "zstd": Decoder(
        lambda data: expanded(data, "zstd", max_bytes=8 * MIB),
        (BadRequest, TooLarge),
        (ZSTD, zstandard.ZstdCompressor(write_content_size=False).compress(b"x" * 900)),
    ),
    "cursor": Decoder(
        lambda data: CURSORS.open(ViewId(ID), text_of(data)),
        (BadRequest,),
        (CURSORS.seal(ViewId(ID), Position(1, 2, 3)).encode(),),
    ),
    "range": Decoder(
        a_range, (Unsatisfiable,), (b"bytes=0-5", b"bytes=-5", b'"x", W/"y"', b"gzip, zstd;q=0.5")
    ),
    "address": Decoder(
        lambda data: server_address(text_of(data)),
        (LocalProblem,),
        (b"https://[::1]:8080/a", b"http://127.0.0.1:1"),
    ),
    "question": Decoder(a_question, (BadRequest,), (b'{"do": "status", "secret": ""}\n', b'["do"]\n')),
}


def a_request(message: msgspec.Struct, *, packed: bool) -> Decoder:
    kind = type(message)
    sample = to_msgpack(message) if packed else to_json(message)
    return Decoder(lambda data: understood(data, kind, packed=packed), (BadRequest,), (sample,))


for request in REQUESTS:
    DECODERS[f"{type(request).__name__} in msgpack"] = a_request(request, packed=True)
    DECODERS[f"{type(request).__name__} in JSON"] = a_request(request, packed=False)


# ---- inputs ----------------------------------------------------------------------------------------------


def changed(sample: bytes, chance: random.Random) -> bytes:
    """`sample` with a few bytes changed, cut out, repeated or put in."""
    data = bytearray(sample)
    for _ in range(chance.randint(0, 6)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(6):
            case 0:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                data[at : at + chance.randrange(1, 9)] = b""
            case 2:
                data[at:at] = data[at : at + chance.randrange(1, 99)] * chance.randrange(1, 20)
            case 3:
                data[at : at + 4] = chance.choice(EDGES)
            case 4:
                del data[at:]
            case 5:
                data[at:at] = chance.choice(OPENERS) * chance.choice((1, 33, 5_000))
    return bytes(data[:MAX_INPUT_BYTES])


EDGES = (
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\0\0\0\0",
    b"\xdd\xff\xff\xff\xff",
    b"\xcb\x7f\xf8\0\0\0\0\0\0",
    b"-1",
)
OPENERS = (b"[", b"{", b"\x91", b'{"a":', b"\xc1", b"\0", "\u202e".encode(), b"\xed\xa0\x80")


def tried(decoder: Decoder, data: bytes) -> None:
    """Decode, within the bounds.  Time is this thread's own, and the best of three: a collection may fall into one."""
    for last in (False, False, True):
        tracemalloc.reset_peak()
        before, began = tracemalloc.get_traced_memory()[0], time.thread_time()
        with suppress(*decoder.errors):
            decoder.decode(data)
        seconds = time.thread_time() - began
        assert tracemalloc.get_traced_memory()[1] - before < MAX_MEMORY_BYTES
        if seconds < MAX_SECONDS:
            return
        assert not last, f"{seconds:.2f} s for {len(data)} bytes"


@pytest.fixture(autouse=True)
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def fuzz(decoder: Decoder) -> None:
    @seed(SEED)
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 2**32), st.binary(max_size=200))
    def run(number: int, noise: bytes) -> None:
        for data in (noise, *(changed(sample, random.Random(number)) for sample in decoder.samples)):
            tried(decoder, data)

    run()


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_gives_a_value_or_an_error_that_it_declares(name: str) -> None:
    fuzz(DECODERS[name])


@pytest.mark.parametrize("name", DECODERS)
def test_its_samples_are_true_ones(name: str) -> None:
    """Else the fuzzing above would only see refusals."""
    if name == "ids":
        parse_node_id(str(ID))
        parse_chunk_id(CHUNK.hex())
    else:
        DECODERS[name].decode(DECODERS[name].samples[0])


# ---- files -----------------------------------------------------------------------------------------------

CONFIG = f"""device = "{ID}"
[account]
server = "https://x.example"
user = "ada"
device_name = "laptop"
"""


def test_a_damaged_config_or_token_of_a_client_is_told(tmp_path: Path) -> None:
    home = ClientHome(tmp_path)

    def config(data: bytes) -> object:
        home.config.write_bytes(data)
        home.token.write_bytes(b"mbt_x\n")
        read_identity(home)
        return read_account(home)

    def token(data: bytes) -> object:
        home.config.write_text(CONFIG)
        home.token.write_bytes(data)
        account = read_account(home)
        assert account.token.isascii()
        assert account.token.isprintable()  # it goes into a header
        return account

    assert config(CONFIG.encode())
    assert token(b"mbt_aZ09-_\n")
    fuzz(Decoder(config, (LocalProblem,), (CONFIG.encode(),)))
    fuzz(Decoder(token, (LocalProblem,), (b"mbt_aZ09-_\n", b"x" * 2_000, b"a\r\nX-Evil: 1")))


def test_a_damaged_server_toml_is_told(tmp_path: Path) -> None:
    def load(data: bytes) -> object:
        (tmp_path / SETTINGS_FILE).write_bytes(data)
        return load_settings(tmp_path, environment={}, flags={})

    sample = b'listen = "127.0.0.1:0"\nbehind_proxy = true\nlog_level = "info"\nshutdown_seconds = 1.5\n'
    assert load(sample)
    fuzz(Decoder(load, (LocalProblem,), (sample,)))


def test_a_damaged_marker_is_told(tmp_path: Path) -> None:
    marker = tmp_path / ".mb-sync" / "marker.json"
    marker.parent.mkdir()
    true = json.dumps(
        {
            "view": str(ID),
            "node": str(NodeId(ID)),
            "server": str(ID),
            "follow": str(ID),
            "generation": 3,
            "format": 1,
        }
    ).encode()
    with FollowedRoot(tmp_path) as root:

        def read(data: bytes) -> object:
            marker.write_bytes(data)
            found = read_marker(root)
            assert found is None or 0 <= found.generation < 2**63  # it is counted on, and kept in a database
            return found

        assert read(true)
        fuzz(Decoder(read, (LocalProblem,), (true,)))
        for data in (b"", b"[" * 60_000, true.replace(b"3", b"-1"), true.replace(b"3", b"1" + b"0" * 30)):
            with pytest.raises(LocalProblem):
                read(data)
