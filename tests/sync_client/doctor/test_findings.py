"""What the doctor says of what it saw: when all is well, what to know, what to put right."""

from __future__ import annotations

import pytest

from sync_client.doctor import findings
from sync_client.doctor.findings import GB, MB, Level
from sync_client.doctor.looking import ahead_seconds
from sync_client.engine.file_systems import mounted_kind

DAY = 86_400


@pytest.mark.parametrize(
    ("ahead", "level", "words"),
    [
        (0.4, Level.OK, "agree"),
        (-9.0, Level.OK, "agree"),
        (95.0, Level.WARNING, "1 min ahead of the server's"),
        (-7_200.0, Level.WARNING, "2.0 h behind the server's"),
        (40 * DAY, Level.ERROR, "ahead of"),
        (-366 * DAY, Level.ERROR, "behind"),
    ],
)
def test_a_clock_that_is_wrong_is_told_with_its_side(ahead: float, level: Level, words: str) -> None:
    found = findings.clock(ahead)
    assert found.level is level
    assert words in found.words
    assert bool(found.hint) is (level is not Level.OK)


def test_the_clock_of_the_server_is_read_from_its_answer() -> None:
    assert ahead_seconds("Mon, 30 Nov 2026 12:00:00 GMT", 1_796_040_000.0 + 90) == 90
    assert ahead_seconds("", 0.0) is None
    assert ahead_seconds("yesterday", 0.0) is None


@pytest.mark.parametrize(
    ("limit", "folders", "counted_all", "level"),
    [
        (65_536, 1_200, True, Level.OK),
        (8_192, 7_372, True, Level.OK),
        (8_192, 7_373, True, Level.WARNING),
        (8_192, 5_000, False, Level.WARNING),
    ],
)
def test_too_few_watches_are_told_with_the_line_that_allows_more(
    limit: int, folders: int, counted_all: bool, level: Level
) -> None:
    found = findings.watches(limit, folders, counted_all=counted_all)
    assert found.level is level
    assert ("max_user_watches=524288" in found.hint) is (level is Level.WARNING)


@pytest.mark.parametrize(
    ("free", "level"),
    [(GB, Level.OK), (GB - 1, Level.WARNING), (100 * MB, Level.WARNING), (100 * MB - 1, Level.ERROR)],
)
def test_a_disk_that_fills_up_is_told_before_it_is_full(free: int, level: Level) -> None:
    assert findings.room("folder-room", "~/Study", free, folder=1).level is level


MOUNTS = """\
22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
30 22 0:40 / /home rw,relatime shared:5 - nfs4 filer:/home rw,vers=4.2
31 30 0:41 / /home/ana/On\\040my\\040disk rw - xfs /dev/sdb1 rw
32 22 0:42 / /mnt rw - tmpfs tmpfs rw
33 32 0:43 / /mnt rw - fuse.sshfs ana@host:/ rw
34 22 0:44 / /home/ana/M\u00c3\u00bcller rw - cifs //filer/share rw
a line that is cut
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/var/lib", "ext4"),
        ("/homes", "ext4"),
        ("/home/ana/Study", "nfs4"),
        ("/home/ana/On my disk/Study", "xfs"),
        ("/mnt/x", "fuse.sshfs"),
        ("/home/ana/Müller/Study", "cifs"),
    ],
)
def test_the_file_system_is_that_of_the_nearest_mount_above(path: str, kind: str) -> None:
    assert mounted_kind(MOUNTS, path.encode().decode("latin-1")) == kind


def test_a_network_file_system_is_something_to_know() -> None:
    assert findings.file_system("~/Study", "nfs4", folder=1).level is Level.WARNING
    assert findings.home_file_system("~/.local", "cifs").level is Level.WARNING
    assert "MB_SYNC_HOME" in findings.home_file_system("~/.local", "cifs").hint
    for local in ("ext4", "btrfs", "apfs", ""):
        assert findings.file_system("~/Study", local, folder=1).level is Level.OK


def test_the_last_line_counts_what_there_is_to_do() -> None:
    def last(*found: findings.Finding) -> str:
        return findings.screen(list(found), lambda text, _: text).splitlines()[-1]

    well, known, wrong = (
        findings.ok("a", "Well"),
        findings.warning("b", "So", "Do"),
        findings.error("c", "No", "Do"),
    )
    assert last(well) == "All is well."
    assert last(well, known) == "1 thing to know."
    assert last(wrong, known, known) == "1 error to put right and 2 things to know."
    assert not findings.has_errors([well, known])
    assert findings.answer([wrong])["ok"] is False
