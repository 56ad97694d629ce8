"""Bringing out what a block made: a commit like a client's, in the transaction that ends the job.

Owns: the ids and places of derived nodes, what becomes of one that a person edited or deleted, provenance,
labels of the source, which what was made of it gets too.
May import: sqlalchemy, protocol, blocks.contract, server.access, server.catalog, server.chunks, server.database,
server.hooks, server.spaces.

A derived node is known by rule, source and output: its id is computed from them, and where people moved it does not
matter.  A new version of the source itself goes over the version that the block looked at, and over no other.  All
of it happens or nothing: if the runner lost its lease, or its source has a newer version, nothing does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from blocks.contract.manifest import Manifest
from blocks.contract.result import Label, OutputKind, Reason
from protocol.attributes import check_attributes
from protocol.errors import Refused, Unavailable
from protocol.ids import NodeId, SpaceId
from protocol.limits import MAX_BATCH_OPS
from protocol.messages import AnyOp, Committed, Content, Kind, Make, Put, Revision
from protocol.names import conflict_name
from server.access.cursors import Cursors
from server.access.new_spaces import fresh_id
from server.catalog import carrying, entries, labels
from server.chunks.store import ChunkStore
from server.database.session import insert_rows
from server.database.tables import ProvenanceRow, PublishedRow
from server.hooks import shadowing
from server.hooks.committing import BLOCKS, commit_as
from server.hooks.job_folder import Chunked
from server.hooks.jobs import Leased, State, are_current, end, give_back
from server.hooks.placing import Places
from server.hooks.rules import Rule
from server.hooks.tracing import refuse_loop
from server.hooks.units import Part, parts_of
from server.spaces.rows import load_with_ancestors, versions_named
from server.spaces.staging import StagedNode


@dataclass(frozen=True, slots=True)
class Made:
    """What a finished run brings of one job's file: outputs in the store, why a person had to look, the report.

    parts: the files that it worked on, where the job is about a folder.
    """

    job: Leased
    block: Manifest
    outputs: Sequence[Chunked]
    reasons: Sequence[Reason] = ()
    report: bytes | None = None
    labels: Sequence[Label] = ()
    attributes: Mapping[str, object] = field(default_factory=dict)  # of the file itself
    state: State = State.PUBLISHED
    parts: Sequence[Part] = ()

    @property
    def files(self) -> list[tuple[NodeId, Revision]]:
        """All that its outputs were made of."""
        return [(part.node, part.revision) for part in self.parts] or [(self.job.node, self.job.revision)]


def publish(
    session: Session,
    store: ChunkStore,
    cursors: Cursors,
    every: Sequence[Made],
    *,
    now_ms: int,
    default_quota: int | None,
) -> dict[int, State]:
    """How each job ended, by its number; one is missing that is not this runner's any more: nothing was done of it.

    every: of one rule.  All of them are published, or none.
    Raises Unavailable: not now (the target is in the trash, there is no room); nothing was done.
    Raises Refused: it will never do.
    """
    ended: dict[int, State] = {}
    rule = every[0].job.rule
    current = are_current(session, [made.job for made in every])
    batch: _Batch | None = None
    versions: list[tuple[Leased, Chunked]] = []
    for made in every:
        job = made.job
        if job.id not in current:
            if end(session, job, State.GONE, now_ms=now_ms):
                ended[job.id] = State.GONE
            continue
        if made.parts and parts_of(session, job) != list(
            made.parts
        ):  # it is made to wait again by what changed
            give_back(session, [job], now_ms=now_ms)
            continue
        if made.outputs:
            refuse_loop(session, job, made.files)
        if not end(session, job, made.state, reasons=made.reasons, report=made.report, now_ms=now_ms):
            continue
        ended[job.id] = made.state
        if not rule.shadow:
            _describe(session, made)
            _label(session, made, now_ms=now_ms)
        for output in made.outputs:
            if output.output.kind is OutputKind.VERSION:
                shadowing.refuse_version(rule.shadow)
                versions.append((job, output))
            else:
                batch = batch or _Batch(session, rule, now_ms)
                batch.add(made, output)
    if batch is not None and batch.ops:
        if len(batch.ops) > MAX_BATCH_OPS:
            raise Refused("The block made too many files of one", hint="It needs to be mended.")
        answer = commit_as(
            session,
            store,
            cursors,
            BLOCKS,
            rule.target.space,
            batch.ops,
            now_ms=now_ms,
            default_quota=default_quota,
        )
        batch.note(answer, every[0].block)
    if versions:
        ops = _new_versions(session, rule, versions, now_ms=now_ms)
        answer = commit_as(
            session,
            store,
            cursors,
            BLOCKS,
            rule.source.space,
            ops,
            now_ms=now_ms,
            default_quota=default_quota,
        )
        described = {
            job.node: (result.content_revision, check_attributes(output.output.attributes))
            for (job, output), result in zip(versions, answer.results, strict=True)
            if result.content_revision is not None and output.output.attributes
        }
        entries.describe(session, rule.source.space, described)
        newer = [
            (job.node.bytes, result.content_revision, [(job.node, job.revision)])
            for (job, _), result in zip(versions, answer.results, strict=True)
            if result.content_revision != job.revision  # else it is the same, to the byte
        ]
        note_provenance(session, rule, every[0].block, rule.source.space, newer, now_ms=now_ms)
    return ended


def _new_versions(
    session: Session, rule: Rule, versions: Sequence[tuple[Leased, Chunked]], *, now_ms: int
) -> list[Put]:
    """In the place of the file itself, over the version that the block looked at and no other."""
    names = [(job.node.bytes, job.revision.epoch, job.revision.number) for job, _ in versions]
    before = versions_named(session, rule.source.space, names)
    return [
        Put(
            node=job.node,
            content_revision=job.revision,
            content=Content(
                kind=Kind.FILE,
                manifest=output.manifest,
                mtime_ns=now_ms * 1_000_000,
                executable=before[name].content.executable,
            ),
        )
        for name, (job, output) in zip(names, versions, strict=True)
    ]


def _describe(session: Session, made: Made) -> None:
    """What the block read of the version that it looked at; `entries` takes nothing of an intake."""
    if made.attributes and not made.parts:  # of a folder there are none
        job = made.job
        described = {job.node: (job.revision, check_attributes(made.attributes))}
        entries.describe(session, job.rule.source.space, described)


def _label(session: Session, made: Made, *, now_ms: int) -> None:
    """What the block says of the version that it looked at."""
    job = made.job
    version = labels.Version(job.rule.source.space, job.node, job.revision)
    labels.set_labels(session, version, _speaker(made), _told(made.labels), now_ms=now_ms)
    entries.relabel(session, version.space, [job.node.bytes])
    carrying.spread(session, version, job.rule.id)


def _speaker(made: Made) -> labels.Source:
    rule = made.job.rule
    return labels.Source(rule.id, made.block.name, made.block.version, _digest_of(rule))


def _told(said: Iterable[Label]) -> list[labels.Label]:
    return [labels.Label(one.name, one.value, one.rule, one.confidence, one.source) for one in said]


def _digest_of(rule: Rule) -> bytes:
    return hashlib.sha256(json.dumps(dict(rule.parameters), sort_keys=True).encode()).digest()


@dataclass
class _Batch:
    """The operations that bring some outputs into a folder."""

    session: Session
    rule: Rule
    now_ms: int
    ops: list[AnyOp] = field(default_factory=list)
    _files: list[list[tuple[NodeId, Revision]]] = field(
        default_factory=list
    )  # what each operation's was made of
    _attributes: dict[int, Mapping[str, object]] = field(
        default_factory=dict
    )  # by the number of the operation
    _said: list[Made] = field(default_factory=list)  # whose labels each has, in shadow mode
    _asked: dict[int, dict[str, PublishedRow]] = field(default_factory=dict)  # by the number of their job
    _rows: list[tuple[int, PublishedRow]] = field(default_factory=list)  # by the number of their operation

    def __post_init__(self) -> None:
        self.target = self.rule.target
        above = load_with_ancestors(self.session, self.target.space, [self.target.node.bytes])
        if not above or any(folder.is_deleted for folder in above.values()):
            raise Unavailable(
                "The folder for the results is in the trash", hint="Restore it, or remove the rule."
            )
        self._places = Places(self.session, self.target.space, self.ops, self.now_ms)

    def add(self, made: Made, output: Chunked) -> None:
        """What is made of this job's file goes to its place, or becomes a version of what it made before."""
        self._add(made.job, output)
        self._files += [made.files] * (len(self.ops) - len(self._files))
        self._said += [made] * (len(self.ops) - len(self._said))
        if output.output.attributes:
            self._attributes[len(self.ops) - 1] = output.output.attributes  # the file comes after its folders

    def _add(self, job: Leased, output: Chunked) -> None:
        content = Content(
            kind=Kind.FILE, manifest=output.manifest, mtime_ns=self.now_ms * 1_000_000, executable=False
        )
        word = output.output.output
        known = self._known(job, word)
        node = self._standing(known) if known is not None else None
        if known is None or node is None:
            self._make_new(job, output, content, known)
        elif (node.content.epoch, node.content.number) != (known.epoch, known.number):
            self._make_beside(node, content)  # a person edited it: theirs keeps its name
        else:
            put = Put(node=UUID(bytes=node.id), content_revision=node.content, content=content)
            self._note(put, known)

    def note(self, answer: Committed, block: Manifest) -> None:
        """Write down what every operation on a derived file became, and where it came from."""
        rule = self.rule
        for number, row in self._rows:
            known = answer.results[number].content_revision or Revision(epoch=0, number=0)
            row.epoch, row.number = known.epoch, known.number
            self.session.add(row)
        made = [
            (op.node.bytes, result.content_revision, files)
            for op, files, result in zip(self.ops, self._files, answer.results, strict=True)
            if isinstance(op, Make | Put) and op.content.kind is Kind.FILE
        ]
        described = {
            NodeId(op.node): (revision, check_attributes(self._attributes[number]))
            for number, (op, result) in enumerate(zip(self.ops, answer.results, strict=True))
            if number in self._attributes and (revision := result.content_revision) is not None
        }
        entries.describe(self.session, self.target.space, described)
        note_provenance(self.session, rule, block, self.target.space, made, now_ms=self.now_ms)
        if rule.shadow:
            self._label_results(answer)
        self.session.flush()

    def _label_results(self, answer: Committed) -> None:
        for op, result, whose in zip(self.ops, answer.results, self._said, strict=True):
            if isinstance(op, Make | Put) and op.content.kind is Kind.FILE and result.content_revision:
                version = labels.Version(self.target.space, NodeId(op.node), result.content_revision)
                labels.set_labels(
                    self.session, version, _speaker(whose), _told(whose.labels), now_ms=self.now_ms
                )
                entries.relabel(self.session, version.space, [op.node.bytes])

    def _standing(self, known: PublishedRow) -> StagedNode | None:
        """The derived node, if it lives."""
        nodes = load_with_ancestors(self.session, self.target.space, [known.node])
        alive = known.node in nodes and not any(node.is_deleted for node in nodes.values())
        return nodes[known.node] if alive else None

    def _known(self, job: Leased, word: str) -> PublishedRow | None:
        """What this output of this file became before."""
        if job.id not in self._asked:
            mine = (PublishedRow.rule == self.rule.id.bytes) & (PublishedRow.source == job.node.bytes)
            self._asked[job.id] = {
                row.output: row for row in self.session.scalars(select(PublishedRow).where(mine))
            }
        return self._asked[job.id].get(word)

    def _make_new(self, job: Leased, output: Chunked, content: Content, known: PublishedRow | None) -> None:
        word = output.output.output
        generation = 0 if known is None else known.generation + 1
        *folders, name = output.output.path or [f"{job.node.hex[-8:]}-{word}"]
        parent = self._places.folder(self.target.node, folders)
        node = derived_id(self.rule.id, job.node, word, generation)
        row = known or PublishedRow(rule=self.rule.id.bytes, source=job.node.bytes, output=word)
        row.generation, row.space, row.node = generation, self.target.space, node.bytes
        name = self._places.take(parent, name, node)
        self._note(Make(node=node, parent=parent, name=name, content=content), row)

    def _make_beside(self, node: StagedNode, content: Content) -> None:
        parent = UUID(bytes=node.parent)
        when = datetime.fromtimestamp(self.now_ms / 1_000, tz=UTC)
        name = conflict_name(
            node.name, device="block", when=when, taken=lambda name: self._places.at(parent, name) is not None
        )
        self.ops.append(
            Make(
                node=fresh_id(self.now_ms),
                parent=parent,
                name=name,
                content=content,
                conflict_of=UUID(bytes=node.id),
            )
        )

    def _note(self, op: Make | Put, row: PublishedRow) -> None:
        self._rows.append((len(self.ops), row))
        self.ops.append(op)


def note_provenance(
    session: Session,
    rule: Rule,
    block: Manifest,
    space: SpaceId,
    made: Iterable[tuple[bytes, Revision | None, Sequence[tuple[NodeId, Revision]]]],
    *,
    now_ms: int,
) -> None:
    """made: nodes of the space, the version of each that is new (None: nothing changed), the files it was made of."""
    parameters = _digest_of(rule)
    rows = [
        (
            *(space, node, revision.epoch, revision.number, rule.id.bytes),
            *(rule.source.space, source.bytes, source_revision.epoch, source_revision.number),
            *(block.name, block.version, parameters, now_ms),
        )
        for node, revision, files in made
        if revision is not None
        for source, source_revision in files
    ]
    insert_rows(session, ProvenanceRow, rows, renew=True)
    carrying.bring_along(session, dict.fromkeys(row[:4] for row in rows))


def derived_id(rule: UUID, source: NodeId, output: str, generation: int) -> NodeId:
    """The id of what this output of this rule makes of this source: the same in every run (a UUID, version 8)."""
    told = f"mb-derived-1\0{rule.hex}\0{source.hex}\0{output}\0{generation}".encode()
    number = int.from_bytes(hashlib.sha256(told).digest()[:16], "big")
    return NodeId(UUID(int=number & ~(0xF << 76) & ~(0x3 << 62) | 0x8 << 76 | 0x2 << 62))
