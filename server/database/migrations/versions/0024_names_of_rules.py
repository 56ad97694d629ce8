"""Rules may take only files of some names.

Owns: step 0024.  May import: alembic, sqlalchemy; never `tables.py`, which goes on changing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("rules", sa.Column("names", sa.String(), nullable=False, server_default="[]"))
