"""Prints what the image holds beside our own package, as `pip download` takes it: the server's and the blocks' needs.

Owns: the choice of extras.  May import: the standard library.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

EXTRAS = ("server", "dicom")


def main() -> None:
    with Path(__file__).resolve().parents[2].joinpath("pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    wanted = [
        *project["dependencies"],
        *(line for extra in EXTRAS for line in project["optional-dependencies"][extra]),
    ]
    print(*(line.replace(" ", "") for line in wanted))


if __name__ == "__main__":
    main()
