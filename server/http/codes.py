"""Sync codes: redeeming one, making and looking after one's own.

Owns: `redeem`, `codes`, `codes` of a node.
May import: aiohttp, sqlalchemy, protocol, server.access, server.audit, server.spaces, server.http.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import msgspec
from aiohttp import web
from sqlalchemy.orm import Session

from protocol.errors import MedicalBlocksError, NotFound
from protocol.ids import parse_device_id
from protocol.sharing import (
    CodeMade,
    Codes,
    CodeShown,
    Download,
    LookAtCode,
    NewCode,
    Redeem,
    Redeemed,
    SyncCode,
)
from protocol.trust import fingerprint
from server.access import codes
from server.access.redeeming import look, redeem
from server.access.rights import Action
from server.audit.rows import Did, Entry, pack_nodes, record
from server.http.denials import Denial
from server.http.routes import Call, On, route
from server.spaces import sharing


@route("POST", "/redeem", on=On.NOTHING, request=Redeem, answer=Redeemed)
async def post_redeem(call: Call, asked: Redeem) -> Redeemed:
    """A device token for a sync code.  Whoever does not hold a whole one gets the same answer, whatever the reason."""
    service = call.service
    now_ms = service.clock()
    try:
        return await redeem(
            service.database, service.passwords, asked, address=call.address, came=call.came, now_ms=now_ms
        )
    except MedicalBlocksError as error:
        if not isinstance(error, NotFound):  # that is told for every route
            denial = Denial(Did.CODE, error.code, device=asked.device, address=call.address)
            service.denials.note(denial, request=call.came.request)
        raise


@route("POST", "/codes/look", on=On.NOTHING, request=LookAtCode, answer=CodeShown)
async def post_look(call: Call, asked: LookAtCode) -> CodeShown:
    """What a sync code opens, shared by whom, until when: for the page behind a link.  It uses up no device."""
    service = call.service
    shown = await look(service.database, asked.code, address=call.address, now_ms=service.clock())
    offered = await asyncio.to_thread(service.downloads.offered)
    downloads = [Download(name=one.name, size=one.size, sha256=one.sha256) for one in offered]
    return msgspec.structs.replace(shown, downloads=downloads)


@route(
    "POST",
    "/views/{view}/nodes/{node}/codes",
    on=On.VIEW,
    action=Action.SHARE,
    request=NewCode,
    answer=CodeMade,
)
async def post_code(call: Call, asked: NewCode) -> CodeMade:
    """A new sync code for a folder.  Its secret and its PIN are shown this once."""
    service, node, now_ms = call.service, call.node(), call.service.clock()
    pin, pin_hash = await asyncio.to_thread(codes.fresh_pin) if asked.pin else ("", None)

    def make(session: Session) -> CodeMade:
        made = sharing.make_code(
            session, call.principal, call.view, node, asked, pin_hash=pin_hash, now_ms=now_ms
        )
        nodes = pack_nodes([(node.bytes, 0, 0)])
        record(session, [call.entry(Did.CODE, detail=f"made {made.code}", nodes=nodes)])
        return made

    made = await service.database.write(make)
    authority = service.tls.authority if service.tls else ""
    return msgspec.structs.replace(made, pin=pin, fingerprint=fingerprint(authority) if authority else "")


@route("GET", "/codes", on=On.PERSON, answer=Codes)
async def get_codes(call: Call) -> Codes:
    """The sync codes that one made: who used them, when, from which device, how much."""
    now_ms = call.service.clock()
    return await call.service.database.read(
        lambda session: codes.codes_made_by(session, call.principal, now_ms=now_ms)
    )


@route("DELETE", "/codes/{code}", on=On.PERSON)
async def delete_code(call: Call) -> web.Response:
    """Revoke a sync code, one's own or of a folder that one may share; what goes on with it ends within a second."""
    name, now_ms = call.request.match_info["code"], call.service.clock()

    def revoke(session: Session) -> None:
        codes.revoke_code(session, call.principal, name, now_ms=now_ms)
        record(session, [_about_code(session, call, name, f"revoked {name[:40]}")])

    await call.service.database.write(revoke)
    call.service.wakeups.notify_rights()
    return web.Response(status=204)


@route("PUT", "/codes/{code}/devices/{device}", on=On.PERSON, answer=SyncCode)
async def put_code_device(call: Call) -> SyncCode:
    """Let in a device that waits."""
    name = call.request.match_info["code"]
    device = parse_device_id(call.request.match_info["device"])
    now_ms = call.service.clock()

    def let_in(session: Session) -> SyncCode:
        code = codes.let_in(session, call.principal, name, device, now_ms=now_ms)
        record(session, [_about_code(session, call, name, f"let device {device} in by {name[:40]}")])
        return code

    return await call.service.database.write(let_in)


def _about_code(session: Session, call: Call, name: str, detail: str) -> Entry:
    """In the log of the space whose folder it opens."""
    space, node = codes.place_of_code(session, name)
    return replace(call.entry(Did.CODE, detail=detail, nodes=pack_nodes([(node, 0, 0)])), space=space)
