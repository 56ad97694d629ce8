"""The first tables.

Owns: step 0001.  May import: alembic, sqlalchemy; never `tables.py`, which goes on changing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.LargeBinary(length=16)
DIGEST = sa.LargeBinary(length=32)
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "batches",
        sa.Column("device", ID, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("operation", ID, nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("committed_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("device", "number", name=op.f("pk_batches")),
    )
    op.create_table(
        "login_tries",
        sa.Column("subject", sa.String(length=400), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("day_failures", sa.Integer(), nullable=False),
        sa.Column("day_started_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_login_tries")),
    )
    op.create_table(
        "meta",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_meta")),
    )
    op.create_table(
        "packs",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("file_digest", ID, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_packs")),
        sa.UniqueConstraint("name", name=op.f("uq_packs_name")),
    )
    op.create_table(
        "possessions",
        sa.Column("device", ID, nullable=False),
        sa.Column("chunk", DIGEST, nullable=False),
        sa.Column("leased_until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("device", "chunk", name=op.f("pk_possessions")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "spaces",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("root", ID, nullable=False),
        sa.Column("stamp", sa.BigInteger(), nullable=False),
        sa.Column("purged_stamp", sa.BigInteger(), nullable=False),
        sa.Column("used_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spaces")),
    )
    op.create_table(
        "users",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("name_key", sa.String(length=400), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("is_admin", sa.Boolean(), nullable=False),
        sa.Column("disabled_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("name_key", name=op.f("uq_users_name_key")),
    )
    op.create_table(
        "arrivals",
        sa.Column("space", BIG_ID, nullable=False),
        sa.Column("stamp", sa.BigInteger(), nullable=False),
        sa.Column("node", ID, nullable=False),
        sa.ForeignKeyConstraint(["space"], ["spaces.id"], name=op.f("fk_arrivals_space")),
        sa.PrimaryKeyConstraint("space", "stamp", "node", name=op.f("pk_arrivals")),
    )
    op.create_table(
        "chunk_uses",
        sa.Column("space", BIG_ID, nullable=False),
        sa.Column("chunk", DIGEST, nullable=False),
        sa.Column("node", ID, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["space"], ["spaces.id"], name=op.f("fk_chunk_uses_space")),
        sa.PrimaryKeyConstraint("space", "chunk", "node", "epoch", "number", name=op.f("pk_chunk_uses")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "chunks",
        sa.Column("id", DIGEST, nullable=False),
        sa.Column("pack", BIG_ID, nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("stored_length", sa.Integer(), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("codec", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["pack"], ["packs.id"], name=op.f("fk_chunks_pack")),
        sa.PrimaryKeyConstraint("id", "pack", "offset", name=op.f("pk_chunks")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "devices",
        sa.Column("id", ID, nullable=False),
        sa.Column("user", ID, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("token_hash", DIGEST, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["user"], ["users.id"], name=op.f("fk_devices_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_devices")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_devices_token_hash")),
    )
    op.create_index(op.f("ix_devices_user"), "devices", ["user"], unique=False)
    op.create_table(
        "nodes",
        sa.Column("space", BIG_ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("parent", ID, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("name_key", sa.String(length=1024), nullable=True),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("place_epoch", sa.Integer(), nullable=False),
        sa.Column("place_number", sa.BigInteger(), nullable=False),
        sa.Column("content_epoch", sa.Integer(), nullable=False),
        sa.Column("content_number", sa.BigInteger(), nullable=False),
        sa.Column("place_operation", ID, nullable=False),
        sa.Column("content_operation", ID, nullable=False),
        sa.Column("stamp", sa.BigInteger(), nullable=False),
        sa.Column("changed_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", ID, nullable=False),
        sa.Column("deleted_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("conflict_of", ID, nullable=True),
        sa.Column("conflict_device", sa.String(length=100), nullable=False),
        sa.ForeignKeyConstraint(["space"], ["spaces.id"], name=op.f("fk_nodes_space")),
        sa.PrimaryKeyConstraint("space", "id", name=op.f("pk_nodes")),
        sa.UniqueConstraint("space", "parent", "name_key", name=op.f("uq_nodes_space_parent_name_key")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_nodes_feed", "nodes", ["space", "stamp"], unique=False)
    op.create_table(
        "versions",
        sa.Column("space", BIG_ID, nullable=False),
        sa.Column("node", ID, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("executable", sa.Boolean(), nullable=False),
        sa.Column("chunks", sa.LargeBinary(), nullable=False),
        sa.Column("lengths", sa.LargeBinary(), nullable=False),
        sa.Column("indirect", sa.Boolean(), nullable=False),
        sa.Column("operation", ID, nullable=False),
        sa.Column("device", ID, nullable=False),
        sa.Column("committed_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["space"], ["spaces.id"], name=op.f("fk_versions_space")),
        sa.PrimaryKeyConstraint("space", "node", "epoch", "number", name=op.f("pk_versions")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "views",
        sa.Column("id", ID, nullable=False),
        sa.Column("space", BIG_ID, nullable=False),
        sa.Column("root", ID, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=400), nullable=False),
        sa.Column("owner", ID, nullable=False),
        sa.ForeignKeyConstraint(["owner"], ["users.id"], name=op.f("fk_views_owner")),
        sa.ForeignKeyConstraint(["space"], ["spaces.id"], name=op.f("fk_views_space")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_views")),
    )
    op.create_index(op.f("ix_views_owner"), "views", ["owner"], unique=False)
    op.create_index(op.f("ix_views_space"), "views", ["space"], unique=False)
    if op.get_bind().dialect.name == "sqlite":
        _tell_sqlite_how_large_things_are()


# A server of a million nodes in twenty spaces: rows, then rows for one value of the first column of the index,
# for one of its first two, and so on.
_SIZES = (
    ("spaces", None, "20"),
    ("nodes", "nodes", "1000000 50000 1"),
    ("nodes", "sqlite_autoindex_nodes_2", "1000000 50000 20 1"),  # (space, parent, name_key)
    ("nodes", "ix_nodes_feed", "1000000 50000 1"),
    ("versions", "versions", "2000000 100000 2 2 1"),
    ("chunk_uses", "chunk_uses", "4000000 200000 2 2 2 1"),
    ("chunks", "chunks", "4000000 2 1 1"),
    ("possessions", "possessions", "100000 10000 1"),
)


def _tell_sqlite_how_large_things_are() -> None:
    """Without figures SQLite looks for the children of a folder among all nodes of the space, since it takes
    the primary key for as good as the index on (space, parent, name_key).  These are said once and never
    gathered from the tables, so that plans do not change with what a server holds."""
    op.execute("ANALYZE")  # makes the table of figures
    op.execute("DELETE FROM sqlite_stat1")
    figures = sa.table("sqlite_stat1", sa.column("tbl"), sa.column("idx"), sa.column("stat"))
    op.bulk_insert(figures, [{"tbl": table, "idx": index, "stat": stat} for table, index, stat in _SIZES])
    op.execute("ANALYZE sqlite_schema")  # this connection takes them in
