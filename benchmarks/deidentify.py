"""What de-identifying costs beside pydicom alone: `python -m benchmarks.deidentify`.

Owns: this one comparison, on the DICOM files that packages ship.  May import: pydicom, blocks.dicom, tests.

The peer reads a file, walks all its elements and writes it: what anybody who changes a DICOM file with pydicom pays.
Both are measured in CPU seconds of one process, file by file and in turns, the best of several; only files of which
something comes out count.  Memory is what this process grows by over 4,000 files.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import pydicom

from blocks.dicom import files
from blocks.dicom.decisions import Decisions
from blocks.dicom.deidentify import deidentify
from blocks.dicom.pseudonyms import Pseudonyms
from tests.blocks.dicom.test_corpus import shipped
from tests.support.dicom_studies import KEY, a_template, an_image, file_bytes

MOST_BYTES = 3_000_000
SLICES = 4_000


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.deidentify", description=__doc__.partition("\n")[0]
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="of each file the best of so many counts (default: 5)"
    )
    rounds = parser.parse_args(arguments).rounds
    files.be_silent()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        _beside_pydicom(Path(folder), rounds)
        _memory(Path(folder))


def _beside_pydicom(folder: Path, rounds: int) -> None:
    decisions, pseudonyms = Decisions(a_template("basic")), Pseudonyms(KEY)

    def plain(path: Path) -> bool:
        dataset = pydicom.dcmread(path, force=True)
        for element in dataset.iterall():
            _ = element.value
        dataset.save_as(folder / "plain.dcm")
        return True

    def ours(path: Path) -> bool:
        cleaned = deidentify(path, decisions, pseudonyms)
        if cleaned.data is None:
            return False
        (folder / "ours.dcm").write_bytes(cleaned.data)
        return True

    times: list[tuple[float, float]] = []
    for path in shipped():
        if path.stat().st_size <= MOST_BYTES and _works(plain, path) and ours(path):
            best = [min(_seconds(one, path) for _ in range(rounds)) for one in (plain, ours)]
            times.append((best[0], best[1]))
    ratios = sorted(mine / theirs for theirs, mine in times)
    together = sum(mine for _, mine in times) / sum(theirs for theirs, _ in times)
    print(f"{len(times)} files: all together {together:.2f} x pydicom's read, walk and write;")
    print(f"of single files the median {ratios[len(ratios) // 2]:.2f}, the worst {ratios[-1]:.2f}.")


def _memory(folder: Path) -> None:
    decisions, pseudonyms = Decisions(a_template("basic")), Pseudonyms(KEY)
    path, peaks = folder / "slice.dcm", []
    for number in range(SLICES):
        image = an_image(SOPInstanceUID=f"1.2.826.0.1.99.1.1.{number}", InstanceNumber=number)
        image.Rows = image.Columns = 512
        image.PixelData = bytes(512 * 512 * 2)
        path.write_bytes(file_bytes(image))
        deidentify(path, decisions, pseudonyms)
        if number in (SLICES // 20, SLICES - 1):
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024)
    print(f"Memory after {SLICES // 20:,} slices {peaks[0]:.0f} MiB, after {SLICES:,} {peaks[1]:.0f} MiB.")


def _works(plain: Callable[[Path], bool], path: Path) -> bool:
    try:
        return plain(path)
    except Exception:  # a damaged file: pydicom alone cannot write it
        return False


def _seconds(work: Callable[[Path], bool], path: Path) -> float:
    began = time.process_time()
    work(path)
    return time.process_time() - began


if __name__ == "__main__":
    main()
