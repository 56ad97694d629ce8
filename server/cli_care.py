"""Commands that look after the data: what is dropped, kept and copied.

Owns: `gc`.
May import: click, protocol, server.  All that is heavy is imported inside the commands that need it.
"""

# ruff: noqa: PLC0415 - what is heavy is imported inside the commands that need it

from __future__ import annotations

import json
from pathlib import Path

import click

from server.cli_words import command, data_option, folder_at, json_option, now_ms, open_data


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
