"""What is shown when the file is not where it was, and by which program."""

from __future__ import annotations

from pathlib import Path

from sync_client.showing import nearest, opener


def test_the_folder_that_holds_it_is_shown_or_the_next_one_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "Study").mkdir()
    (tmp_path / "Study/a.dcm").write_bytes(b"1")
    assert nearest(tmp_path / "Study/a.dcm", inside=True) == tmp_path / "Study"
    assert nearest(tmp_path / "Study", inside=True) == tmp_path / "Study"
    assert nearest(tmp_path / "Study/gone/b.dcm", inside=True) == tmp_path / "Study"
    assert nearest(tmp_path / "Study/a.dcm", inside=False) == tmp_path / "Study/a.dcm"
    assert nearest(tmp_path / "gone", inside=False) == tmp_path


def test_each_system_opens_it_in_its_own_way() -> None:
    assert opener("linux", "/a b") == ["xdg-open", "/a b"]
    assert opener("darwin", "/a b") == ["open", "/a b"]
