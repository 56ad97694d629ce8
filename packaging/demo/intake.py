"""The demo's chapters about an intake: identified studies go in, de-identified ones come out, a person judges the rest.

Owns: the order of these events, and what must be true after each.  May import: the demo's own modules.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

from dicom_files import Identified, lay_out_identified
from folders import contents, difference, files_in, traces
from people import Cast, comes_true, shown
from programs import DemoFailed
from screen import Screen, Stopwatch, as_count, as_seconds, as_size

PROJECT = "/Projects/Nerves"
INTAKE, DATA = f"{PROJECT}/Intake", f"{PROJECT}/Data"


def a_clinic_joins(cast: Cast, screen: Screen) -> None:
    """A project with an intake: a clinician, a reviewer, a researcher, and a code for somebody outside."""
    screen.heading("A project with an intake: iris works in the clinic, max reviews, ada does research")
    with screen.busy("making the project"):
        passwords = {name: secrets.token_urlsafe(18) for name in ("iris", "max")}
        for name, password in passwords.items():
            cast.server.add_user(name, password=password)
        cast.server.create_project("Nerves", {"iris": "clinician", "max": "reviewer", "ada": "owner"})
        cast.clinic.sign_in(cast.server, user="iris", password=passwords["iris"])
        cast.clinic.follow(INTAKE)
        cast.clinic.start()
        cast.desk.sign_in(cast.server, user="max", password=passwords["max"])
        cast.laptop.follow(DATA, cast.adas_data)
        cast.claras_data.receive(cast.laptop.make_code(DATA, label="Cohort"))
        cast.clinic.wait()
        cast.laptop.wait()
    screen.fact("operator", "mb-server project create Nerves --template imaging")
    screen.fact("iris", f"keeps {shown(cast.clinic.folder)} equal to {INTAKE[1:]}", "clinician")
    screen.fact("max", "may release what a block held back", "reviewer")
    screen.fact("ada", f"keeps {shown(cast.adas_data)} equal to {DATA[1:]}", "owner, and not in the intake")
    screen.fact("clara", f"mb-synclight - {shown(cast.claras_data.folder)}", "with a code for the same")


def studies_are_deidentified(cast: Cast, screen: Screen, scratch: Path) -> Identified:
    """They go in as a hospital has them; a researcher and a holder of a code get them without the patient."""
    made = lay_out_identified(scratch / "identified")
    screen.heading("Iris drops studies of Wilma Zweistein into the intake")
    with screen.busy("waiting for ada and clara"):
        watch = Stopwatch()
        shutil.copytree(scratch / "identified", cast.clinic.folder, dirs_exist_ok=True)
        came = comes_true(lambda: files_in(cast.adas_data) == made.images)
        seconds = watch.seconds()
        equal = comes_true(lambda: difference(cast.adas_data, cast.claras_data.folder) is None)
    screen.fact("iris", f"copied {as_count(made.images + 2, 'file')}", as_size(made.size_bytes))
    screen.fact("in the clinic", _first_file(cast.clinic.folder))
    screen.fact("with ada", _first_file(cast.adas_data))
    screen.fact("arrived", f"{made.images} slices after {as_seconds(seconds)}", "de-identified on the way")
    screen.check(f"ada has the {made.images} slices, and nothing else", None if came else "she has not")
    screen.check("clara has the same, byte for byte", None if equal else "she has not")
    _check_no_traces(cast, screen, made.words)
    return made


def what_waits_is_judged(cast: Cast, screen: Screen, made: Identified) -> None:
    """A picture may show a name that no program reads; a letter cannot be cleaned at all."""
    screen.heading("Two files wait for a person")
    with screen.busy("max looks"):
        both_wait = comes_true(lambda: _waiting(cast).keys() == {made.picture, made.letter})
        waiting = _waiting(cast)
        if not both_wait:
            raise DemoFailed(f"{len(waiting)} files wait for a person, not the picture and the letter")
        picture, letter = waiting[made.picture], waiting[made.letter]
        listed = cast.desk.says("quarantine", "list")
        refused = cast.clinic.says("quarantine", "release", picture)
        hidden = cast.laptop.asked("quarantine", "list")
        cast.desk.folder.mkdir()
        seen = cast.desk.folder / "seen.dcm"
        fetched = cast.desk.says("quarantine", "fetch", picture, str(seen))
    screen.fact("max", "mb-sync quarantine list")
    screen.verbatim(listed.stdout)
    screen.fact("iris", f"mb-sync quarantine release {picture}", "she is no reviewer")
    screen.verbatim(refused.stderr)
    screen.check("a clinician cannot release", "she could" if refused.returncode == 0 else None)
    screen.check("ada is told of nothing that waits", "she is" if hidden else None)
    with screen.busy("max and iris decide"):
        released = cast.desk.says("quarantine", "release", picture)
        rejected = cast.clinic.says("quarantine", "reject", letter)
        came = comes_true(lambda: files_in(cast.adas_data) == made.images + 1)
        equal = comes_true(lambda: difference(cast.adas_data, cast.claras_data.folder) is None)
        left = cast.desk.asked("quarantine", "list")
    for who, words, said in (
        ("max", f"fetch {picture} {shown(seen)}", fetched),
        ("max", f"release {picture}", released),
        ("iris", f"reject {letter}", rejected),
    ):
        screen.fact(who, f"mb-sync quarantine {words}")
        screen.verbatim(said.stdout or said.stderr)
    same = contents(cast.desk.folder)["seen.dcm"] in contents(cast.adas_data).values()
    screen.check("ada has the picture, to the byte as max saw it", None if came and same else "she has not")
    screen.check("clara has it too, and neither has the letter", None if equal else "it is not so")
    screen.check("nothing waits any more", f"{as_count(len(left), 'file')} wait" if left else None)
    _check_no_traces(cast, screen, made.words)


def _waiting(cast: Cast) -> dict[str, str]:
    """The numbers of the jobs, by file."""
    return {one["file"]: str(one["job"]) for one in cast.desk.asked("quarantine", "list")}


def _check_no_traces(cast: Cast, screen: Screen, words: Sequence[str]) -> None:
    """Also in what their programs noted for themselves, and in the server's log."""
    if unknown := [word for word in words if not traces([word], [cast.clinic.folder])]:
        raise DemoFailed(f"{unknown} stand nowhere in the clinic's files either")
    state = cast.laptop.home.parent
    places = [cast.adas_data, cast.claras_data.folder, cast.laptop.home, cast.claras_data.home]
    found = traces(words, [*places, *state.glob("*.txt"), *state.glob("*.log")])
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    screen.check(
        "no name, number or UID of hers with ada or clara, in no byte and no file's name",
        ", ".join(found[:3]) + more if found else None,
    )


def _first_file(folder: Path) -> str:
    """Pseudonyms are long."""
    path = next((path for path, digest in contents(folder).items() if digest), "nothing")
    return "/".join(part if len(part) <= 26 else f"{part[:16]}…" for part in path.split("/"))
