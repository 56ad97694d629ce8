"""What looking after the data needs: quotas, when a pack was last proven, packs that can be dropped quickly.

Owns: step 0003.  May import: alembic, sqlalchemy; never `tables.py`, which goes on changing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("spaces", sa.Column("quota_bytes", sa.BigInteger(), nullable=True))
    op.add_column("packs", sa.Column("proven_at_ms", sa.BigInteger(), nullable=True))
    op.add_column("packs", sa.Column("damaged_at_ms", sa.BigInteger(), nullable=True))
    if op.get_bind().dialect.name == "sqlite":
        _chunks_without_a_foreign_key()
    else:
        op.drop_constraint("fk_chunks_pack", "chunks", type_="foreignkey")


def _chunks_without_a_foreign_key() -> None:
    """With one, dropping a pack would walk all chunks there are, and an index on the pack would cost every upload."""
    op.create_table(
        "chunks_0003",
        sa.Column("id", sa.LargeBinary(length=32), nullable=False),
        sa.Column("pack", BIG_ID, nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("stored_length", sa.Integer(), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("codec", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", "pack", "offset", name=op.f("pk_chunks")),
        sqlite_with_rowid=False,
    )
    op.execute('INSERT INTO chunks_0003 SELECT id, pack, "offset", stored_length, length, codec FROM chunks')
    op.drop_table("chunks")
    op.rename_table("chunks_0003", "chunks")
    op.execute("DELETE FROM sqlite_stat1 WHERE tbl IN ('chunks', 'chunks_0003')")
    op.execute("INSERT INTO sqlite_stat1 VALUES ('chunks', 'chunks', '4000000 2 1 1')")
    op.execute("ANALYZE sqlite_schema")  # this connection takes it in
