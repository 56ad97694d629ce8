"""How many files a rule works on at once; what was made of a file is found without reading everything.

Owns: step 0009.  May import: alembic, sqlalchemy; never `tables.py`, which goes on changing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("rules", sa.Column("batch", sa.Integer(), nullable=True))
    op.add_column("rules", sa.Column("at_once", sa.Integer(), nullable=True))
    op.create_index("ix_provenance_source", "provenance", ["source_space", "source_node"])
