"""Folders that are shared: by whom it may be done, with what role, who sees them.

Owns: these rules, for the resources behind them.  May import: sqlalchemy, protocol, server.access, server.spaces.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session

from protocol.errors import BadRequest, NotFound, Refused
from protocol.ids import NodeId
from protocol.messages import Kind
from protocol.sharing import CodeMade, NewCode, Seer, Share, WhoSees
from server.access import codes, grants
from server.access.ancestry import Above, folders_above, is_live
from server.access.rights import PROJECT, Action, Principal, ReadableView, Role, authorise

_ON_A_FOLDER = (Role.EDITOR, Role.READER, Role.METADATA)
_ON_A_PROJECT = (Role.OWNER, *_ON_A_FOLDER)


def share(
    session: Session, principal: Principal, view: ReadableView, node: NodeId, asked: Share, *, now_ms: int
) -> WhoSees:
    """Raises NotFound: no such folder in this view, or nobody of this name.

    Raises AccessDenied, Refused, BadRequest."""
    authorise(principal, Action.SHARE, view)
    _folder(session, view, node)
    known = _ON_A_PROJECT if view.kind == PROJECT and node == view.root else _ON_A_FOLDER
    if asked.role not in known:
        raise BadRequest(
            f"{asked.role[:20]!r} is no role that can be given here", hint=f"Choose {', '.join(known)}."
        )
    who = grants.find_somebody(session, asked.who, asked_by=principal.user)
    grants.give(session, view.space, node, who, Role(asked.role), by=principal.user, now_ms=now_ms)
    return who_sees(session, principal, view, node, now_ms=now_ms)


def make_code(
    session: Session,
    principal: Principal,
    view: ReadableView,
    node: NodeId,
    asked: NewCode,
    *,
    pin_hash: str | None,
    now_ms: int,
) -> CodeMade:
    """Raises NotFound: no such folder in this view.  Raises AccessDenied, Refused."""
    authorise(principal, Action.SHARE, view)
    _folder(session, view, node)
    return codes.make_code(session, principal, view.space, node, asked, pin_hash=pin_hash, now_ms=now_ms)


def unshare(
    session: Session, principal: Principal, view: ReadableView, node: NodeId, whose: UUID, *, now_ms: int
) -> WhoSees:
    """whose: a grant's, or a sync code.

    Raises NotFound: no such folder in this view, or nothing was given to them on it.  Raises AccessDenied."""
    authorise(principal, Action.SHARE, view)
    _folder(session, view, node)
    if not (
        grants.take_back(session, view.space, node, whose)
        or codes.revoke_code_on(session, view.space, node, whose, now_ms=now_ms)
    ):
        raise NotFound(
            "They were given nothing on this folder",
            hint="What was given on a folder above ends there: `mb-sync who` shows where.",
        )
    return who_sees(session, principal, view, node, now_ms=now_ms)


def who_sees(
    session: Session, principal: Principal, view: ReadableView, node: NodeId, *, now_ms: int
) -> WhoSees:
    """Everyone who can see a folder now, and where that came from.  Raises NotFound, AccessDenied."""
    authorise(principal, Action.PEOPLE, view)
    chain = _folder(session, view, node)
    paths = _paths(view, chain)
    return WhoSees(
        node=node,
        seers=[
            Seer(
                who=f"{seer.kind}:{seer.name}",
                role=seer.role.value,
                here=seer.depth == 0,
                on=paths.get(seer.on, ""),
                principal=seer.principal,
                people=[] if seer.principal is None else grants.people_of(session, seer.kind, seer.principal),
            )
            for seer in grants.who_sees(session, view.space, node)
        ]
        + [
            Seer(
                who=f"code:{code.name}",
                role=Role.READER.value,
                here=code.node == node.bytes,
                on=paths.get(code.node, ""),
                principal=code.id,
                people=[code.label] if code.label else [],
            )
            for code in codes.codes_on(session, view.space, [folder.id for folder in chain], now_ms=now_ms)
        ],
    )


def _folder(session: Session, view: ReadableView, node: NodeId) -> list[Above]:
    """The folder and what it lies in.

    Raises NotFound: it is not there, or not in this view.  Raises Refused: it is a file."""
    chain = folders_above(session, view.space, node)
    if not is_live(chain) or view.root.bytes not in (folder.id for folder in chain):
        raise NotFound("There is no such folder", hint="Look at the folder again.")
    if chain[0].kind != Kind.FOLDER.value:
        raise Refused("Only a folder can be shared", hint="Put the file into a folder and share that.")
    return chain


def _paths(view: ReadableView, chain: list[Above]) -> dict[bytes, str]:
    """Of the folders of this way that lie in the view, their paths in it; "/" is its root."""
    paths: dict[bytes, str] = {}
    path = ""
    for folder in reversed(chain):
        if folder.id == view.root.bytes:
            paths[folder.id] = "/"
        elif paths:
            path = f"{path}/{folder.name}"
            paths[folder.id] = path
    return paths
