"""What comes back to a server that came back from a backup: the highest revision is current, the others versions.

Owns: the rule of a put-back, for place and content apart.
Pure: no clock, disk or database.  May import: protocol, server.spaces.staging.

A backup knows less than the computers that went on after it.  Each of them puts back what it held, in any order
and at any time, under the revisions that the server once gave for it.  Since no revision ever names two things,
the outcome is the same in every order.  A content that whoever deleted its node never saw is not put back: an edit
beats a delete, and it comes as something new (server.spaces.deciding).
"""

from __future__ import annotations

from collections.abc import Sequence

from protocol.messages import Content, Kind, PutBack, Revision
from protocol.names import name_key
from server.spaces.staging import GONE, StagedNode, StagedTree, StagedVersion

MAX_NUMBER = 2**53  # of a revision: a lie about it must not use the numbers up


def is_of_the_past(op: PutBack, epoch: int) -> bool:
    """Whether both revisions were given before the server's present epoch began."""
    given = (op.place_revision, op.content_revision)
    return all(one.epoch < epoch and 0 < one.number <= MAX_NUMBER for one in given)


class PuttingBack:
    """One operation, refused by none of the rules that ask for more than its node.

    operation, device: whose doing it is.  uses: the chunks of the content.  is_kept: this version is there already.
    """

    def __init__(self, tree: StagedTree, op: PutBack, *, epoch: int, operation: bytes, device: bytes) -> None:
        self._tree = tree
        self._op = op
        self._epoch = epoch
        self._operation = operation
        self._device = device

    def make(self, uses: Sequence[bytes], *, conflict_device: str) -> None:
        """A node that is not there, with its old id."""
        op = self._op
        row = StagedNode(
            id=op.node.bytes,
            parent=op.parent.bytes,
            name=op.name,
            name_key=name_key(op.name),
            kind=op.content.kind,
            place=self._place_revision(op.place_revision),
            content=op.content_revision,
            place_operation=self._operation,
            content_operation=self._operation,
            changed_by=self._device,
            conflict_of=None if op.conflict_of is None else op.conflict_of.bytes,
            conflict_device=conflict_device if op.conflict_of is not None else "",
        )
        if op.content.kind is Kind.FOLDER:
            self._tree.save(row)
        else:
            self._tree.save(row, op.content)
            self._keep(op.content, uses)

    def place(self, row: StagedNode) -> None:
        """Where it was, if that is newer than where it is; out of the trash too."""
        op, tree = self._op, self._tree
        if op.place_revision <= row.place:
            return
        was_hidden = tree.depth(row.id) == GONE
        tree.save(
            row._replace(
                parent=op.parent.bytes,
                name=op.name,
                name_key=name_key(op.name),
                place=self._place_revision(row.place),
                place_operation=self._operation,
                changed_by=self._device,
                deleted_at_ms=None,
            )
        )
        if was_hidden and row.kind is Kind.FOLDER:
            tree.arrivals.append(row.id)

    def fill(self, row: StagedNode, uses: Sequence[bytes], *, is_kept: bool) -> None:
        """What it held: current if that is newer than what it holds, else one of its versions."""
        op, tree = self._op, self._tree
        if op.content_revision > row.content:
            tree.save(
                row._replace(
                    content=op.content_revision, content_operation=self._operation, changed_by=self._device
                ),
                op.content,
            )
            self._keep(op.content, uses)
        elif not is_kept and op.content_revision != row.content and not self._is_staged():
            self._keep(op.content, uses)

    def _is_staged(self) -> bool:
        """The same came earlier in this batch."""
        name = (self._op.node.bytes, self._op.content_revision)
        return any((version.node, version.revision) == name for version in self._tree.versions)

    def _keep(self, content: Content, uses: Sequence[bytes]) -> None:
        version = StagedVersion(self._op.node.bytes, self._op.content_revision, content, tuple(uses))
        self._tree.versions.append(version)

    def _place_revision(self, found: Revision) -> Revision:
        """The acknowledged one names the acknowledged place; another place needs one of its own."""
        op = self._op
        if not op.elsewhere:
            return op.place_revision
        return Revision(epoch=self._epoch, number=max(op.place_revision, found).number + 1)
