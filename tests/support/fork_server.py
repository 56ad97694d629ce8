"""Starts our programs quickly: a process that has imported them, and forks for each one.

Run by `forks.Programs`, for the fault searches with their shim loaded.  A line on standard input asks for a program;
lines on standard output tell its number and, when it has ended, its exit code.  The child is the program as its
console script runs it: its own process, killed and failing on its own.
"""

# ruff: noqa: SIM115 - the streams of a child last as long as it does

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import sys
import traceback
from typing import Any

import server
import sync_client
from server.cli import main as serve
from sync_client.cli import main as sync

_ENDED = 70  # the program met what it does not catch
_NOT_IMPORTED = {"__main__", "migrations"}
_IMPORTED_LATE = ("alembic.command", "logging.config", "sqlalchemy.dialects.sqlite.aiosqlite")  # by libraries


def _import_all() -> None:
    """What the programs import when they need it: so that the children find it there."""
    for room in (server, sync_client):
        for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
            if not _NOT_IMPORTED & set(module.name.split(".")):
                importlib.import_module(module.name)
    for name in _IMPORTED_LATE:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # or each child's first collection would copy all of it


def _child(asked: dict[str, Any]) -> None:
    os.setsid()
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    for stream, number, flags in (
        ("stdin", 0, os.O_RDONLY),
        ("stdout", 1, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        ("stderr", 2, os.O_WRONLY | os.O_CREAT | os.O_APPEND),
    ):
        handle = os.open(asked[stream], flags, 0o600)
        os.dup2(handle, number)
        os.close(handle)
    sys.stdin = open(0, encoding="utf-8", closefd=False)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)
    code: object = _ENDED
    try:
        if asked["faults"]:
            shim = ctypes.CDLL(None)
            words = [asked["faults"][name].encode() for name in ("control", "roots", "journal")]
            assert shim.mb_fault_open(*words) == 0
        code = _run(asked["program"], asked["arguments"])
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def _run(program: str, arguments: list[str]) -> int:
    sys.argv = [program, *arguments]
    if program == "mb-server":
        serve()
        return 0
    return sync(arguments)


def main() -> None:
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    _import_all()
    waiting = b""
    while True:
        ready = select.select([0, woken], [], [])[0]
        if woken in ready:
            os.read(woken, 4096)
            while True:
                try:
                    pid, status = os.waitpid(-1, os.WNOHANG)
                except ChildProcessError:
                    break
                if not pid:
                    break
                _tell({"ended": pid, "code": os.waitstatus_to_exitcode(status)})
        if 0 in ready:
            data = os.read(0, 1 << 16)
            if not data:
                return
            *lines, waiting = (waiting + data).split(b"\n")
            for line in lines:
                asked = json.loads(line)
                pid = os.fork()
                if not pid:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    _child(asked)
                _tell({"started": pid})


def _tell(what: dict[str, Any]) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main()
