"""Queries that were given a folder, and what was put into it.

Owns: step 0023.  May import: alembic, sqlalchemy; never `tables.py`, which goes on changing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ID = sa.LargeBinary(length=16)


def upgrade() -> None:
    op.create_table(
        "catalog_changes",
        sa.Column("space", BIG_ID, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["space"], ["spaces.id"], name=op.f("fk_catalog_changes_space")),
        sa.PrimaryKeyConstraint("space", name=op.f("pk_catalog_changes")),
    )
    op.create_table(
        "cohorts",
        sa.Column("id", ID, nullable=False),
        sa.Column("space", BIG_ID, nullable=False),
        sa.Column("scope", ID, nullable=False),
        sa.Column("folder", ID, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("query", sa.String(length=2_000), nullable=False),
        sa.Column("user", ID, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("seen_stamp", sa.BigInteger(), nullable=False),
        sa.Column("seen_changes", sa.BigInteger(), nullable=False),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.Column("made_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["space"], ["spaces.id"], name=op.f("fk_cohorts_space")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cohorts")),
    )
    op.create_index(op.f("ix_cohorts_space"), "cohorts", ["space"])
    op.create_table(
        "cohort_links",
        sa.Column("cohort", ID, nullable=False),
        sa.Column("source", ID, nullable=False),
        sa.Column("space", BIG_ID, nullable=False),
        sa.Column("node", ID, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("source_epoch", sa.Integer(), nullable=False),
        sa.Column("source_number", sa.BigInteger(), nullable=False),
        sa.Column("is_ours", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["cohort"], ["cohorts.id"], name=op.f("fk_cohort_links_cohort")),
        sa.ForeignKeyConstraint(["space"], ["spaces.id"], name=op.f("fk_cohort_links_space")),
        sa.PrimaryKeyConstraint("cohort", "source", name=op.f("pk_cohort_links")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_cohort_links_node", "cohort_links", ["space", "node"])
