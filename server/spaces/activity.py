"""Who did what in a view, made from the log for people.

Owns: who may see which deeds, which of them concern what can be seen in the view now, what is told as one.
May import: sqlalchemy, protocol, server.access, server.audit, server.database, server.spaces.

The log holds no names; the tree has them.  So a deed is told by what its nodes are called in this view now, and
what the asker cannot see there now (moved out, never in, purged) is not told of, not even counted.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.errors import AccessDenied
from protocol.ids import NodeId
from protocol.resources import Deed
from server.access.rights import Action, Principal, ReadableView, authorise, rights_of
from server.audit.reading import latest_rows
from server.audit.rows import Did, unpack_nodes
from server.database.session import in_groups
from server.database.tables import AuditRow, CodeDeviceRow, CodeRow, DeviceRow, UserRow
from server.spaces.rows import load_with_ancestors
from server.spaces.staging import StagedNode

LOOK_AT_ROWS = 1_000  # of the log for one page, and so many nodes that they name
LOOK_AT_NODES = 10_000
TOGETHER_MS = 10 * 60 * 1_000

_CHANGES = frozenset(
    {Did.IMPORT, Did.CHANGE, Did.MOVE, Did.DELETE, Did.RESTORE, Did.COPY, Did.PUT_BACK, Did.RESOLVE}
    | {Did.RELEASE, Did.REJECT, Did.RETRY, Did.LABEL, Did.COHORT}
)
_FOR_OWNERS = {
    "reads": frozenset({Did.READ, Did.DOWNLOAD, Did.LOOK, Did.FIND}),
    "rights": frozenset({Did.SHARE, Did.UNSHARE, Did.CODE}),
    "denials": frozenset({Did.ASK}),
}
KINDS = ("changes", *_FOR_OWNERS)
_WITH_DETAIL = _FOR_OWNERS["rights"]
_DONE = "done"


def activity_of(
    session: Session,
    principal: Principal,
    view: ReadableView,
    within: NodeId,
    *,
    before: int,
    limit: int,
    kind: str = "",
) -> tuple[list[Deed], int]:
    """The latest first, and where the page before them begins; 0: nowhere.

    within: only what lies in this folder, or is this file.  Raises AccessDenied.
    """
    authorise(principal, Action.PEOPLE, view)
    rights = rights_of(principal, view)
    dids = _words(kind, may_share=Action.SHARE in rights)
    stretch = latest_rows(session, view.space, dids, before=before, look_at=LOOK_AT_ROWS, nodes=LOOK_AT_NODES)
    named = {node for row in stretch.rows for node, _, _ in unpack_nodes(row.nodes)}
    tree = load_with_ancestors(session, view.space, named)
    paths = _Paths(tree, view.root.bytes, within.bytes, with_deleted=Action.VERSIONS in rights)
    shows_all = view.is_whole and within == view.root and Action.SHARE in rights
    told: list[_Told] = []
    open_ones: dict[tuple[object, ...], _Told] = {}
    last = stretch.next
    for at, row in enumerate(stretch.rows):
        if not _is_wanted(kind, is_done=row.result == _DONE, may_share=Action.SHARE in rights):
            continue
        seen = paths.of(node for node, _, _ in unpack_nodes(row.nodes))
        nameless = 0 if seen or row.result == _DONE or not shows_all else row.count
        if not seen and not nameless:
            continue
        same = _sameness(row)
        one = open_ones.get(same)
        if one is None or one.since_ms - row.at_ms > TOGETHER_MS:
            if len(told) == limit:
                last = stretch.rows[at - 1].sequence
                break
            one = open_ones[same] = _Told(row, row.at_ms)
            told.append(one)
        one.since_ms = min(one.since_ms, row.at_ms)
        one.paths.update(seen)
        one.nameless += nameless
    names = _Names.of(session, told)
    return [one.deed(names) for one in told], last


def _words(kind: str, *, may_share: bool) -> frozenset[Did]:
    if kind in _FOR_OWNERS and not may_share:
        raise AccessDenied(
            "Only an owner of the folder sees who read, shared or was refused", hint="Ask for the changes."
        )
    if kind == "changes" or not may_share:
        return _CHANGES
    if kind == "denials":
        return (
            _FOR_OWNERS[kind] | _CHANGES
        )  # what a batch was refused stands under the word for what it wanted
    return _FOR_OWNERS[kind] if kind else _CHANGES.union(*_FOR_OWNERS.values())


def _is_wanted(kind: str, *, is_done: bool, may_share: bool) -> bool:
    if kind:
        return is_done is (kind != "denials")
    return is_done or may_share


def _sameness(row: AuditRow) -> tuple[object, ...]:
    """Deeds that agree in it are told as one."""
    return row.did, row.result, row.actor, row.device, row.detail


# ---- what can be seen ------------------------------------------------------------------------------------


class _Paths:
    """Of the nodes that lie in this view now; each way up is walked once."""

    def __init__(
        self, tree: dict[bytes, StagedNode], root: bytes, within: bytes, *, with_deleted: bool
    ) -> None:
        self._tree = tree
        self._within = within
        self._with_deleted = with_deleted
        self._known: dict[bytes, tuple[str, bool] | None] = {root: ("", within == root)}

    def of(self, nodes: Iterable[bytes]) -> set[str]:
        return {found[0] or "/" for node in nodes if (found := self._find(node)) and found[1]}

    def _find(self, node: bytes) -> tuple[str, bool] | None:
        """Its path, and whether it lies in the folder that is asked for; None: it cannot be seen."""
        way: list[StagedNode] = []
        while node not in self._known:
            row = self._tree.get(node)
            if row is None or (row.is_deleted and not self._with_deleted) or row.parent == node:
                self._known[node] = None
                break
            way.append(row)
            node = row.parent
        found = self._known[node]
        for row in reversed(way):
            if found is not None:
                found = f"{found[0]}/{row.name}", found[1] or row.id == self._within
            self._known[row.id] = found
        return found


# ---- what is told ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Told:
    """The latest row of those that are told as one, and what they name together."""

    latest: AuditRow
    since_ms: int
    paths: set[str] = field(default_factory=set)
    nameless: int = 0

    def deed(self, names: _Names) -> Deed:
        row = self.latest
        detail = ""
        if row.did in _WITH_DETAIL:
            detail = row.detail
        elif row.did == Did.ASK:
            detail = row.detail.partition(" view=")[0]  # the route; ids say nothing to people
        return Deed(
            at_ms=row.at_ms,
            since_ms=self.since_ms,
            did=row.did,
            who=names.who(row),
            device=names.devices.get(row.device or b"", ""),
            path=posixpath.commonpath(self.paths) if self.paths else "",
            count=len(self.paths) + self.nameless,
            result=row.result,
            detail=detail,
        )


@dataclass(frozen=True, slots=True)
class _Names:
    """By their ids.  by_code: of devices, the code that they hold."""

    people: dict[bytes, str]
    devices: dict[bytes, str]
    by_code: dict[bytes, str]

    @classmethod
    def of(cls, session: Session, told: Iterable[_Told]) -> _Names:
        names = cls({}, {}, {})
        rows = [one.latest for one in told]
        for actors in in_groups({row.actor for row in rows if row.actor}):
            users = session.execute(select(UserRow.id, UserRow.name).where(UserRow.id.in_(actors)))
            names.people.update((one.id, one.name) for one in users)
            codes = session.execute(select(CodeRow.id, CodeRow.name).where(CodeRow.id.in_(actors)))
            names.people.update((one.id, f"code:{one.name}") for one in codes)
        for devices in in_groups({row.device for row in rows if row.device}):
            own = session.execute(select(DeviceRow.id, DeviceRow.name).where(DeviceRow.id.in_(devices)))
            names.devices.update((one.id, one.name) for one in own)
            holders = session.execute(
                select(CodeDeviceRow.id, CodeDeviceRow.name, CodeRow.name.label("code"))
                .join(CodeRow, CodeRow.id == CodeDeviceRow.code)
                .where(CodeDeviceRow.id.in_(devices))
            )
            for one in holders:
                names.devices[one.id] = one.name
                names.by_code[one.id] = f"code:{one.code}"
        return names

    def who(self, row: AuditRow) -> str:
        """Whoever redeems a code stands in the log under its maker, with a device of the code."""
        return self.by_code.get(row.device or b"") or self.people.get(row.actor or b"", "")
