"""A researcher asks what there is with `mb-sync find`, as processes."""

from __future__ import annotations

from pathlib import Path

from sync_client.commands.finding import query_of
from tests.support.computers import Computer, until
from tests.support.dicom_studies import an_image, file_bytes
from tests.support.server import RunningServer


def test_a_researcher_finds_what_came_out_of_an_intake(server: RunningServer, tmp_path: Path) -> None:
    for user in ("cli", "eva", "mia"):
        server.add_user(user)
    assert server.command("project", "create", "Nerves", "--template", "imaging").returncode == 0
    for user, role in {"cli": "clinician", "eva": "editor", "mia": "metadata"}.items():
        words = ("project", "grant", "Nerves", f"user:{user}", "--role", role)
        assert server.command(*words).returncode == 0
    cli, eva, mia = (Computer(tmp_path, name) for name in ("cli", "eva", "mia"))
    for computer in (cli, eva, mia):
        computer.login(server, computer.name)
    cli.follow("/Projects/Nerves/Intake")
    for number in (1, 2):
        image = an_image(SOPInstanceUID=f"1.2.826.0.1.99.1.1.{number}", InstanceNumber=number, EchoTime="80")
        cli.write(f"Doe/{number}.dcm", file_bytes(image))
    cli.once()
    find = ("find", "EchoTime=70..90", "modality=mr")
    until(lambda: [one["files"] for one in eva.mb_sync.json(*find)] == [2], "both are found")

    [series] = eva.mb_sync.json(*find)
    assert series["path"].startswith(f"/Projects/Nerves/Data/{series['patient']}/")
    assert series["attributes"]["EchoTime"] == [80]
    assert [
        one["path"] for one in eva.mb_sync.json(*find, "--level", "file", "--in", "/Projects/Nerves")
    ] == [one["path"] for one in eva.mb_sync.json("find", "--level", "file")]
    eva.mb_sync.done("label", series["path"], "region=wrist", "finding=tear of the ligament")
    said = eva.mb_sync.done("find", "finding=tear of the ligament")
    assert said.startswith("PATIENT")
    assert "region wrist" in said
    assert eva.mb_sync.done("find", "region=hip", "or", "not", "region=wrist", "Modality=CT").startswith(
        "Nothing"
    )
    numbers = eva.mb_sync.json("counts", "/Projects/Nerves", "region=wrist")
    assert (numbers["patients"], numbers["series"], numbers["files"]) == (1, 1, 2)
    assert numbers["by"]["region"][0]["value"] == "wrist"
    assert "1 patient, 1 study, 1 series, 2 files" in mia.mb_sync.done("counts", "/Projects/Nerves")
    head, *lines = eva.mb_sync.done("find", "region=wrist", "--csv", "--in", "/Projects/Nerves").splitlines()
    assert head.startswith("patient,study,")
    assert [line.split(",")[0] for line in lines] == [series["patient"]] * 2
    assert all("deidentify,1" in line for line in lines)
    assert eva.mb_sync("find", "--csv").returncode == 2
    wrong = eva.mb_sync("find", "EchoTime=a..b")
    assert (wrong.returncode, "is no range" in wrong.stderr) == (1, True)

    [told] = mia.mb_sync.json("find", "region=wrist")
    assert (told["files"], told["path"], told["patient"], told["attributes"]) == (2, None, "", {})
    assert "finding tear of the ligament" in mia.mb_sync.done("find")
    denied = mia.mb_sync("find", "EchoTime=80")
    assert (denied.returncode, "by labels here" in denied.stderr) == (1, True)
    assert cli.mb_sync.json("find") == []


def test_what_a_shell_keeps_together_is_one_value() -> None:
    asked = ["a=b c", "(", 'd="e f"', "or", "g!=h i", ")", "two words", "j=k or l=m"]
    assert query_of(asked) == 'a="b c" ( d="e f" or g!="h i" ) two words j="k or l=m"'
