"""Signing in and out.

Owns: `login`, `logout`, `devices`.  May import: aiohttp, protocol, server.access, server.http.
"""

from __future__ import annotations

from aiohttp import web

from protocol.ids import parse_device_id
from protocol.messages import Devices, Login, SignedIn
from server.access import devices
from server.http.routes import Call, On, route


@route("POST", "/login", on=On.NOTHING, request=Login, answer=SignedIn)
async def post_login(call: Call, login: Login) -> SignedIn:
    """A device token for a name and a password.  A wrong name and a wrong password get the same answer."""
    service = call.service
    now_ms = service.clock()
    return await devices.sign_in(
        service.database, service.passwords, login, address=call.address, now_ms=now_ms
    )


@route("POST", "/logout", on=On.ACCOUNT)
async def post_logout(call: Call) -> web.Response:
    """The token of this request is of no use any more."""
    now_ms = call.service.clock()
    await call.service.database.write(
        lambda session: devices.sign_out(session, call.principal, now_ms=now_ms)
    )
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
    await call.service.database.write(
        lambda session: devices.revoke_device(session, call.principal, device, now_ms=now_ms)
    )
    call.service.open_requests.end([device])
    return web.Response(status=204)
