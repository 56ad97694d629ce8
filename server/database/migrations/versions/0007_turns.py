"""Which job goes first: ranks of jobs, priorities and turns of rules.

Owns: step 0007.  May import: alembic, sqlalchemy; never `tables.py`, which goes on changing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("rules", sa.Column("priority", sa.Integer(), server_default="5", nullable=False))
    op.add_column("rules", sa.Column("made_stamp", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("rules", sa.Column("turn", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("jobs", sa.Column("rank", sa.Integer(), server_default="4", nullable=False))
    op.drop_index("ix_jobs_due", table_name="jobs")
    op.create_index("ix_jobs_due", "jobs", ["rule", "state", "rank", "due_at_ms"])
