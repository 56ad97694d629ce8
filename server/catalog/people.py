"""What people say of files: it counts whatever blocks say, and stays with the file through all its versions.

Owns: setting and taking back people's labels, showing what counts beside what blocks say.
May import: sqlalchemy, protocol, server.access, server.catalog, server.database, server.spaces.

A label of a person is of the node; one of a block is of the version that it looked at.  So neither a re-run of a block
nor a new version of the file touches what a person said.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from protocol.catalog import Labels, LabelsChanged, LabelShown, Said
from protocol.errors import BadRequest, NotFound, Refused
from protocol.ids import NodeId, UserId
from protocol.limits import MAX_LABELLED_FILES, MAX_LABELS_AT_ONCE, MAX_LABELS_OF_A_FILE
from protocol.messages import Kind, Revision
from server.access.ancestry import folders_above, is_live
from server.access.rights import ReadableView
from server.catalog import entries, kinds, labels
from server.database.session import in_groups, insert_rows, rows_of_sql
from server.database.tables import NodeRow, PersonLabelRow, UserRow
from server.spaces.rows import LIVE_BELOW

_FILES_BELOW = (
    f"{LIVE_BELOW} SELECT nodes.id FROM below JOIN nodes ON nodes.space = ? AND nodes.id = below.id"  # noqa: S608 - constants
    " WHERE nodes.kind = 'file' LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class Changed:
    """files: their nodes.  before: what people had said under the name of each that they spoke of."""

    files: Sequence[bytes]
    before: dict[bytes, list[str]]

    @property
    def answer(self) -> LabelsChanged:
        alone = self.files[0] if len(self.files) == 1 else None
        return LabelsChanged(files=len(self.files), before=None if alone is None else self.before.get(alone))


def labels_at(session: Session, view: ReadableView, node: NodeId, *, with_people: bool) -> Labels:
    """Of the present version of a file.  with_people: else nobody is told who said so.  Raises NotFound."""
    _live(session, view, node)
    row = session.execute(
        select(NodeRow.content_epoch, NodeRow.content_number).where(
            NodeRow.space == view.space, NodeRow.id == node.bytes
        )
    ).one()
    version = labels.Version(view.space, node, Revision(row.content_epoch, row.content_number))
    said: dict[str, list[Said]] = {}
    by_rule: dict[str, list[tuple[bytes, str, float]]] = {}
    for one, source in labels.labels_of(session, version):
        told = Said(
            value=one.value,
            block=source.block,
            block_version=source.block_version,
            said_by=one.said_by,
            confidence=one.confidence,
            source=one.source,
        )
        said.setdefault(one.name, []).append(told)
        by_rule.setdefault(one.name, []).append((source.rule.bytes, one.value, one.confidence))
    people = _said_by_people(session, view, node)
    shown = []
    for name in sorted({*said, *people}):
        blocks = sorted(said.get(name, ()), key=lambda one: (-one.confidence, one.value))
        theirs = people.get(name)
        shown.append(
            LabelShown(
                name=name,
                values=labels.counting(
                    None if theirs is None else [row.value for row, _ in theirs],
                    by_rule.get(name, ()),
                ),
                by_people=theirs is not None,
                who=(theirs[0][1] or "") if theirs and with_people else "",
                at_ms=theirs[0][0].made_at_ms if theirs else 0,
                said=blocks,
            )
        )
    return Labels(node=node, labels=shown)


def set_label(
    session: Session,
    view: ReadableView,
    node: NodeId,
    name: str,
    values: Collection[str],
    user: UserId,
    *,
    now_ms: int,
) -> Changed:
    """In place of what people said under this name before, of a file or of all files that lie in a folder now.

    values: none says that no value is right.  Raises NotFound.  Raises BadRequest: a value that may not be, no file,
    too many at once.  Raises Refused: a file has too many already.
    """
    given = kinds.checked(session, view.space, name, values) or [""]
    files = _files(session, view, node)
    _check_room(session, view, files, name, len(given))
    changed = _taken_back(session, view, files, name)
    rows = [(view.space, file, name, value, user.bytes, now_ms) for file in changed.files for value in given]
    insert_rows(session, PersonLabelRow, rows)
    entries.relabel(session, view.space, changed.files)
    return changed


def remove_label(session: Session, view: ReadableView, node: NodeId, name: str) -> Changed:
    """What blocks say counts again.  Raises NotFound: people said nothing under this name."""
    changed = _taken_back(session, view, _files(session, view, node), name)
    if not changed.before:
        raise NotFound(f"No person said anything of {name} there", hint="`mb-sync label list` shows what is.")
    entries.relabel(session, view.space, list(changed.before))
    return Changed(sorted(changed.before), changed.before)


def _check_room(session: Session, view: ReadableView, files: Sequence[bytes], name: str, values: int) -> None:
    """Raises BadRequest: so many values for so many files.  Raises Refused: one of them has too many labels."""
    if len(files) * values > MAX_LABELS_AT_ONCE:
        raise BadRequest(
            f"{values} values for {len(files):,} files are more than {MAX_LABELS_AT_ONCE:,} labels at once",
            hint="Label its folders one by one, or say fewer values.",
        )
    for group in in_groups(files):
        others = (
            (PersonLabelRow.space == view.space)
            & PersonLabelRow.node.in_(group)
            & (PersonLabelRow.name != name)
        )
        names = func.count(PersonLabelRow.name.distinct())
        full = select(PersonLabelRow.node).where(others).group_by(PersonLabelRow.node)
        if session.scalar(full.having(names >= MAX_LABELS_OF_A_FILE).limit(1)) is not None:
            raise Refused(
                f"People say something of a file under {MAX_LABELS_OF_A_FILE} names already",
                hint="Take one back that is not needed.",
            )


def _taken_back(session: Session, view: ReadableView, files: Sequence[bytes], name: str) -> Changed:
    before: dict[bytes, list[str]] = {}
    for group in in_groups(files):
        mine = (
            (PersonLabelRow.space == view.space)
            & PersonLabelRow.node.in_(group)
            & (PersonLabelRow.name == name)
        )
        for row in session.execute(
            select(PersonLabelRow.node, PersonLabelRow.value).where(mine).order_by(PersonLabelRow.value)
        ):
            before.setdefault(row.node, []).extend([row.value] if row.value else [])
        session.execute(delete(PersonLabelRow).where(mine))
    return Changed(files, before)


def _said_by_people(
    session: Session, view: ReadableView, node: NodeId
) -> dict[str, list[tuple[PersonLabelRow, str | None]]]:
    query = (
        select(PersonLabelRow, UserRow.name)
        .outerjoin(UserRow, UserRow.id == PersonLabelRow.user)
        .where(PersonLabelRow.space == view.space, PersonLabelRow.node == node.bytes)
        .order_by(PersonLabelRow.name, PersonLabelRow.value)
    )
    found: dict[str, list[tuple[PersonLabelRow, str | None]]] = {}
    for row, who in session.execute(query):
        found.setdefault(row.name, []).append((row, who))
    return found


def _files(session: Session, view: ReadableView, node: NodeId) -> list[bytes]:
    """The file itself, or all that lie in this folder now."""
    if _live(session, view, node) != Kind.FOLDER:
        return [node.bytes]
    values = (view.space, node.bytes, view.space, MAX_LABELLED_FILES + 1)
    files = [row.id for row in rows_of_sql(session, _FILES_BELOW, *values)]
    if not files:
        raise BadRequest(
            "No file lies in this folder", hint="Labels are of files; name one, or their folder."
        )
    if len(files) > MAX_LABELLED_FILES:
        raise BadRequest(
            f"More than {MAX_LABELLED_FILES:,} files lie in this folder", hint="Label its folders one by one."
        )
    return files


def _live(session: Session, view: ReadableView, node: NodeId) -> str:
    """Its kind.  Raises NotFound: it is not there, or lies outside the view."""
    above = folders_above(session, view.space, node)
    if not is_live(above) or view.root.bytes not in {folder.id for folder in above}:
        raise NotFound("There is no such file or folder", hint="Look at the folder again.")
    return above[0].kind
