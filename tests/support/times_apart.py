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

    One repeat is allowed: a machine has other things to do as well.
    """
    return _differ(*_measured(first, second)) and _differ(*_measured(first, second))


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


def _differ(first: Sequence[float], second: Sequence[float]) -> bool:
    if abs(statistics.median(first) / statistics.median(second) - 1) <= APART:
        return False
    ranked = sorted([(time, 0) for time in first] + [(time, 1) for time in second])
    n, m = len(first), len(second)
    u = sum(rank for rank, (_, which) in enumerate(ranked, start=1) if which) - m * (m + 1) / 2
    z = (u - n * m / 2) / (n * m * (n + m + 1) / 12) ** 0.5
    return 2 * (1 - statistics.NormalDist().cdf(abs(z))) <= SURE
