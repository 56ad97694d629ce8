"""What a page of the feed may hold, and what is left out of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import ServerFault
from protocol.ids import NodeId
from protocol.limits import MAX_INDIRECT_BYTES, MAX_LINK_BYTES
from protocol.messages import Changes, Content, Kind, Manifest, NodeState, Revision
from protocol.names import refusal
from sync_client.engine.intake import MAX_CURSOR_CHARACTERS, MAX_EMPTY_PAGES, FeedCheck, why_not
from sync_client.engine.trees import NO_NODE, PARKED
from tests.support.followed import a_node

ROOT, MANY, FIRST = a_node(), a_node(), Revision(1, 1)
ONE = b"1" * 32


def a_state(
    name: str = "a.dcm", *, node: NodeId = MANY, parent: NodeId = ROOT, content: Content | None = None
) -> NodeState:
    return NodeState(
        node=node,
        parent=parent,
        name=name,
        place_revision=FIRST,
        content_revision=FIRST,
        place_operation=MANY,
        content_operation=MANY,
        content=content or Content(kind=Kind.FILE, manifest=Manifest(5, ONE, [5])),
    )


def a_content(kind: Kind, size: int, chunks: bytes, lengths: list[int], *, indirect: bool = False) -> Content:
    return Content(kind=kind, manifest=Manifest(size, chunks, lengths, indirect))


def test_an_ordinary_state_is_believed() -> None:
    assert why_not(a_state()) is None
    assert why_not(a_state("", parent=NO_NODE, content=Content(kind=Kind.FOLDER))) is None


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "/etc/passwd", "../x", "a\0b", ".mb-sync", ".MB-Sync", "x" * 256, "\ud800"]
)
def test_a_name_that_leads_elsewhere_is_left_out(name: str) -> None:
    assert why_not(a_state(name)) is not None


@given(st.text(max_size=300))
def test_the_names_that_are_believed_are_those_that_the_rules_allow(name: str) -> None:
    assert (why_not(a_state(name)) is None) == (refusal(name) is None)


@pytest.mark.parametrize("node", [NO_NODE, PARKED])
def test_our_own_ids_are_nobody_elses(node: NodeId) -> None:
    assert why_not(a_state(node=node)) is not None
    assert why_not(a_state(parent=PARKED)) is not None


@pytest.mark.parametrize(
    "content",
    [
        a_content(Kind.FILE, 5, ONE[:31], [5]),
        a_content(Kind.FILE, 5, ONE, []),
        a_content(Kind.FILE, 5, ONE + ONE, [5]),
        a_content(Kind.FILE, 6, ONE, [5]),
        a_content(Kind.FILE, 2**63 - 1, ONE, [5]),
        a_content(Kind.FILE, 5, b"", []),
        a_content(Kind.FOLDER, 5, ONE, [5]),
        a_content(Kind.LINK, 0, b"", []),
        a_content(Kind.LINK, MAX_LINK_BYTES + 1, ONE, [MAX_LINK_BYTES + 1]),
        a_content(Kind.FILE, 100, ONE, [35], indirect=True),
        a_content(Kind.FILE, 1, ONE, [72], indirect=True),
        a_content(Kind.FILE, 2**62, b"", [], indirect=True),
        a_content(Kind.FILE, 2**62, ONE * 17, [4 * 1024 * 1024 - 16] * 17, indirect=True),
    ],
)
def test_a_manifest_that_contradicts_itself_is_left_out(content: Content) -> None:
    assert why_not(a_state(content=content)) is not None


def test_the_bounds_of_links_and_indirect_manifests_are_exact() -> None:
    assert why_not(a_state(content=a_content(Kind.LINK, MAX_LINK_BYTES, ONE, [MAX_LINK_BYTES]))) is None
    length = 4 * 1024 * 1024 - 4 * 1024 * 1024 % 36
    full, last = divmod(MAX_INDIRECT_BYTES - MAX_INDIRECT_BYTES % 36, length)
    lengths = [length] * full + [last]
    size = sum(lengths)
    assert (
        why_not(a_state(content=a_content(Kind.FILE, size, ONE * len(lengths), lengths, indirect=True)))
        is None
    )
    lengths[-1] += 36
    assert why_not(a_state(content=a_content(Kind.FILE, size, ONE * len(lengths), lengths, indirect=True)))


# ---- pages that lead nowhere -----------------------------------------------------------------------------


def a_page(cursor: str, *, more: bool, nodes: int = 1) -> Changes:
    return Changes(nodes=[a_state()] * nodes, more=more, cursor=cursor)


def test_pages_that_lead_on_and_end_are_fine() -> None:
    check = FeedCheck("")
    for number in range(1_000):
        check.page(a_page(f"{number}", more=True))
    check.page(a_page("999", more=False))


@pytest.mark.parametrize("back_to", ["start", "5", "9"])
def test_a_cursor_that_goes_back_is_a_circle(back_to: str) -> None:
    check = FeedCheck("start")
    for number in range(10):
        check.page(a_page(f"{number}", more=True))
    with pytest.raises(ServerFault, match="circles"):
        check.page(a_page(back_to, more=True))


def test_pages_without_anything_may_not_go_on_for_ever() -> None:
    check = FeedCheck("")
    for number in range(MAX_EMPTY_PAGES):
        check.page(a_page(f"{number}", more=True, nodes=0))
    with pytest.raises(ServerFault, match="circles"):
        check.page(a_page("last", more=True, nodes=0))


def test_resets_may_not_go_on_for_ever() -> None:
    check = FeedCheck("")
    for _ in range(3):
        check.reset("")
    with pytest.raises(ServerFault, match="anew"):
        check.reset("")


def test_a_cursor_has_a_length() -> None:
    FeedCheck("").page(a_page("x" * MAX_CURSOR_CHARACTERS, more=True))
    with pytest.raises(ServerFault, match="characters"):
        FeedCheck("").page(a_page("x" * (MAX_CURSOR_CHARACTERS + 1), more=True))
