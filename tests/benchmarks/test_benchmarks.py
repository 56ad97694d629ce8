"""The benchmark measures what it says: the same files each time, every byte compared, the page written."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.peers import Copy, PeerError
from benchmarks.report import BEGIN, END, Figures, Measured, as_markdown, write_into
from benchmarks.run import _measure
from benchmarks.workloads import Scale, Workload, sessions, unlike

TINY = Scale(0.002)


def workload(key: str) -> Workload:
    return next(one for session in sessions(TINY) for one in session.workloads if one.key == key)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path, Path]:
    made = tuple(tmp_path / name for name in ("a", "b", "home", "aside"))
    for folder in made:
        folder.mkdir()
    return made[0], made[1], made[2], made[3]


@pytest.mark.parametrize("key", ["W1", "W2", "W3"])
def test_a_workload_is_the_same_each_time(key: str, folders: tuple[Path, Path, Path, Path]) -> None:
    a, b, _, aside = folders
    for side in (a, b):
        workload(key).prepare(side, aside)()
    assert unlike(a, b) is None


def test_one_byte_more_in_the_middle_is_all_that_an_insertion_changes(
    folders: tuple[Path, Path, Path, Path],
) -> None:
    a, _, _, aside = folders
    workload("W3").prepare(a, aside)()
    before = (a / "big" / "volume.raw").read_bytes()
    workload("W4").prepare(a, aside)()
    after = (a / "big" / "volume.raw").read_bytes()
    middle = len(before) // 2
    assert after == before[:middle] + b"!" + before[middle:]


def test_a_peer_that_leaves_a_byte_out_gets_no_time(folders: tuple[Path, Path, Path, Path]) -> None:
    class Careless(Copy):
        def go(self) -> None:
            super().go()
            next(path for path in self.b.rglob("*.bin")).write_bytes(b"")

    a, b, home, aside = folders
    with pytest.raises(PeerError, match="differ"):
        _measure(Careless(a, b, home), workload("W1"), aside)


def test_a_plain_copy_is_timed(folders: tuple[Path, Path, Path, Path]) -> None:
    a, b, home, aside = folders
    measured = _measure(Copy(a, b, home), workload("W2"), aside)
    assert measured.seconds is not None
    assert measured.seconds > 0


def test_the_page_gets_the_best_round_and_the_ratio_to_ours(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"before\n{BEGIN}\nlast year's table\n{END}\nafter\n")
    figures = Figures(["ours", "rsync"], {"W1": "files"}, rounds=2, scale=1.0)
    for ours, rsync in ((3.0, 2.0), (1.0, 4.0)):
        figures.add("W1", "ours", Measured(ours, 2048))
        figures.add("W1", "rsync", Measured(rsync))
    write_into(page, as_markdown(figures))
    text = page.read_text()
    assert "| 1.00 | 2.00 (0.5) |" in text
    assert "2.0 KiB" in text
    assert "last year" not in text
    assert text.startswith("before")
    assert text.endswith("after\n")
