"""Rules, jobs, and what was published from what.

Owns: step 0005.  May import: alembic, sqlalchemy; never `tables.py`, which goes on changing.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ID = sa.LargeBinary(length=16)
DIGEST = sa.LargeBinary(length=32)


def upgrade() -> None:
    op.create_table(
        "rules",
        sa.Column("id", ID, nullable=False),
        sa.Column("space", BIG_ID, nullable=False),
        sa.Column("node", ID, nullable=False),
        sa.Column("block", sa.String(length=4_096), nullable=False),
        sa.Column("parameters", sa.String(), nullable=False),
        sa.Column("target_space", BIG_ID, nullable=False),
        sa.Column("target", ID, nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("seen_stamp", sa.BigInteger(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["space"], ["spaces.id"], name=op.f("fk_rules_space")),
        sa.ForeignKeyConstraint(["target_space"], ["spaces.id"], name=op.f("fk_rules_target_space")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rules")),
    )
    op.create_index(op.f("ix_rules_space"), "rules", ["space"])
    op.create_table(
        "jobs",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("rule", ID, nullable=False),
        sa.Column("node", ID, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("lease", ID, nullable=True),
        sa.Column("leased_until_ms", sa.BigInteger(), nullable=True),
        sa.Column("reasons", sa.String(), nullable=False),
        sa.Column("digest", DIGEST, nullable=True),
        sa.Column("is_released", sa.Boolean(), nullable=False),
        sa.Column("report", sa.LargeBinary(), nullable=True),
        sa.Column("made_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["rule"], ["rules.id"], name=op.f("fk_jobs_rule")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.UniqueConstraint("rule", "node", "epoch", "number", name=op.f("uq_jobs_rule_node_epoch_number")),
    )
    op.create_index("ix_jobs_due", "jobs", ["state", "due_at_ms"])
    op.create_table(
        "published",
        sa.Column("rule", ID, nullable=False),
        sa.Column("source", ID, nullable=False),
        sa.Column("output", sa.String(length=60), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("space", BIG_ID, nullable=False),
        sa.Column("node", ID, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["rule"], ["rules.id"], name=op.f("fk_published_rule")),
        sa.ForeignKeyConstraint(["space"], ["spaces.id"], name=op.f("fk_published_space")),
        sa.PrimaryKeyConstraint("rule", "source", "output", name=op.f("pk_published")),
    )
    op.create_table(
        "provenance",
        sa.Column("space", BIG_ID, nullable=False),
        sa.Column("node", ID, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("rule", ID, nullable=False),
        sa.Column("source_space", sa.BigInteger(), nullable=False),
        sa.Column("source_node", ID, nullable=False),
        sa.Column("source_epoch", sa.Integer(), nullable=False),
        sa.Column("source_number", sa.BigInteger(), nullable=False),
        sa.Column("block", sa.String(length=60), nullable=False),
        sa.Column("block_version", sa.String(length=40), nullable=False),
        sa.Column("parameters", DIGEST, nullable=False),
        sa.Column("published_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["space"], ["spaces.id"], name=op.f("fk_provenance_space")),
        sa.PrimaryKeyConstraint("space", "node", "epoch", "number", name=op.f("pk_provenance")),
    )
