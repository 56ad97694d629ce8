"""SQLAlchemy's engines, kept for the next database at the same path: it has put its statements into words once.

Owns: the engines that nobody uses at the moment.  May import: sqlalchemy, server.database.

In a history a server starts several times, and every command beside it opens the database once more.  A new engine
knows no statement, and to put them all into words takes longer than to run them.  Only that is kept: connections
end with the `Database` that made them, and its next one prepares its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, event

from server.database import session


@contextmanager
def kept() -> Iterator[None]:
    """While this is open, databases take engines that others are done with."""
    made, unused = session._engine, defaultdict[tuple[Path, bool], list[Engine]](list)

    def taken(path: Path, *, writes: bool) -> Engine:
        mine = unused[path, writes]
        if mine:
            return mine.pop()
        engine = made(path, writes=writes)
        event.listen(engine, "engine_disposed", mine.append)
        return engine

    session._engine = taken
    try:
        yield
    finally:
        session._engine = made
