"""Randomness of our programs and of the libraries below them, drawn from one number.

Owns: what is random in a history.  May import: the standard library, sync_client.engine.looking.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager

from sync_client.engine import looking


@contextmanager
def drawn_from(seed: int | str) -> Iterator[None]:
    """While this is open, `os.urandom`, and so `secrets` and `uuid4`, give the same after the same seed."""
    source = random.Random(f"entropy {seed}")
    system = os.urandom
    os.urandom = random._urandom = source.randbytes  # type: ignore[attr-defined]
    random.seed(seed)
    looking._chance.seed(seed)
    try:
        yield
    finally:
        os.urandom = random._urandom = system  # type: ignore[attr-defined]
