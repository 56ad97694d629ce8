"""What people say of files, and the kinds of label that a project has of its own.

Owns: step 0017.  May import: alembic, sqlalchemy; never `tables.py`, which goes on changing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ID = sa.LargeBinary(length=16)


def upgrade() -> None:
    op.create_table(
        "person_labels",
        sa.Column("space", BIG_ID, nullable=False),
        sa.Column("node", ID, nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.Column("user", ID, nullable=False),
        sa.Column("made_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["space"], ["spaces.id"], name=op.f("fk_person_labels_space")),
        sa.PrimaryKeyConstraint("space", "node", "name", "value", name=op.f("pk_person_labels")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "label_kinds",
        sa.Column("space", BIG_ID, nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("choices", sa.String(), nullable=True),
        sa.Column("max_length", sa.Integer(), nullable=False),
        sa.Column("user", ID, nullable=False),
        sa.Column("made_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["space"], ["spaces.id"], name=op.f("fk_label_kinds_space")),
        sa.PrimaryKeyConstraint("space", "name", name=op.f("pk_label_kinds")),
        sqlite_with_rowid=False,
    )
