"""What the catalog takes over of a DICOM file.

Owns: reading those attributes, each within its bounds.
May import: pydicom, protocol.attributes, protocol.limits.

What cannot be read, or is longer or odder than its kind may be, is left out: a catalog that lacks a value says less,
and one that holds a damaged one says something wrong.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from protocol.attributes import KINDS, AttributeKind, Value, is_value
from protocol.limits import MAX_ATTRIBUTE_TEXT, MAX_ATTRIBUTE_VALUES

_TAGS = {keyword: tag for keyword in KINDS if (tag := tag_for_keyword(keyword)) is not None}


def attributes_of(dataset: Dataset) -> dict[str, list[Value]]:
    """By keyword.  The caller says which file is meant: of one that names its patient this is an identified table."""
    found: dict[str, list[Value]] = {}
    for keyword, tag in _TAGS.items():
        if tag not in dataset:
            continue
        try:
            value = dataset[tag].value
        except Exception:  # noqa: S112 - whatever an element's bytes make the library do: it is left out
            continue
        given: Iterable[object] = value if isinstance(value, MultiValue | list) else (value,)
        values = [one for raw in given if (one := _value(KINDS[keyword], raw)) is not None]
        if 0 < len(values) <= MAX_ATTRIBUTE_VALUES:
            found[keyword] = values
    return found


def _value(kind: AttributeKind, raw: object) -> Value | None:
    made: Value
    try:
        match kind:
            case AttributeKind.NUMBER:
                made = round(float(raw), 6)  # type: ignore[arg-type] # what is no number raises
            case AttributeKind.WHOLE:
                made = int(raw)  # type: ignore[call-overload] # as above
            case AttributeKind.TEXT:
                made = " ".join(str(raw).split())[:MAX_ATTRIBUTE_TEXT].strip()
            case _:
                made = str(raw).strip()
    except (TypeError, ValueError, OverflowError):
        return None
    return made if is_value(kind, made) else None
