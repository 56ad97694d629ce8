"""A sync code may allow browsers.

Owns: step 0010.  May import: alembic, sqlalchemy; never `tables.py`, which goes on changing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("codes", sa.Column("browse", sa.Boolean(), nullable=False, server_default=sa.false()))
