"""A kind is told from the first bytes, whatever the name says."""

from __future__ import annotations

import gzip
import os
import struct

import pytest

from blocks.contract.sniff import HEAD_BYTES, sniff

NIFTI = struct.pack("<i", 348) + bytes(340) + b"n+1\x00"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"", "empty"),
        (bytes(128) + b"DICM\x02\x00", "dicom"),
        (b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100", "dicom-without-header"),
        (b"\x08\x00\x05\x00\x0a\x00\x00\x00ISO_IR 100", "dicom-without-header"),
        (b"\x00\x08\x00\x05CS\x00\x0aISO_IR 100", "dicom-without-header"),
        (b"0       X X X X", "edf"),
        (b"\xffBIOSEMI", "bdf"),
        (NIFTI, "nifti"),
        (gzip.compress(NIFTI, mtime=0), "nifti-gz"),
        (gzip.compress(b"a letter", mtime=0), "gzip"),
        (b"ObjectType = Image\nNDims = 3\n", "metaimage"),
        (b"%PDF-1.7", "pdf"),
        (b'{"PatientName": 1}', "json"),
        (b"<ClinicalDocument>", "xml"),
        ("Grüezi".encode(), "text"),
        (b"x" * (HEAD_BYTES - 1) + "ü".encode()[:1], "text"),
        (b"\x00\x01\x02", "unknown"),
        (b"\x1f\x8b broken", "gzip"),
    ],
)
def test_the_kind_of_a_file_is_told_from_its_first_bytes(head: bytes, kind: str) -> None:
    assert sniff(head) == kind


def test_no_bytes_at_all_make_it_fail() -> None:
    for length in range(600):
        assert sniff(os.urandom(length))


def test_a_start_that_could_be_two_kinds_is_one_whose_cleaner_looks_again() -> None:
    both = bytearray(NIFTI.ljust(352, b"\0"))
    both[128:132] = b"DICM"
    assert sniff(bytes(both)) == "dicom"
    assert sniff(gzip.compress(bytes(both), mtime=0)) == "nifti-gz"
    head, rest = gzip.compress(NIFTI[:100], mtime=0), gzip.compress(NIFTI[100:], mtime=0)
    assert sniff(head + rest) == "gzip"
    named = gzip.compress(NIFTI, mtime=0)
    assert sniff((named[:3] + b"\x08" + named[4:10] + b"a" * HEAD_BYTES + named[10:])[:HEAD_BYTES]) == "gzip"
    assert sniff(NIFTI[:344] + b"n+9\x00") == "unknown"
    assert sniff(b"Comment = Dear colleague") == "metaimage"
    assert sniff(b"Name = Jane\nObjectType = Image\n") == "text"
    assert sniff(b" \n\t{}") == "json"
