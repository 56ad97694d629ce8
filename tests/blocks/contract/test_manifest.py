"""A manifest is read whole or refused: nothing in it is silently ignored."""

from __future__ import annotations

import pytest

from blocks.contract.manifest import CommandProgram, read_manifest
from blocks.contract.parameters import check_schema, with_defaults
from protocol.errors import BadRequest

GOOD = b"""
contract = 1
name = "count-slices"
version = "1.0"
summary = "Counts the slices of a series."
produces = ["labels"]

[program]
type = "command"
command = ["{block}/count.py"]

[[accepts]]
types = ["dicom"]

[[accepts]]
names = ["*.NII"]

[parameters.properties.limit]
type = "integer"
minimum = 1
default = 10
"""


def test_a_manifest_says_how_the_block_is_run_and_what_it_takes() -> None:
    manifest = read_manifest(GOOD)

    assert manifest.program == CommandProgram(command=["{block}/count.py"])
    assert manifest.accepts_file("dicom", "IM0001")
    assert manifest.accepts_file("gzip", "brain.nii")
    assert not manifest.accepts_file("pdf", "letter.pdf")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'name = "count-slices"', b'name = "../evil"'),
        (b"contract = 1", b"contract = 2"),
        (b'summary = "Counts the slices of a series."', b""),
        (b'produces = ["labels"]', b'produces = ["everything"]'),
        (b'produces = ["labels"]', b'produces = ["labels"]\nlanguage = "python"'),
        (b"minimum = 1", b'pattern = ".*"'),
        (b'type = "integer"', b'type = "decimal"'),
        (b'type = "command"', b'type = "container"\nimage = "busybox:latest"'),
        (b"[program]", b"[program"),
    ],
)
def test_a_manifest_with_anything_wrong_is_refused(old: bytes, new: bytes) -> None:
    assert old in GOOD
    with pytest.raises(BadRequest, match=r"block\.toml"):
        read_manifest(GOOD.replace(old, new))


SCHEMA = {
    "properties": {
        "side": {"enum": ["left", "right"], "default": "left"},
        "count": {"type": "integer", "minimum": 1, "maximum": 3},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 4}, "maxItems": 2},
        "rules": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "required": ["count"],
}


def test_parameters_left_out_take_their_default() -> None:
    assert with_defaults(SCHEMA, {"count": 2}) == {"count": 2, "side": "left"}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"count": 0},
        {"count": 4},
        {"count": True},
        {"count": 1.5},
        {"count": 1, "side": "up"},
        {"count": 1, "colour": "red"},
        {"count": 1, "tags": ["a", "b", "c"]},
        {"count": 1, "tags": ["abcde"]},
        {"count": 1, "rules": {"a": 1}},
    ],
)
def test_parameters_that_do_not_fit_are_refused(given: dict[str, object]) -> None:
    check_schema(SCHEMA)
    with pytest.raises(BadRequest, match="cannot take these parameters"):
        with_defaults(SCHEMA, given)
