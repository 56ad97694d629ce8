"""JSON beside a volume, as dcm2niix and BIDS write it: of it stays what a list knows, each value of its kind.

Owns: what becomes of dates, ages, ids and words; whether a JSON file is a sidecar.  The list: `sidecar_keys.toml`.
May import: the standard library, msgspec, blocks.dicom, blocks.formats.

An unknown key goes with all below it: of a key, too, the name may be somebody's.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from blocks.dicom.identifiers import Identifiers, Needles, folded
from blocks.dicom.words import known_words, only_known_words
from blocks.formats.cleaned import Cleaned, Held, Task

MOST_BYTES = 8 << 20
MOST_NUMBERS = 100_000  # of one list
MOST_DEPTH = 6
LARGEST_NUMBER = 1e7
OLDEST = 89  # an age above it is told as 90
CONTAINERS = frozenset({"global", "const", "samples", "time", "slices"})  # of dcmstack: keys stand below them
_BESIDES = {"rest", "task", "resting", "nback", "motor", "language", "faces", "story", "emotion"}
_DAY = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)")
_MOMENT = re.compile(r"(\d{4}-?\d\d-?\d\d)(T\d\d:?\d\d:?\d\d(?:\.\d{1,6})?)(?:Z|[+-]\d\d:?\d\d)?")
_TIME = re.compile(r"\d\d:?\d\d:?\d\d(\.\d{1,6})?")
_AGE = re.compile(r"0?(\d{2,3})Y")
_UID = re.compile(r"[0-9.]{1,64}")
_GONE = object()


@dataclass(frozen=True, slots=True)
class _Keys:
    """`sidecar_keys.toml`, which says what each list means."""

    numbers: frozenset[str]
    switches: frozenset[str]
    described: frozenset[str]
    words_of_imaging: frozenset[str]
    image_types: frozenset[str]
    days: frozenset[str]
    moments: frozenset[str]
    times: frozenset[str]
    uids: frozenset[str]
    characteristics: frozenset[str]
    named: frozenset[str]
    words: Mapping[str, str]
    vendors: Mapping[str, str]

    @property
    def known(self) -> frozenset[str]:
        """Those that a report may name."""
        lists = (getattr(self, one.name) for one in fields(self) if one.name != "vendors")
        return frozenset({"Manufacturer"}.union(*lists))


@cache
def _keys() -> _Keys:
    read: dict[str, Any] = tomllib.loads(Path(__file__).with_name("sidecar_keys.toml").read_text("utf-8"))
    lists = {key: one.split() if isinstance(one, str) else one for key, one in read.items()}
    return msgspec.convert(lists, _Keys)


def clean_sidecar(source: Path, target: Path, task: Task) -> Cleaned:
    """Writes `target`.  Raises Held: it is no sidecar, or cannot be read."""
    if source.stat().st_size > MOST_BYTES:
        raise Held("too-large", "The file is larger than a sidecar may be.")
    cleaned = Cleaned(task.volume_place(".json"))
    values = clean_values(read_values(source.read_bytes()), task, cleaned)
    target.write_bytes(msgspec.json.format(msgspec.json.encode(values), indent=2) + b"\n")
    return cleaned


def read_values(data: bytes) -> dict[str, Any]:
    try:
        values = msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Held("not-readable", "The file cannot be read as JSON.") from error
    if not isinstance(values, dict) or not _is_sidecar(values):
        text = "It is JSON, but not what stands beside a volume, and no cleaner is known for it."
        raise Held("no-cleaner", text)
    return values


def clean_values(values: dict[str, Any], task: Task, cleaned: Cleaned) -> dict[str, Any]:
    """What stays of a sidecar's values; `cleaned` is told what went."""
    cleaner = _Cleaner(task, cleaned, _gathered(values, task.path).needles())
    return cleaner.kept(values, 0)


def _is_sidecar(values: Mapping[str, Any]) -> bool:
    inner = [value for key, value in values.items() if key in CONTAINERS and isinstance(value, dict)]
    return any(key in _keys().numbers or key in _keys().words for key in values) or any(
        map(_is_sidecar, inner)
    )


def _gathered(values: Mapping[str, Any], path: Sequence[str]) -> Identifiers:
    """Whoever is named where names stand, and by the folders and the name of the file."""
    found = Identifiers()
    for key in _keys().named:
        if isinstance(value := values.get(key), str):
            found.add_name(value)
            found.add_id(value)
    for part in path:
        for word in re.split(r"[\s^_.\-]+", part):
            if (
                folded(word) not in known_words() | _BESIDES
            ):  # a folder may be called Knee, and no person is meant
                found.add_name(word)
    return found


class _Cleaner:
    def __init__(self, task: Task, cleaned: Cleaned, needles: Needles) -> None:
        self._task, self._changes, self._needles = task, cleaned.changes, needles
        self._keys, self._known = _keys(), _keys().known
        self._keeps_days = task.has("full-dates") or task.has("modified-dates")

    def kept(self, values: Mapping[str, Any], depth: int) -> dict[str, Any]:
        stays = {}
        for key, value in values.items():
            if key in CONTAINERS and isinstance(value, dict) and depth < MOST_DEPTH:
                stays[key] = self.kept(value, depth + 1)
                continue
            new = self._value(key, value)
            if new is _GONE:
                self._changes[key if key in self._known else "unknown keys", "removed"] += 1
                continue
            if new != value:
                self._changes[key, "replaced"] += 1
            stays[key] = new
        return stays

    def _value(self, key: str, value: Any) -> Any:
        if key in self._keys.numbers:
            return value if _are_numbers(value) else _GONE
        if key in self._keys.switches:
            return value if isinstance(value, bool) or value in (0, 1) else _GONE
        if key in self._keys.described or key in self._keys.words_of_imaging:
            return self._described(key, value)
        if key in self._keys.characteristics:
            return _characteristic(key, value) if self._task.has("patient-characteristics") else _GONE
        if not isinstance(value, str):
            return _GONE
        if pattern := self._keys.words.get(key):
            return value if re.fullmatch(pattern, value) else _GONE
        if key == "Manufacturer":
            return self._keys.vendors.get(value.strip().casefold(), _GONE)
        if key in self._keys.uids:
            return self._task.pseudonyms.uid(value) if _UID.fullmatch(value) else _GONE
        if self._keeps_days:
            return self._when(key, value)
        return _GONE

    def _described(self, key: str, value: Any) -> Any:
        """Of words those of imaging, and never one that is a name here."""
        if key not in self._keys.words_of_imaging and not self._task.has("descriptors"):
            return _GONE
        if isinstance(value, list):
            if key.startswith("ImageType"):
                return [part for part in value if isinstance(part, str) and part in self._keys.image_types]
            words = [word for part in value[:20] if isinstance(part, str) and (word := self._words(part))]
            return words or _GONE
        return (self._words(value) or _GONE) if isinstance(value, str) else _GONE

    def _words(self, text: str) -> str:
        if text.casefold() in _BESIDES and not self._needles.in_text(text.casefold()):
            return text
        clean = only_known_words(text[:1_000])
        return "" if self._needles.in_text(folded(clean)) else clean

    def _when(self, key: str, value: str) -> Any:
        if key in self._keys.times and _TIME.fullmatch(value):
            return value
        if key in self._keys.days:
            return self._day(value) or _GONE
        if key in self._keys.moments and (found := _MOMENT.fullmatch(value)):
            day = self._day(found[1])
            return day + found[2] if day else _GONE
        return _GONE

    def _day(self, text: str) -> str:
        found = _DAY.fullmatch(text)
        try:
            day = date(int(found[1]), int(found[2]), int(found[3])) if found else None
            if day is None or self._task.has("full-dates"):
                return text if day else ""
            moved = day - timedelta(days=self._task.pseudonyms.days_back(self._task.owner))
        except (ValueError, OverflowError):
            return ""
        return f"{moved:%Y-%m-%d}" if "-" in text else f"{moved:%Y%m%d}"


def _are_numbers(value: Any, depth: int = 0) -> bool:
    if isinstance(value, list):
        return depth < 3 and len(value) <= MOST_NUMBERS and all(_are_numbers(one, depth + 1) for one in value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and abs(value) < LARGEST_NUMBER


def _characteristic(key: str, value: Any) -> Any:
    if key in {"PatientSex", "Sex"}:
        return value if value in ("M", "F", "O") else _GONE
    if key in {"PatientWeight", "PatientSize"}:
        return value if _are_numbers(value) and not isinstance(value, list) and 0 < value < 1_000 else _GONE
    if isinstance(value, str) and (found := _AGE.fullmatch(value)):
        return value if int(found[1]) <= OLDEST else f"{OLDEST + 1:03}Y"
    if not _are_numbers(value) or isinstance(value, list) or value < 0:
        return _GONE
    return value if value <= OLDEST else OLDEST + 1
