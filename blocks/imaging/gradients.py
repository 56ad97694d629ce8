"""Strengths and directions of diffusion gradients beside a volume, in the form of FSL (.bval, .bvec).

Owns: whether a volume has them all, and the way from the patient's axes to those of the volume.
May import: numpy, blocks.imaging.

Source: PS3.3 C.8.13.5.9 (b in s/mm², directions in the patient's coordinates); FSL (directions along the axes of a
volume that is stored left-handed, as ours are).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from blocks.imaging.volumes import Volume


def gradients_of(volume: Volume) -> tuple[str, str] | None:
    """The texts of both files; None: not every moment has a strength, and a direction where it is not zero.

    Only the standard's own attributes are read, not those of makers.
    """
    strengths, directions = [], []
    for moment in volume.moments:
        if moment.strength is None or (moment.strength > 0 and moment.direction is None):
            return None
        axes = np.array([moment.row, -moment.column, moment.normal])
        way = np.zeros(3) if moment.direction is None or moment.strength == 0 else axes @ moment.direction
        strengths.append(moment.strength)
        directions.append(way)
    if len(strengths) < 2 or not any(strengths):
        return None
    return _line(strengths), "".join(_line(part) for part in np.array(directions).T)


def _line(numbers: Iterable[float]) -> str:
    return " ".join(f"{float(number) + 0.0:.6g}" for number in numbers) + "\n"
