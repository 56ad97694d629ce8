"""The numbers by which people name jobs.

Owns: how one is drawn.
May import: sqlalchemy, server.database.

Numbers that counted up would tell the people of one project how much goes on in all others, even where nothing else is
ever said of them.
"""

from __future__ import annotations

import secrets

from sqlalchemy.orm import Session

from server.database.session import rows_of_sql

_FIRST = 100_000_000  # nine digits: short enough to be typed


def draw_number(session: Session) -> int:
    """That no job has."""
    while True:
        number = _FIRST + secrets.randbelow(9 * _FIRST)
        if not rows_of_sql(session, "SELECT 1 FROM jobs WHERE id = ?", number):
            return number
