"""What crosses the wire: the same in both codecs, strict about requests, lenient about answers."""

from __future__ import annotations

from uuid import UUID

import msgspec
import pytest

from protocol.errors import (
    AccessDenied,
    BadRequest,
    DeviceCloned,
    LocalProblem,
    MedicalBlocksError,
    NotFound,
    NotSignedIn,
    ServerFault,
    TooManyTries,
    Unavailable,
    error_from_wire,
)
from protocol.messages import (
    AnyOp,
    Changes,
    Commit,
    Content,
    Copy,
    Delete,
    DeleteTree,
    Feed,
    Kind,
    Make,
    Manifest,
    Move,
    Moved,
    NodeState,
    Part,
    Put,
    PutBack,
    Reset,
    ResetCause,
    Restore,
    Revision,
    WantedContent,
    to_json,
    to_msgpack,
)

ONE, TWO = UUID(int=1), UUID(int=2)
REVISION = Revision(1, 7)
FILE = Content(kind=Kind.FILE, manifest=Manifest(5, bytes(32), [5]), mtime_ns=-1, executable=True)
OPS: list[AnyOp] = [
    Make(node=ONE, parent=TWO, name="ä.dcm", content=FILE, conflict_of=TWO),
    Put(node=ONE, content_revision=REVISION, content=FILE, group=3),
    Move(node=ONE, place_revision=REVISION, parent=TWO, name="b"),
    Delete(node=ONE, place_revision=REVISION, content_revision=REVISION),
    DeleteTree(node=ONE, place_revision=REVISION, cursor="c"),
    Restore(node=ONE, place_revision=REVISION),
    Copy(node=ONE, parent=TWO, name="c", from_view=ONE, from_node=TWO, from_revision=REVISION),
    PutBack(
        node=ONE,
        parent=TWO,
        name="d",
        place_revision=REVISION,
        content_revision=REVISION,
        content=FILE,
        elsewhere=True,
    ),
]


def test_a_batch_is_the_same_in_both_codecs() -> None:
    batch = Commit(operation=ONE, number=4, ops=OPS)
    assert msgspec.msgpack.decode(to_msgpack(batch), type=Commit) == batch
    assert msgspec.json.decode(to_json(batch), type=Commit) == batch


def test_a_page_of_the_feed_is_the_same_in_both_codecs() -> None:
    state = NodeState(
        node=ONE,
        parent=TWO,
        name="a",
        place_revision=REVISION,
        content_revision=REVISION,
        place_operation=ONE,
        content_operation=TWO,
        content=FILE,
    )
    pages: list[Feed] = [
        Changes(nodes=[state], gone=[TWO], more=True, cursor="c"),
        Reset(cause=ResetCause.RESTORED, cursor=""),
    ]
    for page in pages:
        assert msgspec.msgpack.decode(to_msgpack(page), type=Changes | Reset) == page
        assert msgspec.json.decode(to_json(page), type=Changes | Reset) == page


def test_an_id_takes_16_bytes_in_messagepack() -> None:
    assert len(to_msgpack(ONE)) == 18  # two of them say what follows


def test_wanted_content_is_a_compact_list() -> None:
    through = Part(node=TWO, revision=REVISION, positions=[0, 5], through=True)
    wanted = WantedContent(parts=[Part(node=ONE, revision=REVISION), through])
    assert msgspec.msgpack.decode(to_msgpack(wanted), type=WantedContent) == wanted
    assert b"revision" not in to_msgpack(wanted)


@pytest.mark.parametrize(
    "change",
    [
        {"ops": []},
        {"number": -1},
        {"number": 2**63},
        {"operation": "no uuid"},
        {"more": 1},
        {"ops": [{"op": "burn", "node": str(ONE)}]},
        {
            "ops": [
                {"op": "make", "node": str(ONE), "parent": str(ONE), "name": "", "content": {"kind": "file"}}
            ]
        },
        {
            "ops": [
                {"op": "make", "node": str(ONE), "parent": str(ONE), "name": "a", "content": {"kind": "pipe"}}
            ]
        },
        {"ops": [{"op": "delete", "node": str(ONE), "place_revision": [1], "content_revision": [1, 2]}]},
        {"ops": [msgspec.to_builtins(OPS[5])] * 1_001},
    ],
)
def test_a_request_out_of_bounds_is_refused(change: dict[str, object]) -> None:
    good: dict[str, object] = {"operation": str(ONE), "number": 1, "ops": msgspec.to_builtins(OPS)}
    assert msgspec.convert(msgspec.to_builtins(Commit(operation=ONE, number=1, ops=OPS)), Commit)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(good | change), type=Commit)


def test_an_older_client_reads_the_answer_of_a_newer_server() -> None:
    newer = {"views": [], "generation": "g", "weather": "fine"}
    assert msgspec.json.decode(msgspec.json.encode(newer), type=Moved) == Moved(views=[], generation="g")


# ---- errors ----------------------------------------------------------------------------------------------


def every_error(kind: type[MedicalBlocksError] = MedicalBlocksError) -> list[type[MedicalBlocksError]]:
    return [kind] + [below for each in kind.__subclasses__() for below in every_error(each)]


def test_every_error_but_the_local_ones_comes_back_as_itself() -> None:
    kinds = [kind for kind in every_error()[1:] if not issubclass(kind, LocalProblem)]
    assert len(kinds) >= 12
    for kind in kinds:
        error = error_from_wire(kind.code, "It broke. Mend it.", kind.status)
        assert type(error) is kind
        assert str(error) == "It broke. Mend it."


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("device-cloned", 409, DeviceCloned),
        ("from-the-future", 401, NotSignedIn),
        ("from-the-future", 403, AccessDenied),
        ("from-the-future", 404, NotFound),
        ("from-the-future", 400, BadRequest),
        ("from-the-future", 429, TooManyTries),
        ("from-the-future", 503, Unavailable),
        ("from-the-future", 418, ServerFault),
        ("local", 500, ServerFault),
    ],
)
def test_an_unknown_code_becomes_the_class_of_its_status(
    code: str, status: int, kind: type[MedicalBlocksError]
) -> None:
    assert type(error_from_wire(code, "m", status)) is kind


def test_an_error_says_what_happened_and_then_what_to_do() -> None:
    error = TooManyTries("Too many tries", hint="Wait a minute.", retry_after_seconds=60)
    assert str(error) == "Too many tries. Wait a minute."
    assert error.retry_after_seconds == 60
