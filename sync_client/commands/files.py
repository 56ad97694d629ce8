"""`mb-sync conflicts resolve`, `revs`, `restore` and `trash`.

Owns: what a person does about one file.  May import: click, home, quick, reach, screens.
"""

from __future__ import annotations

import os

import click

from sync_client import quick, screens
from sync_client.commands.reach import reach
from sync_client.commands.words import as_json, command, help_end, pass_home, tell
from sync_client.home import ClientHome


def _paint(*, as_json: bool) -> screens.Paint:
    return screens.painter(colours=not as_json and screens.has_colours())


@click.group("conflicts", epilog=help_end("mb-sync conflicts resolve 1f0c77ab --keep mine"))
def conflicts() -> None:
    """List files edited on two sides at once; decide about them."""


@conflicts.command("resolve", epilog=help_end("mb-sync conflicts resolve 1f0c77ab --keep mine"))
@click.argument("conflict_id", metavar="ID", required=False)
@click.option("--all", "every", is_flag=True, help="Decide about all that `mb-sync conflicts` lists.")
@click.option(
    "--keep",
    type=click.Choice(["mine", "theirs", "both"]),
    required=True,
    help="mine: the copy kept beside it; theirs: the file under the name; both: leave both as files.",
)
@as_json
@pass_home
def resolve(home: ClientHome, conflict_id: str | None, keep: str, *, every: bool, as_json: bool) -> None:
    """Decide which side of a conflict stays. What gives way lies in the trash, and can be brought back."""
    if every is (conflict_id is not None):
        raise click.UsageError("Name one conflict, or say --all.")
    decided = reach(home, "resolve", id=conflict_id or "", keep=keep)
    answer = decided if every else decided[0]
    tell(answer, screens.decided_screen(decided), json_wanted=as_json)
    if any(one["failed"] for one in decided):
        click.get_current_context().exit(1)


@command("exclude", "mb-sync exclude ~/Study/raw")
@click.argument("path", metavar="PATH|list")
@click.option("--remove", is_flag=True, help="Have it on this computer again.")
@as_json
@pass_home
def exclude(home: ClientHome, path: str, *, remove: bool, as_json: bool) -> None:
    """Keep a file or folder off this computer, or list what is kept off.

    It stays on the server, wherever it is renamed or moved to. Its local copy goes to the local trash, if all of it
    is on the server.
    """
    if path == "list":
        items = reach(home, "exclude")
        tell(items, screens.excluded_screen(items), json_wanted=as_json)
        return
    done = reach(home, "exclude", path=_whole(path), remove=remove)
    where = screens.path(done["path"])
    words = (
        f"{where} is excluded. Its local copy goes to the local trash: `mb-sync trash empty` frees the disk."
    )
    tell(done, words if done["excluded"] else f"{where} comes back.", json_wanted=as_json)


@command("revs", "mb-sync revs ~/Study/notes.txt")
@click.argument("path")
@as_json
@pass_home
def revs(home: ClientHome, path: str, *, as_json: bool) -> None:
    """List the versions of a file, the newest first."""
    items = reach(home, "revs", path=_whole(path))
    tell(items, screens.revs_screen(items, _paint(as_json=as_json)), json_wanted=as_json)


@command("restore", "mb-sync restore ~/Study/notes.txt --rev 3")
@click.argument("path")
@click.option("--rev", metavar="N", required=True, help="The version, as `mb-sync revs` shows it.")
@click.option("--to", metavar="P", help="Make it a new file there, in the same followed folder.")
@as_json
@pass_home
def restore(home: ClientHome, path: str, rev: str, to: str | None, *, as_json: bool) -> None:
    """Bring an old version of a file back. The one of now stays among the versions."""
    done = reach(home, "restore", path=_whole(path), rev=rev, to=None if to is None else _whole(to))
    tell(done, f"Version {rev} is back as {screens.path(_whole(to or path))}.", json_wanted=as_json)


@click.group("trash", invoke_without_command=True, epilog=help_end("mb-sync trash restore ID"))
@as_json
@click.pass_context
def trash(context: click.Context, *, as_json: bool) -> None:
    """List what was deleted or replaced; bring it back."""
    if context.invoked_subcommand is None:
        _list_trash(context.obj, json_wanted=as_json)


@trash.command("list", epilog=help_end("mb-sync trash list"))
@as_json
@pass_home
def trash_list(home: ClientHome, *, as_json: bool) -> None:
    """List what was deleted or replaced, here and on the server."""
    _list_trash(home, json_wanted=as_json)


def _list_trash(home: ClientHome, *, json_wanted: bool) -> None:
    items = reach(home, "trash")
    tell(items, screens.trash_screen(items), json_wanted=json_wanted)


@trash.command("restore", epilog=help_end("mb-sync trash restore ID"))
@click.argument("item", metavar="ID")
@click.option("--to", metavar="P", help="To another place, in the same followed folder (local trash only).")
@as_json
@pass_home
def trash_restore(home: ClientHome, item: str, to: str | None, *, as_json: bool) -> None:
    """Bring something back from the trash; `mb-sync trash` shows its ID."""
    done = reach(home, "trash-restore", item=item, to=None if to is None else _whole(to))
    where = done.get("path") if isinstance(done, dict) else None
    words = "It is back." if where is None else f"It is back as {screens.path(where)}."
    tell(done, words, json_wanted=as_json)


@trash.command("empty", epilog=help_end("mb-sync trash empty"))
@as_json
@pass_home
def trash_empty(home: ClientHome, *, as_json: bool) -> None:
    """Drop from the local trash whatever the server holds as well; its own trash and versions stay."""
    done = reach(home, "trash-empty")
    words = f"{screens.count_of(done['dropped'], 'file')} dropped, {screens.size(done['bytes'])} free."
    if done["kept"]:
        words += f" {screens.count_of(done['kept'], 'file')} kept: the server does not hold them."
    tell(done, words, json_wanted=as_json)


def _whole(path: str) -> str:
    return quick.absolute(os.path.expanduser(path))


COMMANDS = (conflicts, exclude, revs, restore, trash)
