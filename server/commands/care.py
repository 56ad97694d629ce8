"""Commands that look after the data: what is dropped, kept and copied.

Owns: `user quota`, `gc`, `thin`, `scrub`, `backup`, `restore`.
May import: click, protocol, server.  All that is heavy is imported inside the commands that need it.
"""

# ruff: noqa: PLC0415 - what is heavy is imported inside the commands that need it

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from server.commands.words import (
    changing,
    command,
    data_option,
    folder_at,
    json_option,
    now_ms,
    open_data,
    open_database,
    shown_time,
    tell_log,
)


@command("gc", example="mb-server gc --data /srv/medical-blocks --dry-run")
@data_option
@click.option(
    "--grace",
    default="24h",
    show_default=True,
    metavar="SPAN",
    help="How long what was dropped can still be read, and leases hold after their end: 90s, 24h, 7d.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@json_option
def gc(data: Path, grace: str, *, dry_run: bool, as_json: bool) -> None:
    """Make room: drop stored bytes that nothing holds, merge small packs, keep copies once.

    May run beside the server, which does the same by itself in the background.  What current files,
    versions, the trash and unfinished uploads hold always stays.
    """
    from server.quantities import parse_span, say_bytes
    from server.upkeep.gc import Collector

    seconds = parse_span(grace)
    with open_data(data) as (database, packs, keys), folder_at(data).tended():
        collector = Collector(database, packs, keys, clock=now_ms)
        if dry_run:
            groups = collector.plan()
            gain = sum(weight.size - weight.live for group in groups for weight in group)
            count = sum(len(group) for group in groups)
            facts: dict[str, object] = {"dry_run": True, "packs": count, "freed_bytes": gain}
            words = f"Would free about {say_bytes(gain)} in {count} packs. Nothing was changed."
        else:
            done = collector.run(grace_seconds=seconds)
            tell_log(database, f"gc --grace {grace}: {done.packs_dropped} packs dropped")
            facts = {
                "dry_run": False,
                "packs_dropped": done.packs_dropped,
                "packs_written": done.packs_written,
                "freed_bytes": done.freed_bytes,
                "deleted_bytes": done.deleted_bytes,
                "damaged": done.damaged,
            }
            words = (
                f"Freed {say_bytes(done.freed_bytes)}: {done.packs_dropped} packs dropped,"
                f" {done.packs_written} written. The disk got {say_bytes(done.deleted_bytes)} back now;"
                f" what was dropped today follows after {grace}."
            )
            if done.damaged:
                words += (
                    f" Left alone, since they are damaged: {', '.join(done.damaged)}; see `mb-server check`."
                )
    if as_json:
        click.echo(json.dumps(facts))
    click.echo(words, err=True)


@command("quota", example="mb-server user quota ben 50G --data /srv/medical-blocks")
@click.argument("name")
@click.argument("size", metavar="SIZE")
@data_option
def user_quota(name: str, size: str, data: Path) -> None:
    """Say how much a user's home may hold: 500M, 50G, 1.5T, or `default` for the server's default_quota.

    Counted are the bytes of current files, the trash's too.  Holds from the next commit on; what is there
    stays, also above it.
    """
    from server.access.users import set_quota
    from server.quantities import parse_bytes, say_bytes

    quota = None if size == "default" else parse_bytes(size)
    with changing(data, f"user quota {name} {size}") as session:
        set_quota(session, name, quota)
    click.echo(f"{name}: {'the default quota' if quota is None else say_bytes(quota)}.", err=True)


@command("thin", example="mb-server thin --data /srv/medical-blocks --dry-run")
@data_option
@click.option("--dry-run", is_flag=True, help="Only count what would go.")
@json_option
def thin(data: Path, *, dry_run: bool, as_json: bool) -> None:
    """Drop old versions and old trash, by `keep_versions` and `keep_trash` in server.toml.

    May run beside the server, which does the same by itself before each gc.  The bytes follow by `gc`.
    """
    import os

    from server.chunks.store import ChunkStore
    from server.config import load_settings
    from server.retention import parse_trash, parse_versions
    from server.upkeep.thinning import Thinning

    settings = load_settings(data, environment=os.environ, flags={})
    with open_data(data) as (database, packs, keys):
        done = Thinning(
            database,
            ChunkStore(database, packs, keys, clock=now_ms),
            steps=parse_versions(settings.keep_versions),
            trash_seconds=parse_trash(settings.keep_trash),
            clock=now_ms,
        ).run(dry=dry_run)
        if not dry_run:
            tell_log(database, f"thin: {done.versions} versions, {done.nodes} nodes dropped")
    if as_json:
        click.echo(json.dumps({"dry_run": dry_run, "versions": done.versions, "nodes": done.nodes}))
    words = f"{done.versions} old versions, and {done.nodes} files and folders from the trash"
    click.echo(f"Would drop {words}. Nothing was changed." if dry_run else f"Dropped {words}.", err=True)


@command(
    "scrub",
    example="mb-server scrub --data /srv/medical-blocks",
    codes="Exit codes: 0 no damage is known, 1 a pack is damaged (named) or an error, 2 usage.",
)
@data_option
@click.option("--now", is_flag=True, help="Read all packs now, instead of telling what is known.")
@json_option
def scrub(data: Path, *, now: bool, as_json: bool) -> None:
    """Tell whether the stored bytes are still whole, as the server's own reading found them.

    A running server reads every pack again each two weeks, gently.  Damaged bytes are never served.
    """
    from server.upkeep.scrub import health
    from server.upkeep.scrub import scrub as scrub_packs

    with open_data(data) as (database, packs, _):
        if now:
            scrub_packs(database, packs, clock=now_ms, older_than_ms=0)
        with database.reading() as session:
            found = health(session)
    oldest = None if found.oldest_at_ms is None else shown_time(found.oldest_at_ms)
    if as_json:
        facts = {"packs": found.packs, "unproven": found.unproven, "oldest": oldest, "damaged": found.damaged}
        click.echo(json.dumps(facts))
    else:
        for name in found.damaged:
            click.echo(name)
    words = f"{found.packs} packs, {len(found.damaged)} damaged, {found.unproven} not read yet"
    click.echo(f"{words}{f'; all others read since {oldest}' if oldest else ''}.", err=True)
    sys.exit(1 if found.damaged else 0)


@command(
    "backup",
    example="mb-server backup /mnt/backup/medical-blocks --data /srv/medical-blocks",
    codes="Exit codes: 0 done and proven, 1 a pack is damaged (named) or an error, 2 usage.",
)
@click.argument("to", type=click.Path(path_type=Path), metavar="TO")
@data_option
@click.option("--verify", is_flag=True, help="Also read again every pack that an earlier backup brought.")
@json_option
def backup(to: Path, data: Path, *, verify: bool, as_json: bool) -> None:
    """Copy everything but the keys into a folder, while the server works.

    Packs that are there already are not copied again.  The keys are never in a backup: the recovery key
    that `init` printed opens it.  See also `mb-server restore`.
    """
    from server.quantities import say_bytes
    from server.upkeep.backup import back_up

    folder = folder_at(data)
    with open_database(data) as database, folder.tended():
        tell_log(database, "backup")  # before it: so the backup knows of itself
        done = back_up(folder, database, to, now_ms=now_ms(), look=verify)
    copies = done.copies
    if as_json:
        facts = {
            "packs": done.note.packs,
            "copied": copies.copied,
            "copied_bytes": copies.copied_bytes,
            "present": copies.present,
            "removed": done.removed,
            "broken": copies.broken,
        }
        click.echo(json.dumps(facts))
    words = (
        f"{to} holds the server as it was at {shown_time(done.note.made_at_ms)}: the database and"
        f" {done.note.packs} packs, {copies.copied} of them new ({say_bytes(copies.copied_bytes)})."
    )
    if copies.broken:
        words += (
            f" Damaged or missing, so not in it: {', '.join(copies.broken)}; run `mb-server check --deep`."
        )
    click.echo(words, err=True)
    sys.exit(1 if copies.broken else 0)


@command(
    "restore",
    example="mb-server restore /mnt/backup/medical-blocks --data /srv/medical-blocks",
    codes="Exit codes: 0 done and proven, 1 a pack of the backup is damaged (named) or an error, 2 usage.",
)
@click.argument("source", type=click.Path(path_type=Path), metavar="FROM")
@data_option
@click.option(
    "--recovery-key-stdin",
    is_flag=True,
    help="Read the recovery key from standard input, where the keys are gone: one line.",
)
@json_option
def restore(source: Path, data: Path, *, recovery_key_stdin: bool, as_json: bool) -> None:
    """Bring a data folder to the state of a backup.  The server must be stopped.

    What clients did since the backup comes back from them by itself: they notice the restore, delete
    nothing, and put back what they hold.  Who was shut out since stays so.  The database that was there is
    set aside in the folder.
    """
    from server.upkeep.restore import restore as restore_all

    folder = folder_at(data)
    key = sys.stdin.readline().strip() if recovery_key_stdin else ""
    folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with folder.locked(), folder.tended():
        done = restore_all(folder, source, recovery_key=key, now_ms=now_ms())
    if as_json:
        facts = {
            "made_at": shown_time(done.note.made_at_ms),
            "epoch": done.epoch,
            "revoked": done.revoked,
            "broken": done.copies.broken,
            "aside": None if done.aside is None else str(done.aside),
        }
        click.echo(json.dumps(facts))
    words = f"{data} is as it was at {shown_time(done.note.made_at_ms)}, in epoch {done.epoch}."
    if done.aside is not None:
        words += f" The database that was there lies in {done.aside.name}."
    if done.revoked:
        words += f" Shut out again: {done.revoked} (devices and users that were since the backup)."
    if done.copies.broken:
        words += f" Damaged in the backup too: {', '.join(done.copies.broken)}; run `mb-server check --deep`."
    click.echo(
        words + " Start it with `mb-server serve`; clients put back what they hold by themselves.", err=True
    )
    sys.exit(1 if done.copies.broken else 0)


COMMANDS = (gc, thin, scrub, backup, restore)
