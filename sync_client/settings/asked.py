"""What a page sent, narrowed: it is text from outside, even if it is our own page's.

Owns: those checks.  May import: the standard library, protocol.errors, control (its `Json`).
"""

from __future__ import annotations

from pathlib import Path

from protocol.errors import BadRequest
from sync_client.control import Json


def text_of(asked: dict[str, Json], key: str, default: str | None = None) -> str:
    value = asked.get(key, default)
    if not isinstance(value, str):
        raise BadRequest(f"{key!r} is missing", hint="Load the page again.")
    return value


def path_of(asked: dict[str, Json], key: str) -> Path:
    """A whole path; `~` is this person's own folder."""
    path = Path(text_of(asked, key).strip()).expanduser()
    if not path.is_absolute():
        raise BadRequest(f"{path} is not a whole path", hint="Begin it with / or ~.")
    return path


def number_of(asked: dict[str, Json], key: str, *, least: int, most: int) -> int:
    value = asked.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise BadRequest(f"{key!r} is no number from {least} to {most}", hint="Load the page again.")
    return value
