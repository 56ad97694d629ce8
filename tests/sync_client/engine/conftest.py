"""One engine and its server for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.one_engine import Setting, a_setting


@pytest.fixture
async def setting(tmp_path: Path) -> AsyncIterator[Setting]:
    async with a_setting(tmp_path) as made:
        yield made
