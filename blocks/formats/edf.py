"""EDF, EDF+, BDF and BDF+ as bytes: the header's fields, where annotations lie, how long everything is.

Owns: reading a header within bounds, writing it again at the same length, taking annotation lists apart.
May import: the standard library, blocks.formats.

Source: edfplus.info/specs (EDF 1992, EDF+ 2003), biosemi.com/faq/file_format.htm.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from blocks.formats.cleaned import Held

FIXED_BYTES, SIGNAL_BYTES = 256, 256
MOST_SIGNALS = 4_096
MOST_RECORD_BYTES = 64 << 20
_VERSIONS = {b"0       ": 2, b"\xffBIOSEMI": 3}  # bytes of a sample
_FIXED = (
    ("version", 8), ("patient", 80), ("recording", 80), ("date", 8), ("time", 8), ("header", 8),
    ("reserved", 44), ("records", 8), ("duration", 8), ("signals", 4),
)  # fmt: skip
_OF_SIGNALS = (
    ("label", 16), ("transducer", 80), ("unit", 8), ("physical-minimum", 8), ("physical-maximum", 8),
    ("digital-minimum", 8), ("digital-maximum", 8), ("prefilter", 80), ("samples", 8), ("signal-reserved", 32),
)  # fmt: skip
NUMBERS = ("physical-minimum", "physical-maximum", "digital-minimum", "digital-maximum")
_NUMBER = re.compile(rb"[+-]?\d{1,8}(\.\d{0,6})?([eE][+-]?\d{1,2})?|[+-]?\.\d{1,6}")
_WHOLE = re.compile(rb"-?\d{1,8}")
_ONSET = re.compile(rb"([+-]\d{1,7}(?:\.\d{1,9})?)(?:\x15(\d{1,7}(?:\.\d{0,9})?))?")


@dataclass(slots=True)
class Header:
    """fields: as they stand, at their full length; of a signal's field one for each signal."""

    fixed: dict[str, bytes]
    of_signals: dict[str, list[bytes]]
    records: int
    duration: float  # of a record, in seconds
    samples: list[int]  # of each signal in a record
    sample_bytes: int

    @property
    def size_bytes(self) -> int:
        return FIXED_BYTES + SIGNAL_BYTES * len(self.samples)

    @property
    def record_bytes(self) -> int:
        return sum(self.samples) * self.sample_bytes

    @property
    def is_plus(self) -> bool:
        return self.fixed["reserved"][:5] in {b"EDF+C", b"EDF+D", b"BDF+C", b"BDF+D"}

    def annotation_places(self) -> list[slice]:
        """Where, in each record, lists of annotations lie."""
        places, at = [], 0
        for label, samples in zip(self.of_signals["label"], self.samples, strict=True):
            end = at + samples * self.sample_bytes
            if is_annotations(label):
                places.append(slice(at, end))
            at = end
        return places

    def fields(self) -> list[bytes]:
        """One by one: where two stand beside each other, a number runs into the next."""
        return [*self.fixed.values(), *(value for values in self.of_signals.values() for value in values)]

    def as_bytes(self) -> bytes:
        fixed = b"".join(self.fixed[name] for name, _ in _FIXED)
        return fixed + b"".join(b"".join(self.of_signals[name]) for name, _ in _OF_SIGNALS)


@dataclass(slots=True)
class Annotations:
    """One time-stamped list: its onset and duration as they are written, and its texts."""

    when: bytes
    texts: list[bytes]

    @property
    def onset(self) -> float:
        return float(self.when.split(b"\x15")[0])

    def as_bytes(self) -> bytes:
        return self.when + b"\x14" + b"".join(text + b"\x14" for text in self.texts) + b"\0"


def is_annotations(label: bytes) -> bool:
    return label.strip().lower() in {b"edf annotations", b"bdf annotations"}


def read_header(data: bytes, *, size_bytes: int) -> Header:
    """data: the file's beginning, at least its header.  size_bytes: of the whole file.

    Raises Held: it is none, it was not finished, or what it says of lengths is not what is there.
    """
    if len(data) < FIXED_BYTES or data[:8] not in _VERSIONS:
        raise _damaged("the file has no header of EDF or BDF")
    fixed, at = {}, 0
    for name, width in _FIXED:
        fixed[name] = data[at : at + width]
        at += width
    signals = _whole(fixed["signals"])
    if not 1 <= signals <= MOST_SIGNALS or _whole(fixed["header"]) != FIXED_BYTES + SIGNAL_BYTES * signals:
        raise _damaged("its number of signals and the length of its header do not fit together")
    if len(data) < FIXED_BYTES + SIGNAL_BYTES * signals:
        raise _damaged("its header is cut short")
    of_signals = {}
    for name, width in _OF_SIGNALS:
        of_signals[name] = [data[at + n * width : at + (n + 1) * width] for n in range(signals)]
        at += width * signals
    samples = [_whole(field) for field in of_signals["samples"]]
    duration = float(_number(fixed["duration"]))
    for name in NUMBERS:
        for field in of_signals[name]:
            _number(field)
    header = Header(fixed, of_signals, _whole(fixed["records"]), duration, samples, _VERSIONS[data[:8]])
    if min(samples) < 0 or duration < 0 or not 0 < header.record_bytes <= MOST_RECORD_BYTES:
        raise _damaged("its records have no possible length")
    if header.records < 0:
        raise Held("unfinished", "The recording was not finished: its header does not say how long it is.")
    if header.size_bytes + header.records * header.record_bytes != size_bytes:
        raise Held("wrong-size", "The file is not as long as its header says.")
    return header


def read_annotations(data: bytes) -> list[Annotations]:
    """All lists in one record's bytes of one annotation signal.  Raises Held: they are not what the format says."""
    lists = []
    *whole, rest = data.split(b"\0")
    if rest:
        raise _bad_annotations()
    for part in whole:
        if not part:
            continue
        when, *texts = part.split(b"\x14")
        if _ONSET.fullmatch(when) is None or not texts or texts[-1]:
            raise _bad_annotations()
        lists.append(Annotations(when, texts[:-1]))
    return lists


def _whole(field: bytes) -> int:
    text = field.rstrip(b" \0").lstrip(b" ")
    if _WHOLE.fullmatch(text) is None:
        raise _damaged("a number in its header is none")
    return int(text)


def _number(field: bytes) -> bytes:
    text = field.rstrip(b" \0").lstrip(b" ")
    if _NUMBER.fullmatch(text) is None:
        raise _damaged("a number in its header is none")
    return text


def _damaged(what: str) -> Held:
    return Held("not-readable", f"The file cannot be read as EDF or BDF: {what}.")


def _bad_annotations() -> Held:
    return Held("bad-annotations", "Its annotations are not written as EDF+ asks, so they cannot be cleaned.")
