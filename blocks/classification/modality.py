"""Rules for the modality.

Owns: these rules; which modality a class of objects is of.
May import: blocks.classification.

Source: PS3.3 C.7.3.1.1.1, PS3.4 Annex B (classes of objects).
"""

from __future__ import annotations

from collections.abc import Iterator

from blocks.classification.clues import Clue, Finding, clue, decide
from blocks.classification.facts import Facts

_IMAGES = "1.2.840.10008.5.1.4.1.1."
_CLASSES = {
    "1": "CR", "1.1": "DX", "1.1.1": "DX", "1.2": "MG", "1.2.1": "MG", "1.3": "IO", "1.3.1": "IO", "2": "CT",
    "2.1": "CT", "2.2": "CT", "3": "US", "3.1": "US", "4": "MR", "4.1": "MR", "4.2": "MR", "4.3": "MR", "4.4": "MR",
    "5": "NM",
    "6": "US", "6.1": "US", "6.2": "US", "7": "OT", "7.1": "OT", "7.2": "OT", "7.3": "OT", "7.4": "OT",
    "9.1.1": "ECG", "9.1.2": "ECG", "9.1.3": "ECG", "9.2.1": "HD", "9.3.1": "EPS", "9.4.1": "AU", "9.4.2": "AU",
    "9.7.1": "EEG", "9.7.2": "EMG", "9.7.3": "EOG", "9.7.4": "EEG", "9.6.1": "RESP", "9.6.2": "RESP",
    "11.1": "PR", "11.2": "PR", "11.3": "PR", "12.1": "XA", "12.1.1": "XA", "12.2": "RF", "12.2.1": "RF",
    "13.1.1": "XA", "13.1.2": "XA", "13.1.3": "MG", "14.1": "IVOCT", "14.2": "IVOCT", "20": "NM", "66.4": "SEG",
    "66.5": "SEG", "66.1": "REG", "66.3": "REG", "77.1.1": "ES", "77.1.2": "GM", "77.1.3": "SM", "77.1.4": "XC",
    "77.1.5.1": "OP", "77.1.5.2": "OP", "77.1.5.4": "OPT", "77.1.6": "SM", "88.11": "SR", "88.22": "SR", "88.33": "SR",
    "88.34": "SR", "88.59": "KO", "88.67": "SR", "104.1": "DOC", "104.2": "DOC", "128": "PT", "128.1": "PT",
    "130": "PT", "481.1": "RTIMAGE", "481.2": "RTDOSE", "481.3": "RTSTRUCT", "481.4": "RTRECORD", "481.5": "RTPLAN",
    "481.6": "RTRECORD", "481.7": "RTRECORD", "481.8": "RTPLAN", "481.9": "RTRECORD",
}  # fmt: skip
_OLD_NAMES = {
    "CS": "US",
    "DD": "US",
    "MA": "MR",
    "MS": "MR",
    "ST": "NM",
    "OPR": "OP",
    "FA": "OP",
    "DF": "RF",
    "VF": "RF",
}
_ANY = {"OT", "SEG", "REG", "PR", "KO", "SR", "DOC"}  # of pictures of any modality


def modality(facts: Facts) -> list[Finding]:
    return decide("modality", _clues(facts))


def _clues(facts: Facts) -> Iterator[Clue]:
    said = _OLD_NAMES.get(facts.modality, facts.modality)
    by_class = _CLASSES.get(facts.sop_class.removeprefix(_IMAGES), "") if facts.sop_class else ""
    if said:
        yield clue(said, "modality", "Modality", confidence=0.95)
    if by_class and not (said and by_class in _ANY):
        yield clue(by_class, "object-class", "SOPClassUID", confidence=0.9)
