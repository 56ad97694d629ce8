"""`mb-sync login` and `logout`.

Owns: signing this computer in and out.  May import: click, protocol, control, home, introduction, reach, running,
token_keeping.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from protocol.errors import BadRequest, LocalProblem, MedicalBlocksError, NotSignedIn
from protocol.ids import DeviceId
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
    keep_account,
    read_account,
    read_identity,
    read_trust,
    save_account,
)
from sync_client.token_keeping import Kept, given_file, read_given

if TYPE_CHECKING:
    from protocol.messages import Login, SignedIn
    from protocol.trust import Trust


@command("login", "mb-sync login https://files.example.org --user ana")
@click.argument("url")
@click.option("--user", metavar="NAME", help="Your name on the server.")
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
@click.option(
    "--token-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Sign in with the token in FILE, without a password; it stays there.",
)
@click.option("--no-keyring", is_flag=True, help="Keep the sign-in in a file that only you may read.")
@as_json
@pass_home
def login(
    home: ClientHome,
    url: str,
    user: str | None,
    *,
    password_stdin: bool,
    fingerprint: str | None,
    ca: Path | None,
    proxy: str | None,
    device_name: str | None,
    new_device: bool,
    token_file: Path | None,
    no_keyring: bool,
    as_json: bool,
) -> None:
    """Sign this computer in to a server; again, if it was revoked.

    A server whose certificate this computer does not know by itself is asked for its own authority.  You are shown
    its fingerprint to compare, or give it with --fingerprint; from then on that authority alone is believed.

    The sign-in is kept in the system's keyring where there is one, else in a file that only you may read.
    """
    from protocol.messages import Login  # noqa: PLC0415 - msgspec: the --help of all commands reads this file
    from sync_client.commands.introduction import introduced  # noqa: PLC0415 - as above

    if user is None and token_file is None:
        raise click.UsageError("Give --user NAME, or --token-file FILE.")
    if token_file is not None and (password_stdin or new_device or device_name or no_keyring):
        raise click.UsageError(
            "A token is of a device already: --token-file goes with the server's address alone."
        )
    server = server_address(url)
    known = read_identity(home)
    if known.server is not None and (known.server, known.user) != (server, user or known.user):
        raise LocalProblem(
            f"{known.user} is signed in to {known.server} already",
            hint="Sign out with `mb-sync logout` first, or use another client home with --home.",
        )
    before = read_trust(home, known) if known.server == server else None
    trust = introduced(server, before, fingerprint=fingerprint, ca=ca, proxy=proxy)
    if token_file is not None:
        account = asyncio.run(_with_token(server, trust, token_file, user))
        home.make()
        kept = Kept.GIVEN
        save_account(home, account, kept=kept, token_file=str(token_file.expanduser().absolute()))
        if os.name == "posix" and token_file.expanduser().stat().st_mode & 0o077:
            notice(f"Others on this computer may use {token_file}: `chmod 600` keeps the token to you.")
    else:
        assert user is not None
        password = _password(user, from_stdin=password_stdin)
        home.make()
        device = fresh_device() if new_device or known.device is None else known.device
        name = safe_device_name(device_name or known.device_name or _host_name())
        signed_in = asyncio.run(
            _sign_in(server, trust, Login(user=user, password=password, device=device, device_name=name))
        )
        account = Account(server, signed_in.user, signed_in.token, device, name, trust)
        kept = _keep(home, account, wants_keyring=not no_keyring)
    with suppress(NotRunning):
        ask(home.path, "reload")
    tell(
        {
            "server": server,
            "user": account.user,
            "device": str(account.device),
            "device_name": account.device_name,
            "token": kept.value,
        },
        f"Signed in to {server} as {account.user}. This computer is called {account.device_name}.",
        json_wanted=as_json,
    )


def _keep(home: ClientHome, account: Account, *, wants_keyring: bool) -> Kept:
    """Put the token away; where it is now.  What is in no keyring is said aloud."""
    kept = keep_account(home, account, wants_keyring=wants_keyring)
    if kept is Kept.KEYRING:
        return kept
    why = "as you asked" if not wants_keyring else "no keyring of this system answers"
    notice(f"The sign-in of this computer is kept in a file that only you may read ({why}): {home.token}")
    return kept


async def _with_token(server: str, trust: Trust, file: Path, user: str | None) -> Account:
    """The account that a token stands for, as the server says."""
    token = read_given(file)
    async with server_api(server, token, trust=trust) as api:
        try:
            views = await api.views()
            this = next((one for one in (await api.devices()).devices if one.current), None)
        except NotSignedIn as error:
            raise LocalProblem(
                f"The token in {file} opens nothing on {server}",
                hint="It may have been revoked; ask for another.",
            ) from error
    if user is not None and user != views.user:
        raise LocalProblem(
            f"The token in {file} is of {views.user}", hint="Leave out --user, or give that name."
        )
    if this is None:
        raise LocalProblem(f"The token in {file} is of no device", hint="Give one that `mb-sync login` made.")
    return Account(server, views.user, token, DeviceId(this.device), safe_device_name(this.name), trust)


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
        given = given_file(read_identity(home).token_file)
        forgotten = forget_account(home)
    if given is not None:
        notice(f"{given} is not ours to delete; the token in it opens nothing any more.")
    if not forgotten:
        notice("The keyring could not be told; what it still holds opens nothing any more.")
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
