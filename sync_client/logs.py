"""The client's log: what happened, in ids and counts.

Owns: the form of its lines, rotation, and that a traceback carries no file name of the user's.
May import: the standard library.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys
import traceback
from pathlib import Path
from types import TracebackType

MAX_LOG_BYTES = 2 << 20
OLD_LOGS = 4

# As logging gives it.
ErrorInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class NamelessFormatter(logging.Formatter):
    """Shows an error's type and where it was raised; its text may hold the names of people's files."""

    def formatException(self, ei: ErrorInfo) -> str:  # noqa: N802 - logging's own name
        kind, error, trace = ei
        if kind is None:
            return ""
        lines = [f"{kind.__name__} at", *(line.rstrip() for line in traceback.format_tb(trace))]
        if isinstance(error, BaseExceptionGroup):
            lines += [self.formatException((type(one), one, one.__traceback__)) for one in error.exceptions]
        return "\n".join(lines)


def log_to(folder: Path, *, on_screen: bool, name: str = "mb-sync.log") -> None:
    """Begin to log into `folder`, and to standard error as well if `on_screen`."""
    form = NamelessFormatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    file = logging.handlers.RotatingFileHandler(
        folder / name,
        maxBytes=MAX_LOG_BYTES,
        backupCount=OLD_LOGS,
        encoding="utf-8",
        errors="backslashreplace",
    )
    os.chmod(folder / name, 0o600)
    handlers: list[logging.Handler] = [file]
    if on_screen:
        handlers.append(logging.StreamHandler(sys.stderr))
    root = logging.getLogger()
    for handler in handlers:
        handler.setFormatter(form)
        root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
