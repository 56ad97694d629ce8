"""What blocks say of files.

Owns: step 0008.  May import: alembic, sqlalchemy; never `tables.py`, which goes on changing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ID = sa.LargeBinary(length=16)


def upgrade() -> None:
    op.create_table(
        "labels",
        sa.Column("space", BIG_ID, nullable=False),
        sa.Column("node", ID, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("rule", ID, nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("said_by", sa.String(length=60), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("block", sa.String(length=60), nullable=False),
        sa.Column("block_version", sa.String(length=40), nullable=False),
        sa.Column("parameters", sa.LargeBinary(length=32), nullable=False),
        sa.Column("made_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["space"], ["spaces.id"], name=op.f("fk_labels_space")),
        sa.PrimaryKeyConstraint(
            "space", "node", "epoch", "number", "rule", "name", "said_by", "value", name=op.f("pk_labels")
        ),
    )
