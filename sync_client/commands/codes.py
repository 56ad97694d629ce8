"""`mb-sync code`.

Owns: making sync codes and looking after them, as a person asks for it.
May import: click, protocol, segno, home, operations, screens, reach, sharing, words.

The link stands alone on standard output, so that it can be piped; all else about it goes to standard error.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any

import click

from protocol.errors import NotFound, Refused
from protocol.names import shown
from sync_client import screens
from sync_client.commands.reach import server_api
from sync_client.commands.sharing import remote_folder
from sync_client.commands.words import as_json, help_end, notice, pass_home, tell
from sync_client.home import ClientHome, read_account
from sync_client.operations import parse_remote

if TYPE_CHECKING:
    from protocol.sharing import CodeDevice, CodeMade, NewCode, SyncCode
    from sync_client.engine.account import Account

_UNITS = {"m": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400}


class _Span(click.ParamType[int]):
    """`30d`, in seconds."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d{1,6})([mhdw])", value.strip(), re.ASCII)
        seconds = int(found[1]) * _UNITS[found[2]] if found else 0
        if not 60 <= seconds <= 366 * 86_400:
            self.fail(f"{value!r} is not a time from 1m to 366d, written with m, h, d or w: 30d.", param, ctx)
        return seconds


@click.group(
    "code", epilog=help_end("mb-sync code create /Home/Study --expires 7d --devices 1 --label 'Jo, Basel'")
)
def code() -> None:
    """Give somebody outside one folder, to be read, without an account: a sync code."""


@code.command("create", epilog=help_end("mb-sync code create /Home/Study --expires 7d --pin --qr"))
@click.argument("remote")
@click.option(
    "--expires", type=_Span(), default="30d", show_default=True, metavar="SPAN", help="At most 366d."
)
@click.option(
    "--devices", type=click.IntRange(1, 1_000), default=3, show_default=True, help="As many may use it."
)
@click.option("--pin", is_flag=True, help="Ask for a PIN too, which you tell them by another way.")
@click.option("--approve", is_flag=True, help="Let in each device yourself: mb-sync code approve.")
@click.option("--browse", is_flag=True, help="The link's page lists the files, and gives single ones.")
@click.option("--label", default="", metavar="TEXT", help="Whom it is for; they see it too.")
@click.option("--qr", is_flag=True, help="Show the link as a picture to be scanned, too.")
@as_json
@pass_home
def create(
    home: ClientHome,
    remote: str,
    *,
    expires: int,
    devices: int,
    pin: bool,
    approve: bool,
    browse: bool,
    label: str,
    qr: bool,
    as_json: bool,
) -> None:
    """Make a code for a folder; the link, which is shown this once, goes to standard output.

    Whoever has it reads the folder and all that comes into it, until it expires or you revoke it.
    """
    from protocol.sharing import NewCode  # noqa: PLC0415 - msgspec: the --help of all commands reads this file

    if len(label) > 200:
        raise click.UsageError("A label has at most 200 characters.")
    account, asked = read_account(home), parse_remote(remote)
    wanted = NewCode(label=label, seconds=expires, devices=devices, pin=pin, approve=approve, browse=browse)
    made = asyncio.run(make_code(account, asked, wanted))
    link = link_of(account, made)
    facts = {
        "link": link,
        "code": made.code,
        "pin": made.pin or None,
        "expires_at_ms": made.expires_at_ms,
        "devices": made.devices,
    }
    if not as_json:
        notice(_about(asked, made, approve=approve, browse=browse))
    if qr:
        notice(_picture(link))
    tell(facts, link, json_wanted=as_json)


@code.command("list", epilog=help_end("mb-sync code list"))
@as_json
@pass_home
def list_codes(home: ClientHome, *, as_json: bool) -> None:
    """List the codes that you made: who used them, when, from which device, how much."""
    codes = asyncio.run(_listed(read_account(home)))
    tell([facts_of(one) for one in codes], codes_screen(codes, time.time()), json_wanted=as_json)


@code.command("revoke", epilog=help_end("mb-sync code revoke MBS-7K3M9Q"))
@click.argument("name", metavar="ID")
@as_json
@pass_home
def revoke(home: ClientHome, name: str, *, as_json: bool) -> None:
    """End a code within a second, also what is under way. What they have already stays on their computers."""
    wanted = _name(name)
    asyncio.run(end_code(read_account(home), wanted))
    tell({"code": wanted, "state": "revoked"}, f"{wanted} opens nothing any more.", json_wanted=as_json)


@code.command("approve", epilog=help_end("mb-sync code approve MBS-7K3M9Q laptop"))
@click.argument("name", metavar="ID")
@click.argument("device", metavar="DEVICE")
@as_json
@pass_home
def approve(home: ClientHome, name: str, device: str, *, as_json: bool) -> None:
    """Let in a device that waits, by its name or its id in `mb-sync code list`."""
    let_in = asyncio.run(_approve(read_account(home), _name(name), device))
    words = f"{shown(device)} may read {shown(let_in.folder)} now. To undo it, revoke {let_in.code}."
    tell(facts_of(let_in), words, json_wanted=as_json)


# ---- at the server -----------------------------------------------------------------------------------------


async def make_code(account: Account, remote: str, wanted: NewCode) -> CodeMade:
    async with server_api(account.server, account.token, trust=account.trust) as api:
        view, node = await remote_folder(api, remote)
        return await api.make_code(view.view, node, wanted)


async def _listed(account: Account) -> list[SyncCode]:
    async with server_api(account.server, account.token, trust=account.trust) as api:
        return (await api.codes()).codes


async def end_code(account: Account, name: str) -> None:
    async with server_api(account.server, account.token, trust=account.trust) as api:
        await api.revoke_code(name)


async def _approve(account: Account, name: str, device: str) -> SyncCode:
    async with server_api(account.server, account.token, trust=account.trust) as api:
        found = next((one for one in (await api.codes()).codes if one.code == name), None)
        if found is None:
            raise NotFound(f"There is no sync code {name} of yours", hint="`mb-sync code list` shows yours.")
        return await api.let_in(name, _waiting(found, device).device)


def _waiting(found: SyncCode, device: str) -> CodeDevice:
    fits = [
        one
        for one in found.devices
        if one.waiting
        and (one.name.casefold() == device.casefold() or one.device.hex.endswith(device.lower()))
    ]
    if not fits:
        raise NotFound(
            f"No device {shown(device)} waits for {found.code}",
            hint="`mb-sync code list` shows those that do.",
        )
    if len(fits) > 1:
        raise Refused(
            f"{len(fits)} devices of this name wait for {found.code}",
            hint="Give the id that `mb-sync code list` shows beside the right one.",
        )
    return fits[0]


def _name(text: str) -> str:
    name = text.strip().upper()
    return name if name.startswith("MBS-") else f"MBS-{name}"


def link_of(account: Account, made: CodeMade) -> str:
    from protocol.codes import SyncLink, parse_code  # noqa: PLC0415 - as above

    return SyncLink(account.server, parse_code(made.secret), made.fingerprint).text


# ---- what a person sees ------------------------------------------------------------------------------------


def _about(remote: str, made: CodeMade, *, approve: bool, browse: bool) -> str:
    until = time.strftime("%Y-%m-%d %H:%M", time.localtime(made.expires_at_ms / 1_000))
    devices = screens.count_of(made.devices, "device")
    lines = [
        f"Whoever has this link may read {screens.shown_remote(remote)} until {until}, on {devices}.",
        "It is shown this once. Send it to one person, and make another for the next.",
    ]
    if made.pin:
        lines.append(f"PIN: {made.pin}   Tell it by another way, by telephone for instance.")
    if browse:
        lines.append("The link's page lists the files; a browser counts as a device.")
    if approve:
        lines.append(f"Each device waits for you: mb-sync code approve {made.code} DEVICE")
    lines.append(f"To end it: mb-sync code revoke {made.code}")
    return "\n".join(lines)


def _picture(link: str) -> str:
    """For a terminal with a dark or a light ground: the quiet zone is drawn."""
    import io  # noqa: PLC0415 - only here

    import segno  # noqa: PLC0415 - only here

    drawn = io.StringIO()
    segno.make_qr(link, error="m").terminal(out=drawn, compact=True)
    return drawn.getvalue()


def facts_of(one: SyncCode) -> dict[str, Any]:
    return {
        "code": one.code,
        "folder": one.folder,
        "label": one.label,
        "state": one.state,
        "created_at_ms": one.created_at_ms,
        "expires_at_ms": one.expires_at_ms,
        "devices_allowed": one.devices_allowed,
        "pin": one.pin,
        "approve": one.approve,
        "browse": one.browse,
        "devices": [
            {
                "device": str(device.device),
                "name": device.name,
                "address": device.address,
                "first_used_at_ms": device.first_used_at_ms,
                "last_used_at_ms": device.last_used_at_ms,
                "read_bytes": device.read_bytes,
                "waiting": device.waiting,
            }
            for device in one.devices
        ],
    }


def codes_screen(codes: list[SyncCode], now: float) -> str:
    if not codes:
        return "You made no sync codes. mb-sync code create REMOTE makes one."
    lines: list[str] = []
    for one in codes:
        day = time.strftime("%Y-%m-%d", time.localtime(one.expires_at_ms / 1_000))
        state = {"open": f"until {day}", "expired": f"expired {day}"}.get(one.state, one.state)
        used = sum(not device.waiting for device in one.devices)
        about = [shown(one.folder) or "(deleted)", state, f"{used} of {one.devices_allowed} devices"]
        lines.append("   ".join([one.code, *about, shown(one.label)]).rstrip())
        lines += screens.table(_device(device, one.code, now) for device in one.devices)
    return "\n".join(lines)


def _device(device: CodeDevice, code: str, now: float) -> tuple[str, ...]:
    identity = device.device.hex[-8:]
    if device.waiting:
        return (
            identity,
            shown(device.name),
            device.address,
            f"waits: mb-sync code approve {code} {identity}",
        )
    used = f"{screens.size(device.read_bytes)}, last {screens.ago(device.last_used_at_ms, now)}"
    return (identity, shown(device.name), device.address, used)


COMMANDS = (code,)
