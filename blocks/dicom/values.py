"""Values as they stand in a file: bytes by VR.

Owns: which VRs are text, what a valid number or time looks like, the dummy of each VR.
May import: the standard library.
"""

from __future__ import annotations

import re

TEXT = frozenset({"AE", "CS", "LO", "LT", "SH", "ST", "UC", "UT", "UR", "PN"})
FREE_TEXT = frozenset({"LO", "LT", "SH", "ST", "UC", "UT", "UR", "PN"})
NUMBERS_AS_TEXT = frozenset({"AS", "DS", "IS", "TM", "DA", "DT"})
BINARY = frozenset({"AT", "FD", "FL", "OB", "OD", "OF", "OL", "OV", "OW", "SL", "SS", "SV", "UL", "US", "UV"})
SIZES = {"AT": 4, "FD": 8, "FL": 4, "SL": 4, "SS": 2, "SV": 8, "UL": 4, "US": 2, "UV": 8}

_VALID = {
    "AS": re.compile(rb"(\d{3}[DWMY][ \0]*)?(\\\d{3}[DWMY][ \0]*)*"),
    "DS": re.compile(rb"[0-9+\-eE. \\\0]*"),
    "IS": re.compile(rb"[0-9+\- \\\0]*"),
    "TM": re.compile(rb"[0-9.: \-\\\0]*"),
    "DA": re.compile(rb"[0-9. \-\\\0]*"),
    "DT": re.compile(rb"[0-9.+\- \\\0]*"),
    "UI": re.compile(rb"[0-9. \\\0]*"),
}

_DUMMIES = {
    "AE": b"REMOVED",
    "AS": b"000Y",
    "CS": b"REMOVED",
    "DA": b"19000101",
    "DS": b"0",
    "DT": b"19000101000000",
    "IS": b"0",
    "LO": b"REMOVED",
    "LT": b"REMOVED",
    "PN": b"REMOVED",
    "SH": b"REMOVED",
    "ST": b"REMOVED",
    "TM": b"000000",
    "UC": b"REMOVED",
    "UR": b"urn:removed",
    "UT": b"REMOVED",
    "OB": bytes(2),
    "OD": bytes(8),
    "OF": bytes(4),
    "OL": bytes(4),
    "OV": bytes(8),
    "OW": bytes(2),
    "UN": b"",
}


def is_valid(vr: str, value: bytes) -> bool:
    """May these bytes stand in an element of this VR, one of NUMBERS_AS_TEXT, or UI?  Letters of a name may not."""
    return _VALID[vr].fullmatch(value) is not None


def dummy(vr: str) -> bytes | None:
    """A value of this VR that says nothing; None where there is none (SQ and UI: made elsewhere)."""
    found = _DUMMIES.get(vr)
    return bytes(SIZES[vr]) if found is None and vr in SIZES else found


def padded(vr: str, value: bytes) -> bytes:
    """Of even length, as PS3.5 section 6.2 asks."""
    if len(value) % 2 == 0:
        return value
    return value + (b"\0" if vr in {"UI", "OB", "UN"} else b" ")
