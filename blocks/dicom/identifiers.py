"""What a study says of its patient, looked for in everything that is left.

Owns: gathering a data set's own identifiers, and finding them again in text, in any case, order and encoding.
May import: pydicom, blocks.dicom.

The tables say which attribute holds a name; people write names elsewhere too.  So every name, id and date that stands
where the tables expect one is searched in every text that stays.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache

from pydicom.datadict import tag_for_keyword

from blocks.dicom.words import known_words

# Attributes whose whole value identifies; every element of VR PN is gathered besides
_IDS = (
    "PatientID OtherPatientIDs AccessionNumber AdmissionID ServiceEpisodeID MedicalRecordLocator PatientAddress "
    "PatientTelephoneNumbers MilitaryRank InsurancePlanIdentification RequestedProcedureID StudyID "
    "FillerOrderNumberImagingServiceRequest PlacerOrderNumberImagingServiceRequest ClinicalTrialSubjectID "
    "PersonAddress PersonTelephoneNumbers CountryOfResidence RegionOfResidence IssuerOfPatientID"
)
ID_TAGS = frozenset(int(tag) for word in _IDS.split() if (tag := tag_for_keyword(word)) is not None)
DATE_TAGS = frozenset(
    int(tag)
    for word in ("PatientBirthDate", "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")
    if (tag := tag_for_keyword(word)) is not None
)
_DATE_FORMATS = [
    "%Y%m%d",
    "%Y-%m-%d",
    "%Y.%m.%d",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%d%m%Y",
    "%d.%m.%y",
    "%d-%b-%Y",
]
_SPLIT = re.compile(r"[\^=\\\s,;:/()\[\]\"_.\-]+")
# Words that stand where a name should, and say nothing of anybody
_NOBODY = {"anon", "anonym", "anonymous", "anonymized", "anonymised", "anonymisiert", "removed", "unknown"}
_NOBODY |= {"unnamed", "none", "null", "patient", "name", "test", "phantom", "volunteer", "subject", "study"}
_NOBODY |= {"dr", "med", "prof", "phd", "md", "the", "and", "von", "van", "der", "del"}
_MAX_NEEDLES = 400


class Identifiers:
    """Everything that one file says of its patient and the people around; not yet a judgement."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._ids: set[str] = set()
        self._dates: set[str] = set()

    def add_name(self, text: str) -> None:
        self._names.add(text)

    def add_id(self, text: str) -> None:
        self._ids.add(text)

    def add_date(self, text: str) -> None:
        self._dates.add(text)

    def needles(self) -> Needles:
        words: set[str] = set()
        for text in self._names:
            words |= _name_words(text)
        for text in self._ids:
            words |= _id_words(text)
        for text in self._dates:
            words |= _dates_written(text)
        return _needles(frozenset(words))


def folded(text: str) -> str:
    """For comparing: no case, no accents, compatibility forms made plain."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in apart if not unicodedata.combining(character))


class Needles:
    """The identifiers of one file, ready to be looked for."""

    def __init__(self, words: frozenset[str]) -> None:
        chosen = sorted(words, key=lambda word: (-len(word), word))[:_MAX_NEEDLES]
        self.overflowed = len(words) > _MAX_NEEDLES
        self._text = _pattern(chosen)
        sure = [word for word in chosen if _is_telling(word)]
        self._code = _pattern([word for word in chosen if len(word) > 2 and word not in known_words()])
        self._bytes = _as_bytes(sure)

    def in_text(self, text: str) -> bool:
        """text: already `folded`."""
        return self._text is not None and self._text.search(text) is not None

    def in_code(self, text: str) -> bool:
        """As `in_text`, for coded words: a patient may be called Hand, and a body part is one."""
        return self._code is not None and self._code.search(text) is not None

    def in_bytes(self, data: bytes) -> bool:
        """The last look, at the bytes of a finished file, in whatever encoding: only for words that are no accident."""
        data = data.lower()
        return any(word in data and (edges is None or edges.search(data)) for word, edges in self._bytes)


@lru_cache(maxsize=512)
def _needles(words: frozenset[str]) -> Needles:
    return Needles(words)


def _pattern(words: Iterable[str]) -> re.Pattern[str] | None:
    parts = [_bounded(word) for word in words]
    return re.compile("|".join(parts)) if parts else None


def _bounded(word: str) -> str:
    """A short word counts where it stands alone, a long one anywhere."""
    text = re.escape(word)
    if word.isdigit() or not word.isascii() or len(word) >= 5:
        return rf"(?<!\d){text}(?!\d)" if word.isdigit() else text
    return rf"(?<![^\W_]){text}(?![^\W_])"


def _as_bytes(words: list[str]) -> list[tuple[bytes, re.Pattern[bytes] | None]]:
    """Each word in every encoding that a file may hold it in; of a number, a part of a longer one does not count."""
    found = []
    for word in words:
        for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
            text = word.encode(encoding)
            edges = re.compile(rb"(?<![0-9.])" + re.escape(text) + rb"(?![0-9.])") if word.isdigit() else None
            found.append((text, edges))
    return found


def _is_telling(word: str) -> bool:
    if word.isdigit():
        return len(word) >= 8
    return word.isascii() and len(word) >= 5 and word not in known_words() and not word.isspace()


@lru_cache(maxsize=4_096)
def _name_words(text: str) -> frozenset[str]:
    """Each part of a name, and the parts of one spelling run together, as people write them."""
    words: set[str] = set()
    for spelling in re.split(r"[=\\]", text):
        parts = [part for part in (folded(part) for part in _SPLIT.split(spelling)) if part]
        telling = [part for part in parts if part not in _NOBODY and not (part.isdigit() and len(part) < 4)]
        words |= {part for part in telling if len(part) >= 2}
        if len(telling) > 1:
            words |= {"".join(telling), "".join(reversed(telling))}
    return frozenset(words)


@lru_cache(maxsize=4_096)
def _id_words(text: str) -> frozenset[str]:
    words = {folded(part.strip()) for part in text.split("\\")}
    words |= {_SPLIT.sub("", word) for word in words}
    return frozenset(word for word in words if len(word) >= 3 and word not in _NOBODY)


@lru_cache(maxsize=4_096)
def _dates_written(text: str) -> frozenset[str]:
    try:
        day = datetime.strptime(text.strip().replace(".", ""), "%Y%m%d")  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return frozenset()
    if day.year <= 1900:  # what is written where nothing is known
        return frozenset()
    return frozenset(folded(day.strftime(form)) for form in _DATE_FORMATS)
