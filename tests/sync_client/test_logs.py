"""The log: no names of people's files, not even in a traceback."""

from __future__ import annotations

import logging
import stat
import subprocess
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

from sync_client.logs import OLD_LOGS, NamelessFormatter, log_to


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


def test_a_log_is_cut_and_only_so_many_old_ones_are_kept(tmp_path: Path) -> None:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    log_to(tmp_path, on_screen=False)
    try:
        for handler in set(root.handlers) - set(before):
            assert isinstance(handler, RotatingFileHandler)
            handler.maxBytes = 2_000
        for number in range(400):
            logging.getLogger("sync_client.test").info("round=%d files=%d", number, 3)
    finally:
        for handler in set(root.handlers) - set(before):
            root.removeHandler(handler)
            handler.close()
        root.setLevel(level)
    kept = sorted(tmp_path.iterdir())
    assert [path.name for path in kept] == [
        "mb-sync.log",
        *(f"mb-sync.log.{n}" for n in range(1, OLD_LOGS + 1)),
    ]
    assert all(path.stat().st_size <= 2_000 for path in kept)
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in kept)
    assert "round=399" in kept[0].read_text()


def test_the_last_words_of_the_background_process_name_no_file(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from sync_client.logs import log_to, tell_fault;"
        "log_to(Path(sys.argv[1]), on_screen=False); sys.excepthook = tell_fault;"
        "Path('/nowhere/Meier Hans 1950.dcm').read_bytes()"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert ran.stderr == "MB-Sync met a fault (FileNotFoundError); mb-sync.log says where\n"
    log = (tmp_path / "mb-sync.log").read_text()
    assert "FileNotFoundError at" in log
    assert "Meier" not in log
