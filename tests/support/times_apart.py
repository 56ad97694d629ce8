"""Whether times tell two cases apart."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

PAIRS = 1_000
APART = 0.05
SURE = 0.001


def tell_apart(first: Callable[[int], object], second: Callable[[int], object]) -> bool:
    """Called in turns, with the number of the turn: their medians lie apart, and a rank test is sure of it.

    Three times, and the same one is the slower each time: a machine has other things to do as well.
    """
    slower = _slower(*_measured(first, second))
    return slower is not None and all(_slower(*_measured(first, second)) == slower for _ in range(2))


def _measured(
    first: Callable[[int], object], second: Callable[[int], object]
) -> tuple[list[float], list[float]]:
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(PAIRS):
        for which, call in enumerate((first, second)):
            began = time.perf_counter()
            call(turn)
            times[which].append(time.perf_counter() - began)
    return times


def _slower(first: Sequence[float], second: Sequence[float]) -> int | None:
    """Which of the two; None: nobody can tell."""
    ratio = statistics.median(first) / statistics.median(second)
    if abs(ratio - 1) <= APART:
        return None
    ranked = sorted([(time, 0) for time in first] + [(time, 1) for time in second])
    n, m = len(first), len(second)
    u = sum(rank for rank, (_, which) in enumerate(ranked, start=1) if which) - m * (m + 1) / 2
    z = (u - n * m / 2) / (n * m * (n + m + 1) / 12) ** 0.5
    if 2 * (1 - statistics.NormalDist().cdf(abs(z))) > SURE:
        return None
    return 1 if ratio > 1 else 2
