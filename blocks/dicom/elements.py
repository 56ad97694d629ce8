"""One element of a data set: as bytes, as text, and made anew from bytes.

Owns: what the value of an element says in whatever character set, which elements are sequences or names.
May import: pydicom, blocks.dicom.decisions.

pydicom converts what is asked for and writes back what it made of it.  Here an element is read without that, so that
what stays is written as it came.
"""

from __future__ import annotations

from typing import Any

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from blocks.dicom.decisions import CHARACTER_SET

_DELIMITERS = {"PN": {0x5C, 0x5E, 0x3D}}
_DEFAULT_DELIMITERS = {0x5C, 0x0D, 0x0A, 0x09, 0x0C}

Charset = list[str]


class CutShort(ValueError):
    """A value is shorter than the file says: the rest of it is missing."""


def own_charset(dataset: Dataset, above: Charset) -> Charset:
    """The encodings of this data set's text: its own if it names some, else those above it."""
    if CHARACTER_SET not in dataset:
        return above
    value = dataset[CHARACTER_SET].value
    return list(convert_encodings(value or ""))


def is_sequence(element: Any, number: int) -> bool:
    return element.VR == "SQ" or (element.VR in {None, "UN"} and number in _SEQUENCE_TAGS)


def items_of(dataset: Dataset, tag: BaseTag) -> Any:
    """The items of a sequence, also of one that came as UN or as bytes; none if it turns out to be something else."""
    element = dataset[tag]
    return element.value if element.VR == "SQ" and element.value is not None else []


def raw_bytes(dataset: Dataset, tag: BaseTag) -> bytes:
    """The element's value as it stands in the file."""
    element = dataset.get_item(tag)
    if element.is_raw:
        return bytes(element.value or b"")
    value = element.value
    if isinstance(value, bytes):
        return value
    if value is None:
        return b""
    parts = value if isinstance(value, list | tuple) or hasattr(value, "append") else [value]
    return "\\".join(map(str, parts)).encode("utf-8", "replace")


def text_of(element: Any, charset: Charset) -> str:
    """The element's value as text, in whatever character set; bytes that are none become signs of replacement."""
    if not element.is_raw:
        value = element.value
        if value is None:
            return ""
        parts = value if isinstance(value, list | tuple) or hasattr(value, "append") else [value]
        return "\\".join(str(part) for part in parts)
    value = element.value or b""
    if value.isascii() and b"\x1b" not in value:
        return str(value.decode("ascii").rstrip(" \0"))
    delimiters = _DELIMITERS.get(element.VR or "", _DEFAULT_DELIMITERS)
    try:
        return decode_bytes(value, charset, delimiters).rstrip(" \0")
    except (UnicodeError, LookupError):
        return str(value.decode("latin-1").rstrip(" \0"))


def encoded(text: str, charset: Charset) -> bytes:
    """For words of ours and what they left of a text; what the file's character set cannot hold is left out."""
    if text.isascii():
        return text.encode()
    try:
        return text.encode(charset[0], "ignore")
    except (LookupError, UnicodeError):
        return text.encode("ascii", "ignore")


def raw_element(dataset: Dataset, tag: BaseTag, vr: str, value: bytes) -> RawDataElement:
    """An element that is written as these bytes."""
    implicit, little = dataset.original_encoding
    return RawDataElement(
        Tag(tag), vr or None, len(value), value, 0, bool(implicit), little is not False, is_raw=True
    )


def _tags_of(vr: str) -> frozenset[int]:
    from pydicom._dicom_dict import DicomDictionary  # noqa: PLC0415 - pydicom has no public walk over it

    return frozenset(tag for tag, entry in DicomDictionary.items() if entry[0] == vr)


NAME_TAGS = _tags_of("PN")
_SEQUENCE_TAGS = _tags_of("SQ")
