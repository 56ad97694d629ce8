"""A preview is the middle picture of a series, in its window, small, and nothing else."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from blocks.contract.job import InputFile, Job
from blocks.contract.output import check_finished
from blocks.contract.result import Verdict, encode_result
from blocks.imaging.preview import MOST_SIDE, Preview
from tests.support.dicom_studies import an_image, file_bytes
from tests.support.series import a_series, written


def previews(folder: Path, files: list[bytes]) -> tuple[Verdict, dict[str, np.ndarray[Any, Any]]]:
    for name in ("in", "out"):
        (folder / name).mkdir(parents=True)
    written(folder / "in", files)
    inputs = [
        InputFile(file=str(n), path=["P", "s", "series 3", f"{n}.dcm"], kind="dicom", size_bytes=1)
        for n in range(len(files))
    ]
    job = Job(id="1", block="dicom-preview", version="1.0", parameters={}, files=inputs)
    block = Preview()
    (folder / "result.json").write_bytes(encode_result(block.run(job, folder)))
    [answer] = check_finished(folder, job, block.manifest).result.files
    return answer.verdict, {
        output.path[-1]: np.asarray(Image.open(BytesIO((folder / "out" / output.file).read_bytes())))
        for output in answer.outputs
    }


def test_it_is_the_middle_picture_in_the_window_of_the_file(tmp_path: Path) -> None:
    levels = [np.full((12, 10), 100 * n, "<u2") for n in range(5)]
    files = a_series(PixelData=lambda n: levels[n].tobytes(), WindowCenter=200, WindowWidth=400)
    _, made = previews(tmp_path, files)
    [(name, picture)] = made.items()
    assert name == "series 3.png"
    assert picture.shape == (12, 10)
    assert set(picture.ravel().tolist()) == {128}  # of 0 to 400, the third of five


@pytest.mark.parametrize(("kind", "first"), [("MONOCHROME2", 0), ("MONOCHROME1", 255)])
def test_without_a_window_all_but_the_extremes_is_shown_and_dark_is_dark(
    tmp_path: Path, kind: str, first: int
) -> None:
    ramp = np.arange(256 * 4, dtype="<u2").reshape(32, 32).copy()
    ramp[31, 31] = 60_000
    files = [
        file_bytes(an_image(Rows=32, Columns=32, PixelData=ramp.tobytes(), PhotometricInterpretation=kind))
    ]
    _, made = previews(tmp_path, files)
    [picture] = made.values()
    assert picture[0, 0] == first
    assert abs(int(picture[16, 0]) - 128) < 5


def test_it_is_small_and_of_colours_and_frames_too(tmp_path: Path) -> None:
    colours = np.zeros((2, 1500, 700, 3), np.uint8)
    colours[1, :, :, 0] = 200
    image = an_image(
        Rows=1500, Columns=700, SamplesPerPixel=3, PlanarConfiguration=0, PhotometricInterpretation="RGB",
        BitsAllocated=8, BitsStored=8, HighBit=7, NumberOfFrames=2, PixelData=colours.tobytes(),
    )  # fmt: skip
    _, made = previews(tmp_path, [file_bytes(image)])
    [picture] = made.values()
    assert picture.shape == (500, 233, 3)
    assert max(picture.shape) <= MOST_SIDE
    assert picture[0, 0].tolist() == [200, 0, 0]


@pytest.mark.parametrize("data", [b"\0" * 128 + b"DICM", file_bytes(an_image(PixelData=b"short!")),
                                  file_bytes(an_image(Rows=60_000, Columns=60_000))])  # fmt: skip
def test_of_what_cannot_be_shown_none_is_made(tmp_path: Path, data: bytes) -> None:
    assert previews(tmp_path, [data]) == (Verdict.UNCHANGED, {})
