"""The block `dicom-preview`: of each series in a folder its middle picture, as a small PNG.

Owns: which picture is shown, its window, its size, PNG itself.
May import: the standard library, numpy, pydicom, blocks.contract, blocks.dicom, blocks.imaging.

Source: PS3.3 C.11.2 (VOI LUT), C.7.6.3.1.2 (photometric interpretation); PNG (ISO/IEC 15948).
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from blocks.contract.job import IN, OUT, Job
from blocks.contract.manifest import read_manifest
from blocks.contract.result import FileResult, Output, Reason, Result, Verdict
from blocks.dicom import files
from blocks.dicom.files import MAX_PIXEL_BYTES, Unreadable

MOST_SIDE = 512
_MANIFEST = Path(__file__).with_name("preview.toml")


class Preview:
    """One worker's copy."""

    def __init__(self) -> None:
        files.be_silent()
        self.manifest = read_manifest(_MANIFEST.read_bytes())

    def run(self, job: Job, folder: Path) -> Result:
        path, outputs, missing = job.files[0].path, [], 0
        series = _middles([folder / IN / file.file for file in job.files])
        for number, (uid, chosen) in enumerate(sorted(series.items()), start=1):
            picture = picture_of(chosen)
            if picture is None:
                missing += 1
                continue
            word = hashlib.sha256(uid.encode()).hexdigest()[:12]
            (folder / OUT / f"{word}.png").write_bytes(as_png(picture))
            name = (path[-2] if len(path) > 1 else "series") + (f"-{number}" if len(series) > 1 else "")
            outputs.append(
                Output(file=f"{word}.png", output=f"preview-{word}", path=[*path[:-2], f"{name}.png"])
            )
        reasons = []
        if missing:
            reasons = [Reason(code="no-picture", text="Of a series there is no picture that can be shown.")]
        verdict = Verdict.RELEASED if outputs else Verdict.UNCHANGED
        return Result(files=[FileResult(source=0, verdict=verdict, reasons=reasons, outputs=outputs)])


def _middles(paths: Sequence[Path]) -> dict[str, Path]:
    """Of each series with pictures the file in the middle, by the numbers of the images."""
    series: dict[str, list[tuple[float, Path]]] = {}
    for path in paths:
        try:
            dataset = pydicom.dcmread(
                path, force=True, specific_tags=["SeriesInstanceUID", "InstanceNumber", "Rows"]
            )
            if dataset.get("Rows"):
                number = float(dataset.get("InstanceNumber") or 0)
                series.setdefault(str(dataset.get("SeriesInstanceUID")), []).append((number, path))
        except (MemoryError, OSError):
            raise
        except Exception:  # noqa: S112 - a file that cannot be read has no preview
            continue
    return {uid: sorted(found)[len(found) // 2][1] for uid, found in series.items()}


def picture_of(path: Path) -> NDArray[np.uint8] | None:
    """rows x columns [x 3], `MOST_SIDE` at most; None: there is none that can be shown."""
    try:
        dataset = files.read(path)
        frames = int(dataset.get("NumberOfFrames") or 1)
        pixel_bytes = int(dataset.get("BitsAllocated") or 8) // 8 * int(dataset.get("SamplesPerPixel") or 1)
        if not 0 < int(dataset.Rows) * int(dataset.Columns) * pixel_bytes * frames <= MAX_PIXEL_BYTES:
            return None
        pixels = dataset.pixel_array
        if frames > 1:
            pixels = pixels[frames // 2]
        return _smaller(_shown(dataset, pixels))
    except (MemoryError, OSError):
        raise
    except Unreadable:
        return None
    except Exception:  # no decoder, a value that is none
        return None


def _shown(dataset: Dataset, pixels: NDArray[Any]) -> NDArray[Any]:
    """Of grey the window that the file names, or from the darkest to the lightest percent; 0 to 255."""
    if pixels.ndim == 3:
        if (
            dataset.PhotometricInterpretation not in {"RGB", "YBR_FULL", "YBR_FULL_422"}
            or pixels.dtype != np.uint8
        ):
            raise ValueError("colours of another kind")
        return pixels
    grey = pixels.astype(np.float64)
    centre, width = (_first(dataset.get(word)) for word in ("WindowCenter", "WindowWidth"))
    if centre is not None and width is not None and width >= 1:
        grey = grey * (_first(dataset.get("RescaleSlope")) or 1) + (
            _first(dataset.get("RescaleIntercept")) or 0
        )
        low, high = centre - width / 2, centre + width / 2
    else:
        low, high = (float(edge) for edge in np.percentile(grey, [1, 99]))
    shown = np.clip((grey - low) / max(high - low, 1e-9), 0, 1) * 255
    return 255 - shown if dataset.get("PhotometricInterpretation") == "MONOCHROME1" else shown


def _first(value: Any) -> float | None:
    try:
        return float(value if isinstance(value, int | float | str) else value[0])
    except (TypeError, ValueError, IndexError):
        return None


def _smaller(picture: NDArray[Any]) -> NDArray[np.uint8]:
    """Each pixel the mean of a square."""
    by = -(-max(picture.shape[:2]) // MOST_SIDE)
    rows, columns = (max(1, length // by) for length in picture.shape[:2])
    whole = picture[: rows * by, : columns * by]
    squares = whole.reshape(
        rows, whole.shape[0] // rows, columns, whole.shape[1] // columns, *picture.shape[2:]
    )
    means: NDArray[np.float64] = squares.mean(axis=(1, 3))
    return np.rint(means).astype(np.uint8)


def as_png(picture: NDArray[np.uint8]) -> bytes:
    """Eight bits, grey or colours; nothing but the picture."""
    rows, columns = picture.shape[:2]
    lines = picture.reshape(rows, -1)
    plain = np.hstack([np.zeros((rows, 1), np.uint8), lines]).tobytes()  # no filter on any line
    head = struct.pack(">2I5B", columns, rows, 8, 2 if picture.ndim == 3 else 0, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(plain, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
