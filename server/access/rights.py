"""Who may do what with a view: the one function that decides it.

Owns: principals, the views that a decision is about, actions, the decision.  Pure.
May import: protocol.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from protocol.errors import AccessDenied, NotFound
from protocol.ids import DeviceId, NodeId, SpaceId, UserId, ViewId


class Action(Enum):
    """The values are the words of `View.rights` on the wire."""

    READ = "read"
    WRITE = "write"
    VERSIONS = "versions"  # superseded contents, and the trash
    SHARE = "share"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a token speaks for, found anew for each request."""

    user: UserId
    user_name: str
    device: DeviceId
    device_name: str
    is_admin: bool
    last_seen_at_ms: int


@dataclass(frozen=True, slots=True)
class ReadableView:
    """A root node and the subtree below it, which this principal may at least read."""

    id: ViewId
    space: SpaceId
    root: NodeId
    kind: str
    name: str
    owner: UserId


_ALL = frozenset(Action)
_NONE: frozenset[Action] = frozenset()


def rights_of(principal: Principal, view: ReadableView) -> frozenset[Action]:
    """A home belongs to its owner alone; being an administrator gives no right to anyone's files."""
    if view.kind == "home" and view.owner == principal.user:
        return _ALL
    return _NONE


def authorise(principal: Principal, action: Action, view: ReadableView | None) -> None:
    """Raises NotFound: no such view, or not yours: never told apart.
    Raises AccessDenied: yours to read, but not for this."""
    rights = _NONE if view is None else rights_of(principal, view)
    if Action.READ not in rights:
        raise NotFound("There is no such view", hint="Look at the list of your views.")
    if action not in rights:
        raise AccessDenied(
            f"You may not do this here ({action.value})", hint="Ask whoever owns the folder for the right."
        )
