"""The catalog: series and files with their attributes, and where a search begins.

Owns: step 0021.  May import: alembic, sqlalchemy; never `tables.py`, which goes on changing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ID = sa.LargeBinary(length=16)


def upgrade() -> None:
    op.create_table(
        "catalog_entries",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("space", BIG_ID, nullable=False),
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("patient", sa.String(length=64), nullable=False),
        sa.Column("study", sa.String(length=64), nullable=False),
        sa.Column("series", sa.String(length=64), nullable=False),
        sa.Column("date", sa.String(length=8), nullable=False),
        sa.Column("place", sa.String(length=400), nullable=False),
        sa.Column("dated", sa.String(length=400), nullable=False),
        sa.ForeignKeyConstraint(["space"], ["spaces.id"], name=op.f("fk_catalog_entries_space")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalog_entries")),
        sa.UniqueConstraint("space", "key", name=op.f("uq_catalog_entries_space_key")),
    )
    op.create_index("ix_catalog_entries_place", "catalog_entries", ["space", "place"])
    op.create_index("ix_catalog_entries_dated", "catalog_entries", ["space", "dated"])
    op.create_table(
        "catalog_files",
        sa.Column("space", BIG_ID, nullable=False),
        sa.Column("node", ID, nullable=False),
        sa.Column("entry", BIG_ID, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("modality", sa.String(length=64), nullable=False),
        sa.Column("attributes", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["space"], ["spaces.id"], name=op.f("fk_catalog_files_space")),
        sa.ForeignKeyConstraint(["entry"], ["catalog_entries.id"], name=op.f("fk_catalog_files_entry")),
        sa.PrimaryKeyConstraint("space", "node", name=op.f("pk_catalog_files")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_catalog_files_entry"), "catalog_files", ["entry"])
    op.create_table(
        "catalog_terms",
        sa.Column("space", BIG_ID, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.Column("entry", BIG_ID, nullable=False),
        sa.Column("number", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["space"], ["spaces.id"], name=op.f("fk_catalog_terms_space")),
        sa.PrimaryKeyConstraint("space", "name", "value", "entry", name=op.f("pk_catalog_terms")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_catalog_terms_number", "catalog_terms", ["space", "name", "number", "entry"])
