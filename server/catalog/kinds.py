"""The kinds of label that a project has of its own.

Owns: what labels of a name may hold, who may say so.
May import: sqlalchemy, protocol, server.access, server.database.

A kind holds for the whole space, so only who may write in all of it makes one; whoever sees a part of it sees the
kinds, by which what they say there is judged.  A name without a kind takes any text.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Collection, Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from protocol.catalog import LabelKind, SetLabelKind
from protocol.errors import AccessDenied, BadRequest, NotFound, Refused
from protocol.ids import SpaceId
from protocol.limits import MAX_LABEL_KINDS, MAX_LABEL_VALUE
from server.access.rights import ReadableView
from server.database.tables import LabelKindRow, UserRow


def kinds_of(session: Session, space: SpaceId, *, with_people: bool) -> list[LabelKind]:
    """By name.  with_people: else nobody is told who made them."""
    query = (
        select(LabelKindRow, UserRow.name)
        .outerjoin(UserRow, UserRow.id == LabelKindRow.user)
        .where(LabelKindRow.space == space)
        .order_by(LabelKindRow.name)
    )
    return [
        LabelKind(
            name=row.name,
            values=None if row.choices is None else json.loads(row.choices),
            max_length=row.max_length,
            who=(who or "") if with_people else "",
            at_ms=row.made_at_ms,
        )
        for row, who in session.execute(query)
    ]


def set_kind(
    session: Session, view: ReadableView, name: str, asked: SetLabelKind, user: bytes, *, now_ms: int
) -> None:
    """Raises AccessDenied: the view is a part of its space.  Raises BadRequest, Refused: there are too many."""
    _refuse_a_part(view)
    others = (LabelKindRow.space == view.space) & (LabelKindRow.name != name)
    if (session.scalar(select(func.count()).where(others)) or 0) >= MAX_LABEL_KINDS:
        raise Refused(f"There are {MAX_LABEL_KINDS} kinds of label here", hint="Remove one that is not used.")
    choices = None if asked.values is None else clean(asked.values)
    session.merge(
        LabelKindRow(
            space=view.space,
            name=name,
            choices=None if choices is None else json.dumps(choices, ensure_ascii=False),
            max_length=asked.max_length,
            user=user,
            made_at_ms=now_ms,
        )
    )
    session.flush()


def remove_kind(session: Session, view: ReadableView, name: str) -> None:
    """What was said under this name stays, and any text may be said.  Raises AccessDenied, NotFound."""
    _refuse_a_part(view)
    mine = (LabelKindRow.space == view.space) & (LabelKindRow.name == name)
    if session.scalar(select(LabelKindRow.name).where(mine)) is None:
        raise NotFound(f"There is no kind of label called {name}", hint="`mb-sync label kinds` shows all.")
    session.execute(delete(LabelKindRow).where(mine))


def checked(session: Session, space: SpaceId, name: str, values: Collection[str]) -> list[str]:
    """These values, as they are kept.  Raises BadRequest: the kind of this name does not take one of them."""
    given = clean(values)
    kind = session.get(LabelKindRow, (space, name))
    if kind is None:
        return given
    if kind.choices is None:
        if any(len(value) > kind.max_length for value in given):
            raise BadRequest(
                f"A label {name} has at most {kind.max_length} characters here", hint="Say it in fewer."
            )
        return given
    choices = {value.casefold(): value for value in json.loads(kind.choices)}
    for value in given:
        if value.casefold() not in choices:
            raise BadRequest(
                f"{value[:40]!r} is no {name} here",
                hint=f"Choose one of {', '.join(choices.values())[:400]}.",
            )
    return [choices[value.casefold()] for value in given]


def clean(values: Collection[str]) -> list[str]:
    """Each once, in one spelling of its characters.  Raises BadRequest: one is empty, or does not show."""
    given = [unicodedata.normalize("NFC", value).strip() for value in values]
    for value in given:
        if not value or len(value) > MAX_LABEL_VALUE or not value.isprintable():
            raise BadRequest(
                f"{value[:40]!r} cannot be a label",
                hint=f"Say 1 to {MAX_LABEL_VALUE} characters that show, in one line.",
            )
    return _once(given)


def _once(values: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _refuse_a_part(view: ReadableView) -> None:
    if not view.is_whole:
        raise AccessDenied(
            "Kinds of label hold for a whole project or home, and this is a folder of one",
            hint="Ask whoever owns it.",
        )
