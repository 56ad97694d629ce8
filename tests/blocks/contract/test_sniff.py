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
