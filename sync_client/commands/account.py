"""`mb-sync login` and `logout`.

Owns: signing this computer in and out.  May import: click, protocol, control, home, introduction, reach, running.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from protocol.errors import BadRequest, LocalProblem, MedicalBlocksError
from protocol.names import safe_device_name
from protocol.server_address import server_address
from sync_client.commands.reach import alone_in, opened_engine, server_api
from sync_client.commands.running import stop_running
from sync_client.commands.words import as_json, command, notice, pass_home, tell
from sync_client.control import NotRunning, ask
from sync_client.engine.account import Account
from sync_client.home import (
    ClientHome,
    forget_account,
    fresh_device,
    read_account,
    read_identity,
    read_trust,
    save_account,
)

if TYPE_CHECKING:
    from protocol.messages import Login, SignedIn
    from protocol.trust import Trust


@command("login", "mb-sync login https://files.example.org --user ana")
@click.argument("url")
@click.option("--user", metavar="NAME", required=True, help="Your name on the server.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input, one line.")
@click.option(
    "--fingerprint", metavar="DIGITS", help="Of the server's own authority, as `mb-server tls` shows it."
)
@click.option(
    "--ca", metavar="FILE", type=click.Path(path_type=Path), help="Believe this authority alone: a PEM file."
)
@click.option("--proxy", metavar="URL", help="The proxy on the way, http://[NAME:PASSWORD@]HOST:PORT.")
@click.option("--device-name", metavar="NAME", help="What this computer is called (default: its host name).")
@click.option(
    "--new-device", is_flag=True, help="This client home was copied: give it an identity of its own."
)
@as_json
@pass_home
def login(
    home: ClientHome,
    url: str,
    user: str,
    *,
    password_stdin: bool,
    fingerprint: str | None,
    ca: Path | None,
    proxy: str | None,
    device_name: str | None,
    new_device: bool,
    as_json: bool,
) -> None:
    """Sign this computer in to a server; again, if it was revoked.

    A server whose certificate this computer does not know by itself is asked for its own authority.  You are shown
    its fingerprint to compare, or give it with --fingerprint; from then on that authority alone is believed.
    """
    from protocol.messages import Login  # noqa: PLC0415 - msgspec: the --help of all commands reads this file
    from sync_client.commands.introduction import introduced  # noqa: PLC0415 - as above

    server = server_address(url)
    known = read_identity(home)
    if known.server is not None and (known.server, known.user) != (server, user):
        raise LocalProblem(
            f"{known.user} is signed in to {known.server} already",
            hint="Sign out with `mb-sync logout` first, or use another client home with --home.",
        )
    before = read_trust(home, known) if known.server == server else None
    trust = introduced(server, before, fingerprint=fingerprint, ca=ca, proxy=proxy)
    password = _password(user, from_stdin=password_stdin)
    home.make()
    device = fresh_device() if new_device or known.device is None else known.device
    name = safe_device_name(device_name or known.device_name or _host_name())
    signed_in = asyncio.run(
        _sign_in(server, trust, Login(user=user, password=password, device=device, device_name=name))
    )
    save_account(home, Account(server, signed_in.user, signed_in.token, device, name, trust))
    with suppress(NotRunning):
        ask(home.path, "reload")
    tell(
        {"server": server, "user": signed_in.user, "device": str(device), "device_name": name},
        f"Signed in to {server} as {signed_in.user}. This computer is called {name}.",
        json_wanted=as_json,
    )


def _host_name() -> str:
    import socket  # noqa: PLC0415 - this one name of it

    return socket.gethostname().split(".")[0]


def _password(user: str, *, from_stdin: bool) -> str:
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        password = click.prompt(f"Password of {user}", hide_input=True, err=True)
    else:
        raise click.UsageError("There is no terminal to ask for the password: give --password-stdin.")
    if not password:
        raise BadRequest("The password is empty", hint="Give it as one line on standard input.")
    return password


async def _sign_in(server: str, trust: Trust, request: Login) -> SignedIn:
    async with server_api(server, trust=trust) as api:
        return await api.login(request)


@command("logout", "mb-sync logout")
@as_json
@pass_home
def logout(home: ClientHome, *, as_json: bool) -> None:
    """Sign this computer out, follow no folder, delete nothing."""
    account = read_account(home)
    stop_running(home)
    with alone_in(home):
        followed, told = asyncio.run(_leave(home, account))
        forget_account(home)
    if not told:
        notice(f"The server could not be told. Remove the device {account.device_name!r} there when you can.")
    tell(
        {"server": account.server, "user": account.user, "folders": [str(folder) for folder in followed]},
        f"Signed out from {account.server}. Your files stay where they are.",
        json_wanted=as_json,
    )


async def _leave(home: ClientHome, account: Account) -> tuple[list[Path], bool]:
    """Stop following; tell the server.  The folders, and whether the server heard it."""
    async with opened_engine(home) as engine:
        followed = [Path(folder["local"]) for folder in engine.status()["folders"]]
        for folder in followed:
            await engine.remove_folder(folder)
    try:
        async with server_api(account.server, account.token, trust=account.trust) as api:
            await api.logout()
    except MedicalBlocksError:
        return followed, False
    return followed, True


COMMANDS = (login, logout)
