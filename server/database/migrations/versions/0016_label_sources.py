"""Labels say which attributes of the file they were read from.

Owns: step 0016.  May import: alembic, sqlalchemy; never `tables.py`, which goes on changing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("labels", sa.Column("source", sa.String(length=200), nullable=False, server_default=""))
