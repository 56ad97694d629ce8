"""What a block answers: `result.json`.

Owns: its shape and bounds, verdicts, the exit codes of a block.
May import: msgspec, protocol, blocks.contract.

The answer comes from a program that we do not trust: everything in it is bounded, and checked against the job and
against what really lies in `out/` by `blocks.contract.output`.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from blocks.contract.manifest import CONTRACT
from protocol.attributes import KINDS
from protocol.errors import Refused
from protocol.limits import MAX_ATTRIBUTE_TEXT, MAX_ATTRIBUTE_VALUES

MAX_RESULT_BYTES = 32 << 20
MAX_OUTPUTS = 100_000

Word = Annotated[str, Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
Text = Annotated[str, Meta(max_length=1_000)]
Attributes = Annotated[str, Meta(pattern=r"^[A-Za-z0-9,.+-]*$", max_length=200)]


class ExitCode(IntEnum):
    """How a block's program ends.  Any other code, or a signal, is a crash."""

    DONE = 0  # result.json says what became of each file
    FAILED = 1  # it could not do its work; doing it again will not help
    AGAIN = 75  # not now (a licence server, a lock): the same job may succeed later


class Verdict(Enum):
    RELEASED = "released"  # the outputs may be published
    QUARANTINED = "quarantined"  # a person must look; outputs are held back
    UNCHANGED = "unchanged"  # the block has nothing to say of this file
    FAILED = "failed"  # this file could not be worked on; the others may be fine


class OutputKind(Enum):
    VERSION = "version"
    DERIVED = "derived"
    REPORT = "report"  # for the people of the source, not published beside the outputs


class Reason(Struct, frozen=True, kw_only=True):
    """Why, in a word for programs and a sentence for people.  Never a value taken from the file."""

    code: Word
    text: Text = ""


# What the catalog takes over of a file: see protocol.attributes for the keywords, and the kind of each one's value.
Attribute = (
    Annotated[str, Meta(max_length=MAX_ATTRIBUTE_TEXT)]
    | int
    | float
    | Annotated[
        list[Annotated[str, Meta(max_length=MAX_ATTRIBUTE_TEXT)] | int | float],
        Meta(max_length=MAX_ATTRIBUTE_VALUES),
    ]
)
AttributeTable = Annotated[dict[str, Attribute], Meta(max_length=len(KINDS))]


class Output(Struct, frozen=True, kw_only=True):
    """One file that the block wrote."""

    file: Annotated[str, Meta(min_length=1, max_length=4_096)]  # below out/
    output: Word = "main"  # which of its outputs: the same word for the same thing in every run
    kind: OutputKind = OutputKind.DERIVED
    path: Annotated[list[str], Meta(max_length=128)] = []  # where it should appear below the rule's target
    attributes: AttributeTable = {}  # of this output, for the catalog


class Label(Struct, frozen=True, kw_only=True):
    """Something the block found out about a file.

    source: the attributes of the file that it was read from, joined by "+": keywords of the standard, or tags where it
    has none ("EchoTime+RepetitionTime", "0019,100C"); never what stands in them.
    """

    name: Word
    value: Annotated[str, Meta(min_length=1, max_length=200)]
    rule: Word = "block"  # which of its rules said so
    confidence: Annotated[float, Meta(ge=0, le=1)] = 1.0
    source: Attributes = ""


class FileResult(Struct, frozen=True, kw_only=True):
    """What became of one file of the job, named by its place in `Job.files`."""

    source: Annotated[int, Meta(ge=0, le=9_999)]
    verdict: Verdict
    reasons: Annotated[list[Reason], Meta(max_length=100)] = []
    outputs: Annotated[list[Output], Meta(max_length=10_000)] = []
    labels: Annotated[list[Label], Meta(max_length=500)] = []
    attributes: AttributeTable = {}  # of the file itself; of one in an intake they are not taken


class Result(Struct, frozen=True, kw_only=True):
    contract: Annotated[int, Meta(ge=1, le=CONTRACT)] = CONTRACT
    files: Annotated[list[FileResult], Meta(max_length=10_000)]


def encode_result(result: Result) -> bytes:
    return msgspec.json.encode(result)


def decode_result(data: bytes) -> Result:
    """The answer in these bytes; Refused (with the place, never the value) if it is none."""
    if len(data) > MAX_RESULT_BYTES:
        raise Refused("The block's result.json is too long", hint="The block needs to be mended.")
    try:
        return msgspec.json.decode(data, type=Result)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused(
            f"The block's result.json is not a result: {_without_values(error)}",
            hint="The block needs to be mended; docs/blocks.md shows a result.",
        ) from error


def _without_values(error: Exception) -> str:
    """Only where and what kind: msgspec shows an invalid enum's value, which may be a patient's."""
    text = str(error)
    return text if "Invalid enum value" not in text else "an unknown word" + text[text.rfind(" - at") :]
