"""What files show: labels of blocks and of people.

Owns: `labels` of a node, `label-kinds` of a view.
May import: aiohttp, sqlalchemy, protocol, server.access, server.audit, server.catalog, server.http.
"""

from __future__ import annotations

import re

from aiohttp import web
from sqlalchemy.orm import Session

from protocol.catalog import LABEL_NAME, LabelKinds, Labels, LabelsChanged, SetLabel, SetLabelKind
from protocol.errors import BadRequest
from protocol.ids import UserId
from protocol.limits import MAX_LABEL_NAME
from server.access.rights import Action, rights_of
from server.audit.rows import Did, pack_nodes, record
from server.catalog import kinds, people
from server.http.routes import Call, On, route

_OF_NODE = "/views/{view}/nodes/{node}/labels"
_KINDS = "/views/{view}/label-kinds"


@route("GET", _OF_NODE, on=On.VIEW, action=Action.METADATA, answer=Labels)
async def get_labels(call: Call) -> Labels:
    """What blocks and people say of a file, and what counts."""
    with_people = _sees_people(call)
    return await call.service.database.read(
        lambda session: people.labels_at(session, call.view, call.node(), with_people=with_people)
    )


@route("PUT", _OF_NODE + "/{label}", on=On.VIEW, action=Action.WRITE, request=SetLabel, answer=LabelsChanged)
async def put_label(call: Call, asked: SetLabel) -> LabelsChanged:
    """Say what counts under a name, of a file or of all files in a folder, whatever blocks say."""
    node, name, user = call.node(), _name(call), UserId(call.principal.user)

    def change(session: Session) -> LabelsChanged:
        now_ms = call.service.clock()
        done = people.set_label(session, call.view, node, name, asked.values, user, now_ms=now_ms)
        _note(session, call, f"set {name}", done)
        return done.answer

    return await call.service.database.write(change)


@route("DELETE", _OF_NODE + "/{label}", on=On.VIEW, action=Action.WRITE, answer=LabelsChanged)
async def delete_label(call: Call) -> LabelsChanged:
    """Take back what people said under a name; what blocks say counts again."""
    node, name = call.node(), _name(call)

    def change(session: Session) -> LabelsChanged:
        done = people.remove_label(session, call.view, node, name)
        _note(session, call, f"remove {name}", done)
        return done.answer

    return await call.service.database.write(change)


@route("GET", _KINDS, on=On.VIEW, action=Action.METADATA, answer=LabelKinds)
async def get_label_kinds(call: Call) -> LabelKinds:
    """The kinds of label that this project or home has of its own, by name."""
    with_people = _sees_people(call)
    return await call.service.database.read(
        lambda session: LabelKinds(kinds=kinds.kinds_of(session, call.view.space, with_people=with_people))
    )


@route("PUT", _KINDS + "/{label}", on=On.VIEW, action=Action.WRITE, request=SetLabelKind, answer=LabelKinds)
async def put_label_kind(call: Call, asked: SetLabelKind) -> LabelKinds:
    """Say what labels of a name may hold: one of some values, or text of a length."""
    name = _name(call)

    def change(session: Session) -> LabelKinds:
        now_ms = call.service.clock()
        kinds.set_kind(session, call.view, name, asked, call.principal.user.bytes, now_ms=now_ms)
        record(session, [call.entry(Did.LABEL, detail=f"kind {name}")])
        return LabelKinds(kinds=kinds.kinds_of(session, call.view.space, with_people=True))

    return await call.service.database.write(change)


@route("DELETE", _KINDS + "/{label}", on=On.VIEW, action=Action.WRITE)
async def delete_label_kind(call: Call) -> web.Response:
    """Any text may be said under this name again; what was said stays."""
    name = _name(call)

    def change(session: Session) -> None:
        kinds.remove_kind(session, call.view, name)
        record(session, [call.entry(Did.LABEL, detail=f"no kind {name}")])

    await call.service.database.write(change)
    return web.Response(status=204)


def _name(call: Call) -> str:
    name = call.request.match_info["label"]
    if len(name) > MAX_LABEL_NAME or re.fullmatch(LABEL_NAME, name) is None:
        raise BadRequest(
            f"{name[:40]!r} cannot be the name of a label",
            hint=f"Write at most {MAX_LABEL_NAME} small letters and digits, with a dash between words.",
        )
    return name


def _sees_people(call: Call) -> bool:
    return Action.PEOPLE in rights_of(call.principal, call.view)


def _note(session: Session, call: Call, detail: str, done: people.Changed) -> None:
    """In the log, in the transaction of the change; never the value, which may be free text."""
    nodes = pack_nodes((node, 0, 0) for node in done.files)
    record(session, [call.entry(Did.LABEL, detail=detail, nodes=nodes, count=len(done.files))])
