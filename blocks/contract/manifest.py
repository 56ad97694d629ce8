"""What a block says of itself, before it is ever run: `block.toml`.

Owns: the manifest's shape and bounds, and which files a block accepts.
May import: msgspec, protocol, blocks.contract.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Collection
from enum import Enum
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from blocks.contract.parameters import check_schema
from protocol.errors import BadRequest

CONTRACT = 1  # the number of this contract; a block says which one it was written for

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=60)]
Version = Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+){0,3}([.+-][0-9a-z.]+)?$", max_length=40)]
Sentence = Annotated[str, Meta(min_length=1, max_length=500)]
Argument = Annotated[str, Meta(max_length=4_096, pattern=r"^[^\x00]*$")]
Arguments = Annotated[list[Argument], Meta(min_length=1, max_length=100)]
Glob = Annotated[str, Meta(min_length=1, max_length=255)]

MEBIBYTE = 1 << 20


class Produces(Enum):
    """What a block may hand back; anything else in its result is refused."""

    VERSION = "version"  # a new version of the file it was given
    DERIVED = "derived"  # files beside it
    LABELS = "labels"
    ATTRIBUTES = "attributes"  # for the catalog: of its outputs, or of the file that it was given
    VERDICT = "verdict"  # it may hold a file back for a person to look at


class Unit(Enum):
    """What one job is about."""

    FILE = "file"
    FOLDER = (
        "folder"  # all files that lie in one, when nothing came for a while: a series needs all its slices
    )


def names_fit(globs: Collection[str], name: str) -> bool:
    """Whether a file's own name fits one of them, in any case of letters; of none: it does."""
    lower = name.lower()
    return not globs or any(fnmatch.fnmatchcase(lower, glob.lower()) for glob in globs)


class Accepts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Files whose sniffed type and whose name both fit; an empty list is no condition."""

    types: Annotated[list[Annotated[str, Meta(max_length=40)]], Meta(max_length=50)] = []
    names: Annotated[list[Glob], Meta(max_length=50)] = []

    def fits(self, kind: str, name: str) -> bool:
        return (not self.types or kind in self.types) and names_fit(self.names, name)


class Resources(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one run may use.  The server's policy may allow less, never more."""

    memory_bytes: Annotated[int, Meta(ge=64 * MEBIBYTE, le=1 << 40)] = 1_024 * MEBIBYTE
    cpu_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 600
    wall_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 600
    output_bytes: Annotated[int, Meta(ge=0, le=1 << 44)] = 4_096 * MEBIBYTE
    output_files: Annotated[int, Meta(ge=0, le=100_000)] = 10_000
    open_files: Annotated[int, Meta(ge=16, le=65_536)] = 256
    processes: Annotated[int, Meta(ge=1, le=4_096)] = 128
    cpus: Annotated[float, Meta(gt=0, le=256)] = 1.0
    batch_files: Annotated[int, Meta(ge=1, le=10_000)] = 1  # how many files one job may bring


class PythonProgram(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="python"):
    """A class shipped with us, or installed beside us under the entry point `medical_blocks.blocks`."""

    entry: Annotated[str, Meta(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$", max_length=200)]


class CommandProgram(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="command"):
    """A program in the block's own folder, run in a sandbox.  `{block}` stands for that folder."""

    command: Arguments


class ContainerProgram(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="container"):
    """An image, named by its digest: a name alone may be another image tomorrow."""

    image: Annotated[
        str, Meta(pattern=r"^([A-Za-z0-9][A-Za-z0-9._/:-]*@)?sha256:[0-9a-f]{64}$", max_length=400)
    ]
    command: Annotated[list[Argument], Meta(max_length=100)] = []


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that rules, runners and people need to know of a block."""

    contract: Annotated[int, Meta(ge=1, le=CONTRACT)]
    name: Name
    version: Version
    summary: Sentence
    program: PythonProgram | CommandProgram | ContainerProgram
    accepts: Annotated[list[Accepts], Meta(min_length=1, max_length=50)]
    produces: Annotated[list[Produces], Meta(min_length=1, max_length=len(Produces))]
    unit: Unit = Unit.FILE
    settle_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 10  # how long a folder is at rest before its turn
    parameters: dict[str, Any] = {}  # a JSON schema: see blocks.contract.parameters
    resources: Resources = Resources()

    def __post_init__(self) -> None:
        check_schema(self.parameters)
        if self.unit is Unit.FOLDER and {Produces.VERSION, Produces.LABELS} & set(self.produces):
            raise BadRequest(
                "A block that works on folders makes neither versions nor labels of one file",
                hint='Say produces = ["derived"].',
            )

    def accepts_file(self, kind: str, name: str) -> bool:
        """kind: as `blocks.contract.sniff` tells it.  name: the file's own, without its folders."""
        return any(accepts.fits(kind, name) for accepts in self.accepts)


def read_manifest(text: bytes) -> Manifest:
    """The manifest in a `block.toml`; BadRequest says where it is wrong."""
    try:
        return msgspec.toml.decode(text, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, BadRequest) as error:
        raise BadRequest(
            f"block.toml is not a manifest: {error}", hint="docs/blocks.md lists every line of it."
        ) from error
