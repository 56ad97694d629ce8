"""Every route, asked by everybody, about everything: each answer is the one that this table says.

A route that has no row here fails the test.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from protocol.catalog import NewCohort, SetLabel, SetLabelKind
from protocol.errors import NotFound
from protocol.frames import HEAD, end_of_stream
from protocol.hooks import ChangeRule, NewRule, Release
from protocol.ids import ViewId
from protocol.messages import (
    FRAMES,
    Commit,
    Content,
    Kind,
    Login,
    Make,
    Missing,
    Part,
    Problem,
    Revision,
    Wait,
    WantedContent,
)
from protocol.sharing import CodeMade, LookAtCode, NewCode, Redeem, Redeemed, Share
from server.access.devices import principal_of
from server.access.views import readable_view
from server.http.table import ROUTES
from tests.server.http.test_sharing import Person
from tests.support.server import PASSWORD, mb_server
from tests.support.service import Caller, ServiceUnderTest, a_service
from tests.support.times_apart import PAIRS, tell_apart

FIRST = Revision(1, 1)

# ---- the table -------------------------------------------------------------------------------------------

OPEN, SIGNED_IN, PERSON = "open", "signed in", "a person who is signed in"
NEEDS = {  # each route: open to all, to whoever is signed in, to a user alone, or to who has this right in the view
    "GET /openapi.json": OPEN,
    "GET /api/v1/hello": OPEN,
    "POST /api/v1/login": OPEN,
    "POST /api/v1/redeem": OPEN,
    "POST /api/v1/codes/look": OPEN,
    "POST /api/v1/logout": SIGNED_IN,
    "GET /api/v1/devices": PERSON,
    "DELETE /api/v1/devices/{device}": PERSON,
    "GET /api/v1/codes": PERSON,
    "DELETE /api/v1/codes/{code}": PERSON,
    "PUT /api/v1/codes/{code}/devices/{device}": PERSON,
    "GET /api/v1/notices": PERSON,
    "GET /api/v1/views": SIGNED_IN,
    "POST /api/v1/wait": SIGNED_IN,
    "GET /api/v1/views/{view}/changes": "metadata",
    "GET /api/v1/views/{view}/list": "metadata",
    "POST /api/v1/views/{view}/content": "read",
    "GET /api/v1/views/{view}/files/{node}": "read",
    "HEAD /api/v1/views/{view}/files/{node}": "read",
    "GET /api/v1/views/{view}/nodes/{node}/grants": "people",
    "GET /api/v1/views/{view}/activity": "people",
    "POST /api/v1/views/{view}/missing": "write",
    "POST /api/v1/views/{view}/chunks": "write",
    "POST /api/v1/views/{view}/commit": "write",
    "GET /api/v1/views/{view}/nodes/{node}/versions": "versions",
    "GET /api/v1/views/{view}/nodes/{node}/versions/{revision}": "versions",
    "GET /api/v1/views/{view}/trash": "versions",
    "PUT /api/v1/views/{view}/nodes/{node}/grants": "share",
    "DELETE /api/v1/views/{view}/nodes/{node}/grants/{principal}": "share",
    "POST /api/v1/views/{view}/nodes/{node}/codes": "share",
    "GET /api/v1/views/{view}/jobs": "review",
    "GET /api/v1/views/{view}/jobs/{job}": "review",
    "GET /api/v1/views/{view}/jobs/{job}/held": "review",
    "POST /api/v1/views/{view}/jobs/{job}/retry": "review",
    "POST /api/v1/views/{view}/jobs/{job}/reject": "review",
    "POST /api/v1/views/{view}/jobs/{job}/release": "release",
    "POST /api/v1/views/{view}/nodes/{node}/withdraw": "withdraw",
    "GET /api/v1/views/{view}/blocks": "rules",
    "GET /api/v1/views/{view}/rules": "rules",
    "GET /api/v1/views/{view}/rules/{rule}": "rules",
    "POST /api/v1/views/{view}/rules": "rules",
    "POST /api/v1/views/{view}/rules/{rule}": "rules",
    "DELETE /api/v1/views/{view}/rules/{rule}": "rules",
    "POST /api/v1/views/{view}/rules/{rule}/run": "rules",
    "GET /api/v1/views/{view}/cohorts": "metadata",
    "POST /api/v1/views/{view}/cohorts": "write",
    "DELETE /api/v1/views/{view}/cohorts/{cohort}": "write",
    "GET /api/v1/views/{view}/search": "metadata",
    "GET /api/v1/views/{view}/search.csv": "read",
    "GET /api/v1/views/{view}/counts": "metadata",
    "GET /api/v1/views/{view}/nodes/{node}/labels": "metadata",
    "PUT /api/v1/views/{view}/nodes/{node}/labels/{label}": "write",
    "DELETE /api/v1/views/{view}/nodes/{node}/labels/{label}": "write",
    "GET /api/v1/views/{view}/label-kinds": "metadata",
    "PUT /api/v1/views/{view}/label-kinds/{label}": "write",
    "DELETE /api/v1/views/{view}/label-kinds/{label}": "write",
}
MAKES_A_COHORT = "POST /api/v1/views/{view}/cohorts"  # of an intake there are none
ON_THE_WHOLE = {name for name in NEEDS if "label-kinds/" in name}  # denied to all in a shared folder
NOTHING: set[str] = set()
NAMES = {"metadata"}
BY_CODE = NAMES | {"read"}
READS = NAMES | {"read", "people"}
WORKS = READS | {"write", "versions", "review"}
ALL = WORKS | {"share", "release", "rules", "withdraw"}
CLINIC = WORKS | {"withdraw"}
JUDGES = CLINIC | {"release"}
NOBODY = None  # no token that counts
OBJECTS = ("home", "shared", "project", "intake", "absent")
HAS: dict[str, tuple[set[str], ...] | None] = {  # everybody: their rights in each of OBJECTS
    "anonymous": NOBODY,
    "wrong token": NOBODY,
    "owner": (ALL, ALL, ALL, NOTHING, NOTHING),
    "editor": (NOTHING, WORKS, WORKS, NOTHING, NOTHING),
    "reader": (NOTHING, READS, READS, NOTHING, NOTHING),
    "names": (NOTHING, NAMES, NAMES, NOTHING, NOTHING),
    "clinician": (NOTHING, NOTHING, NOTHING, CLINIC, NOTHING),
    "reviewer": (NOTHING, NOTHING, NOTHING, JUDGES, NOTHING),
    "both": (NOTHING, READS, READS, CLINIC, NOTHING),  # a reader, and a clinician
    "stranger": (NOTHING, NOTHING, NOTHING, NOTHING, NOTHING),
    "administrator": (NOTHING, NOTHING, NOTHING, NOTHING, NOTHING),
    "revoked device": NOBODY,  # of the owner
    "disabled": NOBODY,  # an editor
    "code": (NOTHING, BY_CODE, NOTHING, NOTHING, NOTHING),  # of the shared folder
    "code of the project": (NOTHING, NOTHING, BY_CODE, NOTHING, NOTHING),
    "code of another folder": (NOTHING, NOTHING, NOTHING, NOTHING, NOTHING),  # one inside the shared folder
    "expired code": NOBODY,
    "revoked code": NOBODY,
    "code of the disabled": NOBODY,  # who was an owner of the project until then
}
CODES = [name for name in HAS if "code" in name]
GRANTED = {  # roles on the shared folder and on the project alike
    "editor": "editor",
    "reader": "reader",
    "names": "metadata",
    "both": "reader",
    "disabled": "editor",
}


# ---- everybody and everything ----------------------------------------------------------------------------


@dataclass
class Thing:
    view: UUID
    folder: UUID
    file: UUID


def ask_for(route: str, thing: Thing, numbers: Callable[[], int]) -> dict[str, object]:
    """A request that does something where it is allowed, and harms no other cell of the table."""
    match route:
        case "POST /api/v1/login":
            return {"body": Login(user="stranger", password=PASSWORD, device=uuid4(), device_name="another")}
        case "POST /api/v1/wait":
            return {"body": Wait(views=[], timeout_seconds=0)}
        case "POST /api/v1/views/{view}/content":
            return {"body": WantedContent(parts=[Part(node=thing.file, revision=FIRST)])}
        case "POST /api/v1/views/{view}/missing":
            return {"body": Missing(chunks=bytes(32))}
        case "POST /api/v1/views/{view}/chunks":
            return {"data": HEAD + end_of_stream(0), "headers": {"Content-Type": FRAMES}}
        case "POST /api/v1/views/{view}/commit":
            make = Make(
                node=uuid4(), parent=thing.folder, name=uuid4().hex, content=Content(kind=Kind.FOLDER)
            )
            return {"body": Commit(operation=uuid4(), number=numbers(), ops=[make])}
        case "PUT /api/v1/views/{view}/nodes/{node}/grants":
            return {"body": Share(who="user:stranger2", role="reader")}
        case "POST /api/v1/views/{view}/nodes/{node}/codes":
            return {"body": NewCode()}
        case "POST /api/v1/views/{view}/jobs/{job}/release":
            return {"body": Release(held="0" * 64)}
        case "POST /api/v1/views/{view}/rules":
            return {"body": NewRule(block="none", source=thing.folder, target=thing.folder)}
        case "POST /api/v1/views/{view}/rules/{rule}":
            return {"body": ChangeRule()}
        case "PUT /api/v1/views/{view}/nodes/{node}/labels/{label}":
            return {"body": SetLabel(values=["knee"])}
        case "PUT /api/v1/views/{view}/label-kinds/{label}":
            return {"body": SetLabelKind()}
        case "POST /api/v1/views/{view}/cohorts":
            return {"body": NewCohort(path=[uuid4().hex], query="region=knee")}
        case "POST /api/v1/codes/look":
            return {"body": LookAtCode(code=OPEN_CODE[0])}
        case "POST /api/v1/redeem":
            return {"body": Redeem(code=OPEN_CODE[0], device=UUID(int=7), device_name="another")}
        case _:
            return {}


def filled(route: str, thing: Thing) -> tuple[str, str]:
    method, _, path = route.partition(" ")
    on_folder = "grants" in path or "codes" in path
    node = thing.folder if on_folder else thing.file
    if "withdraw" in path:
        node = uuid4()  # what is withdrawn is missing in the other cells
    names = {
        "view": thing.view,
        "node": node,
        "device": uuid4(),
        "revision": "1.1",
        "principal": uuid4(),
        "code": "MBS-NONE00",
        "job": 999_999,
        "rule": uuid4(),
        "label": "region",
        "cohort": uuid4(),
    }
    return method, path.format(**names).removeprefix("/api/v1")


async def outcome(caller: Caller, route: str, thing: Thing, numbers: Callable[[], int]) -> str:
    method, path = filled(route, thing)
    status, body, headers = await caller.raw(method, path, **ask_for(route, thing, numbers))  # type: ignore[arg-type]
    if method == "HEAD":
        return {401: "not signed in", 403: "denied", 404: "not there"}.get(status, "done")
    if status < 400:
        return "done"
    told = caller.decode(body, headers, Problem)
    if told.error in ("not-signed-in", "code-expired", "code-revoked"):
        return "not signed in"
    if told.error == "denied":
        return "denied"
    if told.error == "not-found" and told.message == "There is no such view. Look at the list of your views.":
        return "not there"
    return "done" if told.error == "not-found" else f"{status} {told.message}"


def expected(route: str, name: str, thing: int) -> str:
    needs, rights = NEEDS[route], HAS[name]
    if needs == OPEN:
        return "done"
    if rights is NOBODY:
        return "not signed in"
    if needs == PERSON:
        return "denied" if name in CODES else "done"
    if route == MAKES_A_COHORT and OBJECTS[thing] == "intake":
        return "denied" if rights[thing] else "not there"
    if route in ON_THE_WHOLE and OBJECTS[thing] == "shared":
        return "denied" if rights[thing] else "not there"
    if needs == SIGNED_IN or needs in rights[thing]:
        return "done"
    return "denied" if rights[thing] else "not there"


async def operator(server: ServiceUnderTest, *words: str) -> None:
    done = await asyncio.to_thread(mb_server, *words, "--data", server.data)
    assert done.returncode == 0, done.stderr


async def a_thing(person: Person, name: str, *, below: UUID | None = None) -> Thing:
    """Something to read in this view, in a folder of it."""
    assert person.caller.view is not None
    folder = await person.folder("a folder", below)
    return Thing(person.caller.view.view, folder, await person.file("a file", name.encode(), folder))


async def everything(server: ServiceUnderTest, owner: Person, clinician: Caller) -> list[Thing]:
    await operator(server, "project", "create", "Nerves", "--template", "imaging")
    await operator(server, "project", "grant", "Nerves", "user:owner", "--role", "owner")
    for who, role in (("clinician", "clinician"), ("both", "clinician"), ("reviewer", "reviewer")):
        await operator(server, "project", "grant", "Nerves", f"user:{who}", "--role", role)
    home = await a_thing(owner, "home")
    shared_root = await owner.folder("Study")
    inside = await a_thing(owner, "shared", below=shared_root)
    for name, role in GRANTED.items():
        await owner.share(shared_root, f"user:{name}", role)
        await operator(server, "project", "grant", "Nerves", f"user:{name}", "--role", role)
    editor = Person(await server.sign_in("editor"))
    shared = Thing((await editor.views())["/Shared/Study"].view, inside.folder, inside.file)
    project = await a_thing(await owner.look_at("/Projects/Nerves"), "project")
    intake = await a_thing(await Person(clinician).look_at("/Projects/Nerves/Intake"), "intake")
    return [home, shared, project, intake, Thing(uuid4(), uuid4(), uuid4())]


OPEN_CODE = [""]  # for whoever redeems one


async def anyone_with_a_code(
    server: ServiceUnderTest, people: dict[str, Caller], things: list[Thing]
) -> None:
    """Each of CODES is a token; what ends one of them ends it here."""
    _, shared, project, _, _ = things
    owner = people["owner"]
    views = await Person(owner).views()

    async def token(by: Caller, view: UUID, node: UUID, *, name: str, seconds: int = 600) -> None:
        path = f"/views/{view}/nodes/{node}/codes"
        made = await by.ask("POST", path, answer=CodeMade, body=NewCode(seconds=seconds, devices=9))
        redeem = Redeem(code=made.secret, device=uuid4(), device_name=name)
        holder = server.nobody()
        holder.token = (await holder.ask("POST", "/redeem", answer=Redeemed, body=redeem)).token
        people[name] = holder
        last.append(made)

    last: list[CodeMade] = []
    study = (await Person(people["editor"]).views())["/Shared/Study"].root
    home, whole = views["/Home"], views["/Projects/Nerves"]
    await token(owner, home.view, study, name="code")
    OPEN_CODE[0] = last[-1].secret
    await token(owner, whole.view, whole.root, name="code of the project")
    await token(owner, home.view, shared.folder, name="code of another folder")
    await token(owner, home.view, study, name="expired code", seconds=1)
    await token(owner, home.view, study, name="revoked code")
    assert (await owner.raw("DELETE", f"/codes/{last[-1].code}"))[0] == 204
    await operator(server, "project", "grant", "Nerves", "user:disabled", "--role", "owner")
    await token(people["disabled"], whole.view, project.folder, name="code of the disabled")
    await operator(server, "user", "disable", "disabled")
    await asyncio.sleep(1.1)  # the shortest time that a code can be given


async def test_every_cell_of_the_table(tmp_path: Path) -> None:
    assert set(NEEDS) == {f"{one.method} {one.path}" for one in ROUTES}, (
        "a route without a row, or a row too many"
    )
    names = (
        "administrator",
        *(name for name in HAS if " " not in name and name not in ("anonymous", "administrator")),
    )
    async with a_service(tmp_path / "data", users=(*names, "stranger2")) as server:
        people = {name: await server.sign_in(name) for name in names}
        people["revoked device"] = await server.sign_in("owner")
        people["anonymous"] = server.nobody()
        people["wrong token"] = server.nobody()
        people["wrong token"].token = "mbt_" + "x" * 43
        things = await everything(server, Person(people["owner"]), people["clinician"])
        revoked = people["revoked device"].signed_in
        assert revoked is not None
        await people["owner"].raw("DELETE", f"/devices/{revoked.device}")
        await anyone_with_a_code(server, people, things)
        numbers = itertools.count(1_000_000).__next__
        wrong = []
        in_order = sorted(NEEDS, key=lambda route: "logout" in route)
        for name in HAS:
            for route in in_order:
                per_view = "{view}" in route
                for index, thing in enumerate(things if per_view else things[:1]):
                    found = await outcome(people[name], route, thing, numbers)
                    wanted = expected(route, name, index)
                    if found != wanted:
                        wrong.append(f"{name}, {route}, {OBJECTS[index]}: {found}, not {wanted}")
        assert not wrong, "\n".join(wrong)


# ---- absent, or not yours --------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["home", "shared", "project"])
async def test_absent_and_not_yours_take_the_same_time_to_say(tmp_path: Path, what: str) -> None:
    async with a_service(tmp_path / "data", users=("ada", "ben", "cleo")) as server:
        ada, cleo = Person(await server.sign_in("ada")), await server.sign_in("cleo")
        ben = Person(await server.sign_in("ben"))
        study = await ada.folder("Study")
        await ada.share(study, "user:ben", "reader")
        await operator(server, "project", "create", "Nerves")
        await operator(server, "project", "grant", "Nerves", "user:ben", "--role", "reader")
        seen = {"shared": "/Shared/Study", "project": "/Projects/Nerves"}
        assert ada.caller.view is not None
        hidden = ada.caller.view.view if what == "home" else (await ben.views())[seen[what]].view
        assert cleo.token is not None

        def asked_for(view: UUID) -> None:
            with pytest.raises(NotFound):
                readable_view(session, cleos, ViewId(view))

        absent = [uuid4() for _ in range(PAIRS)]
        with server.service.database.reading() as session:
            cleos = principal_of(session, cleo.token)
            assert not tell_apart(lambda turn: asked_for(absent[turn]), lambda _: asked_for(hidden))
        told = []
        for view in (uuid4(), hidden):
            status, body, headers = await cleo.raw("GET", f"/views/{view}/changes")
            told.append((status, cleo.decode(body, headers, Problem).message))
        assert told[0] == told[1]
