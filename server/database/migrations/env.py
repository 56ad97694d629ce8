"""What alembic runs around the steps: on the connection that `upgrade` was given, in its transaction.

Owns: nothing but this wiring.  May import: alembic, server.database.
"""

from alembic import context

from server.database.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite changes a table by making it anew
)
context.run_migrations()
