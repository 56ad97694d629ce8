"""What `mb-sync explorer on` puts where, and that `off` leaves no trace, for all three systems."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from sync_client.changes import MOST_CHANGES, Changes, difference
from sync_client.engine.marks import Picture
from sync_client.explorer import placing
from sync_client.explorer.placing import EXPLORERS, Command, File
from sync_client.explorer.switching import Switch
from tests.support.mb_sync import MbSync


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With Nautilus on their computer, and bookmarks of their own."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("nautilus", "gio"):
        (programs / name).write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/{name}.ran\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    bookmarks = tmp_path / "xdg_config_home" / "gtk-3.0" / "bookmarks"
    bookmarks.parent.mkdir(parents=True)
    bookmarks.write_text("file:///home/ana/Pictures Mine\n")
    return tmp_path


def a_switch(person: Path, name: str = "home") -> Switch:
    return Switch(person / name, ["mb-sync", "--home", str(person / name)], has_pages=True)


def test_on_puts_all_of_it_in_place_and_off_takes_all_of_it_away(person: Path) -> None:
    study = person / "My Study ü"
    before = files(person)
    switch = a_switch(person)
    assert not switch.is_on()
    assert [here.explorer.name for here in switch.turn_on([study])] == ["nautilus"]
    data = person / "xdg_data_home"
    there = files(data)
    assert "nautilus-python/extensions/mb_sync_files.py" in there
    assert {f"icons/hicolor/scalable/emblems/{name}.svg" for name in placing.EMBLEMS} <= there
    where = json.loads((data / "nautilus-python/extensions/mb_sync_explorer/where.json").read_text())
    [home] = where["homes"]
    assert (home["home"], home["pages"]) == (str(person / "home"), True)
    bookmarks = person / "xdg_config_home" / "gtk-3.0" / "bookmarks"
    uri = f"file://{person}/My%20Study%20%C3%BC"
    assert bookmarks.read_text() == f"file:///home/ana/Pictures Mine\n{uri} My Study ü\n"
    assert "set" in (person / "gio.ran").read_text()
    assert switch.is_on()
    assert switch.is_current()

    switch.turn_on([study])  # once more changes nothing
    assert bookmarks.read_text().count(uri) == 1
    (data / "nautilus-python/extensions/mb_sync_explorer/book.py").write_text("# of another version")
    assert not switch.is_current()

    switch.turn_off([study])
    (person / "gio.ran").unlink()
    assert files(person) == before
    assert bookmarks.read_text() == "file:///home/ana/Pictures Mine\n"
    assert not switch.is_on()
    switch.turn_off([study])  # what is not there is no failure


def test_two_client_homes_share_one_extension(person: Path) -> None:
    first, second = a_switch(person, "first"), a_switch(person, "second")
    first.turn_on([])
    second.turn_on([])
    first.turn_off([])
    assert (first.is_on(), second.is_on()) == (False, True)
    assert second.is_current()
    second.turn_off([])
    assert files(person / "xdg_data_home") == set()


def test_a_folder_that_comes_or_goes_has_its_place_while_it_is_on(person: Path) -> None:
    bookmarks = person / "xdg_config_home" / "gtk-3.0" / "bookmarks"
    switch = a_switch(person)
    switch.followed(person / "Early")
    assert "Early" not in bookmarks.read_text()
    switch.turn_on([])
    switch.followed(person / "Study")
    switch.followed(person / "Study 2")
    switch.followed_no_more(person / "Study")
    assert [line.rpartition("/")[2] for line in bookmarks.read_text().splitlines()] == [
        "Pictures Mine",
        "Study%202 Study 2",
    ]


def test_without_an_explorer_it_says_which_ones_it_knows(
    person: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = MbSync(person / "home", variables=(("PATH", str(person)),))("explorer", "on")
    assert (ran.returncode, "It knows Files (Nautilus), Nemo and Caja" in ran.stderr) == (1, True)
    assert "mb-sync explorer on" in MbSync(person / "home").done("explorer", "status")


def test_the_extension_needs_nothing_but_the_standard_library_and_the_desktop() -> None:
    modules = [placing.EXTENSION / placing.GLUE, *(placing.EXTENSION / placing.PACKAGE).glob("*.py")]
    assert len(modules) == 5
    for module in modules:
        tree = ast.parse(module.read_text(), feature_version=(3, 9))
        for node in ast.walk(tree):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [one.name for one in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            for name in names:
                top = name.split(".")[0]
                assert top in sys.stdlib_module_names or top in ("gi", placing.PACKAGE), (module.name, name)


def test_the_other_systems_get_their_icon_and_give_it_back() -> None:
    """As values: neither system was ever asked."""
    [ini, hidden, marked, pinned] = placing.windows_steps(
        PureWindowsPath(r"C:\Users\ana\Ana's Study"), PureWindowsPath(r"C:\Program Files\MB-Sync\mb-sync.exe")
    )
    assert isinstance(ini, File)
    assert ini.data.decode("utf-16").splitlines() == [
        "[.ShellClassInfo]",
        r"IconResource=C:\Program Files\MB-Sync\mb-sync.exe,0",
    ]
    assert isinstance(hidden, Command)
    assert isinstance(marked, Command)
    assert marked.on == ("attrib", "+r", r"C:\Users\ana\Ana's Study")
    assert isinstance(pinned, Command)
    assert "Ana''s Study" in pinned.on[-1]
    assert "unpinfromhome" in pinned.off[-1]
    [icon] = placing.macos_steps(PurePosixPath('/Users/ana/"Study"'), PurePosixPath("/Applications/x.icns"))
    assert isinstance(icon, Command)
    assert r"\"Study\"" in icon.on[-1]
    assert "$()" in icon.off[-1]


def test_every_explorer_has_its_own_place() -> None:
    places = {placing.extension_folder(Path("/data"), explorer) for explorer in EXPLORERS}
    assert places == {Path(f"/data/{name}-python/extensions") for name in ("nautilus", "nemo", "caja")}


# ---- what has changed ------------------------------------------------------------------------------------


def a_picture(**facts: object) -> Picture:
    usual: dict[str, object] = {
        "folders": {"/s": "synced"},
        "busy": frozenset(),
        "troubled": frozenset(),
        "decisions": (),
    }
    return Picture(**(usual | facts))  # type: ignore[arg-type]


def test_a_change_names_what_came_and_what_went() -> None:
    before = a_picture(busy=frozenset({"/s/a", "/s"}), troubled=frozenset({"/s/t"}))
    after = a_picture(busy=frozenset({"/s/b", "/s"}), folders={"/s": "syncing"})
    assert difference(before, after) == {"/s/a", "/s/b", "/s/t", "/s"}
    assert difference(before, before) == frozenset()


@pytest.mark.parametrize(
    "after",
    [
        None,
        a_picture(folders={"/s": "paused"}),
        a_picture(folders={"/s": "synced", "/t": "synced"}),
        a_picture(busy=None),
        a_picture(decisions=("1a2b",)),
    ],
)
def test_what_concerns_everything_is_told_so(after: Picture | None) -> None:
    assert difference(a_picture(), after) is None
    assert difference(after, a_picture()) is None


def test_the_log_of_changes_is_cut_and_says_so() -> None:
    changes = Changes(1_000)
    assert changes.since(0) is None
    changes.take(a_picture())
    first = changes.number
    for number in range(MOST_CHANGES + 50):
        changes.take(a_picture(busy=frozenset({f"/s/{number}"})))
    assert changes.since(changes.number) == frozenset()
    assert changes.since(changes.number - 1) == {f"/s/{MOST_CHANGES + 48}", f"/s/{MOST_CHANGES + 49}"}
    assert changes.since(first) is None
    assert changes.since(changes.number + 1) is None  # of another life
    still = changes.number
    changes.take(a_picture(busy=frozenset({f"/s/{MOST_CHANGES + 49}"})), renew=True)
    assert changes.number == still
    changes.take(a_picture(busy=None))
    changes.take(a_picture(busy=None), renew=True)
    assert changes.number == still + 2
