"""Rules may work in shadow mode.

Owns: step 0022.  May import: alembic, sqlalchemy; never `tables.py`, which goes on changing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("rules", sa.Column("shadow", sa.Boolean(), nullable=False, server_default=sa.false()))
