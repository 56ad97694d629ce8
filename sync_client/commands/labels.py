"""`mb-sync label`: what files show, as people say it.

Owns: these commands and their words.  May import: click, protocol, home, screens, places, reach, words.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from protocol.errors import BadRequest
from protocol.names import shown
from sync_client import screens
from sync_client.commands.places import node_at, remote_at
from sync_client.commands.reach import server_api
from sync_client.commands.words import as_json, help_end, notice, pass_home, tell
from sync_client.home import ClientHome, read_account

if TYPE_CHECKING:
    from protocol.catalog import LabelKind, Labels, LabelsChanged, LabelShown, Said
    from sync_client.engine.account import Account

_path = click.argument("path", metavar="PATH")
_EXAMPLE = "mb-sync label ~/Nerves/scan.dcm region=wrist side=left"


class _OrSet(click.Group):
    """`mb-sync label PATH KEY=VALUE` without a word between: whatever is no command of the group is a path."""

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        named = args if args and args[0] in self.commands else ["set", *args]
        return super().resolve_command(context, named)


@click.group("label", cls=_OrSet, epilog=help_end(_EXAMPLE), subcommand_metavar="PATH KEY=VALUE… | COMMAND …")
def label_group() -> None:
    """Say what a file shows: your label counts, whatever blocks say, and stays through all versions.

    PATH is a remote path, or one in a followed folder; of a folder, all files that lie in it now are labelled. Say a
    KEY twice for two values, and KEY= if none of what blocks say is right.
    """


@label_group.command("set", epilog=help_end(_EXAMPLE))
@_path
@click.argument("labels", metavar="KEY=VALUE…", nargs=-1, required=True)
@click.option("--remove", is_flag=True, help="Take back what people said of KEY; blocks' labels count again.")
@as_json
@pass_home
def label_set(home: ClientHome, path: str, labels: tuple[str, ...], *, remove: bool, as_json: bool) -> None:
    """Label the file at PATH, or all files in the folder there; the same without the word `set`."""
    account, remote = read_account(home), remote_at(home, path)
    if remove:
        names = list(dict.fromkeys(_name(one.partition("=")[0]) for one in labels))
        done = asyncio.run(_removed(account, remote, names))
        lines = [f"What people said of {name}: taken back for {_files(one)}." for name, one in done]
    else:
        given = _given(labels)
        done = asyncio.run(_set(account, remote, given))
        lines = [
            f"{name} is {', '.join(map(shown, given[name])) or 'none of what blocks say'} for {_files(one)}."
            for name, one in done
        ]
    facts = [{"name": name, "files": one.files, "before": one.before} for name, one in done]
    tell(facts, "\n".join(lines), json_wanted=as_json)
    if not as_json:
        for name, one in done:
            if undo := _undo(name, one, path, was_removed=remove):
                notice(f"Undo: {undo}")


@label_group.command("list", epilog=help_end("mb-sync label list ~/Nerves/scan.dcm"))
@_path
@as_json
@pass_home
def label_list(home: ClientHome, path: str, *, as_json: bool) -> None:
    """List what counts for the file at PATH, who said so, and what blocks say."""
    found = asyncio.run(_listed(read_account(home), remote_at(home, path))).labels
    tell([_facts(one) for one in found], _screen(found), json_wanted=as_json)


@label_group.command("kinds", epilog=help_end("mb-sync label kinds /Projects/Nerves"))
@click.argument("path", metavar="PATH")
@as_json
@pass_home
def label_kinds(home: ClientHome, path: str, *, as_json: bool) -> None:
    """List the kinds of label that a project, or your home, has of its own."""
    found = asyncio.run(_kinds(read_account(home), remote_at(home, path)))
    words = "\n".join(screens.table(((one.name, _allowed(one)) for one in found), indent=""))
    tell([_kind_facts(one) for one in found], words or "Any label may be said here.", json_wanted=as_json)


@label_group.command(
    "kind", epilog=help_end("mb-sync label kind /Projects/Nerves grade --value low --value high")
)
@click.argument("path", metavar="PATH")
@click.argument("name")
@click.option("--value", "values", multiple=True, metavar="V", help="One that it may have; say it again.")
@click.option("--max-length", type=click.IntRange(1, 200), help="Free text of at most so many characters.")
@click.option("--remove", is_flag=True, help="End it: any text may be said again.")
@as_json
@pass_home
def label_kind(
    home: ClientHome,
    path: str,
    name: str,
    *,
    values: tuple[str, ...],
    max_length: int | None,
    remove: bool,
    as_json: bool,
) -> None:
    """Say what labels called NAME may hold in a whole project or home. What was said before stays."""
    if [bool(values), max_length is not None, remove].count(True) != 1:
        raise click.UsageError("Say either --value, or --max-length, or --remove.")
    account, remote, word = read_account(home), remote_at(home, path), _name(name)
    if remove:
        left = asyncio.run(_kind_removed(account, remote, word))
        words = f"Any text may be said of {word} again."
    else:
        left = asyncio.run(_kind_set(account, remote, word, list(values) or None, max_length))
        words = f"Labels of {word}: {_allowed(next(one for one in left if one.name == word))}."
    tell([_kind_facts(one) for one in left], words, json_wanted=as_json)


# ---- at the server -----------------------------------------------------------------------------------------

Done = list[tuple[str, "LabelsChanged"]]


async def _set(account: Account, remote: str, given: dict[str, list[str]]) -> Done:
    async with server_api(account.server, account.token, trust=account.trust) as api:
        view, node = await node_at(api, remote)
        return [(name, await api.set_label(view.view, node, name, values)) for name, values in given.items()]


async def _removed(account: Account, remote: str, names: Sequence[str]) -> Done:
    async with server_api(account.server, account.token, trust=account.trust) as api:
        view, node = await node_at(api, remote)
        return [(name, await api.remove_label(view.view, node, name)) for name in names]


async def _listed(account: Account, remote: str) -> Labels:
    async with server_api(account.server, account.token, trust=account.trust) as api:
        view, node = await node_at(api, remote)
        return await api.labels(view.view, node)


async def _kinds(account: Account, remote: str) -> list[LabelKind]:
    async with server_api(account.server, account.token, trust=account.trust) as api:
        view, _ = await node_at(api, remote)
        return (await api.label_kinds(view.view)).kinds


async def _kind_set(
    account: Account, remote: str, name: str, values: list[str] | None, max_length: int | None
) -> list[LabelKind]:
    from protocol.catalog import SetLabelKind  # noqa: PLC0415 - msgspec: the --help of all commands reads this file

    asked = SetLabelKind(values=values) if max_length is None else SetLabelKind(max_length=max_length)
    async with server_api(account.server, account.token, trust=account.trust) as api:
        view, _ = await node_at(api, remote)
        return (await api.set_label_kind(view.view, name, asked)).kinds


async def _kind_removed(account: Account, remote: str, name: str) -> list[LabelKind]:
    async with server_api(account.server, account.token, trust=account.trust) as api:
        view, _ = await node_at(api, remote)
        await api.remove_label_kind(view.view, name)
        return (await api.label_kinds(view.view)).kinds


# ---- what a person says and sees ---------------------------------------------------------------------------


def _given(labels: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in labels:
        name, equals, value = one.partition("=")
        if not equals:
            raise BadRequest(f"{one[:40]!r} is no label", hint="Say KEY=VALUE, such as region=wrist.")
        found.setdefault(_name(name), []).extend([value] if value else [])
    return found


def _name(text: str) -> str:
    """As the server writes names of labels."""
    name = unicodedata.normalize("NFC", text.strip()).casefold().replace("_", "-").replace(" ", "-")
    if not name:
        raise BadRequest("A label has no name", hint="Say KEY=VALUE, such as region=wrist.")
    return name


def _files(done: LabelsChanged) -> str:
    return screens.count_of(done.files, "file")


def _undo(name: str, done: LabelsChanged, path: str, *, was_removed: bool) -> str:
    """The command that brings back what was; "" where one command cannot."""
    if done.before is not None:
        said = [f"'{name}={value}'" for value in done.before] or [f"{name}="]
        return f"mb-sync label {shown(path)} {' '.join(map(shown, said))}"
    return "" if was_removed else f"mb-sync label {shown(path)} {name} --remove"


def _screen(found: Sequence[LabelShown]) -> str:
    if not found:
        return "Nobody said anything of it yet. Say it: mb-sync label PATH KEY=VALUE"
    rows = []
    for one in found:
        values = ", ".join(map(shown, one.values)) or "none"
        rows.append((one.name, values, _by(one)))
    return "\n".join(screens.table(rows, indent=""))


def _where(said: Said) -> str:
    return f"{said.said_by} from {said.source}" if said.source else said.said_by


def _by(one: LabelShown) -> str:
    blocks = ", ".join(
        f"{shown(said.block)} {shown(said.block_version)} says {shown(said.value)}"
        f" ({shown(_where(said))}, {said.confidence:.0%})"
        for said in one.said
    )
    if not one.by_people:
        return blocks
    words = f"by {shown(one.who)}" if one.who else "by a person"
    return f"{words}; {blocks}" if blocks else words


def _facts(one: LabelShown) -> dict[str, Any]:
    return {
        "name": one.name,
        "values": one.values,
        "by_people": one.by_people,
        "who": one.who or None,
        "at_ms": one.at_ms or None,
        "said": [
            {
                "value": said.value,
                "block": said.block,
                "block_version": said.block_version,
                "said_by": said.said_by,
                "confidence": said.confidence,
                "source": said.source,
            }
            for said in one.said
        ],
    }


def _allowed(kind: LabelKind) -> str:
    if kind.values is None:
        return f"text of at most {kind.max_length} characters"
    return "one of " + ", ".join(map(shown, kind.values))


def _kind_facts(kind: LabelKind) -> dict[str, Any]:
    return {"name": kind.name, "values": kind.values, "max_length": kind.max_length, "who": kind.who or None}


COMMANDS = (label_group,)
