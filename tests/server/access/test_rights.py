"""The decision by itself: what each role gives, and that roles add up without ever leading into an intake."""

from __future__ import annotations

from itertools import chain, combinations
from uuid import uuid4

import pytest

from protocol.errors import AccessDenied, NotFound
from protocol.ids import DeviceId, NodeId, SpaceId, UserId, ViewId
from server.access.rights import (
    HOME,
    INTAKE,
    PROJECT,
    Action,
    Principal,
    ReadableView,
    Role,
    authorise,
    passed_on,
    rights_by,
    rights_of,
)

READ = {Action.METADATA, Action.READ, Action.PEOPLE}
WORK = READ | {Action.WRITE, Action.VERSIONS, Action.REVIEW}
GIVES = {
    Role.OWNER: set(Action),
    Role.EDITOR: WORK,
    Role.READER: READ,
    Role.METADATA: {Action.METADATA},
    Role.CLINICIAN: set[Action](),
    Role.REVIEWER: set[Action](),
}
ALL_SETS = list(chain.from_iterable(combinations(Role, count) for count in range(len(Role) + 1)))


def somebody(*, is_admin: bool = False) -> Principal:
    return Principal(UserId(uuid4()), "ben", DeviceId(uuid4()), "laptop", is_admin, 0)


def a_view(kind: str, *roles: Role, owner: UserId | None = None) -> ReadableView:
    return ReadableView(
        ViewId(uuid4()), SpaceId(1), NodeId(uuid4()), kind, "/somewhere", owner, frozenset(roles)
    )


@pytest.mark.parametrize("roles", ALL_SETS)
def test_roles_add_up(roles: tuple[Role, ...]) -> None:
    assert rights_by(roles, restricted=False) == set().union(*(GIVES[role] for role in roles))


@pytest.mark.parametrize("roles", ALL_SETS)
def test_an_intake_opens_to_clinicians_and_reviewers_alone_and_nobody_may_share_it(
    roles: tuple[Role, ...],
) -> None:
    works = WORK | {Action.WITHDRAW}
    clinician = works if Role.CLINICIAN in roles else set()
    reviewer = works | {Action.RELEASE} if Role.REVIEWER in roles else set()
    assert rights_by(roles, restricted=True) == clinician | reviewer
    assert rights_of(somebody(is_admin=True), a_view(INTAKE, *roles)) == rights_by(roles, restricted=True)


def test_a_home_is_its_owners_alone_whoever_administers() -> None:
    ben = somebody()
    assert rights_of(ben, a_view(HOME, owner=ben.user)) == set(Action)
    assert rights_of(somebody(is_admin=True), a_view(HOME, owner=ben.user)) == set()


def test_what_one_may_not_see_is_not_there_and_what_one_may_see_is_refused_by_name() -> None:
    for absent in (None, a_view(PROJECT), a_view(PROJECT, Role.CLINICIAN)):
        for action in Action:
            with pytest.raises(NotFound, match="There is no such view"):
                authorise(somebody(), action, absent)
    authorise(somebody(), Action.METADATA, a_view(PROJECT, Role.METADATA))
    with pytest.raises(AccessDenied, match="read"):
        authorise(somebody(), Action.READ, a_view(PROJECT, Role.METADATA))
    with pytest.raises(AccessDenied, match="versions"):
        authorise(somebody(), Action.VERSIONS, a_view(PROJECT, Role.READER))


def test_what_is_shared_with_a_project_is_not_read_by_those_who_do_not_read_there() -> None:
    assert passed_on(Role.EDITOR, Role.READER) is Role.EDITOR
    assert passed_on(Role.EDITOR, Role.METADATA) is Role.METADATA
    assert passed_on(Role.READER, Role.OWNER) is Role.READER
