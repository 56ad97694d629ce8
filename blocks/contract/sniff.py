"""What kind of file this is, told from its first bytes; a name is only a hint.

Owns: the words for kinds, and how each begins.
May import: the standard library.

Bounded and without any parser of a format: it may run where hostile files must not be parsed.
"""

from __future__ import annotations

import re
import struct
import zlib

HEAD_BYTES = 4_096  # what `sniff` wants to see; a shorter file is shown whole

_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "pdf"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"\xffBIOSEMI", "bdf"),
    (b"0       ", "edf"),
    (b"NRRD000", "nrrd"),
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"CDF\x01", "netcdf"),
    (b"CDF\x02", "netcdf"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"SQLite format 3\x00", "sqlite"),
    (b"{\\rtf", "rtf"),
)
_VR = re.compile(rb"(AE|AS|CS|DA|DS|DT|IS|LO|LT|OB|OW|PN|SH|SL|SQ|SS|ST|TM|UI|UL|UN|US|UT)")
_METAIMAGE = re.compile(rb"\s*(ObjectType|NDims|Comment)\s*=", re.IGNORECASE)


def sniff(head: bytes) -> str:
    """One of: dicom, dicom-without-header, dicomdir is dicom too; edf, bdf, nifti, nifti-gz, metaimage, …, or unknown.

    head: the first `HEAD_BYTES` of the file, or all of it.
    """
    if not head:
        return "empty"
    if head[128:132] == b"DICM":
        return "dicom"
    for beginning, kind in _BEGINNINGS:
        if head.startswith(beginning):
            return kind
    if head.startswith(b"\x1f\x8b"):
        return "nifti-gz" if _is_nifti(_unzipped(head)) else "gzip"
    if _is_nifti(head):
        return "nifti"
    if _is_bare_dicom(head):
        return "dicom-without-header"
    if _METAIMAGE.match(head):
        return "metaimage"
    return _kind_of_text(head)


def _unzipped(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(31).decompress(head, 1_024)
    except zlib.error:
        return b""


def _is_nifti(head: bytes) -> bool:
    """NIfTI-1 (348 bytes, magic at 344), NIfTI-2 (540 bytes, magic at 4), in both byte orders."""
    sizes = {head[:4]} if len(head) >= 348 else set()
    if sizes & {struct.pack("<i", 348), struct.pack(">i", 348)}:
        return bytes(head[344:348]) in {b"n+1\x00", b"ni1\x00"}
    if sizes & {struct.pack("<i", 540), struct.pack(">i", 540)}:
        return bytes(head[4:8]) in {b"n+2\x00", b"ni2\x00"}
    return False


def _is_bare_dicom(head: bytes) -> bool:
    """A data set that begins at once: group 2 or 8, in either byte order, with a plausible first length."""
    if len(head) < 16:
        return False
    if _VR.match(head, 4):
        return head[:2] in {b"\x02\x00", b"\x08\x00", b"\x00\x08"}
    little_group, little_element, little_length = struct.unpack_from("<HHI", head)
    big_group, big_element, big_length = struct.unpack_from(">HHI", head)
    little = little_group in {2, 8} and little_element < 0x2000 and little_length < 256
    big = big_group == 8 and big_element < 0x2000 and big_length < 256
    return bool(little or big)


def _kind_of_text(head: bytes) -> str:
    try:
        text = head[: len(head) - len(head) % 4 if len(head) == HEAD_BYTES else None].decode(
            "utf-8", "strict"
        )
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # not just a character cut in two at the end
            return "unknown"
        text = head[: error.start].decode("utf-8")
    if any(character < " " and character not in "\t\r\n\f" for character in text):
        return "unknown"
    start = text.lstrip("\ufeff \t\r\n")
    if start.startswith(("{", "[")):
        return "json"
    if start.startswith("<"):
        return "xml"
    return "text"
