"""Dates of DICOM, moved into the past by whole days.

Owns: shifting values of VR DA and DT.
May import: the standard library.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

_DA = re.compile(r"(\d{4})[.]?(\d\d)[.]?(\d\d)")  # the dots are those of old files (PS3.5 section 6.2)
_DT = re.compile(r"(\d{4})(\d\d)(\d\d)((?:\d\d){0,3}(?:\.\d{1,6})?(?:[+-]\d{4})?)")
_SHORT_DT = re.compile(r"(\d{4})(\d\d)?")


def shift_date(value: str, *, days: int) -> str:
    """`value` ("YYYYMMDD", or "" as it is) that many days earlier.

    Raises ValueError: it is neither; the caller empties the element, it never passes through.
    """
    if not value:
        return ""
    found = _DA.fullmatch(value)
    if found is None:
        raise ValueError("not a date")
    return _earlier(*found.groups(), days=days)


def shift_date_time(value: str, *, days: int) -> str:
    """As `shift_date`, for "YYYYMMDDHHMMSS.FFFFFF&ZZXX" and its shorter forms; the time of day stays.

    A value of a year, or of a year and a month, becomes one as exact of the day that many days before its first.
    """
    if not value:
        return ""
    found = _DT.fullmatch(value)
    if found is not None:
        year, month, day, rest = found.groups()
        return _earlier(year, month, day, days=days) + rest
    short = _SHORT_DT.fullmatch(value)
    if short is None:
        raise ValueError("not a date and time")
    return _earlier(short[1], short[2] or "01", "01", days=days)[: len(value)]


def _earlier(year: str, month: str, day: str, *, days: int) -> str:
    try:
        moved = date(int(year), int(month), int(day)) - timedelta(days=days)
    except OverflowError as error:
        raise ValueError("before the calendar begins") from error
    return f"{moved.year:04}{moved.month:02}{moved.day:02}"
