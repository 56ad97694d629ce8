"""How the commands of `mb-server` look, and what they open.

Owns: their common options, the form of help, opening the data folder, reading a password.
May import: click, protocol, server.  All that is heavy is imported inside the functions that need it.
"""

# ruff: noqa: PLC0415 - what is heavy is imported inside the functions that need it

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from protocol.errors import LocalProblem

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from server.chunks.keys import StoreKeys
    from server.chunks.packs import FolderPacks
    from server.data_folder import DataFolder
    from server.database.session import Database

EXIT_CODES = "Exit codes: 0 done, 1 error, 2 usage."

data_option = click.option(
    "--data",
    required=True,
    envvar="MB_SERVER_DATA",
    show_envvar=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The server's data folder.",
)
password_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input: one line."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")


def command(
    name: str, *, example: str, codes: str = EXIT_CODES
) -> Callable[[Callable[..., Any]], click.Command]:
    return click.command(name, epilog=f"\b\nExample:\n  {example}\n\n{codes}")


def folder_at(data: Path) -> DataFolder:
    from server.data_folder import DataFolder

    return DataFolder(data)


@contextmanager
def open_database(data: Path) -> Iterator[Database]:
    from server.database.session import Database

    folder = folder_at(data)
    folder.check_there()
    database = Database.open(folder.database, migrate=False)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def changing(data: Path, words: str) -> Iterator[Session]:
    """One transaction.  words: what is done, for the log."""
    from server.audit.rows import operated

    with open_database(data) as database, database.writing() as session:
        yield session
        operated(session, words, now_ms=now_ms())


def tell_log(database: Database, words: str) -> None:
    """What was done in many transactions, for the log."""
    from server.audit.rows import operated

    with database.writing() as session:
        operated(session, words, now_ms=now_ms())


@contextmanager
def open_data(data: Path) -> Iterator[tuple[Database, FolderPacks, StoreKeys]]:
    from server.chunks.keys import open_keys
    from server.chunks.packs import FolderPacks

    with open_database(data) as database:
        folder = folder_at(data)
        yield database, FolderPacks(folder.packs), open_keys(folder.keys)


def read_password(*, from_stdin: bool) -> str:
    """One line of standard input, or asked for twice on a terminal.

    Raises LocalProblem: it is empty.
    """
    if not from_stdin:
        if not sys.stdin.isatty():
            raise LocalProblem("No password was given", hint="Say --password-stdin and give it in one line.")
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    try:
        password = sys.stdin.readline().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise LocalProblem("The password is no UTF-8 text", hint="Give it as text, in one line.") from error
    if not password:
        raise LocalProblem("The password is empty", hint="Give it in the first line of standard input.")
    return password


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def shown_time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).isoformat(timespec="seconds")
