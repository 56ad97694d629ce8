"""The tables of the server.

Owns: columns, keys, named constraints.  May import: sqlalchemy.

Ids and digests are kept as raw bytes (16 and 32): half the size of text, and equal on SQLite and PostgreSQL.
Times end in `_at_ms`: milliseconds since 1970, UTC.  Rows never leave the room that reads them; values do.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Id = LargeBinary(16)
Digest = LargeBinary(32)
BigId = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up only plain INTEGER keys


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class MetaRow(Base):
    """One fact about the whole server: `server_id`, `epoch` (an integer), `name_rules`, `created_at_ms`,
    `store_key` (wrapped, as hexadecimal digits), `rights` (counts the changes of who may see what)."""

    __tablename__ = "meta"
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(String)


# ---- access ----------------------------------------------------------------------------------------------


class UserRow(Base):
    __tablename__ = "users"
    id: Mapped[bytes] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    name_key: Mapped[str] = mapped_column(String(400), unique=True)
    password_hash: Mapped[str] = mapped_column(String)  # Argon2id, PHC text
    is_admin: Mapped[bool] = mapped_column(Boolean, default=False)
    disabled_at_ms: Mapped[int | None] = mapped_column(BigInteger)
    created_at_ms: Mapped[int] = mapped_column(BigInteger)


class DeviceRow(Base):
    """A client home that signed in.  `token_hash` is the SHA-256 of its bearer token; a new sign-in of the
    same home replaces it."""

    __tablename__ = "devices"
    id: Mapped[bytes] = mapped_column(Id, primary_key=True)
    user: Mapped[bytes] = mapped_column(Id, ForeignKey("users.id"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    token_hash: Mapped[bytes] = mapped_column(Digest, unique=True)
    created_at_ms: Mapped[int] = mapped_column(BigInteger)
    last_seen_at_ms: Mapped[int] = mapped_column(BigInteger)
    revoked_at_ms: Mapped[int | None] = mapped_column(BigInteger)


class LoginTryRow(Base):
    """Failed log-ins, by what was tried: "user:NAMEKEY" or "address:ADDRESS".  Outlives a restart."""

    __tablename__ = "login_tries"
    subject: Mapped[str] = mapped_column(String(400), primary_key=True)
    failures: Mapped[int] = mapped_column(Integer)
    last_at_ms: Mapped[int] = mapped_column(BigInteger)
    day_failures: Mapped[int] = mapped_column(Integer)
    day_started_at_ms: Mapped[int] = mapped_column(BigInteger)


class ViewRow(Base):
    """A root node that people see as a tree of its own.  One root is one view, whoever sees it.

    A home, a project and an intake have their space's root as root.  A shared folder lies below it: its view is
    made when it is shared first, and its name is that of the folder.
    """

    __tablename__ = "views"
    id: Mapped[bytes] = mapped_column(Id, primary_key=True)
    space: Mapped[int] = mapped_column(ForeignKey("spaces.id"), index=True)
    root: Mapped[bytes] = mapped_column(Id)
    kind: Mapped[str] = mapped_column(String(16))  # "home", "project", "intake", "folder"
    name: Mapped[str] = mapped_column(String(400))  # "/Home", "/Projects/NAME"; "" for a folder
    owner: Mapped[bytes | None] = mapped_column(Id, ForeignKey("users.id"), index=True)  # of the home
    stamp: Mapped[int] = mapped_column(BigInteger, default=0)  # of the last change in a folder's view
    __table_args__ = (UniqueConstraint("space", "root"),)


class TeamRow(Base):
    """People who get a right together."""

    __tablename__ = "teams"
    id: Mapped[bytes] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    name_key: Mapped[str] = mapped_column(String(400), unique=True)
    created_at_ms: Mapped[int] = mapped_column(BigInteger)


class TeamMemberRow(Base):
    __tablename__ = "team_members"
    team: Mapped[bytes] = mapped_column(Id, ForeignKey("teams.id"), primary_key=True)
    user: Mapped[bytes] = mapped_column(Id, ForeignKey("users.id"), primary_key=True, index=True)


class ProjectRow(Base):
    """A project is a space of its own; so is its intake, where identified data come in."""

    __tablename__ = "projects"
    id: Mapped[bytes] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    name_key: Mapped[str] = mapped_column(String(400), unique=True)
    space: Mapped[int] = mapped_column(ForeignKey("spaces.id"), unique=True)
    intake: Mapped[int | None] = mapped_column(ForeignKey("spaces.id"), unique=True)
    created_at_ms: Mapped[int] = mapped_column(BigInteger)


class GrantRow(Base):
    """A role for somebody on a folder and all below it.  The owner of a home needs no row."""

    __tablename__ = "grants"
    space: Mapped[int] = mapped_column(ForeignKey("spaces.id"), primary_key=True)
    node: Mapped[bytes] = mapped_column(Id, primary_key=True)
    principal: Mapped[bytes] = mapped_column(Id, primary_key=True, index=True)
    principal_kind: Mapped[str] = mapped_column(String(8))  # "user", "team", "project"
    role: Mapped[str] = mapped_column(String(16))
    granted_by: Mapped[bytes | None] = mapped_column(Id, ForeignKey("users.id"))  # None: the operator
    granted_at_ms: Mapped[int] = mapped_column(BigInteger)


class CodeRow(Base):
    """A sync code: one folder for whoever holds the secret, to be read.  It counts while `maker` may share there.

    name: of the code itself, for lists and messages; never the secret.  pin_hash: Argon2id; NULL without a PIN."""

    __tablename__ = "codes"
    id: Mapped[bytes] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(16), unique=True)
    secret_hash: Mapped[bytes] = mapped_column(Digest, unique=True)
    space: Mapped[int] = mapped_column(ForeignKey("spaces.id"))
    node: Mapped[bytes] = mapped_column(Id)
    maker: Mapped[bytes] = mapped_column(Id, ForeignKey("users.id"), index=True)
    label: Mapped[str] = mapped_column(String(200))
    created_at_ms: Mapped[int] = mapped_column(BigInteger)
    expires_at_ms: Mapped[int] = mapped_column(BigInteger)
    devices: Mapped[int] = mapped_column(Integer)  # as many may redeem it
    pin_hash: Mapped[str | None] = mapped_column(String)
    approve: Mapped[bool] = mapped_column(Boolean)  # each device waits until it is let in
    browse: Mapped[bool] = mapped_column(Boolean, server_default=false())  # a browser counts as a device
    revoked_at_ms: Mapped[int | None] = mapped_column(BigInteger)
    __table_args__ = (Index("ix_codes_space_node", "space", "node"),)


class CodeDeviceRow(Base):
    """A client home that redeemed a sync code.  `id` is the server's name for it, `device` its own.

    token_hash: NULL while it waits to be let in, and after it signed out."""

    __tablename__ = "code_devices"
    id: Mapped[bytes] = mapped_column(Id, primary_key=True)
    code: Mapped[bytes] = mapped_column(Id, ForeignKey("codes.id"))
    device: Mapped[bytes] = mapped_column(Id)
    name: Mapped[str] = mapped_column(String(100))
    address: Mapped[str] = mapped_column(String(100))
    token_hash: Mapped[bytes | None] = mapped_column(Digest, unique=True)
    approved: Mapped[bool] = mapped_column(Boolean)
    first_used_at_ms: Mapped[int] = mapped_column(BigInteger)
    last_used_at_ms: Mapped[int] = mapped_column(BigInteger)
    read_bytes: Mapped[int] = mapped_column(BigInteger)
    __table_args__ = (UniqueConstraint("code", "device"),)


# ---- spaces ----------------------------------------------------------------------------------------------


class SpaceRow(Base):
    """A tree with one counter and one feed.  A transaction that changes the tree locks this row first and
    holds it until commit, so that stamps become visible in order."""

    __tablename__ = "spaces"
    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(String(16))  # "home", "project"; "intake" is restricted, and stays so
    root: Mapped[bytes] = mapped_column(Id)
    stamp: Mapped[int] = mapped_column(BigInteger, default=0)
    purged_stamp: Mapped[int] = mapped_column(BigInteger, default=0)  # tombstones up to here may be gone
    used_bytes: Mapped[int] = mapped_column(BigInteger, default=0)  # logical bytes of current versions
    created_at_ms: Mapped[int] = mapped_column(BigInteger)
    quota_bytes: Mapped[int | None] = mapped_column(BigInteger)  # NULL: the server's default


class NodeRow(Base):
    """A node as it is now.  A root has sixteen zero bytes as parent.

    `name_key` is NULL for a tombstone, so that its name is free.  `deleted_at_ms` not NULL: a tombstone;
    what lies below it is deleted with it and keeps its own row untouched.
    """

    __tablename__ = "nodes"
    space: Mapped[int] = mapped_column(ForeignKey("spaces.id"), primary_key=True)
    id: Mapped[bytes] = mapped_column(Id, primary_key=True)
    parent: Mapped[bytes] = mapped_column(Id)
    name: Mapped[str] = mapped_column(String(255))
    name_key: Mapped[str | None] = mapped_column(String(1024))
    kind: Mapped[str] = mapped_column(String(8))
    place_epoch: Mapped[int] = mapped_column(Integer)
    place_number: Mapped[int] = mapped_column(BigInteger)
    content_epoch: Mapped[int] = mapped_column(Integer)
    content_number: Mapped[int] = mapped_column(BigInteger)
    place_operation: Mapped[bytes] = mapped_column(Id)
    content_operation: Mapped[bytes] = mapped_column(Id)
    stamp: Mapped[int] = mapped_column(BigInteger)
    changed_at_ms: Mapped[int] = mapped_column(BigInteger)
    changed_by: Mapped[bytes] = mapped_column(Id)  # a device
    deleted_at_ms: Mapped[int | None] = mapped_column(BigInteger)
    conflict_of: Mapped[bytes | None] = mapped_column(Id)
    conflict_device: Mapped[str] = mapped_column(String(100), default="")
    __table_args__ = (
        UniqueConstraint("space", "parent", "name_key"),
        Index("ix_nodes_feed", "space", "stamp"),
        {"sqlite_with_rowid": False},
    )


class VersionRow(Base):
    """One content of a node.  The current one is named by the node's content revision.

    chunks: 32·n bytes.  lengths: n little-endian uint32.  indirect: the chunks hold the manifest.
    """

    __tablename__ = "versions"
    space: Mapped[int] = mapped_column(ForeignKey("spaces.id"), primary_key=True)
    node: Mapped[bytes] = mapped_column(Id, primary_key=True)
    epoch: Mapped[int] = mapped_column(Integer, primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    executable: Mapped[bool] = mapped_column(Boolean)
    chunks: Mapped[bytes] = mapped_column(LargeBinary)
    lengths: Mapped[bytes] = mapped_column(LargeBinary)
    indirect: Mapped[bool] = mapped_column(Boolean)
    operation: Mapped[bytes] = mapped_column(Id)
    device: Mapped[bytes] = mapped_column(Id)
    committed_at_ms: Mapped[int] = mapped_column(BigInteger)
    __table_args__ = ({"sqlite_with_rowid": False},)


class ChunkUseRow(Base):
    """Which version of which node holds a chunk: what "a node readable in this view holds it" asks.
    Of an indirect manifest both the manifest's chunks and the file's chunks have rows."""

    __tablename__ = "chunk_uses"
    space: Mapped[int] = mapped_column(ForeignKey("spaces.id"), primary_key=True)
    chunk: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    node: Mapped[bytes] = mapped_column(Id, primary_key=True)
    epoch: Mapped[int] = mapped_column(Integer, primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    __table_args__ = ({"sqlite_with_rowid": False},)


class ArrivalRow(Base):
    """A restored folder: the feed lists its subtree again at `stamp`."""

    __tablename__ = "arrivals"
    space: Mapped[int] = mapped_column(ForeignKey("spaces.id"), primary_key=True)
    stamp: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    node: Mapped[bytes] = mapped_column(Id, primary_key=True)


class BorderCrossingRow(Base):
    """A node that was moved into the view of a shared folder, or out of it, at this stamp of its space."""

    __tablename__ = "border_crossings"
    view: Mapped[bytes] = mapped_column(Id, ForeignKey("views.id"), primary_key=True)
    stamp: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    node: Mapped[bytes] = mapped_column(Id)
    arrives: Mapped[bool] = mapped_column(Boolean)


class BatchRow(Base):
    """The answer that a batch got, kept for seven days and repeated when the batch comes again."""

    __tablename__ = "batches"
    device: Mapped[bytes] = mapped_column(Id, primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    operation: Mapped[bytes] = mapped_column(Id)
    answer: Mapped[bytes] = mapped_column(LargeBinary)  # a Committed, MessagePack
    committed_at_ms: Mapped[int] = mapped_column(BigInteger)


# ---- chunks ----------------------------------------------------------------------------------------------


class PackRow(Base):
    """An immutable pack.  The row is written after the pack is on the disk under its name, and synced.

    file_digest: xxh3-128 of the whole file: bit rot shows in a fast scrub.
    """

    __tablename__ = "packs"
    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)  # file or object name, without folder
    size: Mapped[int] = mapped_column(BigInteger)
    file_digest: Mapped[bytes] = mapped_column(Id)
    created_at_ms: Mapped[int] = mapped_column(BigInteger)
    proven_at_ms: Mapped[int | None] = mapped_column(BigInteger)  # when scrub last found it whole
    damaged_at_ms: Mapped[int | None] = mapped_column(BigInteger)  # when scrub last found it damaged


class ChunkRow(Base):
    """Where a chunk lies.  One chunk may lie in several packs until gc merges them: an upload is always
    written as if it were new, so that neither answers nor times tell what others store.

    pack: no foreign key: SQLite would walk all chunks for each pack that gc drops; `check` looks instead."""

    __tablename__ = "chunks"
    id: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    pack: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    offset: Mapped[int] = mapped_column(BigInteger, primary_key=True)  # of the record in the pack
    stored_length: Mapped[int] = mapped_column(Integer)  # of the whole record, header and seal included
    length: Mapped[int] = mapped_column(Integer)  # plain bytes
    codec: Mapped[int] = mapped_column(Integer)  # protocol.frames.Codec
    __table_args__ = ({"sqlite_with_rowid": False},)


class PossessionRow(Base):
    """This device uploaded this chunk and may name it in a commit until then.

    space: against whose quota it counts, for as long as no commit has named it; NULL: it counts nowhere.
    growing_bytes: of it, what makes the space larger.  replacing_bytes: what takes the place of a file's bytes.
    """

    __tablename__ = "possessions"
    device: Mapped[bytes] = mapped_column(Id, primary_key=True)
    chunk: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    leased_until_ms: Mapped[int] = mapped_column(BigInteger)
    space: Mapped[int | None] = mapped_column(BigInteger)
    growing_bytes: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    replacing_bytes: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    __table_args__ = (
        Index(
            "ix_possessions_space",
            *("space", "leased_until_ms", "growing_bytes", "replacing_bytes"),  # all that a sum asks for
            sqlite_where=text("space IS NOT NULL"),
            postgresql_where=text("space IS NOT NULL"),
        ),
        {"sqlite_with_rowid": False},
    )


# ---- hooks -----------------------------------------------------------------------------------------------


class RuleRow(Base):
    """What is done to the files in a folder: `block` works on them, its outputs appear below the target.

    seen_stamp: up to where the space of the source was followed; the jobs for all before it are made.
    priority: 0 to 9, the highest goes first.  made_stamp: what the space had when the rule was made; what is not newer
    was there already.  turn: counts up over all rules with each run that is begun, so that they take turns.
    shadow: see server.hooks.shadowing.  names: JSON, patterns of the files that it takes; of none: all.
    batch: how many files one run may bring.  at_once: how many runs there may be beside each other.  None: as many as
    the block and the machine allow.  settle_ms: the block works on whole folders, each when it was at rest for so long;
    None: on each file.
    """

    __tablename__ = "rules"
    id: Mapped[bytes] = mapped_column(Id, primary_key=True)
    space: Mapped[int] = mapped_column(ForeignKey("spaces.id"), index=True)
    node: Mapped[bytes] = mapped_column(Id)
    block: Mapped[str] = mapped_column(String(4_096))  # one that is shipped, or a folder with a block.toml
    parameters: Mapped[str] = mapped_column(String)  # JSON
    target_space: Mapped[int] = mapped_column(ForeignKey("spaces.id"))
    target: Mapped[bytes] = mapped_column(Id)
    enabled: Mapped[bool] = mapped_column(Boolean, default=True)
    seen_stamp: Mapped[int] = mapped_column(BigInteger, default=0)
    priority: Mapped[int] = mapped_column(Integer, default=5, server_default="5")
    made_stamp: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    turn: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    batch: Mapped[int | None] = mapped_column(Integer)
    at_once: Mapped[int | None] = mapped_column(Integer)
    settle_ms: Mapped[int | None] = mapped_column(BigInteger)
    shadow: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    names: Mapped[str] = mapped_column(String, default="[]", server_default="[]")
    created_at_ms: Mapped[int] = mapped_column(BigInteger)


class JobRow(Base):
    """One version of one file, to be worked on by one rule.  There is one for each such version, for ever; or one for
    each folder, where the rule works on folders.

    id: drawn by lot, so that nobody can tell from theirs how many others there are.
    state: see server.hooks.jobs.  lease: of the run that is at it.  reasons: JSON, without any value of the
    file.  digest: of the outputs that were held back, so that what is released is what was looked at.  rank: the lowest
    goes first, see server.hooks.turns.
    """

    __tablename__ = "jobs"
    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    rule: Mapped[bytes] = mapped_column(Id, ForeignKey("rules.id"))
    node: Mapped[bytes] = mapped_column(Id)
    epoch: Mapped[int] = mapped_column(Integer)
    number: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(16))
    tries: Mapped[int] = mapped_column(Integer, default=0)
    due_at_ms: Mapped[int] = mapped_column(BigInteger)
    rank: Mapped[int] = mapped_column(Integer, default=4, server_default="4")
    lease: Mapped[bytes | None] = mapped_column(Id)
    leased_until_ms: Mapped[int | None] = mapped_column(BigInteger)
    reasons: Mapped[str] = mapped_column(String, default="[]")
    digest: Mapped[bytes | None] = mapped_column(Digest)
    is_released: Mapped[bool] = mapped_column(Boolean, default=False)  # a person said so, of this digest
    report: Mapped[bytes | None] = mapped_column(LargeBinary)  # as the block wrote it
    made_at_ms: Mapped[int] = mapped_column(BigInteger)
    ended_at_ms: Mapped[int | None] = mapped_column(BigInteger)
    __table_args__ = (
        UniqueConstraint("rule", "node", "epoch", "number"),
        Index("ix_jobs_due", "rule", "state", "rank", "due_at_ms"),
        Index("ix_jobs_made", "made_at_ms", "id"),
    )


class PublishedRow(Base):
    """The node that an output of a rule became, known by rule, source and output, wherever it was moved to.

    epoch, number: of the version that was published last; another current one is a person's.
    """

    __tablename__ = "published"
    rule: Mapped[bytes] = mapped_column(Id, ForeignKey("rules.id"), primary_key=True)
    source: Mapped[bytes] = mapped_column(Id, primary_key=True)
    output: Mapped[str] = mapped_column(String(60), primary_key=True)
    generation: Mapped[int] = mapped_column(Integer)
    space: Mapped[int] = mapped_column(ForeignKey("spaces.id"))
    node: Mapped[bytes] = mapped_column(Id)
    epoch: Mapped[int] = mapped_column(Integer)
    number: Mapped[int] = mapped_column(BigInteger)


class ProvenanceRow(Base):
    """Where a published version came from: back to the version of its source, the block and its parameters.

    What was made of a folder has a row for each of its files.
    """

    __tablename__ = "provenance"
    space: Mapped[int] = mapped_column(ForeignKey("spaces.id"), primary_key=True)
    node: Mapped[bytes] = mapped_column(Id, primary_key=True)
    epoch: Mapped[int] = mapped_column(Integer, primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    rule: Mapped[bytes] = mapped_column(Id)
    source_space: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    source_node: Mapped[bytes] = mapped_column(Id, primary_key=True)
    source_epoch: Mapped[int] = mapped_column(Integer)
    source_number: Mapped[int] = mapped_column(BigInteger)
    block: Mapped[str] = mapped_column(String(60))
    block_version: Mapped[str] = mapped_column(String(40))
    parameters: Mapped[bytes] = mapped_column(Digest)  # SHA-256 of their JSON
    published_at_ms: Mapped[int] = mapped_column(BigInteger)
    __table_args__ = (Index("ix_provenance_source", "source_space", "source_node"),)


class LabelRow(Base):
    """What a block said of one version of a file; a rule may give several values under one name.

    A file that a rule published has the labels of the version that it was made from, as rows of its own (see
    server.catalog.carrying)."""

    __tablename__ = "labels"
    space: Mapped[int] = mapped_column(ForeignKey("spaces.id"), primary_key=True)
    node: Mapped[bytes] = mapped_column(Id, primary_key=True)
    epoch: Mapped[int] = mapped_column(Integer, primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    rule: Mapped[bytes] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    said_by: Mapped[str] = mapped_column(String(60), primary_key=True)  # which of the block's own rules
    value: Mapped[str] = mapped_column(String(200), primary_key=True)
    confidence: Mapped[float] = mapped_column(Float)
    block: Mapped[str] = mapped_column(String(60))
    block_version: Mapped[str] = mapped_column(String(40))
    parameters: Mapped[bytes] = mapped_column(Digest)
    made_at_ms: Mapped[int] = mapped_column(BigInteger)
    source: Mapped[str] = mapped_column(String(200), server_default="")  # attributes of the file, by keyword


# ---- catalog ---------------------------------------------------------------------------------------------


class PersonLabelRow(Base):
    """What a person said of a file, whatever version of it there is.  value: "" says that no value is right."""

    __tablename__ = "person_labels"
    space: Mapped[int] = mapped_column(ForeignKey("spaces.id"), primary_key=True)
    node: Mapped[bytes] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    value: Mapped[str] = mapped_column(String(200), primary_key=True)
    user: Mapped[bytes] = mapped_column(Id)  # who said so; kept when the account is not there any more
    made_at_ms: Mapped[int] = mapped_column(BigInteger)
    __table_args__ = ({"sqlite_with_rowid": False},)


class LabelKindRow(Base):
    """What labels of one name may hold in a space.  choices: a JSON list; NULL: free text."""

    __tablename__ = "label_kinds"
    space: Mapped[int] = mapped_column(ForeignKey("spaces.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    choices: Mapped[str | None] = mapped_column(String)
    max_length: Mapped[int] = mapped_column(Integer)
    user: Mapped[bytes] = mapped_column(Id)
    made_at_ms: Mapped[int] = mapped_column(BigInteger)
    __table_args__ = ({"sqlite_with_rowid": False},)


class CatalogEntryRow(Base):
    """A series in a space, or a file that belongs to none: what a search finds first.

    place, dated: its order by patient, study and number, and by date before that.
    """

    __tablename__ = "catalog_entries"
    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    space: Mapped[int] = mapped_column(ForeignKey("spaces.id"))
    key: Mapped[str] = mapped_column(String(300))
    patient: Mapped[str] = mapped_column(String(64))  # the pseudonym; "" where no file says one
    study: Mapped[str] = mapped_column(String(64))
    series: Mapped[str] = mapped_column(String(64))
    date: Mapped[str] = mapped_column(String(8))  # of the study
    place: Mapped[str] = mapped_column(String(400))
    dated: Mapped[str] = mapped_column(String(400))
    __table_args__ = (
        UniqueConstraint("space", "key"),
        Index("ix_catalog_entries_place", "space", "place"),
        Index("ix_catalog_entries_dated", "space", "dated"),
    )


class CatalogFileRow(Base):
    """A file that the catalog knows.  attributes: JSON, of this version of it and of no other."""

    __tablename__ = "catalog_files"
    space: Mapped[int] = mapped_column(ForeignKey("spaces.id"), primary_key=True)
    node: Mapped[bytes] = mapped_column(Id, primary_key=True)
    entry: Mapped[int] = mapped_column(ForeignKey("catalog_entries.id"), index=True)
    epoch: Mapped[int] = mapped_column(Integer)
    number: Mapped[int] = mapped_column(BigInteger)
    modality: Mapped[str] = mapped_column(String(64))  # for counts
    attributes: Mapped[str] = mapped_column(String)
    __table_args__ = ({"sqlite_with_rowid": False},)


class CatalogTermRow(Base):
    """What some file of an entry says, or said: where a search begins, and never what it answers with.

    value: case-folded text.  number: where it is one; of a date YYYYMMDD.
    """

    __tablename__ = "catalog_terms"
    space: Mapped[int] = mapped_column(ForeignKey("spaces.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(String(200), primary_key=True)
    entry: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    number: Mapped[float | None] = mapped_column(Float)
    __table_args__ = (
        Index("ix_catalog_terms_number", "space", "name", "number", "entry"),
        {"sqlite_with_rowid": False},
    )


class CatalogChangeRow(Base):
    """Counts the changes of what the catalog knows of a space, which the space's own stamp does not."""

    __tablename__ = "catalog_changes"
    space: Mapped[int] = mapped_column(ForeignKey("spaces.id"), primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(BigInteger)


class CohortRow(Base):
    """A query that was given a folder.  scope: the root of the view through which it was made.

    state: see server.catalog.cohorts.  seen_stamp, seen_changes: of its space, when it was as it should be.  told: its
    definition was put beside what it is of.
    """

    __tablename__ = "cohorts"
    id: Mapped[bytes] = mapped_column(Id, primary_key=True)
    space: Mapped[int] = mapped_column(ForeignKey("spaces.id"), index=True)
    scope: Mapped[bytes] = mapped_column(Id)
    folder: Mapped[bytes] = mapped_column(Id)
    name: Mapped[str] = mapped_column(String(255))
    query: Mapped[str] = mapped_column(String(2_000))
    user: Mapped[bytes] = mapped_column(Id)
    state: Mapped[str] = mapped_column(String(16))
    seen_stamp: Mapped[int] = mapped_column(BigInteger)
    seen_changes: Mapped[int] = mapped_column(BigInteger)
    told: Mapped[bool] = mapped_column(Boolean)
    made_at_ms: Mapped[int] = mapped_column(BigInteger)


class CohortLinkRow(Base):
    """The node that a file became in the folder of a cohort.

    epoch, number: of the version that was put there last; another current one is a person's.  source_epoch,
    source_number: of what it was.  is_ours: no person edited, deleted or took it out of the folder.
    """

    __tablename__ = "cohort_links"
    cohort: Mapped[bytes] = mapped_column(Id, ForeignKey("cohorts.id"), primary_key=True)
    source: Mapped[bytes] = mapped_column(Id, primary_key=True)
    space: Mapped[int] = mapped_column(ForeignKey("spaces.id"))
    node: Mapped[bytes] = mapped_column(Id)
    epoch: Mapped[int] = mapped_column(Integer)
    number: Mapped[int] = mapped_column(BigInteger)
    source_epoch: Mapped[int] = mapped_column(Integer)
    source_number: Mapped[int] = mapped_column(BigInteger)
    is_ours: Mapped[bool] = mapped_column(Boolean)
    __table_args__ = (Index("ix_cohort_links_node", "space", "node"), {"sqlite_with_rowid": False})


# ---- audit -----------------------------------------------------------------------------------------------


class AuditRow(Base):
    """What was done: one row for one request.  Never changed, never dropped with what it names, so without foreign
    keys.  space: 0 for what belongs to none.  nodes: (node, epoch, number) packed, see server.audit.rows; the last
    column, so that a look at the others reads no further."""

    __tablename__ = "audit_rows"
    sequence: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    at_ms: Mapped[int] = mapped_column(BigInteger)
    space: Mapped[int] = mapped_column(BigInteger)
    did: Mapped[str] = mapped_column(String(16))
    result: Mapped[str] = mapped_column(String(32))
    actor: Mapped[bytes | None] = mapped_column(Id)  # a user
    device: Mapped[bytes | None] = mapped_column(Id)
    address: Mapped[str] = mapped_column(String(100))
    request: Mapped[str] = mapped_column(String(32))
    detail: Mapped[str] = mapped_column(String(400))
    count: Mapped[int] = mapped_column(Integer)
    nodes: Mapped[bytes] = mapped_column(LargeBinary)
    __table_args__ = (Index("ix_audit_rows_space", "space", "sequence"),)


class AuditLinkRow(Base):
    """The hash of a row and of all before it in its space; beside the row, which is never written again."""

    __tablename__ = "audit_links"
    sequence: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    hash: Mapped[bytes] = mapped_column(Digest)


class AuditSealRow(Base):
    """The chain of the chains' heads.  heads: canonical JSON, the last link of each space that grew."""

    __tablename__ = "audit_seals"
    number: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    at_ms: Mapped[int] = mapped_column(BigInteger)
    last: Mapped[int] = mapped_column(BigInteger)  # the sequence up to which it seals
    heads: Mapped[str] = mapped_column(String)
    hash: Mapped[bytes] = mapped_column(Digest)
