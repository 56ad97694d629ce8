"""Signing in and out.

Owns: `login`, `logout`, `devices`.
May import: aiohttp, sqlalchemy, protocol, server.access, server.audit, server.http.
"""

from __future__ import annotations

from aiohttp import web
from sqlalchemy.orm import Session

from protocol.errors import Refused, TooManyTries, WrongPassword
from protocol.ids import parse_device_id
from protocol.messages import Login, SignedIn
from protocol.resources import Devices
from server.access import devices
from server.audit.rows import Did, record
from server.http.denials import Denial
from server.http.routes import Call, On, route


@route("POST", "/login", on=On.NOTHING, request=Login, answer=SignedIn)
async def post_login(call: Call, login: Login) -> SignedIn:
    """A device token for a name and a password.  A wrong name and a wrong password get the same answer."""
    service = call.service
    now_ms = service.clock()
    try:
        return await devices.sign_in(
            service.database, service.passwords, login, address=call.address, came=call.came, now_ms=now_ms
        )
    except (WrongPassword, TooManyTries, Refused) as error:
        denial = Denial(Did.LOGIN, error.code, device=login.device, address=call.address, tried=login.user)
        service.denials.note(denial, request=call.came.request)
        raise


@route("POST", "/logout", on=On.ACCOUNT)
async def post_logout(call: Call) -> web.Response:
    """The token of this request is of no use any more."""
    now_ms = call.service.clock()

    def sign_out(session: Session) -> None:
        devices.sign_out(session, call.principal, now_ms=now_ms)
        record(session, [call.entry(Did.LOGOUT)])

    await call.service.database.write(sign_out)
    call.service.open_requests.end([call.principal.device])
    return web.Response(status=204)


@route("GET", "/devices", on=On.PERSON, answer=Devices)
async def get_devices(call: Call) -> Devices:
    """The devices of this user, signed in or revoked."""
    return await call.service.database.read(lambda session: devices.list_devices(session, call.principal))


@route("DELETE", "/devices/{device}", on=On.PERSON)
async def delete_device(call: Call) -> web.Response:
    """Revoke the token of one of one's own devices; what it has open ends at once."""
    device = parse_device_id(call.request.match_info["device"])
    now_ms = call.service.clock()

    def revoke(session: Session) -> None:
        devices.revoke_device(session, call.principal, device, now_ms=now_ms)
        record(session, [call.entry(Did.REVOKE_DEVICE, detail=f"device {device}")])

    await call.service.database.write(revoke)
    call.service.open_requests.end([device])
    return web.Response(status=204)
