"""`mb-sync doctor` and `support-bundle`: what is wrong here, for the person and for whoever helps.

Owns: the two commands.  May import: click, autostart, desktop, doctor, home, screens, words.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sync_client import quick, screens
from sync_client.commands.desktop import starts_at_login
from sync_client.commands.words import as_json, command, notice, pass_home, tell
from sync_client.home import ClientHome

if TYPE_CHECKING:
    from sync_client.doctor.findings import Finding


@command("doctor", "mb-sync doctor --json", "0 nothing is wrong · 1 something is, or an error · 2 usage")
@as_json
@pass_home
def doctor(home: ClientHome, *, as_json: bool) -> int:
    """Look for what is in the way: server, clock, proxy, certificate, sign-in, keyring, disk, rights, watches.

    Each line is ✓ (well), ! (to know) or ✗ (to put right), and says what to do.  Nothing is changed.
    """
    from sync_client.doctor import findings  # noqa: PLC0415 - the --help of all commands reads this file

    found = _examined(home)
    paint = screens.painter(colours=not as_json and screens.has_colours())
    tell(findings.answer(found), findings.screen(found, paint), json_wanted=as_json)
    return quick.ERROR if findings.has_errors(found) else quick.DONE


def _examined(home: ClientHome) -> list[Finding]:
    from sync_client.doctor.looking import examine  # noqa: PLC0415 - the HTTP client behind it

    return list(examine(home, starts_at_login=starts_at_login(home)))


@command("support-bundle", "mb-sync support-bundle mb-sync-report.zip")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only list what would be in it; write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask, also at a terminal.")
@as_json
@pass_home
def support_bundle(home: ClientHome, file: Path, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Write a zip for whoever helps you: versions, findings of the doctor, counts, the log.

    No name of a person, patient, computer, folder or file is in it, no path, no address and no secret.  What is in it
    is listed first, and at a terminal you are asked.
    """
    from sync_client.doctor.bundle import parts_of_bundle, write_bundle  # noqa: PLC0415 - as above

    parts = parts_of_bundle(home, _examined(home))
    notice("\n".join(screens.table((name, screens.size(len(text))) for name, text in parts.items())))
    notice("No names, paths, addresses or secrets: README.txt in it says what is left.")
    if not dry_run:
        if not yes and sys.stdin.isatty():
            click.confirm(f"Write {screens.path(str(file))}?", default=True, abort=True, err=True)
        write_bundle(file, parts)
    answer = {
        "path": None if dry_run else str(file),
        "parts": {name: len(text) for name, text in parts.items()},
    }
    words = "Nothing was written." if dry_run else f"Written: {screens.path(str(file))}"
    tell(answer, words, json_wanted=as_json)


COMMANDS = (doctor, support_bundle)
