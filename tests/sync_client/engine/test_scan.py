"""What a look at a folder writes down, and what it says about the rest."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from protocol.messages import Kind
from sync_client.engine.disk import FollowedRoot
from sync_client.engine.scan import list_folders, list_tree
from tests.support.followed import Followed, a_node


@pytest.fixture
def root(tmp_path: Path) -> FollowedRoot:
    return FollowedRoot(tmp_path)


def test_files_folders_and_links_are_entries(root: FollowedRoot, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one")
    (tmp_path / "d").mkdir()
    (tmp_path / "l").symlink_to("d")
    [listing] = list_folders(root, [(a_node(), ())])
    assert {(entry.name, entry.kind) for entry in listing.entries} == {
        ("a", Kind.FILE),
        ("d", Kind.FOLDER),
        ("l", Kind.LINK),
    }


def test_our_own_folder_and_junk_are_passed_over_in_silence(root: FollowedRoot, tmp_path: Path) -> None:
    root.private()
    (tmp_path / ".DS_Store").touch()
    [listing] = list_folders(root, [(a_node(), ())])
    assert (listing.entries, listing.odd) == ([], [])


def test_what_cannot_travel_is_told_and_the_rest_goes_on(root: FollowedRoot, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(tmp_path)  # the path of a socket may not be long
        listener.bind("socket")
        os.chdir(here)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/not\xfftext")).touch()
    (tmp_path / "line\nbreak").touch()
    (tmp_path / "fine").touch()
    [listing] = list_folders(root, [(a_node(), ())])
    assert [entry.name for entry in listing.entries] == ["fine"]
    assert {(odd.parts[-1], odd.code) for odd in listing.odd} == {
        ("pipe", "not-a-file"),
        ("socket", "not-a-file"),
        ("not\udcfftext", "name-refused"),
        ("line\nbreak", "name-refused"),
    }
    for odd in listing.odd:
        odd.message.encode()  # can be printed
        assert "\n" not in odd.message


def test_a_folder_that_is_gone_or_a_link_is_a_problem_and_not_empty(
    root: FollowedRoot, tmp_path: Path
) -> None:
    (tmp_path / "l").symlink_to("/etc")
    gone, link = list_folders(root, [(a_node(), ("gone",)), (a_node(), ("l",))])
    assert gone.problem is not None
    assert link.problem is not None
    assert (gone.problem.code, link.problem.code) == ("vanished", "vanished")


def test_a_disk_that_is_mounted_inside_is_told_and_not_entered(tmp_path: Path) -> None:
    (tmp_path / "mount").mkdir()
    script = (
        "import sys; from pathlib import Path; from sync_client.engine.disk import FollowedRoot; "
        "from sync_client.engine.scan import list_tree; "
        "print([(odd.parts, odd.code) for one in list_tree(FollowedRoot(Path(sys.argv[1])), None) for odd in one.odd])"
    )
    mounted = 'mount -t tmpfs none "$1/mount" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "-Urm", "sh", "-c", mounted, "sh", str(tmp_path), sys.executable, script]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if "unshare" in answer.stderr or "mount" in answer.stderr:
        pytest.skip("this machine gives no user namespace")
    assert answer.stdout == "[(('mount',), 'other-disk')]\n", answer.stderr


def test_a_tree_is_listed_parents_first(root: FollowedRoot, tmp_path: Path) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    assert [listing.parts for listing in list_tree(root, a_node())] == [
        (),
        ("a",),
        ("a", "b"),
        ("a", "b", "c"),
    ]


def test_many_untouched_files_are_looked_at_quickly(tmp_path: Path) -> None:
    """A floor for bad days: four thousand files in well under a second; usual is a tenth of that."""
    for folder in range(40):
        (tmp_path / f"{folder}").mkdir()
        for number in range(100):
            (tmp_path / f"{folder}/{number}").touch()
    here = Followed(tmp_path)
    began = time.process_time()
    list_tree(here.root, here.top)
    assert time.process_time() - began < 0.5
