"""Teams, projects, grants, and views of folders inside a space.

Owns: step 0002.  May import: alembic, sqlalchemy; never `tables.py`, which goes on changing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.LargeBinary(length=16)
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _views_of_projects_have_no_owner()
    op.create_table(
        "teams",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("name_key", sa.String(length=400), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_teams")),
        sa.UniqueConstraint("name_key", name=op.f("uq_teams_name_key")),
    )
    op.create_table(
        "team_members",
        sa.Column("team", ID, nullable=False),
        sa.Column("user", ID, nullable=False),
        sa.ForeignKeyConstraint(["team"], ["teams.id"], name=op.f("fk_team_members_team")),
        sa.ForeignKeyConstraint(["user"], ["users.id"], name=op.f("fk_team_members_user")),
        sa.PrimaryKeyConstraint("team", "user", name=op.f("pk_team_members")),
    )
    op.create_index(op.f("ix_team_members_user"), "team_members", ["user"], unique=False)
    op.create_table(
        "projects",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("name_key", sa.String(length=400), nullable=False),
        sa.Column("space", BIG_ID, nullable=False),
        sa.Column("intake", BIG_ID, nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["intake"], ["spaces.id"], name=op.f("fk_projects_intake")),
        sa.ForeignKeyConstraint(["space"], ["spaces.id"], name=op.f("fk_projects_space")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
        sa.UniqueConstraint("intake", name=op.f("uq_projects_intake")),
        sa.UniqueConstraint("name_key", name=op.f("uq_projects_name_key")),
        sa.UniqueConstraint("space", name=op.f("uq_projects_space")),
    )
    op.create_table(
        "grants",
        sa.Column("space", BIG_ID, nullable=False),
        sa.Column("node", ID, nullable=False),
        sa.Column("principal", ID, nullable=False),
        sa.Column("principal_kind", sa.String(length=8), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("granted_by", ID, nullable=True),
        sa.Column("granted_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["granted_by"], ["users.id"], name=op.f("fk_grants_granted_by")),
        sa.ForeignKeyConstraint(["space"], ["spaces.id"], name=op.f("fk_grants_space")),
        sa.PrimaryKeyConstraint("space", "node", "principal", name=op.f("pk_grants")),
    )
    op.create_index(op.f("ix_grants_principal"), "grants", ["principal"], unique=False)
    op.create_table(
        "border_crossings",
        sa.Column("view", ID, nullable=False),
        sa.Column("stamp", sa.BigInteger(), nullable=False),
        sa.Column("node", ID, nullable=False),
        sa.Column("arrives", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["view"], ["views.id"], name=op.f("fk_border_crossings_view")),
        sa.PrimaryKeyConstraint("view", "stamp", name=op.f("pk_border_crossings")),
    )


def _views_of_projects_have_no_owner() -> None:
    """SQLite changes a column by making the table anew."""
    op.drop_index(op.f("ix_views_owner"), table_name="views")
    op.drop_index(op.f("ix_views_space"), table_name="views")
    op.rename_table("views", "views_before")
    op.create_table(
        "views",
        sa.Column("id", ID, nullable=False),
        sa.Column("space", BIG_ID, nullable=False),
        sa.Column("root", ID, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=400), nullable=False),
        sa.Column("owner", ID, nullable=True),
        sa.Column("stamp", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["owner"], ["users.id"], name=op.f("fk_views_owner")),
        sa.ForeignKeyConstraint(["space"], ["spaces.id"], name=op.f("fk_views_space")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_views")),
        sa.UniqueConstraint("space", "root", name=op.f("uq_views_space_root")),
    )
    op.execute(
        "INSERT INTO views (id, space, root, kind, name, owner, stamp)"
        " SELECT id, space, root, kind, name, owner, 0 FROM views_before"
    )
    op.drop_table("views_before")
    op.create_index(op.f("ix_views_owner"), "views", ["owner"], unique=False)
    op.create_index(op.f("ix_views_space"), "views", ["space"], unique=False)
