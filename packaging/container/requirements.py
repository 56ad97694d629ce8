"""Prints what the image holds beside our own package, as `pip download` takes it: the server's and the blocks' needs.

Owns: the choice of extras.  May import: the standard library.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

OURS = "medical-blocks"
EXTRAS = ("server", "imaging")


def main() -> None:
    with Path(__file__).resolve().parents[2].joinpath("pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(line for extra in EXTRAS for line in needs(extra, extras))]
    print(*(line.replace(" ", "") for line in wanted))


def needs(extra: str, extras: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """What the extra asks for, and the extras of ours that it stands on."""
    for line in extras[extra]:
        if line.startswith(f"{OURS}["):
            for other in line.removeprefix(f"{OURS}[").rstrip("]").split(","):
                yield from needs(other, extras)
        else:
            yield line


if __name__ == "__main__":
    main()
