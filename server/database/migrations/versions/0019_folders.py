"""A rule may work on whole folders; what is made of one has many sources.

Owns: step 0019.  May import: alembic, sqlalchemy; never `tables.py`, which goes on changing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0017"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ID = sa.LargeBinary(length=16)


def upgrade() -> None:
    op.add_column("rules", sa.Column("settle_ms", sa.BigInteger(), nullable=True))
    op.drop_index("ix_provenance_source", "provenance")
    op.rename_table("provenance", "provenance_before")
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
        sa.Column("parameters", sa.LargeBinary(length=32), nullable=False),
        sa.Column("published_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["space"], ["spaces.id"], name=op.f("fk_provenance_space")),
        sa.PrimaryKeyConstraint(
            "space", "node", "epoch", "number", "source_space", "source_node", name=op.f("pk_provenance")
        ),
    )
    op.execute("INSERT INTO provenance SELECT * FROM provenance_before")
    op.drop_table("provenance_before")
    op.create_index("ix_provenance_source", "provenance", ["source_space", "source_node"])
