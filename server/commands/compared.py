"""What a block changed in a DICOM file, for the eyes of its author.

Owns: the lines.  May import: click, protocol.names.

In groups, since the question is always the same: what is gone, what is another one, does anything stay that must not?
Private attributes are counted by who made them: a scanner writes hundreds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import click

from protocol.names import shown

_GROUPS = ("changed", "emptied", "removed", "added")
_COLOURS = {"changed": "yellow", "emptied": "red", "removed": "red", "added": "green"}
_LEAST, _WIDEST = 12, 44  # columns for the names


def lines_of(changes: Sequence[dict[str, str]], same: int, *, width: int) -> Iterator[str]:
    """width: of the screen, in columns."""
    private = Counter(
        (change["what"], change["creator"]) for change in changes if change["creator"] or _is_private(change)
    )
    public = [change for change in changes if not (change["creator"] or _is_private(change))]
    names = max([_LEAST, *(len(change["where"]) for change in public)])
    names = min(names, _WIDEST, width // 2)
    for group in _GROUPS:
        mine = [change for change in public if change["what"] == group]
        makers = sorted(creator for what, creator in private if what == group)
        if not mine and not makers:
            continue
        total = len(mine) + sum(private[group, creator] for creator in makers)
        yield f"  {click.style(f'{group} ({total})', fg=_COLOURS[group], bold=True)}"
        for change in mine:
            yield _line(change, names, width)
        for creator in makers:
            count = private[group, creator]
            what = f"private, {creator}" if creator else "private"
            yield f"    {_cut(what, names)}  {count} {'attribute' if count == 1 else 'attributes'}"
    yield f"  as it was ({same})"


def _line(change: dict[str, str], names: int, width: int) -> str:
    room = max(8, width - names - 6)
    before, after = change["before"], change["after"]
    match change["what"]:
        case "changed":
            half = (room - 3) // 2
            values = f"{_cut(before, half)} → {_short(after, half)}"
        case "added":
            values = _short(after, room)
        case _:
            values = _short(before, room)
    return f"    {_cut(change['where'], names)}  {values}".rstrip()


def _is_private(change: dict[str, str]) -> bool:
    tag = change["at"][-8:]
    return int(tag[:4], 16) % 2 == 1


def _short(text: str, most: int) -> str:
    text = shown(text)
    return text if len(text) <= most else text[: most - 1] + "…"


def _cut(text: str, columns: int) -> str:
    """Of a long name the end says more: the attribute, in whatever sequence it lies."""
    text = shown(text)
    return text.ljust(columns) if len(text) <= columns else "…" + text[-(columns - 1) :]
