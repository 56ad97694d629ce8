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
from io import TextIOWrapper
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


class _PrivateFile(logging.handlers.RotatingFileHandler):
    """Each file is its owner's alone from its first byte, also the one that begins when the last is full."""

    def _open(self) -> TextIOWrapper:
        def private(path: str, flags: int) -> int:
            return os.open(path, flags, 0o600)

        # It is closed by the handler; the type of a text file is what the mode makes it.
        return open(  # type: ignore[return-value]
            self.baseFilename, self.mode, encoding=self.encoding, errors=self.errors, opener=private
        )


def tell_fault(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """In place of Python's own last words, which may name a file: standard error is kept in the log's folder too."""
    logging.getLogger(__name__).critical("ended by a fault", exc_info=(kind, error, trace))
    print(f"MB-Sync met a fault ({kind.__name__}); mb-sync.log says where", file=sys.stderr)


def log_to(folder: Path, *, on_screen: bool, name: str = "mb-sync.log") -> None:
    """Begin to log into `folder`, and to standard error as well if `on_screen`."""
    form = NamelessFormatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    file = _PrivateFile(
        folder / name,
        maxBytes=MAX_LOG_BYTES,
        backupCount=OLD_LOGS,
        encoding="utf-8",
        errors="backslashreplace",
    )
    handlers: list[logging.Handler] = [file]
    if on_screen:
        handlers.append(logging.StreamHandler(sys.stderr))
    root = logging.getLogger()
    for handler in handlers:
        handler.setFormatter(form)
        root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
