"""Whoever owns a project has blocks work there with `mb-sync rule`, as processes."""

from __future__ import annotations

from pathlib import Path

from tests.support.computers import Computer, until
from tests.support.dicom_studies import an_image, file_bytes, found_in
from tests.support.server import RunningServer


def test_an_owner_makes_changes_runs_and_ends_a_rule(server: RunningServer, tmp_path: Path) -> None:
    for user in ("ben", "eva"):
        server.add_user(user)
    assert server.command("project", "create", "Nerves", "--template", "imaging").returncode == 0
    for user, role in {"ben": "owner", "eva": "editor"}.items():
        words = ("project", "grant", "Nerves", f"user:{user}", "--role", role)
        assert server.command(*words).returncode == 0
    ben, eva = Computer(tmp_path, "ben"), Computer(tmp_path, "eva")
    for computer, user in ((ben, "ben"), (eva, "eva")):
        computer.login(server, user)
    ben.follow("/Projects/Nerves")
    ben.write("Raw/a.dcm", file_bytes(an_image()))
    ben.write("Clean/read me.txt", b"what is de-identified")
    ben.once()

    assert ben.mb_sync.json("rule", "list") == []  # of the intake's own rule an owner is told nothing
    raw, clean = "/Projects/Nerves/Raw", "/Projects/Nerves/Clean"
    made = ben.mb_sync.json(
        "rule", "add", "dicom-deidentify", raw, clean, "--parameters", '{"preset": "basic"}'
    )
    rule = made["rule"]
    assert (made["from"], made["to"], made["parameters"]["preset"]) == (raw, clean, "basic")
    until(lambda: ben.mb_sync.json("rule", "show", rule)["jobs"] == {"published": 1}, "the file is done")
    ben.once()
    [cleaned] = [path for path in ben.tree() if path.startswith("Clean/") and path.endswith(".dcm")]
    assert found_in(["zweistein"], ben.read(cleaned)) == []

    refused = eva.mb_sync("rule", "list", "/Projects/Nerves")
    assert (refused.returncode, "(rules)" in refused.stderr) == (1, True)
    hidden = eva.mb_sync("rule", "remove", rule)
    assert (hidden.returncode, f"no rule {rule} for you" in hidden.stderr) == (1, True)
    apart = ben.mb_sync("rule", "add", "dicom-deidentify", raw, "/Home")
    assert (apart.returncode, "lie in two places" in apart.stderr) == (1, True)

    assert "(off)" in ben.mb_sync.done("rule", "change", rule, "--off", "--priority", "9")
    assert ben.mb_sync("rule", "change", rule).returncode == 2
    assert "Done again: 1 file" in ben.mb_sync.done("rule", "run", rule)
    changed = server.command("rule", "change", rule, "--priority", "3")
    assert changed.returncode == 0, changed.stderr
    [listed] = ben.mb_sync.json("rule", "list", "/Projects/Nerves")
    assert (listed["priority"], listed["enabled"], listed["jobs"]) == (3, False, {"waiting": 1})
    chosen = ben.mb_sync.json(
        "rule", "change", rule, "--only", "*.dcm", "--only", "*.ima", "--block", "deidentify"
    )
    assert (chosen["block"], chosen["names"]) == ("deidentify", ["*.dcm", "*.ima"])
    assert "only *.dcm, *.ima" in ben.mb_sync.done("rule", "list")
    folders = ben.mb_sync("rule", "change", rule, "--only", "Raw/*.dcm")
    assert (folders.returncode, "no pattern of a file's name" in folders.stderr) == (1, True)
    changed = server.command("rule", "change", rule, "--only", "*", "--block", "dicom-deidentify")
    assert changed.returncode == 0, changed.stderr
    assert "only" not in server.command("rule", "list").stdout
    assert "is gone" in ben.mb_sync.done("rule", "remove", rule)
    assert "There are no rules" in ben.mb_sync.done("rule", "list")
