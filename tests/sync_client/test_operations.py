"""Where a followed folder may lie, and how a remote one is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocol.errors import BadRequest, LocalProblem
from sync_client.operations import check_local, parse_remote


@pytest.mark.parametrize(
    ("text", "remote"),
    [
        ("/Home", "/Home"),
        ("/Home/", "/Home"),
        ("/Home/MRI 2026/a", "/Home/MRI 2026/a"),
        ("/Projects/P", "/Projects/P"),
        ("/Shared/x/y", "/Shared/x/y"),
    ],
)
def test_remote_folders_as_people_write_them(text: str, remote: str) -> None:
    assert parse_remote(text) == remote


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "Home",
        "home/x",
        "/home",
        "/Projects",
        "/Elsewhere/x",
        "/Home//x",
        "/Home/../x",
        "/Home/./x",
        "/Home/a\0b",
    ],
)
def test_what_is_no_remote_folder_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="is not a remote folder"):
        parse_remote(text)


def test_a_free_folder_may_be_followed_and_is_not_made_by_looking(tmp_path: Path) -> None:
    wanted = tmp_path / "new" / "study"
    assert check_local(wanted, [tmp_path / "other"], tmp_path / "home") == wanted
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ("study", "is followed already"),
        ("study/inside", "lies inside the followed folder"),
        ("", "contains the followed folder"),
        ("link/inside", "lies inside the followed folder"),
        ("home/x", "client home"),
        ("file", "is a file"),
        ("file/x", "is a file"),
        ("elsewhere/x", "lies inside the followed folder"),
    ],
)
def test_a_folder_that_may_not_be_followed(tmp_path: Path, wanted: str, why: str) -> None:
    for folder in ("study", "home", "elsewhere/.mb-sync"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "elsewhere" / ".mb-sync" / "marker.json").write_text("{}")  # another client home follows it
    (tmp_path / "link").symlink_to("study")
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalProblem, match=why):
        check_local(tmp_path / wanted, [tmp_path / "study"], tmp_path / "home")
