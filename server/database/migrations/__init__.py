"""Steps that bring a database to this version of the tables.

Owns: the name of the newest step, and the call that runs what is missing.
May import: sqlalchemy; alembic inside `upgrade` only, since its import alone takes 0.4 s.

A step has a number of four digits, so that "newer" is a comparison of texts.
"""

from __future__ import annotations

from sqlalchemy import Connection

HEAD = "0024"


def upgrade(connection: Connection) -> None:
    """Run the missing steps inside the caller's transaction: half a migration never stays behind."""
    from alembic import command  # noqa: PLC0415 - slow, see above
    from alembic.config import Config  # noqa: PLC0415 - slow, see above

    config = Config()
    config.set_main_option("script_location", "server.database:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)
