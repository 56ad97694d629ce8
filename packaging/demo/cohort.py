"""The demo's chapter about cohorts: a search becomes a folder that fills itself.

Owns: the order of these events, and what must be true after each.  May import: the demo's own modules.
"""

from __future__ import annotations

from typing import Any

from dicom_files import Identified
from intake import PROJECT
from people import Cast, comes_true
from screen import Screen, Stopwatch, as_count, as_seconds

COHORTS = f"{PROJECT}/Cohorts"
QUERY = "region=knee"


def a_cohort_fills_itself(cast: Cast, screen: Screen, made: Identified) -> None:
    """What fits is there without anybody copying it, and what fits no more goes."""
    fitting = made.images + 1  # the picture that max released shows the same
    screen.heading("Ada gathers a cohort")
    with screen.busy("searching"):
        counted = cast.laptop.asked("counts", PROJECT)
        found = cast.laptop.says("find", QUERY, "--in", PROJECT, "--level", "study")
    screen.fact("ada", f"mb-sync find {QUERY} --in {PROJECT} --level study")
    screen.verbatim(found.stdout)
    with screen.busy("waiting for the folder"):
        watch = Stopwatch()
        created = cast.laptop.says("cohort", "create", "Knees", "--in", COHORTS, QUERY)
        filled = comes_true(lambda: _files(cast) == fitting)
        seconds = watch.seconds()
        listed = cast.laptop.says("cohort", "list")
    screen.fact("ada", f"mb-sync cohort create Knees --in {COHORTS} {QUERY}")
    screen.verbatim(created.stdout or created.stderr)
    screen.fact("filled", f"{as_count(fitting, 'file')} after {as_seconds(seconds)}", "no byte was copied")
    screen.verbatim(listed.stdout)
    inside = cast.laptop.says("ls", f"{COHORTS}/Knees")
    screen.verbatim(inside.stdout)
    screen.check("the cohort holds every file that fits, and nothing else", None if filled else "it does not")
    known = counted["files"]
    wrong = None if known == fitting else f"it knows {known}"
    screen.check(f"mb-sync counts knows {as_count(fitting, 'file')}", wrong)


def _files(cast: Cast) -> int:
    cohorts: list[dict[str, Any]] = cast.laptop.asked("cohort", "list")
    return sum(int(one["files"]) for one in cohorts)
