"""Sync codes, and the devices that redeemed them.

Owns: step 0004.  May import: alembic, sqlalchemy; never `tables.py`, which goes on changing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ID, DIGEST = sa.LargeBinary(length=16), sa.LargeBinary(length=32)
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "codes",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("secret_hash", DIGEST, nullable=False),
        sa.Column("space", BIG_ID, nullable=False),
        sa.Column("node", ID, nullable=False),
        sa.Column("maker", ID, nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("devices", sa.Integer(), nullable=False),
        sa.Column("pin_hash", sa.String(), nullable=True),
        sa.Column("approve", sa.Boolean(), nullable=False),
        sa.Column("revoked_at_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["maker"], ["users.id"], name=op.f("fk_codes_maker")),
        sa.ForeignKeyConstraint(["space"], ["spaces.id"], name=op.f("fk_codes_space")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_codes")),
        sa.UniqueConstraint("name", name=op.f("uq_codes_name")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_codes_secret_hash")),
    )
    op.create_index(op.f("ix_codes_maker"), "codes", ["maker"])
    op.create_index("ix_codes_space_node", "codes", ["space", "node"])
    op.create_table(
        "code_devices",
        sa.Column("id", ID, nullable=False),
        sa.Column("code", ID, nullable=False),
        sa.Column("device", ID, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("address", sa.String(length=100), nullable=False),
        sa.Column("token_hash", DIGEST, nullable=True),
        sa.Column("approved", sa.Boolean(), nullable=False),
        sa.Column("first_used_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("read_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["code"], ["codes.id"], name=op.f("fk_code_devices_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_code_devices")),
        sa.UniqueConstraint("code", "device", name=op.f("uq_code_devices_code_device")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_code_devices_token_hash")),
    )
