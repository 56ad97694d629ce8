"""Who may do what: the one function that decides it.

Owns: principals, roles and what each gives, the views that a decision is about, the decision.  Pure.
May import: protocol.

Roles are granted on a folder and hold for all below it; those of one person add up.  An intake holds identified
data: only `clinician` and `reviewer` count there, and they count nowhere else, so that no other role ever leads
into one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, StrEnum

from protocol.errors import AccessDenied, NotFound
from protocol.ids import DeviceId, NodeId, SpaceId, UserId, ViewId

HOME = "home"
PROJECT = "project"
INTAKE = "intake"  # of a space and of its view: restricted from its creation on
FOLDER = "folder"  # of a view only


class Action(Enum):
    """The values are the words of `View.rights` on the wire."""

    METADATA = "metadata"  # names and kinds; no manifest, size or time
    READ = "read"
    WRITE = "write"
    VERSIONS = "versions"  # superseded contents, and the trash
    SHARE = "share"
    PEOPLE = "people"  # who else can see it, and who made what
    REVIEW = "review"  # what blocks held back or could not do, and why; reject it, have it done again
    RELEASE = "release"  # let pass what a block held back
    RULES = "rules"  # which blocks work on the files here
    WITHDRAW = "withdraw"  # take a file out together with all that blocks made of it


class Role(StrEnum):
    OWNER = "owner"
    EDITOR = "editor"
    READER = "reader"
    METADATA = "metadata"
    CLINICIAN = "clinician"
    REVIEWER = "reviewer"  # a clinician who may also release


IN_AN_INTAKE = frozenset({Role.CLINICIAN, Role.REVIEWER})


_NONE: frozenset[Action] = frozenset()
_READS = frozenset({Action.METADATA, Action.READ, Action.PEOPLE})
_WORK = _READS | {Action.WRITE, Action.VERSIONS, Action.REVIEW}
_GIVES = {
    Role.OWNER: frozenset(Action),
    Role.EDITOR: _WORK,
    Role.READER: _READS,
    Role.METADATA: frozenset({Action.METADATA}),
    Role.CLINICIAN: _NONE,
    Role.REVIEWER: _NONE,
}
_IN_INTAKE = _WORK | {Action.WITHDRAW}
_GIVES_IN_AN_INTAKE = {Role.CLINICIAN: _IN_INTAKE, Role.REVIEWER: _IN_INTAKE | {Action.RELEASE}}
_GIVEN_BY_A_CODE = frozenset({Action.METADATA, Action.READ})


@dataclass(frozen=True, slots=True)
class Opened:
    """What a sync code opens, and until when: one folder, to be read."""

    space: SpaceId
    root: NodeId
    ends_at_ms: int


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a token speaks for, found anew for each request.

    opened: by the sync code that the token came from; None for a user.  `user`, `user_name` are then those of the
    code, and `device` is a name that the server gave to whoever redeemed it.
    """

    user: UserId
    user_name: str
    device: DeviceId
    device_name: str
    is_admin: bool
    last_seen_at_ms: int
    opened: Opened | None = None


@dataclass(frozen=True, slots=True)
class ReadableView:
    """A root node and the subtree below it, as one principal sees it.

    owner: of the home that it is or lies in.  roles: all that this principal holds on the root or above it.
    is_whole: the root is that of its space, so that nothing of the space lies outside.
    """

    id: ViewId
    space: SpaceId
    root: NodeId
    kind: str
    name: str
    owner: UserId | None = None
    roles: frozenset[Role] = frozenset()
    is_whole: bool = True

    @property
    def is_restricted(self) -> bool:
        return self.kind == INTAKE


def rights_of(principal: Principal, view: ReadableView) -> frozenset[Action]:
    """A home belongs to its owner alone until it is shared; being an administrator gives no right to anyone's
    files.  A sync code opens its one folder, also where it lies in one that is shared, or holds one."""
    roles, opened = view.roles, principal.opened
    if opened is not None:
        if (opened.space, opened.root) != (view.space, view.root):
            return _NONE
        return rights_by(roles, restricted=view.is_restricted) & _GIVEN_BY_A_CODE
    if view.owner is not None and view.owner == principal.user:
        roles = roles | {Role.OWNER}
    return rights_by(roles, restricted=view.is_restricted)


def rights_by(roles: Iterable[Role], *, restricted: bool) -> frozenset[Action]:
    """What these roles, held on a node or above it, give there together."""
    gives = _GIVES_IN_AN_INTAKE if restricted else _GIVES
    return _NONE.union(*(gives.get(role, _NONE) for role in roles))


def passed_on(role: Role, member: Role) -> Role:
    """What a member of a project gets of a role that was given to the project: who may not read there does not
    read here."""
    return role if Action.READ in _GIVES[member] else Role.METADATA


def authorise(principal: Principal, action: Action, view: ReadableView | None) -> None:
    """Raises NotFound: no such view, or not yours: never told apart.
    Raises AccessDenied: yours to see, but not for this."""
    rights = _NONE if view is None else rights_of(principal, view)
    if Action.METADATA not in rights:
        raise NotFound("There is no such view", hint="Look at the list of your views.")
    if action not in rights:
        raise AccessDenied(
            f"You may not do this here ({action.value})", hint="Ask whoever owns the folder for the right."
        )


def authorise_person(principal: Principal) -> None:
    """For what belongs to a user's account.  Raises AccessDenied: it is a sync code that asks."""
    if principal.opened is not None:
        raise AccessDenied("A sync code has no account", hint="Sign in as a user for this.")
