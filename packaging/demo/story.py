"""What happens in the demo, chapter by chapter.

Owns: the order of events, and what must be true after each.  May import: the demo's own modules.

Every figure on the screen is measured, and every claim with a tick was looked up on the disks.
"""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

from dicom_files import Layout, describe_study, lay_out_dicom
from folders import contents, difference, files_in, seconds_until_there
from people import ARRIVAL_SECONDS, REMOTE, Cast, comes_true, shown
from programs import DemoFailed
from screen import Screen, Stopwatch, as_count, as_seconds, as_size

NOTES = "notes/reading.txt"


def set_up(cast: Cast, screen: Screen) -> None:
    screen.heading("One server, two people, three computers")
    passwords = {name: secrets.token_urlsafe(18) for name in ("admin", "ada", "ben")}
    with screen.busy("starting the server and three clients"):
        cast.server.create(admin="admin", password=passwords["admin"])
        cast.server.start()
        for name in ("ada", "ben"):  # added while the server runs, as an operator would
            cast.server.add_user(name, password=passwords[name])
        for computer in cast.adas_and_bens():
            user, remote = ("ben", "/Home") if computer is cast.bens else ("ada", REMOTE)
            computer.sign_in(cast.server, user=user, password=passwords[user])
            computer.follow(remote)
            computer.start()
        for computer in cast.adas_and_bens():
            computer.wait()
    screen.fact("server", cast.server.url, "embedded: SQLite and a folder, no configuration")
    for computer in cast.adas_and_bens():
        who = f"ben's {REMOTE.split('/')[1]}" if computer is cast.bens else f"ada's {REMOTE[1:]}"
        screen.fact(computer.name, f"keeps {shown(computer.folder)} equal to {who}")


def studies_arrive(cast: Cast, screen: Screen, scratch: Path) -> Layout:
    """Every DICOM file is copied into the laptop's folder and turns up on the workstation."""
    layout = lay_out_dicom(scratch / "studies")
    (scratch / "studies" / NOTES).parent.mkdir()
    (scratch / "studies" / NOTES).write_text("Reading list\n")
    sizes = {path: (scratch / "studies" / path).stat().st_size for path in (*layout.files, NOTES)}
    size_bytes = sum(sizes.values())
    screen.heading(f"{as_count(len(sizes), 'file')} copied into the laptop's folder")
    before = cast.laptop.traffic(), cast.workstation.traffic()
    with screen.busy("waiting for the workstation"):
        watch = Stopwatch()
        shutil.copytree(scratch / "studies", cast.laptop.folder, dirs_exist_ok=True)
        if seconds_until_there(cast.workstation.folder, sizes, limit_seconds=ARRIVAL_SECONDS) is None:
            raise DemoFailed(f"Not every file reached the workstation within {ARRIVAL_SECONDS:.0f} s")
        seconds = watch.seconds()
        cast.settle()
    sent = cast.laptop.traffic().since(before[0]).sent_bytes
    received = cast.workstation.traffic().since(before[1]).received_bytes
    screen.fact(
        "files",
        f"{len(sizes)} ({as_size(size_bytes)})",
        f"{layout.patients} patients, {layout.studies} studies, {layout.series} series",
    )
    screen.fact("arrived", f"all on the workstation after {as_seconds(seconds)}")
    screen.fact(
        "on the wire",
        f"{as_size(sent)} up, {as_size(received)} down",
        f"{100 * max(sent, received) // size_bytes} % of the files' bytes",
    )
    screen.check(
        "fewer bytes travelled than the files hold", None if max(sent, received) < size_bytes else "more did"
    )
    _check_equal(cast, screen)
    return layout


def both_work(cast: Cast, screen: Screen, layout: Layout) -> None:
    """An edit, a rename, a new file and a delete, from both sides at once."""
    laptop, workstation = cast.laptop.folder, cast.workstation.folder
    image = next(path for path in layout.files if "-CT/" in path)
    renamed, emptied = _two_patients(laptop, but=image.split("/")[0])
    count_in = {
        patient: sum(path.startswith(f"{patient}/") for path in layout.files)
        for patient in (renamed, emptied)
    }
    bytes_in = sum(path.stat().st_size for path in (laptop / renamed).rglob("*") if path.is_file())

    screen.heading("Both sides work at the same time")
    with screen.busy("waiting for both sides to be equal"):
        watch = Stopwatch()
        describe_study(laptop / image, "Follow-up, week 12")
        (workstation / "findings.csv").write_text("patient,finding\npatient-01,none\n")
        shutil.rmtree(workstation / emptied)
        cast.settle()
        seconds = watch.seconds()
    screen.fact("laptop", f"edited {image}", "another StudyDescription")
    screen.fact("workstation", "wrote findings.csv")
    screen.fact(
        "workstation", f"deleted {emptied}", f"{as_count(count_in[emptied], 'file')}, now in the trash"
    )
    screen.fact("equal again", f"after {as_seconds(seconds)}", "looked at afresh on both sides")
    _check_equal(cast, screen)
    screen.check("what was deleted is gone here too", "it is there" if (laptop / emptied).exists() else None)

    before = cast.traffic()
    with screen.busy("waiting for the workstation"):
        watch = Stopwatch()
        (laptop / renamed).rename(laptop / f"{renamed}-control")
        cast.settle()
        seconds = watch.seconds()
    moved = cast.traffic().since(before)
    screen.fact("laptop", f"renamed {renamed} to {renamed}-control", as_count(count_in[renamed], "file"))
    screen.fact(
        "on the wire",
        f"{as_size(moved.sent_bytes + moved.received_bytes)} for {as_size(bytes_in)} in that folder",
        f"equal again after {as_seconds(seconds)}",
    )
    _check_equal(cast, screen)


def apart_and_back(cast: Cast, screen: Screen, layout: Layout) -> None:
    """The workstation is offline while both sides go on, and edit one file both."""
    laptop, workstation = cast.laptop.folder, cast.workstation.folder
    image = next(path for path in layout.files if "-MR/" in path and (laptop / path).exists())
    screen.heading("The workstation is offline for a while")
    with screen.busy("working apart"):
        cast.workstation.stop()
        (laptop / NOTES).write_text("Reading list\nlaptop: see patient-01 again\n")
        (laptop / image).unlink()
        (workstation / NOTES).write_text("Reading list\nworkstation: patient-01 is done\n")
        (workstation / "protocol.txt").write_text("Written while offline.\n")
        cast.laptop.wait()
    screen.fact("laptop", f"deleted {image}")
    screen.fact("workstation", "wrote protocol.txt", "its client is stopped")
    screen.fact("both", f"edited {NOTES}", "two different edits of one file")
    with screen.busy("the workstation comes back"):
        watch = Stopwatch()
        cast.workstation.start()
        cast.settle()
        seconds = watch.seconds()
    copies = sorted(path for path in contents(laptop) if path.startswith("notes/") and "(conflict " in path)
    screen.fact("back online", f"equal again after {as_seconds(seconds)}")
    screen.fact("kept both", ", ".join((NOTES, *copies)))
    _check_equal(cast, screen)
    screen.check("both edits are there, one as a conflict copy", _conflict_problem(laptop, copies))
    gone = not (workstation / image).exists() and (laptop / "protocol.txt").exists()
    screen.check("the other changes made meanwhile crossed as well", None if gone else "they did not")


def ben_sees_nothing(cast: Cast, screen: Screen) -> None:
    """A second account of the same server: none of it reaches him, and asking gets him nothing."""
    screen.heading("Ben has an account on the same server")
    with screen.busy("asking as ben"):
        cast.bens.wait()
        own, hers = cast.bens.lists("/Home"), cast.bens.lists(REMOTE)
    screen.fact("ben asks", f"mb-sync ls {REMOTE}")
    screen.verbatim(hers.stderr or hers.stdout)
    found = contents(cast.bens.folder)
    screen.check("ben's folder is empty", f"it holds {as_count(len(found), 'file')}" if found else None)
    refused = own.returncode == 0 and not own.stdout.strip().count("Studies") and hers.returncode != 0
    screen.check("ben can list his own home, and nothing of ada's", None if refused else "he was told of it")


def a_code_for_clara(cast: Cast, screen: Screen) -> None:
    """Somebody outside receives one folder, and what changes in it, until the code is revoked."""
    screen.heading("Clara, outside, is given one folder")
    patient = max(cast.laptop.folder.glob("patient-*"), key=lambda one: (len(contents(one)), one.name))
    with screen.busy("clara redeems her code"):
        watch = Stopwatch()
        link = cast.laptop.make_code(f"{REMOTE}/{patient.name}", label="Second reading")
        cast.clara.receive(link)
        arrived = comes_true(lambda: difference(patient, cast.clara.folder) is None)
        seconds = watch.seconds()
    screen.fact("ada", f"mb-sync code create {REMOTE}/{patient.name}", "prints a link")
    screen.fact("clara", f"mb-synclight - {shown(cast.clara.folder)}", "pastes the link; she has no account")
    screen.fact("arrived", f"{as_count(files_in(cast.clara.folder), 'file')} after {as_seconds(seconds)}")
    screen.check("clara has that folder, byte for byte, and nothing else", None if arrived else "she has not")
    with screen.busy("both go on"):
        (cast.clara.folder / "my notes.txt").write_text("Mine alone.\n")
        (patient / "report.txt").write_text("Second reading, please.\n")
        came = comes_true((cast.clara.folder / "report.txt").exists)
        verified = cast.clara.verify()
        cast.settle()
    screen.fact("ada", f"wrote {patient.name}/report.txt")
    screen.fact("clara", "wrote my notes.txt", "hers alone")
    screen.check("the report came to clara", None if came else "it did not")
    stayed = not (patient / "my notes.txt").exists() and (cast.clara.folder / "my notes.txt").exists()
    screen.check("her notes stayed with her", None if stayed else "they did not")
    screen.check(
        "mb-synclight verify: every byte is what the server has",
        None if verified.returncode == 0 else verified.stderr,
    )
    with screen.busy("ada revokes the code"):
        watch = Stopwatch()
        cast.laptop.revoke_codes()
        ended = cast.clara.has_ended(limit_seconds=ARRIVAL_SECONDS)
        seconds = watch.seconds()
        before = contents(cast.clara.folder)
        (patient / "report.txt").write_text("Not for clara any more.\n")
        cast.settle()
    screen.fact(
        "ada", "mb-sync code revoke", f"clara's program ended after {as_seconds(seconds)}" if ended else ""
    )
    screen.verbatim(cast.clara.lists())
    screen.check("clara was told why", None if "revoked" in cast.clara.said() else cast.clara.said())
    kept = contents(cast.clara.folder) == before and "my notes.txt" in before and "report.txt" in before
    screen.check("she keeps what she had, and gets nothing new", None if kept and ended else "it is not so")


def how_it_stands(cast: Cast, screen: Screen) -> None:
    screen.heading("mb-sync status, on the laptop")
    screen.verbatim(cast.laptop.status())
    screen.heading("At the end")
    with screen.busy("reading every stored byte"):
        cast.settle()
        found = cast.server.check()
    _check_equal(cast, screen)
    screen.check("mb-server check --deep: every row, pack and hash is right", found)


def _check_equal(cast: Cast, screen: Screen) -> None:
    screen.check(
        f"both folders hold the same {as_count(files_in(cast.laptop.folder), 'file')}, byte for byte",
        difference(cast.laptop.folder, cast.workstation.folder),
    )


def _two_patients(folder: Path, *, but: str) -> tuple[str, str]:
    """The patient with the most bytes and the one with the most files, other than `but` and each other."""
    by_patient = {
        patient.name: [path.stat().st_size for path in patient.rglob("*.dcm")]
        for patient in sorted(folder.glob("patient-*"))
        if patient.name != but
    }
    heaviest = max(by_patient, key=lambda name: sum(by_patient[name]))
    return heaviest, max(by_patient.keys() - {heaviest}, key=lambda name: (len(by_patient[name]), name))


def _conflict_problem(folder: Path, copies: list[str]) -> str | None:
    if len(copies) != 1:
        return f"there are {len(copies)} copies"
    texts = (folder / NOTES).read_text() + (folder / copies[0]).read_text()
    return None if "laptop:" in texts and "workstation:" in texts else "an edit is missing"
