"""One EDF or BDF file made safe, in place: every field at its length, every sample of a signal as it was.

Owns: what stays of the header and of annotations, the dates, the last look, what is told of the recording.
May import: the standard library, blocks.contract, blocks.dicom, blocks.formats.

Nothing of the header is copied unless it is a number of its bounds or a word that is known to be safe.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from blocks.contract.result import Label, Reason
from blocks.dicom.identifiers import Identifiers, Needles, folded
from blocks.dicom.pseudonyms import identity
from blocks.formats import event_words
from blocks.formats.cleaned import Cleaned, Task
from blocks.formats.edf import (
    FIXED_BYTES,
    MOST_SIGNALS,
    SIGNAL_BYTES,
    Annotations,
    Header,
    is_annotations,
    read_annotations,
    read_header,
)

UNKNOWN_DATE = date(1985, 1, 1)  # what EDF+ writes where the date is not to be known
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAY = re.compile(rb"(\d\d)[./-](\d\d)[./-](\d\d)")
_TIME = re.compile(rb"[0-2]\d[.:][0-5]\d[.:][0-5]\d")
_WRITTEN_DAY = re.compile(r"(\d\d)-([A-Za-z]{3})-(\d{4})")
_ANY_DAY = re.compile(r"(?<!\d)(?:(\d\d)[./-](\d\d)[./-](\d{4})|(\d{4})[./-]?(\d\d)[./-]?(\d\d))(?!\d)")
_NO_NAMES = frozenset({"startdate", "biosemi", "x"})  # of the format itself


@dataclass(frozen=True, slots=True)
class Person:
    """What the header says of its patient; "" where it says nothing."""

    code: str
    sex: str
    birth_date: str  # YYYYMMDD
    name: str


def clean_edf(source: Path, target: Path, task: Task) -> Cleaned:
    """Writes `target`.  Raises Held: nothing of this file can be made safe."""
    size_bytes = source.stat().st_size
    with source.open("rb") as file:
        header = read_header(file.read(FIXED_BYTES + SIGNAL_BYTES * MOST_SIGNALS), size_bytes=size_bytes)
    person = _person(header)
    who = identity(person.code, person.name, person.birth_date, _recording(header))
    pseudonym = task.pseudonyms.patient(who)
    keeps_dates = task.has("full-dates")
    needles = _gathered(header, person, keeps_dates=keeps_dates).needles()
    annotations = _AnnotationCleaner(needles, header.annotation_places(), header.duration)
    cleaned = Cleaned(task.place(pseudonym, "recording", ".bdf" if header.sample_bytes == 3 else ".edf"))
    new = _new_header(header, person, pseudonym, task.pseudonyms.days_back(who), needles, task, cleaned)
    header_bytes = new.as_bytes()
    left = any(needles.in_bytes(value) for value in (header_bytes, *new.fields()))
    with source.open("rb") as file, target.open("wb") as out:
        file.seek(header.size_bytes)
        out.write(header_bytes)
        for _ in range(header.records):
            record = bytearray(file.read(header.record_bytes))
            for place, texts in annotations.clean(bytes(record)):
                record[place] = texts
                left = left or needles.in_bytes(texts)
            out.write(record)
    cleaned.changes["annotations", "removed or shortened"] += annotations.changed
    cleaned.changes = +cleaned.changes
    cleaned.labels = _labels(header, annotations)
    if left:
        text = "An identifier of the recording is still in the cleaned file."
        cleaned.reasons.append(Reason(code="identifier-left", text=text))
    if needles.overflowed:
        text = "The file holds more names than can be looked for."
        cleaned.reasons.append(Reason(code="too-many-names", text=text))
    return cleaned


# ---- who it is ------------------------------------------------------------------------------------------


def _person(header: Header) -> Person:
    """The subfields of EDF+ (code, sex, birth date, name); of an older file the whole field, as a name."""
    text = _text(header.fixed["patient"])
    parts = text.split()
    if (
        len(parts) >= 4
        and parts[1] in {"M", "F", "X"}
        and (parts[2] == "X" or _WRITTEN_DAY.fullmatch(parts[2]))
    ):
        code, sex, born, name = (
            "" if part == "X" else part for part in (parts[0], parts[1], parts[2], parts[3])
        )
        day = _written_day(born)
        return Person(code.replace("_", " "), sex, f"{day:%Y%m%d}" if day else "", name.replace("_", " "))
    return Person("", "", "", text if text.replace("X", "").strip() else "")


def _recording(header: Header) -> str:
    """For a recording that names nobody: its own fields, which make it one of its own."""
    fixed = header.fixed
    return " ".join(_text(fixed[name]) for name in ("recording", "date", "time", "records"))


def _gathered(header: Header, person: Person, *, keeps_dates: bool) -> Identifiers:
    """Every name, id and date of the two fields that name people, and the day of the recording."""
    found = Identifiers()
    patient = _text(header.fixed["patient"])
    texts = [person.code, person.name, *re.split(r"\s+", patient)]
    recording = _text(header.fixed["recording"]).split()
    texts += (
        recording[2:4] if recording[:1] == ["Startdate"] else recording
    )  # administration code, technician
    for encoding in ("utf-8", "cp1252"):  # a name in another encoding than the one that we read it in
        raw = header.fixed["patient"].decode(encoding, "replace")
        texts += [part for part in raw.replace("_", " ").split() if "\ufffd" not in part]
    for text in texts:
        for word in re.split(r"[\s_]+", text):
            if folded(word) not in _NO_NAMES and word.casefold() not in event_words.known_words():
                found.add_name(word)
                found.add_id(word)
    found.add_id(person.code)
    found.add_name(person.name)
    found.add_date(person.birth_date)
    for text in (patient, _text(header.fixed["recording"])):
        is_patient = text == patient
        for day in _days_in(text):
            if is_patient or not keeps_dates:
                found.add_date(f"{day:%Y%m%d}")
    recorded = _recorded_on(header)
    if recorded is not None and recorded != UNKNOWN_DATE and not keeps_dates:
        found.add_date(f"{recorded:%Y%m%d}")
    return found


def _days_in(text: str) -> Iterator[date]:
    for written in _WRITTEN_DAY.finditer(text):
        day = _written_day(written[0])
        if day is not None:
            yield day
    for d, m, y, year, month, day_of_month in _ANY_DAY.findall(text):
        found = _day(y or year, m or month, d or day_of_month)
        if found is not None:
            yield found


# ---- the header -----------------------------------------------------------------------------------------


def _new_header(
    header: Header,
    person: Person,
    pseudonym: str,
    days_back: int,
    needles: Needles,
    task: Task,
    cleaned: Cleaned,
) -> Header:
    fixed = dict(header.fixed)
    sex = person.sex if task.has("patient-characteristics") and person.sex in {"M", "F"} else "X"
    fixed["patient"] = _field(f"{pseudonym} {sex} X X", 80)
    day = _new_day(header, days_back, task)
    written = "X" if day == UNKNOWN_DATE else f"{day.day:02}-{_MONTHS[day.month - 1]}-{day.year}"
    fixed["recording"] = _field(f"Startdate {written} X X X", 80)
    fixed["date"] = _field(f"{day:%d.%m.%y}", 8)
    if day == UNKNOWN_DATE or not _TIME.fullmatch(header.fixed["time"]):
        fixed["time"] = b"00.00.00"
    kind = header.fixed["reserved"][:5]
    fixed["reserved"] = (kind if header.is_plus or kind == b"24BIT" else b"").ljust(44)
    _count(cleaned.changes, header.fixed, fixed)
    of_signals = {name: list(fields) for name, fields in header.of_signals.items()}
    for n, label in enumerate(header.of_signals["label"]):
        text = _text(label)
        of_signals["label"][n] = _field(event_words.clean_label(text, needles) or f"Signal {n + 1}", 16)
        clean_unit = event_words.clean_unit(_text(header.of_signals["unit"][n]))
        raw_unit = header.of_signals["unit"][n]
        of_signals["unit"][n] = raw_unit if clean_unit else _field("", 8)
        transducer = _text(header.of_signals["transducer"][n])
        of_signals["transducer"][n] = _field(event_words.clean_transducer(transducer, needles), 80)
        prefilter = _text(header.of_signals["prefilter"][n])
        of_signals["prefilter"][n] = _field(event_words.clean_filter(prefilter, needles), 80)
        of_signals["signal-reserved"][n] = _field("", 32)
        before = {name: fields[n] for name, fields in header.of_signals.items()}
        _count(cleaned.changes, before, {name: fields[n] for name, fields in of_signals.items()})
    return Header(fixed, of_signals, header.records, header.duration, header.samples, header.sample_bytes)


def _count(changes: Counter[tuple[str, str]], before: dict[str, bytes], after: dict[str, bytes]) -> None:
    for name, value in after.items():
        if value.rstrip(b" \0") != before[name].rstrip(b" \0"):
            changes[name, "replaced" if value.strip() else "emptied"] += 1


def _new_day(header: Header, days_back: int, task: Task) -> date:
    """Moved by the patient's days, or left, or `UNKNOWN_DATE`, also where the two digits of a year cannot hold it."""
    day = _recorded_on(header)
    if day is None or day == UNKNOWN_DATE:
        return UNKNOWN_DATE
    if task.has("modified-dates"):
        day -= timedelta(days=days_back)
    elif not task.has("full-dates"):
        return UNKNOWN_DATE
    return day if day > UNKNOWN_DATE else UNKNOWN_DATE


def _recorded_on(header: Header) -> date | None:
    found = _DAY.fullmatch(header.fixed["date"])
    if found is None:
        return None
    day, month, year = (int(part) for part in found.groups())
    return _day(str(year + (1900 if year >= 85 else 2000)), str(month), str(day))


def _written_day(text: str) -> date | None:
    found = _WRITTEN_DAY.fullmatch(text)
    if found is None or found[2].upper() not in _MONTHS:
        return None
    return _day(found[3], str(_MONTHS.index(found[2].upper()) + 1), found[1])


def _day(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def _text(data: bytes) -> str:
    """Headers are ASCII; where one is not, either of the two that people use."""
    try:
        return data.decode("utf-8").strip(" \0")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace").strip(" \0")


def _field(text: str, width: int) -> bytes:
    return text.encode("ascii", "replace")[:width].ljust(width)


# ---- annotations ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _AnnotationCleaner:
    needles: Needles
    places: list[slice]
    duration: float
    count: int = 0
    changed: int = 0
    gaps: int = 0
    _ends: float | None = None
    _known: dict[bytes, bytes] = field(default_factory=dict)

    def clean(self, record: bytes) -> Iterator[tuple[slice, bytes]]:
        """What stands in each place afterwards, at the same length."""
        for number, place in enumerate(self.places):
            lists = read_annotations(record[place])
            if number == 0 and lists:
                self._look_for_gap(lists[0])
            for one in lists:
                one.texts = [self._cleaned(text) for text in one.texts]
            data = b"".join(one.as_bytes() for one in lists)
            yield place, data.ljust(place.stop - place.start, b"\0")

    def _cleaned(self, text: bytes) -> bytes:
        if text not in self._known:
            clean = event_words.clean_annotation(_text(text), self.needles).encode()
            self._known[text] = clean if len(clean) <= len(text) else event_words.REMOVED.encode()
        self.count += bool(text)
        self.changed += self._known[text] != text
        return self._known[text]

    def _look_for_gap(self, first: Annotations) -> None:
        if self._ends is not None and first.onset > self._ends + 1e-3:
            self.gaps += 1
        self._ends = first.onset + self.duration


def _labels(header: Header, annotations: _AnnotationCleaner) -> list[Label]:
    labels = header.of_signals["label"]
    signals = [n for n, label in zip(header.samples, labels, strict=True) if not is_annotations(label)]
    rates = sorted({samples / header.duration for samples in signals} if header.duration else set())
    told = [("channels", str(len(signals))), ("duration-seconds", f"{header.records * header.duration:g}")]
    told += [("sampling-rate-hertz", f"{rate:g}") for rate in rates[:20]]
    told += [("annotations", str(annotations.count)), ("gaps", str(annotations.gaps))]
    return [Label(name=name, value=value, rule="edf-header") for name, value in told]
