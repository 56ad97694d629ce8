"""A block written in Python, as it is shipped with us or installed beside us.

Owns: what such a class must have, how one is found and loaded.
May import: the standard library, blocks.contract.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from blocks.contract.job import Job
from blocks.contract.manifest import Manifest
from blocks.contract.result import Result
from protocol.errors import NotFound

ENTRY_POINTS = "medical_blocks.blocks"
SHIPPED = {
    "classify": "blocks.classification.classify:Classify",
    "deidentify": "blocks.formats.deidentify:Deidentify",
    "dicom-deidentify": "blocks.dicom.deidentify:Deidentify",
    "dicom-preview": "blocks.imaging.preview:Preview",
    "dicom-to-volume": "blocks.imaging.convert:Convert",
    "index": "blocks.formats.index:Index",
}


class Block(Protocol):
    """Made once in a worker process, then asked for one job after another."""

    manifest: Manifest

    def run(self, job: Job, folder: Path) -> Result:
        """Works on `folder`/in, writes below `folder`/out, says what became of each file."""


def known_blocks() -> dict[str, str]:
    """Name → "module:Class" of every Python block that is there; what we ship is not replaced by another."""
    found = {point.name: point.value for point in entry_points(group=ENTRY_POINTS)}
    return found | SHIPPED


def installed_manifest(entry: str) -> Path | None:
    """The `block.toml` in the package of an installed block's module.  Nothing of it is run to find it."""
    top, *rest = entry.partition(":")[0].split(".")
    spec = find_spec(top)  # of a name without dots: nothing is imported
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        for below in (rest, rest[:-1]):  # a package by itself, or a module in one
            if (path := Path(place, *below, "block.toml")).is_file():
                return path
    return None


def load_block(entry: str) -> Block:
    """In a worker process only: this imports the block, and with it whatever parses strangers' files."""
    module, _, name = entry.partition(":")
    try:
        block: Block = getattr(import_module(module), name)()
    except (ImportError, AttributeError) as error:
        raise NotFound(
            f"There is no block {entry}", hint="Install what it needs: see docs/blocks.md."
        ) from error
    return block
