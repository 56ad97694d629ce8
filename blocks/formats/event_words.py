"""What may stay of the texts of a recording: words of recordings, electrodes, units, filters, and no others.

Owns: cleaning annotations, labels, units, transducers and filters by lists of what is known to be safe.
May import: the standard library, blocks.dicom.

A list of what is dangerous can never be complete; a list of what is harmless need not be.  Dates do not pass: a number
stays only where it stands alone, has at most three digits, or carries a unit.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from pathlib import Path

from blocks.dicom.identifiers import Needles, folded

_ELECTRODE = re.compile(r"[a-z]{1,3}'?\d{1,2}h?|[lr]?(fp|af|f|ft|fc|t|c|cp|tp|p|po|o|n|i)z")
_COUNTED = re.compile(r"([a-z]+)\d{1,3}")
_NUMBERED = re.compile(r"[tsn]?\d{1,3}")
_MEASURED = re.compile(r"\d{1,5}([.,]\d{1,3})?(hz|khz|s|ms|sec|min|uv|mv|kohm|ma|ua|db|%)")
_STAGE = re.compile(r"sleep stage ([wr1234?]|n[123]|m|rem|wake)", re.IGNORECASE)
_UNITS = {
    "uv", "mv", "nv", "v", "µv", "%", "degc", "degf", "c", "k", "bpm", "hz", "mmhg", "cmh2o", "ohm", "kohm", "g", "m/s",
    "m/s^2", "s", "ms", "l/min", "ml", "l", "lux", "db", "ut", "ft", "pt", "us", "rpm", "deg", "rad", "boolean",
    "a", "ma", "ua",
}  # fmt: skip
_FILTER = re.compile(
    r"\b(HP|LP|BP|N|BS|Notch)\s*[:=]\s*(DC|\d{1,5}(?:\.\d{1,4})?\s*(?:m?Hz|s)?)(?![\w.])", re.IGNORECASE
)
_APART = re.compile(r"[\s,;:/_+()\[\]|\-]+")
_JOINED_NUMBERS = re.compile(r"\d[-/:.,_+]+\d")
REMOVED = "X"  # as EDF+ writes what is not known


@cache
def known_words() -> frozenset[str]:
    return frozenset(Path(__file__).with_name("event_words.txt").read_text("utf-8").split())


def clean_annotation(text: str, needles: Needles) -> str:
    """What is left of it; `REMOVED` where nothing is: that something happened, and when, stays."""
    if not text.strip():
        return ""
    if needles.in_text(folded(text)):
        return REMOVED
    if _STAGE.fullmatch(text.strip()):
        return text.strip()
    return _only(text) or REMOVED


def clean_label(text: str, needles: Needles) -> str:
    """The name of a channel, or "" where a word of it is not known."""
    parts = [part for part in _APART.split(text) if part]
    if needles.in_text(folded(text)) or not all(_is_channel_word(part) for part in parts):
        return ""
    return text.strip()


def clean_transducer(text: str, needles: Needles) -> str:
    return "" if needles.in_text(folded(text)) else _only(text.replace("/", ""))


def clean_unit(text: str) -> str:
    return text.strip() if text.strip().lower() in _UNITS else ""


def clean_filter(text: str, needles: Needles) -> str:
    """ "HP:0.1Hz LP:75Hz N:50Hz" and the like."""
    if needles.in_text(folded(text)):
        return ""
    return " ".join(f"{found[1]}:{''.join(found[2].split())}" for found in _FILTER.finditer(text))


def _only(text: str) -> str:
    kept: list[str] = []
    for word in text.split():
        if _MEASURED.fullmatch(word.lower()):
            kept.append(word)
        elif not _JOINED_NUMBERS.search(word):  # a date, a time, a telephone number
            kept += [part for part in _APART.split(word) if part and _is_event_word(part.strip(".!?\"'"))]
    numbers_in_a_row = any(one.isdigit() and other.isdigit() for one, other in pairwise(kept))
    return " ".join(part for part in kept if not (numbers_in_a_row and part.isdigit()))


def _is_event_word(word: str) -> bool:
    plain = word.lower()
    counted = _COUNTED.fullmatch(plain)
    return (
        plain in known_words()
        or _NUMBERED.fullmatch(plain) is not None
        or _MEASURED.fullmatch(plain) is not None
        or (counted is not None and counted[1] in known_words())
    )


def _is_channel_word(word: str) -> bool:
    plain = word.lower().strip(".")
    return _is_event_word(plain) or _ELECTRODE.fullmatch(plain) is not None
