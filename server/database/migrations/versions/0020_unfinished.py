"""Unfinished uploads count; the newest jobs are found though their numbers are drawn by lot.

Owns: step 0020.  May import: alembic, sqlalchemy; never `tables.py`, which goes on changing.

What was uploaded before this step counts nowhere; jobs keep the numbers that they have.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("possessions", sa.Column("space", sa.BigInteger(), nullable=True))
    for name in ("growing_bytes", "replacing_bytes"):
        op.add_column("possessions", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
    op.create_index(
        "ix_possessions_space",
        "possessions",
        ["space", "leased_until_ms", "growing_bytes", "replacing_bytes"],
        sqlite_where=sa.text("space IS NOT NULL"),
        postgresql_where=sa.text("space IS NOT NULL"),
    )
    op.create_index("ix_jobs_made", "jobs", ["made_at_ms", "id"])
