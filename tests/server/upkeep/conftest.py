"""A busy space is made once; each test works on a copy."""

import asyncio
from pathlib import Path

import pytest

from tests.support.busy_space import make_busy_space


@pytest.fixture(scope="session")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("busy")
    asyncio.run(make_busy_space(folder))
    return folder
