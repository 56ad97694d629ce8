"""DICOM series with a known geometry, made by the test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tests.support.dicom_studies import an_image, file_bytes

CORNER = (-30.0, 20.0, -10.0)


def a_series(
    row: Sequence[float] = (1, 0, 0),
    column: Sequence[float] = (0, 1, 0),
    *,
    slices: int = 5,
    moments: int = 1,
    step: float = 2.5,
    askew: Sequence[float] = (0, 0, 0),
    places: Sequence[float] | None = None,
    rows: int = 12,
    columns: int = 10,
    spacing: tuple[float, float] = (1.5, 0.9),
    **attributes: object,
) -> list[bytes]:
    """Files in no order.  row, column: in which a picture's columns and rows count up (LPS).

    askew: added at each step.

    attributes: a value, or what makes one of the number of the image.
    """
    across, down = (np.array(one, float) / np.linalg.norm(one) for one in (row, column))
    normal = np.cross(across, down)
    chance = np.random.default_rng(3)
    made = []
    for number in range(slices * moments):
        n = number % slices
        along = step * n if places is None else places[n]
        position = np.array(CORNER) + normal * along + np.array(askew, float) * n
        own: dict[str, object] = {
            "SOPInstanceUID": f"1.2.826.0.1.99.1.1.{number + 1}",
            "InstanceNumber": number + 1,
            "AcquisitionNumber": number // slices + 1,
            "Rows": rows,
            "Columns": columns,
            "PixelData": chance.integers(0, 4_000, (rows, columns)).astype("<u2").tobytes(),
            "ImagePositionPatient": [f"{value:.9g}" for value in position],
            "ImageOrientationPatient": [f"{value:.9g}" for value in (*across, *down)],
            "PixelSpacing": list(spacing),
            "SliceThickness": step,
        }
        for key, value in attributes.items():
            own[key] = value(number) if isinstance(value, Callable) else value  # type: ignore[arg-type] # of an int
        made.append(file_bytes(an_image(**own)))
    return [made[n * 7 % len(made)] for n in range(len(made))] if len(made) % 7 else made


def written(folder: Path, files: Sequence[bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(files):
        (folder / str(number)).write_bytes(data)
    return folder
