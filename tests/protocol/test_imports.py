"""The room is pure: what it pulls in stays small, and only its HTTP client knows HTTP."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import protocol

MODULES = sorted(path.stem for path in Path(protocol.__path__[0]).glob("*.py"))
PURE = [name for name in MODULES if name not in {"__init__", "exchange", "http"}]


def loaded_by(*modules: str) -> set[str]:
    code = "".join(f"import protocol.{name}\n" for name in modules) + "import sys; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def test_nothing_but_the_http_client_imports_aiohttp_or_the_cutter() -> None:
    loaded = loaded_by(*PURE)
    assert {f"protocol.{name}" for name in PURE} <= loaded
    assert not loaded & {"aiohttp", "truststore", "pyfastcdc", "sqlalchemy", "click", "protocol.http"}


def test_the_http_client_needs_only_the_base_install() -> None:
    assert not loaded_by("http") & {"pyfastcdc", "sqlalchemy", "click", "rich", "watchdog", "tomlkit"}


def test_the_rules_for_names_need_the_standard_library_only() -> None:
    assert not loaded_by("names") & {"msgspec", "zstandard"}
