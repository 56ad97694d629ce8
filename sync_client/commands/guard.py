"""`mb-sync guard`: what waits for a person's decision, and the decision.  `mb-sync ignore test`: which rule decides.

Owns: these commands.  May import: click, protocol, control (its `Json`), home, quick, reach, screens.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import click

from protocol.errors import LocalProblem
from protocol.names import shown
from sync_client import quick, screens
from sync_client.commands.reach import reach
from sync_client.commands.words import as_json, help_end, pass_home, tell
from sync_client.control import Json
from sync_client.home import ClientHome


@click.group("guard", invoke_without_command=True, epilog=help_end("mb-sync guard --json"))
@as_json
@click.pass_context
def guard(context: click.Context, *, as_json: bool) -> None:
    """List mass deletes and rewrites that wait until you decide; decide about them."""
    if context.invoked_subcommand is None:
        items = reach(context.obj, "guard")
        tell(items, screens.guard_screen(items), json_wanted=as_json)


@guard.command("list", epilog=help_end("mb-sync guard list ~/Study"))
@click.argument("folder", required=False)
@as_json
@pass_home
def list_all(home: ClientHome, folder: str | None, *, as_json: bool) -> None:
    """Name each file and folder that a decision is about; without FOLDER, in all folders."""
    wanted = _whole(folder)
    found = []
    for one in reach(home, "guard"):
        if wanted in (None, one["folder"]):
            items = sorted(_every(home, one), key=lambda item: str(item["path"]))
            found.append({"folder": one["folder"], "what": one["what"], "items": items})
    if not found and wanted is not None:
        raise LocalProblem(
            f"Nothing waits for a decision in {wanted}", hint="`mb-sync guard` lists what does."
        )
    tell(found, screens.guard_list_screen(found), json_wanted=as_json)


def _every(home: ClientHome, guard: Json) -> Iterator[Json]:
    """Part by part, so that nobody else waits for a long list."""
    after: int | None = 0
    while after is not None:
        part = reach(home, "guard-list", folder=guard["folder"], what=guard["what"], after=after)
        yield from part["items"]
        after = part["next"]


@guard.command("apply", epilog=help_end("mb-sync guard apply ~/Study"))
@click.argument("folder", required=False)
@as_json
@pass_home
def apply(home: ClientHome, folder: str | None, *, as_json: bool) -> None:
    """Go on with it: what was deleted or rewritten on one side is so on the other too. It goes to the trash there."""
    done = reach(home, "guard-decide", folder=_whole(folder), apply=True)
    words = f"{screens.count_of(done['count'], 'item')}: it is done on the other side too."
    tell(done, words, json_wanted=as_json)


@guard.command("restore", epilog=help_end("mb-sync guard restore ~/Study"))
@click.argument("folder", required=False)
@as_json
@pass_home
def restore(home: ClientHome, folder: str | None, *, as_json: bool) -> None:
    """Undo it: what was deleted comes back from the other side, what was rewritten gets its content of before."""
    done = reach(home, "guard-decide", folder=_whole(folder), apply=False)
    words = f"{screens.count_of(done['count'], 'item')}: it is undone with the next sync."
    tell(done, words, json_wanted=as_json)


@click.group("ignore", epilog=help_end("mb-sync ignore test ~/Study/notes.log"))
def ignore() -> None:
    """Find out why a file is not synced: rules in `.mbignore` files, read as git reads `.gitignore`."""


@ignore.command("test", epilog=help_end("mb-sync ignore test ~/Study/notes.log"))
@click.argument("path")
@as_json
@pass_home
def ignore_test(home: ClientHome, path: str, *, as_json: bool) -> None:
    """Name the file and the line that decide whether PATH is ignored. It need not exist."""
    found = reach(home, "ignore-test", path=quick.absolute(os.path.expanduser(path)))
    tell(found, shown(found["words"]), json_wanted=as_json)


def _whole(folder: str | None) -> str | None:
    return None if folder is None else os.path.realpath(os.path.expanduser(folder))


COMMANDS = (guard, ignore)
