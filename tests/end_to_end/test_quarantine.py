"""What a block held back, judged with `mb-sync` by the people of the intake, as processes."""

from __future__ import annotations

from pathlib import Path

from tests.support.computers import Computer, until
from tests.support.dicom_studies import an_image, file_bytes, found_in
from tests.support.server import RunningServer

US = "1.2.840.10008.5.1.4.1.1.6.1"


def published(computer: Computer) -> list[str]:
    """What came out of the intake; that a file got labels is another rule's job."""
    jobs = computer.mb_sync.json("job", "list", "--state", "published")
    return [job["file"] for job in jobs if job["block"] == "deidentify"]


def test_a_reviewer_looks_and_releases_and_a_clinician_may_only_look(
    server: RunningServer, tmp_path: Path
) -> None:
    roles = {"cli": "clinician", "rev": "reviewer", "ben": "owner"}
    for user in roles:
        server.add_user(user)
    assert server.command("project", "create", "Nerves", "--template", "imaging").returncode == 0
    for user, role in roles.items():
        words = ("project", "grant", "Nerves", f"user:{user}", "--role", role)
        assert server.command(*words).returncode == 0
    clinic, desk, research = (Computer(tmp_path, name) for name in ("clinic", "desk", "research"))
    for computer, user in ((clinic, "cli"), (desk, "rev"), (research, "ben")):
        computer.login(server, user)
    clinic.follow("/Projects/Nerves/Intake")
    research.follow("/Projects/Nerves")
    image = an_image(SOPClassUID=US, Modality="US", SOPInstanceUID="1.2.826.0.1.99.5")
    clinic.write("Zweistein/us.dcm", file_bytes(image))
    clinic.write("Zweistein/letter.txt", b"Jane Zweistein")
    clinic.once()

    until(lambda: len(clinic.mb_sync.json("quarantine", "list")) == 2, "both wait")
    said = clinic.mb_sync.done("quarantine", "list", "/Projects/Nerves/Intake")
    assert "/Projects/Nerves/Intake/Zweistein/us.dcm" in said
    assert "no-cleaner" in said
    desk.start()
    told = "2 files in /Projects/Nerves/Intake wait for a review"
    until(lambda: told in desk.mb_sync.done("status"), "the reviewer is told")
    assert "mb-sync quarantine list /Projects/Nerves/Intake" in desk.mb_sync.done("status")
    desk.stop()
    waiting = {job["file"]: job["job"] for job in desk.mb_sync.json("quarantine", "list")}
    picture, letter = str(waiting["Zweistein/us.dcm"]), str(waiting["Zweistein/letter.txt"])
    assert '"' in clinic.mb_sync.done("quarantine", "show", picture)

    blind = desk.mb_sync("quarantine", "release", picture)
    assert blind.returncode == 1
    assert f"Look first: mb-sync quarantine fetch {picture}" in blind.stderr
    seen = tmp_path / "seen.dcm"
    assert "Delete it" in desk.mb_sync.done("quarantine", "fetch", picture, seen)
    assert found_in(["zweistein"], seen.read_bytes()) == []
    again = desk.mb_sync("quarantine", "fetch", picture, seen)
    assert (again.returncode, "there already" in again.stderr) == (1, True)
    saved = tmp_path / "operator.dcm"
    shown = server.command("quarantine", "show", picture, "--save", str(saved))
    assert shown.returncode == 0, shown.stderr
    assert saved.read_bytes() == seen.read_bytes()

    refused = clinic.mb_sync("quarantine", "release", picture)
    assert refused.returncode == 1
    assert "release" in refused.stderr
    for words in (("quarantine", "show", picture), ("job", "retry", picture)):
        hidden = research.mb_sync(*words)
        assert hidden.returncode == 1
        assert f"no job {picture} for you" in hidden.stderr
    assert research.mb_sync.json("quarantine", "list") == []

    desk.mb_sync.done("job", "retry", picture)  # made anew, the same to the byte: what was seen still counts
    shows = ("quarantine", "show", picture)
    until(lambda: desk.mb_sync.json(*shows)["state"] == "quarantined", "it waits again")
    clinic.mb_sync.done("quarantine", "reject", letter)
    desk.mb_sync.done("quarantine", "release", picture)
    until(lambda: published(desk), "the picture is published")
    assert "Nothing waits" in desk.mb_sync.done("quarantine", "list")
    research.once()
    images = [research.read(path) for path, one in research.tree().items() if one.kind == "file"]
    assert images == [seen.read_bytes()]
    clinic.mb_sync.done("job", "retry", letter)
    until(lambda: len(clinic.mb_sync.json("quarantine", "list")) == 1, "the letter waits again")
    assert published(clinic) == ["Zweistein/us.dcm"]

    image_at, folder_at = "/Projects/Nerves/Intake/Zweistein/us.dcm", "/Projects/Nerves/Intake/Zweistein"
    assert research.mb_sync("withdraw", image_at).returncode == 1
    assert clinic.mb_sync.json("withdraw", image_at) == {"sources": 1, "derived": 1, "jobs": 2}
    assert clinic.mb_sync.json("withdraw", folder_at)["sources"] == 1  # the letter
    assert "0 files of" in clinic.mb_sync.done("withdraw", folder_at)
    assert clinic.mb_sync("withdraw", f"{folder_at}/absent.dcm").returncode == 1
    research.once()
    assert [path for path, one in research.tree().items() if one.kind == "file"] == []
