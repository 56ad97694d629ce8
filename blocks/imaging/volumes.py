"""Slices put together to volumes, or the reason why not.

Owns: which slices belong together, their order, the way from voxels to the patient; when a stack is none.
May import: numpy, pydicom, blocks.imaging.slices.

A stack with a gap, a double slice, slices that are not equally far from each other or lie askew (tilted gantry) is
refused: no file of the formats that we write could say so, and whoever reads it would measure something else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from blocks.imaging.slices import NoVolume, Slice, said

MOST_VOLUME_BYTES = 2 << 30
_EVEN = 0.02  # how much a step between slices may differ from the mean, as a part of it
_STRAIGHT = 0.02  # how much the stack may lie askew, as a part of its length


@dataclass(frozen=True, slots=True)
class Volume:
    """values: columns x rows x slices [x moments], rows counted from below; of what was acquired in 3D, to the right,
    anterior, superior, or what is nearest to them.  Both as dcm2niix has it.

    affine: from indices to millimetres (RAS+).  scale: slope and intercept of all values.
    off_mm: how far the last slice lies at most from where its file says, for steps that differ.
    """

    values: NDArray[Any]
    affine: NDArray[np.float64]
    scale: tuple[float, float]
    moments: tuple[Slice, ...]  # of the lowest place
    key: tuple[Any, ...]
    off_mm: float

    @property
    def first(self) -> Slice:
        return self.moments[0]

    @property
    def steps(self) -> list[float]:
        return [float(step) for step in np.linalg.norm(self.affine[:3, :3], axis=0)]


def grouped(slices: Iterable[Slice]) -> list[list[Slice]]:
    """What may be one volume, in an order that does not depend on that of the files."""
    groups: dict[tuple[Any, ...], list[Slice]] = {}
    for one in slices:
        groups.setdefault(one.group, []).append(one)
    return [groups[key] for key in sorted(groups, key=repr)]


def put_together(slices: Sequence[Slice], *, step_of: str = "first") -> Volume:
    """slices: of one group.  step_of: "first", the step of dcm2niix, or "mean".  Raises NoVolume."""
    first = slices[0]
    size_bytes = sum(one.pixels.nbytes for one in slices)
    if size_bytes > MOST_VOLUME_BYTES:
        raise NoVolume("too-large", "The volume is larger than the block may hold.", is_fault=True)
    places = _stacked(slices)
    step, off_mm = _step([stack[0] for stack in places], step_of)
    moments = len(places[0])
    values, scale = _values(places)
    rows = first.pixels.shape[0]
    lowest = places[0][0]
    affine = np.eye(4)
    affine[:3, 0] = first.row * first.spacing[0]
    affine[:3, 1] = -first.column * first.spacing[1]
    affine[:3, 2] = step
    affine[:3, 3] = lowest.position + first.column * first.spacing[1] * (rows - 1)
    affine[:2] *= -1  # from LPS to RAS
    if moments == 1:
        values = values[..., 0]
        if len(places) > 1 and _was_acquired_in_3d(first.dataset):
            values, affine = _upright(values, affine)
    return Volume(values, affine, scale, tuple(places[0]), first.group, off_mm)


def _was_acquired_in_3d(dataset: Dataset) -> bool:
    return said(dataset, "MRAcquisitionType") == "3D" and "EP" not in (
        said(dataset, "ScanningSequence") or ""
    )


def _upright(values: NDArray[Any], affine: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """The same voxels at the same places, with axes that go right, anterior, superior as far as they can."""
    parts = np.abs(affine[:3, :3]) / np.linalg.norm(affine[:3, :3], axis=0)
    order = max(permutations(range(3)), key=lambda axes: sum(parts[n, axis] for n, axis in enumerate(axes)))
    values, affine = values.transpose(order), affine[:, [*order, 3]]
    for n in range(3):
        if affine[n, n] < 0:
            affine[:3, 3] += affine[:3, n] * (values.shape[n] - 1)
            affine[:3, n] *= -1
            values = np.flip(values, n)
    return values, affine


def _stacked(slices: Sequence[Slice]) -> list[list[Slice]]:
    """By their places along the normal, and at each place by their moments."""
    normal = slices[0].normal
    ordered = sorted(slices, key=lambda one: float(one.position @ normal))
    nearest = min(slices[0].spacing) * 0.01
    places: list[list[Slice]] = []
    for one in ordered:
        if places and (one.position - places[-1][0].position) @ normal <= nearest:
            places[-1].append(one)
        else:
            places.append([one])
    if len({len(place) for place in places}) > 1:
        raise NoVolume(
            "missing-slices", "Not every place in the stack has the same number of slices.", is_fault=True
        )
    if any(len({one.moment for one in place}) < len(place) for place in places):
        raise NoVolume("double-slices", "Two files hold the same slice.", is_fault=True)
    stacks = [sorted(place, key=lambda one: one.moment) for place in places]
    for moment in zip(*stacks, strict=True):
        if len({one.strength for one in moment}) > 1:
            raise NoVolume(
                "mixed-moments",
                "Slices of different b values cannot be told apart by moments.",
                is_fault=True,
            )
    return stacks


def _step(stack: Sequence[Slice], step_of: str) -> tuple[NDArray[np.float64], float]:
    """From one slice to the next; how far that leads from where a file says that its slice lies, at most."""
    first = stack[0]
    if len(stack) == 1:
        return first.normal * (first.thickness if first.thickness > 0 else 1.0), 0.0
    positions = np.array([one.position for one in stack])
    steps = np.diff(positions, axis=0)
    along = steps @ first.normal
    mean = float(along.mean())
    if np.abs(along - mean).max() > _EVEN * mean:
        text = "The slices are not equally far from each other: one may be missing."
        raise NoVolume("missing-slices", text, is_fault=True)
    whole = positions[-1] - positions[0]
    askew = whole - (whole @ first.normal) * first.normal
    if np.linalg.norm(askew) > _STRAIGHT * np.linalg.norm(whole) + 0.01:
        raise NoVolume(
            "tilted", "The slices lie askew (tilted gantry), which is not made straight here.", is_fault=True
        )
    step = np.asarray(whole / (len(stack) - 1), dtype=np.float64)
    if step_of == "first":
        step = first.normal * float(np.linalg.norm(steps[0]))
    reached = positions[0] + np.arange(len(stack))[:, None] * step
    return step, float(np.linalg.norm(reached - positions, axis=1).max())


def _values(places: Sequence[Sequence[Slice]]) -> tuple[NDArray[Any], tuple[float, float]]:
    """As stored where one scale holds for all; else as real numbers."""
    scales = {one.scale for place in places for one in place}
    one_scale = next(iter(scales)) if len(scales) == 1 else (1.0, 0.0)
    first = places[0][0].pixels
    kind = first.dtype.newbyteorder("=") if len(scales) == 1 else np.dtype(np.float32)
    values = np.empty((first.shape[1], first.shape[0], len(places), len(places[0])), kind, order="F")
    for k, place in enumerate(places):
        for t, one in enumerate(place):
            plane = one.pixels
            if len(scales) > 1:
                plane = (plane * one.scale[0] + one.scale[1]).astype(np.float32)
            values[:, :, k, t] = plane[::-1].T
    if values.dtype == np.uint16 and int(values.max()) < 1 << 15:
        values = values.view(np.int16)  # as most programs want it; the bytes are the same
    return values, one_scale
