"""The log: no names of people's files, not even in a traceback."""

from __future__ import annotations

import logging
from pathlib import Path

from sync_client.logs import NamelessFormatter


def test_a_traceback_shows_where_and_not_what() -> None:
    patient = Path("/nowhere/Meier Hans 1950.dcm")
    try:
        patient.read_bytes()
    except OSError as error:
        group = ExceptionGroup("several", [error])
        record = logging.LogRecord("x", logging.ERROR, "", 0, "failed", None, (type(group), group, None))
    said = NamelessFormatter().format(record)
    assert "FileNotFoundError at" in said
    assert "test_logs.py" in said
    assert "Meier" not in said
