"""Every small quarrel between a disk and a server comes to an end, equal and with nothing lost.

Two names, eight states of each, three trees: 262,144 cases, each planned in both orders (tests.support.small_scope).
Within MB_BUDGET_SECONDS as many as there is time for, chosen by MB_SEED; `make test-long` comes through all of them.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterable

import pytest

from sync_client.engine import plan_down, plan_up, planner
from sync_client.engine.planning import FREE, Planning
from tests.support.model_server import Violation
from tests.support.small_scope import CASES, Case, scattered

SEED = int(os.environ.get("MB_SEED", "1"), 0)
BUDGET_SECONDS = float(os.environ.get("MB_BUDGET_SECONDS", "12"))
FOUND_WITHIN = 2_000  # cases


@pytest.mark.timeout(0)
def test_every_small_quarrel_ends_equal_with_nothing_lost_in_either_order() -> None:
    end = time.monotonic() + BUDGET_SECONDS
    done = 0
    for number in scattered(SEED):
        _run_all([number])
        done += 1
        if time.monotonic() > end:
            break
    print(f"{done} of {CASES} cases")
    assert done > 100


def test_the_cases_are_all_different() -> None:
    assert len(set(scattered(SEED))) == CASES == 262_144


PLANTED = {
    "a delete of what was edited there is passed on": (plan_up, "untouched_there", lambda *_: True),
    "an edit here counts for nothing when it is deleted there": (plan_down, "edited_here", lambda *_: False),
    "a move here counts for nothing when it is deleted there": (plan_down, "moved_here", lambda *_: False),
    "an edit here gives way to one there": (planner, "edited_here", lambda *_: False),
    "a folder is removed with what is new in it": (plan_down, "stays_here", lambda _: False),
    "nobody is parked": (Planning, "park", lambda *_: FREE),
    "what needs each other is not sent together": (plan_up, "_send_together", lambda *_: False),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_a_rule_that_is_removed_is_missed(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name, wrong = PLANTED[bug]
    monkeypatch.setattr(owner, name, wrong)
    with pytest.raises(Violation):
        _run_all(itertools.islice(scattered(1), FOUND_WITHIN))


def _run_all(cases: Iterable[int]) -> None:
    for number in cases:
        for reverse in (False, True):
            Case(number, reverse).run()
