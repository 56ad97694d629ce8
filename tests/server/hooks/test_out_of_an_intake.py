"""For every role: what lies in an intake is neither moved, copied, restored nor dragged out of it."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from itertools import count
from pathlib import Path
from uuid import UUID, uuid4

from protocol.errors import AccessDenied, MedicalBlocksError, NotFound
from protocol.messages import (
    AnyOp,
    Content,
    Copy,
    Delete,
    Kind,
    Make,
    Move,
    Put,
    PutBack,
    Restore,
    Revision,
    Status,
)
from server.access.projects import Template, create_project, give_role
from server.access.rights import IN_AN_INTAKE, Role
from tests.server.http.test_sharing import FIRST, FOLDER, Person
from tests.support.server import mb_server
from tests.support.service import a_service, manifest_of

NAMED = b"names a patient"
DELETED = b"names a patient whose file is in the trash"
ROLES: dict[str, frozenset[Role]] = {
    "admin": frozenset(),  # of the server: its administration gives no right to any file
    **{role.value: frozenset({role}) for role in Role},
    **{f"{role.value}-clinician": frozenset({role, Role.CLINICIAN}) for role in Role},
    "all": frozenset(Role),
}
NUMBERS = count(50_000)
INTAKE = "/Projects/Nerves/Intake"


async def test_nobody_brings_a_file_out_of_an_intake(tmp_path: Path) -> None:
    async with a_service(tmp_path / "data", users=("admin", "clin", *list(ROLES)[1:])) as server:
        now_ms = server.service.clock()
        with server.service.database.writing() as session:
            create_project(session, "Nerves", Template.IMAGING, now_ms=now_ms)
            give_role(session, "Nerves", "user:clin", Role.CLINICIAN, now_ms=now_ms)
            for who, roles in ROLES.items():
                for role in roles:
                    give_role(session, "Nerves", f"user:{who}", role, now_ms=now_ms)
        clin = await Person(await server.sign_in("clin")).look_at(INTAKE)
        named = await clin.file("Meier^Anna", NAMED)
        deleted = await clin.file("Muster^Hans", DELETED)
        await clin.follow()
        await clin.do(Delete(node=deleted, place_revision=FIRST, content_revision=FIRST))
        for who, roles in ROLES.items():
            person = Person(await server.sign_in(who))
            assert (INTAKE in await person.views()) is bool(roles & IN_AN_INTAKE), who
            await tries_everything(person, clin, named, deleted, sees_it=bool(roles & IN_AN_INTAKE))
        listed = await asyncio.to_thread(
            mb_server, "manifest", "--data", server.data, "--versions", "--trash"
        )
        assert listed.returncode == 0, listed.stderr
        hashes = {hashlib.sha256(data).hexdigest() for data in (NAMED, DELETED)}
        found = [line for line in listed.stdout.splitlines() if line.split()[0] in hashes]
        assert len(found) == 2
        assert all(f"{INTAKE}/" in line for line in found)


async def tries_everything(
    person: Person, clin: Person, named: UUID, deleted: UUID, *, sees_it: bool
) -> None:
    """Each way out, into each place that this person may see, asked for in that place and in the intake."""
    for name in await person.views():
        if name == INTAKE:
            continue
        place = await person.look_at(name)
        assert place.caller.view is not None
        out: UUID = uuid4()
        made = Make(node=out, parent=place.caller.view.root, name="mine", content=FOLDER)
        if await outcome(place, made) is not Status.DONE:
            out = place.caller.view.root  # where one may only read
        mine: UUID = uuid4()
        content = Content(kind=Kind.FILE, manifest=manifest_of())
        await outcome(place, Make(node=mine, parent=out, name="mine too", content=content))
        for op, data in ways_out(clin, named, deleted, out, mine):
            if data is not None and not sees_it:
                continue  # who has these bytes from elsewhere, and may put them here, learns nothing by it
            for person_at in (place, await at_the_intake(person, clin)):
                if data is not None:
                    with suppress(AccessDenied, NotFound):
                        await person_at.caller.upload(data)
                assert await outcome(person_at, op) is not Status.DONE, (name, type(op).__name__)


def ways_out(
    clin: Person, named: UUID, deleted: UUID, out: UUID, mine: UUID
) -> list[tuple[AnyOp, bytes | None]]:
    """Each operation that could bring a file there, and the bytes that it would have to be uploaded with."""
    assert clin.caller.view is not None
    intake = clin.caller.view.view
    tombstone = Revision(1, 2)
    copy = {"parent": out, "from_view": intake, "from_revision": FIRST}
    ways: list[tuple[AnyOp, bytes | None]] = [
        (Move(node=named, place_revision=FIRST, parent=out, name="moved"), None),
        (Copy(node=uuid4(), name="copied", from_node=named, **copy), None),  # type: ignore[arg-type] # its own fields
        (Copy(node=uuid4(), name="copied", from_node=deleted, **copy), None),  # type: ignore[arg-type]
        (Restore(node=deleted, place_revision=tombstone, parent=out, name="restored"), None),
    ]
    for data in (NAMED, DELETED):
        content = Content(kind=Kind.FILE, manifest=manifest_of(data))
        known = {"place_revision": Revision(0, 1), "content_revision": Revision(0, 1)}  # of before a restore
        ways += [
            (Make(node=uuid4(), parent=out, name="dragged", content=content), data),
            (Put(node=mine, content_revision=FIRST, content=content), data),
            (PutBack(node=uuid4(), parent=out, name="put back", content=content, **known), data),  # type: ignore[arg-type]
        ]
    return ways


async def at_the_intake(person: Person, clin: Person) -> Person:
    """This person's device, asking for the intake's view whether it may or not."""
    other = Person(type(person.caller)(person.caller.url, person.caller.client, token=person.caller.token))
    other.caller.view = clin.caller.view
    return other


async def outcome(person: Person, op: AnyOp) -> Status | type[MedicalBlocksError]:
    person.caller.batches = next(NUMBERS)  # of one device, wherever it commits
    try:
        return await person.try_to(op)
    except (AccessDenied, NotFound) as error:
        return type(error)
