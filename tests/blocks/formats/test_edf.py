"""EDF and BDF come out without their person, at the same length, with every sample as it was; or not at all."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, time, timedelta
from os import environ
from pathlib import Path

import edfio
import pyedflib
import pytest

from blocks.dicom.pseudonyms import Pseudonyms, identity
from blocks.dicom.template import read_template
from blocks.formats.cleaned import Cleaned, Held, Task
from blocks.formats.edf_cleaning import clean_edf
from tests.support.dicom_studies import KEY, in_any_encoding
from tests.support.recordings import Recording, a_bdf

NAMES = (
    "Zweistein",
    "Jane",
    "4711",
    "Quacksalver",
    "ACC7731",
    "01-APR-1980",
    "19800401",
    "29-FEB-2024",
    "29.02.24",
)
HEADER_BYTES = 1024


def cleaned(
    folder: Path, data: bytes, *, preset: str = "research", **layers: object
) -> tuple[bytes, Cleaned]:
    source, target = folder / "in.edf", folder / "out.edf"
    source.write_bytes(data)
    template = read_template({"preset": preset, **layers})
    answer = clean_edf(source, target, Task(["Zweistein Jane", "eeg 1.edf"], Pseudonyms(KEY), template))
    return target.read_bytes(), answer


def untouched(recording: Recording, data: bytes) -> bool:
    record_bytes = (len(data) - HEADER_BYTES) // recording.records
    starts = [HEADER_BYTES + n * record_bytes for n in range(recording.records)]
    return all(
        data[start : start + len(recording.signals(n))] == recording.signals(n)
        for n, start in enumerate(starts)
    )


@pytest.mark.parametrize("make", [Recording, a_bdf])
@pytest.mark.parametrize("preset", ["basic", "research", "paper"])
def test_the_person_goes_and_the_signals_stay(
    tmp_path: Path, make: Callable[[], Recording], preset: str
) -> None:
    recording = make()
    before = recording.as_bytes()
    after, answer = cleaned(tmp_path, before, preset=preset)
    assert answer.reasons == []
    assert len(after) == len(before)
    assert untouched(recording, after)
    assert [name for name in NAMES if in_any_encoding(name, after + repr(answer).encode())] == []
    for text in (
        b"Eyes open",
        b"Sleep stage W",
        b"Stimulus 12",
        b"EEG Fp1-Ref",
        b"HP:0.1Hz LP:75Hz",
        b"AgAgCl electrode",
    ):
        assert text in after
    told = [(label.name, label.value) for label in answer.labels]
    assert told == [
        ("channels", "2"), ("duration-seconds", "3"), ("sampling-rate-hertz", "10"), ("annotations", "3"),
        ("gaps", "0"),
    ]  # fmt: skip


def test_one_patient_has_one_pseudonym_here_and_in_images(tmp_path: Path) -> None:
    _, first = cleaned(tmp_path, Recording().as_bytes())
    _, second = cleaned(tmp_path, a_bdf(recording=b"Startdate 01-MAR-2024 X X X").as_bytes())
    pseudonym = Pseudonyms(KEY).patient(identity("PID-4711-X", "Zweistein^Jane", "19800401", "1.2"))
    assert first.place[0] == second.place[0] == pseudonym
    _, other = cleaned(tmp_path, Recording(patient=b"PID-4712-X F 01-APR-1980 Zweistein_Jane").as_bytes())
    assert other.place[0] != pseudonym


def test_dates_move_by_the_patients_days_stay_or_go_as_the_template_says(tmp_path: Path) -> None:
    moved, _ = cleaned(tmp_path, Recording().as_bytes())
    header = edfio.read_edf(tmp_path / "out.edf")
    days = Pseudonyms(KEY).days_back(identity("PID-4711-X", "", "", ""))
    assert header.startdate == date(2024, 2, 29) - timedelta(days=days)
    assert (header.recording.startdate, header.starttime) == (header.startdate, time(10, 11, 12))
    gone, _ = cleaned(tmp_path, Recording().as_bytes(), preset="basic")
    assert gone[88:184].split() == [b"Startdate", b"X", b"X", b"X", b"X", b"01.01.8500.00.00"]
    kept, answer = cleaned(
        tmp_path, Recording().as_bytes(), preset="basic", project={"options": ["full-dates"]}
    )
    assert answer.reasons == []
    assert b"29-FEB-2024" in kept
    assert b"29.02.24" in kept
    assert moved[8:88].split()[1:] == [b"F", b"X", b"X"]  # the sex is a characteristic that research keeps
    assert gone[8:88].split()[1:] == [b"X", b"X", b"X"]


PLANTED = [
    "Zweistein",
    "zweistein jane",
    "JaneZweistein",
    "PID-4711-X",
    "01.04.1980",
    "Dr Quacksalver",
    "19800401",
]


@pytest.mark.parametrize(
    "where", ["labels", "transducer", "prefilter", "unit", "signal_reserved", "reserved", "texts"]
)
@pytest.mark.parametrize("planted", PLANTED)
def test_a_name_planted_in_any_field_leaves_no_trace(tmp_path: Path, where: str, planted: str) -> None:
    text = planted.encode()
    fields: dict[str, object] = {where: text}
    if where == "labels":
        fields = {where: [text[:16], b"ECG"]}
    if where == "texts":
        fields = {where: [b"Eyes open " + text, text, text.decode().encode("cp1252")]}
    if where == "unit":
        fields = {where: text[:8]}
    if where == "reserved":
        fields = {where: b"EDF+C " + text}
    recording = Recording(**fields)  # type: ignore[arg-type] # chosen by name
    after, answer = cleaned(tmp_path, recording.as_bytes())
    assert answer.reasons == []
    words = [text.decode()[:8], *NAMES]
    assert [word for word in words if in_any_encoding(word, after)] == []
    assert untouched(recording, after)


def test_what_no_header_names_goes_too_where_it_is_no_word_of_a_recording(tmp_path: Path) -> None:
    texts = [
        b"called Prof. Meierhans 044 123 45 67", "Müller besucht, Augen zu".encode(), b"OP 12-05-99, eyes open",
    ]  # fmt: skip
    after, answer = cleaned(tmp_path, Recording(texts=texts).as_bytes())
    for gone in (b"Meierhans", b"044", b"123", b"ller", b"besucht", b"12-05", b"99"):
        assert not any(
            gone in after[HEADER_BYTES + n * 160 + 40 :][:120] for n in range(3)
        )  # behind the signals
    assert b"Augen zu" in after
    assert b"eyes open" in after
    assert answer.changes["annotations", "removed or shortened"] == 3


def test_a_file_older_than_edf_plus_is_searched_for_every_word_of_its_two_fields(tmp_path: Path) -> None:
    recording = Recording(
        patient="Zweistein Jane 01.04.1980 Müller".encode("cp1252"), recording=b"Klinik Quacksalver EEG", reserved=b"",
        texts=[b"Zweistein eyes open", b"Jane", b"Eyes closed"],
    )  # fmt: skip
    after, answer = cleaned(tmp_path, recording.as_bytes())
    assert answer.reasons == []
    assert [name for name in (*NAMES, "Klinik", "01.04.1980", "ller") if in_any_encoding(name, after)] == []
    assert b"Eyes closed" in after
    assert untouched(recording, after)


def test_gaps_are_counted_by_the_times_of_the_records(tmp_path: Path) -> None:
    _, answer = cleaned(tmp_path, Recording(reserved=b"EDF+D", onsets=[b"+0", b"+5", b"+6"]).as_bytes())
    assert [label.value for label in answer.labels if label.name == "gaps"] == ["1"]


def test_a_number_that_is_the_birth_date_is_found_by_the_last_look(tmp_path: Path) -> None:
    _, answer = cleaned(tmp_path, Recording(minimum=b"19800401").as_bytes())
    assert [reason.code for reason in answer.reasons] == ["identifier-left"]


@pytest.mark.parametrize(
    ("break_it", "code"),
    [
        (lambda data: data[:-1], "wrong-size"),
        (lambda data: data + b"Zweistein", "wrong-size"),
        (lambda data: data[:700], "not-readable"),
        (lambda data: data[:236] + b"-1      " + data[244:], "unfinished"),
        (lambda data: data[:236] + b"Jane    " + data[244:], "not-readable"),
        (lambda data: data[:252] + b"9999" + data[256:], "not-readable"),
        (lambda data: data.replace(b"+1.5\x15", b"Zwe1\x15"), "bad-annotations"),
        (lambda data: data[:-1] + b"J", "bad-annotations"),
        (lambda data: data.replace(b"-100    ", b"Jane    "), "not-readable"),
    ],
)
def test_a_damaged_file_is_held_back_and_nothing_is_made_of_it(
    tmp_path: Path, break_it: Callable[[bytes], bytes], code: str
) -> None:
    data = Recording().as_bytes()
    assert break_it(data) != data
    with pytest.raises(Held) as held:
        cleaned(tmp_path, break_it(data))
    assert held.value.code == code
    assert "Jane" not in str(held.value)


def test_a_header_with_any_byte_changed_is_cleaned_or_held_and_never_breaks_the_cleaner(
    tmp_path: Path,
) -> None:
    seed = int(environ.get("MB_SEED", "1"))
    chance = random.Random(seed)
    for _ in range(300):
        data = bytearray(Recording().as_bytes())
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(88, len(data))] = chance.choice([0, 20, 21, 32, 48, 57, 88, 255])
        try:
            after, answer = cleaned(tmp_path, bytes(data))
        except Held:
            continue
        assert len(after) == len(data), seed
        if not answer.reasons:
            left = [name for name in ("Zweistein", "PID-4711", "01-APR-1980") if name.encode() in after]
            assert left == [], seed


@pytest.mark.parametrize("name", ["test_generator.edf", "test_generator.bdf"])
def test_files_of_others_are_read_by_others_as_before(tmp_path: Path, name: str) -> None:
    original = Path(pyedflib.__file__).parent / "tests/data" / name
    after, answer = cleaned(tmp_path, original.read_bytes())
    assert answer.reasons == []
    path = tmp_path / f"out{original.suffix}"
    path.write_bytes(after)
    with pyedflib.EdfReader(str(original)) as old, pyedflib.EdfReader(str(path)) as new:
        assert new.getNSamples().tolist() == old.getNSamples().tolist()
        assert new.getSampleFrequencies().tolist() == old.getSampleFrequencies().tolist()
        for signal in range(old.signals_in_file):
            assert (new.readSignal(signal, digital=True) == old.readSignal(signal, digital=True)).all()
        assert new.readAnnotations()[0].tolist() == old.readAnnotations()[0].tolist()
        assert (new.getPatientName(), new.getBirthdate(), new.getTechnician()) == ("X", "", "")
        for field in (old.getPatientName(), old.getPatientCode(), old.getTechnician(), old.getAdmincode()):
            assert field in {"", "X"} or field.encode() not in after
    read = edfio.read_edf(path) if path.suffix == ".edf" else edfio.read_bdf(path)
    assert read.patient.code == answer.place[0]
