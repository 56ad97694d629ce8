"""`mb-sync find` and `counts`: what there is, by labels and attributes.

Owns: these commands and their words.  May import: click, protocol, home, screens, folders, places, reach, words.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from protocol.names import shown
from sync_client import screens
from sync_client.commands.folders import view_of
from sync_client.commands.places import remote_at
from sync_client.commands.reach import server_api
from sync_client.commands.words import as_json, command, notice, pass_home, tell
from sync_client.home import ClientHome, read_account

if TYPE_CHECKING:
    from protocol.catalog import Counts, FoundItem
    from protocol.messages import View
    from sync_client.engine.account import Account

LEVELS = ("patient", "study", "series", "file")
ORDERS = ("patient", "date", "-date")
_PAGE = 200
_INTAKE = "intake"
_WORDS = frozenset({"(", ")", "and", "or", "not"})
_VALUE = re.compile(r'([A-Za-z][A-Za-z0-9-]*!?=)([^"]*\s[^"]*)', re.DOTALL)
_FIRST = ("region", "side", "pathology", "sequence")
_LAST = ("focus", "plane", "weighting", "contrast", "fat-saturation", "dimension")
_NOT_SHOWN = frozenset(  # but in --json: a column says it already, or it is a number of the file
    [
        "modality",
        "derived",
        "frames",
        "slices",
        "time-points",
        "b-value",
        "echo-number",
        "temporal-position",
        "channel",
        "channels",
        "sampling-rate-hertz",
        "duration-seconds",
        "annotations",
        "gaps",
    ]
)
_MOST_LABELS = 60  # characters of a line


@command("find", "mb-sync find region=knee EchoTime=20..80 --in /Projects/Nerves")
@click.argument("query", metavar="KEY=VALUE…", nargs=-1)
@click.option("--in", "where", metavar="REMOTE", help="Only in this view, such as /Projects/Nerves.")
@click.option("--level", type=click.Choice(LEVELS), default="series", help="What is listed (series).")
@click.option("--order", type=click.Choice(ORDERS), default="patient", help="-date: the latest first.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, help="How many are listed (50).")
@click.option("--csv", "as_csv", is_flag=True, help="All files that fit, as a table; say --in as well.")
@as_json
@pass_home
def find(
    home: ClientHome,
    query: tuple[str, ...],
    where: str | None,
    level: str,
    order: str,
    limit: int,
    *,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Find series, files, studies or patients by labels and DICOM attributes; nothing said: list all there is.

    KEY=A,B is either; KEY=A..B a range, of dates too (StudyDate=2020..2021); KEY=begin*; KEY=* whatever it is;
    KEY!=VALUE. A word alone is looked for in descriptions and labels. Beside each other all must hold, of one and
    the same file; say `or`, `not` and '(' ')' between them where you need to.
    """
    account, text = read_account(home), query_of(query)
    remote = remote_at(home, where) if where else None
    if as_csv:
        if remote is None or as_json:
            raise click.UsageError("Say --csv with --in REMOTE, and without --json.")
        click.echo(asyncio.run(_table(account, remote, text)), nl=False)
        return
    found, more = asyncio.run(_found(account, remote, text, level, order, limit))
    rows = [_facts(view, one, level) for view, one in found]
    tell(rows, _screen(rows), json_wanted=as_json)
    if more and not as_json:
        notice(f"There are more: --limit {limit * 4}")


@command("counts", "mb-sync counts /Projects/Nerves")
@click.argument("remote")
@click.argument("query", metavar="KEY=VALUE…", nargs=-1)
@as_json
@pass_home
def counts(home: ClientHome, remote: str, query: tuple[str, ...], *, as_json: bool) -> None:
    """Count patients, studies, series and files you may see in a place, by modality and label.

    With KEY=VALUE only of what fits, as for `mb-sync find`.
    """
    told = asyncio.run(_counted(read_account(home), remote_at(home, remote), query_of(query)))
    tell(_numbers(told), _counts_screen(told), json_wanted=as_json)


def query_of(arguments: Sequence[str]) -> str:
    """What the server is asked: a value that a shell kept together stays so."""
    return " ".join(
        one if one in _WORDS else _VALUE.sub(r'\1"\2"', one) if _VALUE.fullmatch(one) else one
        for one in arguments
    )


def searched_views(views: list[View], remote: str | None) -> list[View]:
    """Where is looked: nothing of an intake can be found."""
    if remote is not None:
        return [view_of(views, remote)[0]]
    return [view for view in views if view.kind != _INTAKE]


async def _found(
    account: Account, remote: str | None, text: str, level: str, order: str, limit: int
) -> tuple[list[tuple[View, FoundItem]], bool]:
    """At most `limit`, each once; and whether there are more."""
    found: list[tuple[View, FoundItem]] = []
    seen = set()
    async with server_api(account.server, account.token, trust=account.trust) as api:
        for view in searched_views((await api.views()).views, remote):
            after = ""
            while True:
                page = await api.search(view.view, text, level=level, order=order, after=after, limit=_PAGE)
                for one in page.items:
                    if one.node is not None and one.node in seen:
                        continue  # a folder that is shared, in a project that one is in
                    if len(found) == limit:
                        return found, True
                    seen.add(one.node)
                    found.append((view, one))
                if not (after := page.next):
                    break
    return found, False


async def _table(account: Account, remote: str, text: str) -> bytes:
    async with server_api(account.server, account.token, trust=account.trust) as api:
        [view] = searched_views((await api.views()).views, remote)
        return await api.search_table(view.view, text)


async def _counted(account: Account, remote: str, text: str) -> Counts:
    async with server_api(account.server, account.token, trust=account.trust) as api:
        [view] = searched_views((await api.views()).views, remote)
        return await api.counts(view.view, text)


# ---- what a person sees ------------------------------------------------------------------------------------


def _facts(view: View, one: FoundItem, level: str) -> dict[str, Any]:
    inside = "" if one.path == "/" else one.path
    return {
        "level": level,
        "view": view.name,
        "path": view.name + inside if one.node is not None else None,
        "node": None if one.node is None else str(one.node),
        "patient": one.patient,
        "study": one.study,
        "series": one.series_uid,
        "date": one.date,
        "modalities": one.modalities,
        "files": one.files,
        "count": {"studies": one.studies, "series": one.series, "files": one.files},
        "attributes": one.attributes,
        "labels": one.labels,
    }


def _screen(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return "Nothing fits that you may see."
    table = [("PATIENT", "DATE", "WHAT", "LABELS", "FILES", "WHERE")]
    for row in rows:
        description = [str(one) for one in row["attributes"].get("SeriesDescription", ())]
        table.append(
            (
                shown(row["patient"]) or "-",
                _date(row["date"]),
                shown(" ".join([*row["modalities"], *description])) or "-",
                shown(_labels(row["labels"])) or "-",
                f"{row['files']:,}",
                screens.shown_remote(row["path"] or row["view"]),
            )
        )
    return "\n".join(screens.table(table, indent=""))


def _labels(labels: dict[str, list[str]]) -> str:
    """The telling ones first, as many as there is room for."""
    own = [name for name in labels if name not in (*_FIRST, *_LAST) and name not in _NOT_SHOWN]
    names = [name for name in (*_FIRST, *own, *_LAST) if name in labels]
    words = "; ".join(f"{name} {', '.join(labels[name])}" for name in names)
    return words if len(words) <= _MOST_LABELS else f"{words[: _MOST_LABELS - 1]}…"


def _date(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 else "-"


def _numbers(told: Counts) -> dict[str, Any]:
    return {
        "patients": told.patients,
        "studies": told.studies,
        "series": told.series,
        "files": told.files,
        "by": {
            one.name: [
                {
                    "value": value.value,
                    "patients": value.patients,
                    "studies": value.studies,
                    "series": value.series,
                    "files": value.files,
                }
                for value in one.values
            ]
            for one in told.by
        },
    }


def _counts_screen(told: Counts) -> str:
    whole = (
        screens.count_of(told.patients, "patient"),
        f"{told.studies:,} studies" if told.studies != 1 else "1 study",
        f"{told.series:,} series",
        screens.count_of(told.files, "file"),
    )
    table: list[tuple[str, ...]] = [("", "", "PATIENTS", "STUDIES", "SERIES", "FILES")]
    for one in told.by:
        for at, value in enumerate(one.values):
            numbers = (value.patients, value.studies, value.series, value.files)
            table.append(
                (
                    shown(one.name) if at == 0 else "",
                    shown(value.value),
                    *(f"{number:,}" for number in numbers),
                )
            )
        if one.more:
            table.append(("", f"and {one.more:,} more", "", "", "", ""))
    rows = screens.table(table, indent="") if told.by else []
    return "\n".join([", ".join(whole), *rows])


COMMANDS = (find, counts)
