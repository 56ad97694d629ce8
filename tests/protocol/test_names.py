"""Names across systems: twins, refusals, spellings on disks, conflict copies."""

from __future__ import annotations

import unicodedata
from datetime import datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocol.names import (
    MAX_NAME_BYTES,
    Os,
    conflict_name,
    from_disk,
    is_junk,
    my_copy_name,
    name_key,
    path_refusal,
    refusal,
    safe_device_name,
    shown,
    to_disk,
    unportable,
)

WHEN = datetime(2026, 11, 22, 14, 3)  # noqa: DTZ001  # a device's local time, as it stands in names
AWKWARD = st.text(
    st.sampled_from("aZ09.~$ :*?\\|<>\"%()'éß¹\u0301\u202e\uf025\uf03a\uf02e漢😀-_")
    | st.characters(codec="utf-8"),
    min_size=1,
    max_size=40,
)
DEVICES = st.sampled_from(["CON", "prn", "Aux", "nul", "COM1", "lpt9", "COM¹", "LPT³", "CONIN$", "conout$"])
NAMES = (AWKWARD | st.builds(lambda device, rest: device + rest, DEVICES, AWKWARD | st.just(""))).filter(
    lambda name: refusal(name) is None
)


def no_names(_: str) -> bool:
    return False


# ---- twins -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Scan.DCM", "scan.dcm"),
        ("Müller", "mu\u0308ller"),
        ("MÜLLER", "mu\u0308ller"),
        ("straße", "STRASSE"),
        ("Ångström", "A\u030angstro\u0308m"),
        ("ﬁle", "file"),
        ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
    ],
)
def test_names_that_differ_in_case_or_composition_are_twins(one: str, other: str) -> None:
    assert name_key(one) == name_key(other)


@pytest.mark.parametrize(("one", "other"), [("a", "b"), ("a", "a "), ("resume", "résumé"), ("1", "¹")])
def test_other_names_are_no_twins(one: str, other: str) -> None:
    assert name_key(one) != name_key(other)


@given(st.text(max_size=30))
def test_a_key_is_its_own_key_and_does_not_depend_on_composition(name: str) -> None:
    key = name_key(name)
    assert name_key(key) == key
    assert name_key(unicodedata.normalize("NFD", name)) == key
    assert name_key(unicodedata.normalize("NFC", name)) == key


# ---- refused everywhere ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "a/b",
        "/",
        "/etc",
        "a\0b",
        "line\nbreak",
        "bell\x07",
        "\x7f",
        "next\x85line",
        "C:",
        "c:\\windows",
        "\\\\server\\share",
        "not text \udcff",
        "\ud800",
        "x" * 256,
        "é" * 128,
        ".mb-sync",
        ".MB-Sync",
        ".mb-\u017fync",
        ".mb\u200c-sync",
        "\u200e.mb-sync",
    ],
)
def test_what_no_system_may_hold_is_refused(name: str) -> None:
    assert refusal(name)


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "...",
        ".a",
        "x" * 255,
        "é" * 127,
        "T: 37.5",
        "a\\b",
        "CON",
        "mb-sync",
        ".mb-sync2",
        "漢字",
        "😀",
        " ",
    ],
)
def test_what_some_system_can_hold_is_not_refused(name: str) -> None:
    assert refusal(name) is None


def test_a_path_has_bounds_of_its_own() -> None:
    assert path_refusal(["a"] * 128) is None
    assert path_refusal(["a"] * 129) == "it lies more than 128 folders deep"
    assert path_refusal(["x" * 255] * 16) is None  # 16 · 256 - 1 bytes
    assert path_refusal(["x" * 255] * 16 + ["y"]) == "its path is longer than 4096 bytes"
    assert path_refusal(["\udcff" * 255] * 6)


# ---- what a disk can hold --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "a:b",
        "what?",
        "a*",
        "<b>",
        '"',
        "a|b",
        "a\\b",
        "end.",
        "end ",
        "CON",
        "con.txt",
        "NUL .tar.gz",
        "COM¹",
        "lpt9.x",
        "CONIN$",
        "FOO~1",
        "foo~12.txt",
    ],
)
def test_what_windows_cannot_hold_is_told_in_words_and_escaped_there(name: str) -> None:
    assert unportable(name)
    spelled = to_disk(name, Os.WINDOWS)
    assert spelled != name
    assert len(spelled) == len(name)
    assert unportable(spelled) is None


@pytest.mark.parametrize(
    "name",
    ["a.txt", "console", "COM10", "COM", "a~b", "longer-than-8~1", "x.y~1", "~1x", ".a", "a b", "é", "100%"],
)
def test_what_every_system_holds_is_spelled_as_it_is(name: str) -> None:
    assert unportable(name) is None
    assert {to_disk(name, os) for os in Os} == {name}


@given(name=NAMES, os=st.sampled_from(Os))
@example(name="\uf03a:", os=Os.WINDOWS)
@example(name="\uf025", os=Os.WINDOWS)
@example(name="con\uf06e", os=Os.WINDOWS)
def test_every_name_comes_back_from_every_disk(name: str, os: Os) -> None:
    spelled = to_disk(name, os)
    assert from_disk(spelled, os) == name
    assert len(spelled.encode("utf-16-le")) // 2 <= MAX_NAME_BYTES  # what Windows counts


@given(name=NAMES)
def test_windows_can_hold_every_spelling(name: str) -> None:
    assert unportable(to_disk(name, Os.WINDOWS)) is None


@given(st.text(st.sampled_from("ab:\uf025\uf03a\uf02f\uf000\uf00a\uf02e"), min_size=1, max_size=8))
def test_a_foreign_spelling_never_becomes_a_path_or_a_control_character(disk_name: str) -> None:
    assert refusal(disk_name) is not None or refusal(from_disk(disk_name, Os.WINDOWS)) is None


# ---- for people ------------------------------------------------------------------------------------------


def test_signs_that_deceive_are_spelled_out() -> None:
    assert shown("report\u202efdp.exe") == "report\\u202efdp.exe"
    assert shown("a\x1b[31m\n") == "a\\x1b[31m\\x0a"
    assert shown("bytes \udcff") == "bytes \\xff"
    assert shown("Müller 漢字 👩‍🔬") == "Müller 漢字 👩‍🔬"


@given(st.text())
def test_what_is_shown_can_always_be_printed(name: str) -> None:
    shown(name + "\udc80\u2066").encode()


# ---- conflict copies -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("scan.dcm", "scan (conflict PC 2026-11-22 14-03).dcm"),
        ("brain.nii.gz", "brain (conflict PC 2026-11-22 14-03).nii.gz"),
        ("data.TAR.GZ", "data (conflict PC 2026-11-22 14-03).TAR.GZ"),
        ("1.2.840.10008.5", "1.2.840.10008.5 (conflict PC 2026-11-22 14-03)"),
        ("Dr. Meier", "Dr. Meier (conflict PC 2026-11-22 14-03)"),
        (".bashrc", ".bashrc (conflict PC 2026-11-22 14-03)"),
        ("folder", "folder (conflict PC 2026-11-22 14-03)"),
        ("a (conflict MAC 2025-01-02 03-04 7).nii.gz", "a (conflict PC 2026-11-22 14-03).nii.gz"),
        ("a (conflict).txt", "a (conflict) (conflict PC 2026-11-22 14-03).txt"),
    ],
)
def test_a_conflict_copy_says_whose_it_is_and_keeps_its_extension(name: str, expected: str) -> None:
    assert conflict_name(name, device="PC", when=WHEN, taken=no_names) == expected


def test_a_taken_conflict_name_gets_a_number() -> None:
    taken = {"a (conflict PC 2026-11-22 14-03).txt", "a (conflict PC 2026-11-22 14-03 2).txt"}
    name = conflict_name("a.txt", device="PC", when=WHEN, taken=taken.__contains__)
    assert name == "a (conflict PC 2026-11-22 14-03 3).txt"
    assert conflict_name(name, device="B", when=WHEN, taken=no_names) == "a (conflict B 2026-11-22 14-03).txt"


def test_a_long_name_loses_whole_characters_of_its_stem_only() -> None:
    name = conflict_name("e\u0301" * 83 + ".nii", device="PC", when=WHEN, taken=no_names)
    assert name.startswith("e\u0301" * 73 + " (conflict")
    assert name.endswith(").nii")


@given(name=NAMES, device=st.text(max_size=60), taken_names=st.integers(0, 12))
def test_a_conflict_name_is_legal_wherever_its_stem_is(name: str, device: str, taken_names: int) -> None:
    calls = iter([True] * taken_names + [False])
    made = conflict_name(name * 5, device=device, when=WHEN, taken=lambda _: next(calls))
    assert refusal(made) is None
    assert len(made.encode()) <= MAX_NAME_BYTES


@given(st.text(max_size=80))
def test_the_name_of_a_device_is_safe_in_a_file_name(device: str) -> None:
    safe = safe_device_name(device)
    assert safe
    assert refusal(safe) is None
    assert not set(safe) & set('()<>:"/\\|?*')
    assert len(safe.encode()) <= 40


# ---- junk ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        ".DS_Store",
        "Thumbs.db",
        "THUMBS.DB",
        "desktop.ini",
        "~$report.docx",
        ".~lock.data.ods#",
        ".notes.txt.swp",
        ".#paper.tex",
        "$RECYCLE.BIN",
        "System Volume Information",
        ".nfs000000000123abcd00000001",
        "film.mp4.part",
        "film.mp4.crdownload",
        "Icon\r",
    ],
)
def test_droppings_of_systems_and_editors_are_junk(name: str) -> None:
    assert is_junk(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "~",
        "~$",
        "notes.txt~",
        "a.swp",
        ".swp",
        "._scan.dcm",
        "thumbs",
        "desktop.ini.txt",
        ".git",
        ".mbignore",
        "a.tmp",
        ".nfs",
        "lock#",
        ".hidden",
        "DICOMDIR",
        "$data",
    ],
)
def test_what_a_person_may_have_made_is_no_junk(name: str) -> None:
    assert not is_junk(name)


def test_ones_own_copy_keeps_its_extension_gets_a_number_and_is_no_copy_of_a_copy() -> None:
    assert my_copy_name("brain.nii.gz", taken=no_names) == "brain (my copy).nii.gz"
    assert my_copy_name("notes (my copy).txt", taken=lambda name: name == "notes (my copy).txt") == (
        "notes (my copy 2).txt"
    )
    assert len(my_copy_name("é" * 127, taken=no_names).encode()) <= MAX_NAME_BYTES
