"""The views that a token sees.

Owns: finding them with the roles that count in each, their names, the list; one answer for "absent" and "not yours".
May import: sqlalchemy, protocol, server.access, server.database.

A view's rights are those of its root: what was granted on it and on the folders above it.  What was granted on a
folder further down is a view of its own.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import bindparam, or_, select
from sqlalchemy.orm import Session

from protocol.ids import NodeId, SpaceId, UserId, ViewId
from protocol.messages import View, Views
from protocol.names import name_key
from server.access.ancestry import Above, folders_above, is_live
from server.access.cursors import START, Cursors
from server.access.grants import Roles, roles_held
from server.access.rights import FOLDER, HOME, Action, Principal, ReadableView, Role, authorise, rights_of
from server.chunks.possession import unfinished
from server.database.facts import epoch_of
from server.database.session import AnyRow, in_groups, rows_of_sql
from server.database.tables import ProjectRow, SpaceRow, UserRow, ViewRow

SHARED = "/Shared"
_COLUMNS = (ViewRow.id, ViewRow.space, ViewRow.root, ViewRow.kind, ViewRow.name, ViewRow.owner)
_NAMED = (  # always a row, so that it takes no longer to find one
    "SELECT id, space, root, kind, name, owner FROM views WHERE id = ?"
    " UNION ALL SELECT x'', 0, x'', '', '', x'' LIMIT 1"
)
_NONE: frozenset[Role] = frozenset()
_LISTED = (
    select(
        *_COLUMNS,
        SpaceRow.used_bytes,
        SpaceRow.quota_bytes,
        UserRow.name.label("of_user"),
        ProjectRow.name.label("of_project"),
    )
    .join(SpaceRow, SpaceRow.id == ViewRow.space)
    .outerjoin(UserRow, UserRow.id == ViewRow.owner)
    .outerjoin(ProjectRow, ProjectRow.space == ViewRow.space)
)
_HOME_OF = _LISTED.where(ViewRow.owner == bindparam("user"), ViewRow.kind == HOME)


def readable_view(
    session: Session, principal: Principal, view: ViewId, action: Action = Action.METADATA
) -> ReadableView:
    """Raises NotFound: absent, deleted or not yours.  Raises AccessDenied: yours, but not for this action."""
    [row] = rows_of_sql(session, _NAMED, view.bytes)
    kind, is_owner, roles = row.kind, row.owner == principal.user.bytes, _NONE
    if kind == HOME and is_owner:
        is_there = True
    else:  # the same work for what is absent and for what is not theirs
        roles = _roles_in(session, row, _held_by(session, principal))
        is_there = bool(roles) or (kind == FOLDER and is_owner and _is_there(session, row))
    found = replace(_value(row), roles=roles) if is_there else None
    authorise(principal, action, found)
    assert found is not None
    return found


def _held_by(session: Session, principal: Principal) -> Roles:
    """A sync code holds what it opens, whoever was given what."""
    if principal.opened is not None:
        return {(principal.opened.space, principal.opened.root.bytes): frozenset({Role.READER})}
    return roles_held(session, principal.user)


def _roles_in(session: Session, row: AnyRow, held: Roles) -> frozenset[Role]:
    """Those that count on the root of this view; none if it is deleted, or a folder above it is."""
    if row.kind != FOLDER:
        return held.get((row.space, row.root), _NONE)
    if not any(space == row.space for space, _ in held):
        return _NONE
    chain = folders_above(session, SpaceId(row.space), NodeId(UUID(bytes=row.root)))
    return _roles_on(row.space, chain, held) if is_live(chain) else _NONE


def _is_there(session: Session, row: AnyRow) -> bool:
    return is_live(folders_above(session, SpaceId(row.space), NodeId(UUID(bytes=row.root))))


def _roles_on(space: SpaceId, chain: Sequence[Above], held: Roles) -> frozenset[Role]:
    return _NONE.union(*(held.get((space, folder.id), _NONE) for folder in chain))


# ---- the list --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Listed:
    view: ReadableView
    used_bytes: int
    quota_bytes: int | None
    whose: str  # the owner of the home, or the project, that a shared folder lies in


def views_of(
    session: Session,
    principal: Principal,
    cursors: Cursors,
    *,
    default_quota: int | None = None,
    now_ms: int = 0,
) -> Views:
    """All that this principal sees, by name.  default_quota: of a space without a quota of its own.
    now_ms: leases that end later count as unfinished uploads."""
    start = START.of_epoch(epoch_of(session))
    views = []
    for listed in _named(_all_seen(session, principal)):
        found = listed.view
        rights = rights_of(principal, found)
        shows_size = found.is_whole and Action.PEOPLE in rights
        quota = _quota(listed, default_quota) if shows_size else None
        views.append(
            View(
                view=found.id,
                name=found.name,
                kind=found.kind,
                root=found.root,
                rights=[action.value for action in Action if action in rights],
                cursor=cursors.seal(found.id, start),
                used_bytes=listed.used_bytes if shows_size else 0,
                quota_bytes=quota,
                unfinished_bytes=0
                if quota is None
                else unfinished(session, found.space, now_ms).growing_bytes,
            )
        )
    views.sort(key=lambda view: (view.name, view.view))
    return Views(user=principal.user_name, generation=_generation(views), views=views)


def views_with(session: Session, principal: Principal, action: Action) -> list[ReadableView]:
    """Those in which this principal has this right, by name; one that lies within another is left out."""
    seen = [
        one.view for one in _named(_all_seen(session, principal)) if action in rights_of(principal, one.view)
    ]
    whole = {view.space for view in seen if view.is_whole}
    return sorted(
        (view for view in seen if view.is_whole or view.space not in whole), key=lambda view: view.name
    )


def _quota(listed: _Listed, default: int | None) -> int | None:
    return default if listed.quota_bytes is None else listed.quota_bytes


def _all_seen(session: Session, principal: Principal) -> list[_Listed]:
    """Their home, and whatever has a live root on which they were given a role."""
    held = _held_by(session, principal)
    rows = list(session.execute(_HOME_OF, {"user": principal.user.bytes}))
    for spaces in in_groups({space for space, _ in held}):
        given = _LISTED.where(
            ViewRow.space.in_(spaces), or_(ViewRow.owner.is_(None), ViewRow.owner != principal.user.bytes)
        )
        rows += [row for row in session.execute(given) if (row.space, row.root) in held]
    found: list[_Listed] = []
    for row in rows:
        view: ReadableView | None = _value(row)
        assert view is not None
        if not view.is_whole:
            chain = folders_above(session, view.space, view.root)
            if not is_live(chain):
                continue
            view = replace(view, name=chain[0].name, roles=_roles_on(view.space, chain, held))
        elif view.kind != HOME:
            view = replace(view, roles=held[view.space, view.root.bytes])
        if Action.METADATA in rights_of(principal, view):
            found.append(_Listed(view, row.used_bytes, row.quota_bytes, row.of_user or row.of_project or ""))
    return found


def _named(seen: Sequence[_Listed]) -> list[_Listed]:
    """Shared folders of one name are told apart by whose they are, and then by a number."""
    names = Counter(name_key(one.view.name) for one in seen if one.view.kind == FOLDER)
    taken: set[str] = set()
    named: list[_Listed] = []
    for one in sorted(seen, key=lambda one: one.view.id):
        if one.view.kind != FOLDER:
            named.append(one)
            continue
        name = one.view.name
        if names[name_key(name)] > 1:
            name = f"{name} ({one.whose})"
        wanted, count = name, 1
        while name_key(name) in taken:
            count += 1
            name = f"{wanted} {count}"
        taken.add(name_key(name))
        named.append(replace(one, view=replace(one.view, name=f"{SHARED}/{name}")))
    return named


def _generation(views: list[View]) -> str:
    """Changes when the list does; not with what is inside the views."""
    seen = "\n".join(
        f"{view.view} {view.kind} {view.root} {' '.join(view.rights)} {view.name}" for view in views
    )
    return hashlib.sha256(seen.encode()).hexdigest()[:32]


def _value(row: AnyRow) -> ReadableView:
    return ReadableView(
        id=ViewId(UUID(bytes=row.id)),
        space=SpaceId(row.space),
        root=NodeId(UUID(bytes=row.root)),
        kind=row.kind,
        name=row.name,
        owner=None if row.owner is None else UserId(UUID(bytes=row.owner)),
        is_whole=row.kind != FOLDER,
    )
