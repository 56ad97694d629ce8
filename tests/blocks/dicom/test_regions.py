"""Outside the regions of ultrasound that a file names all may be made black, for the devices that a site names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from tests.support.dicom_studies import an_image, cleaned, reread

US = "1.2.840.10008.5.1.4.1.1.6.1"
BOX = {"modality": "US", "manufacturer": "acme", "outside_regions": True}


def a_region(left: int, top: int, right: int, bottom: int) -> Dataset:
    """As the standard counts: the last column and row belong to it."""
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0
    region.RegionLocationMinX0, region.RegionLocationMinY0 = left, top
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = right, bottom
    return region


def an_ultrasound(*regions: Dataset, **attributes: object) -> Dataset:
    values = {
        "SOPClassUID": US, "Modality": "US", "Rows": 12, "Columns": 20, "BitsAllocated": 8, "BitsStored": 8,
        "HighBit": 7, "PixelData": bytes([200]) * 480, "NumberOfFrames": 2,
    }  # fmt: skip
    return an_image(SequenceOfUltrasoundRegions=list(regions), **(values | attributes))


def blanked(folder: Path, dataset: Dataset, **site: object) -> tuple[np.ndarray, list[str], Dataset]:
    result = cleaned(folder, dataset, site={"boxes": [BOX]} | site)
    made = reread(result)
    pixels = np.frombuffer(made.PixelData, np.uint8).reshape(2, 12, 20)
    return pixels, [reason.code for reason in result.reasons], made


def test_only_the_regions_are_left_in_each_frame(tmp_path: Path) -> None:
    pixels, reasons, made = blanked(tmp_path, an_ultrasound(a_region(2, 3, 8, 9), a_region(6, 1, 18, 5)))
    wanted = np.zeros((12, 20), np.uint8)
    wanted[3:10, 2:9] = wanted[1:6, 6:19] = 200
    assert (pixels == wanted).all()
    assert reasons == [
        "burned-in-risk"
    ]  # people write inside the regions too: a person looks at what is left
    assert made.get("BurnedInAnnotation") != "NO"


def test_where_the_site_trusts_what_is_left_it_may_pass(tmp_path: Path) -> None:
    pixels, reasons, made = blanked(tmp_path, an_ultrasound(a_region(0, 2, 19, 11)), trusted=["US"])
    assert (pixels[:, :2] == 0).all()
    assert (pixels[:, 2:] == 200).all()
    assert (reasons, made.BurnedInAnnotation) == ([], "NO")
    assert "113101" in [code.CodeValue for code in made.DeidentificationMethodCodeSequence]


@pytest.mark.parametrize(
    "regions",
    [[], [a_region(5, 5, 25, 8)], [a_region(8, 3, 2, 9)], [Dataset()], [a_region(0, 0, 19, 11)],
     [a_region(2, 3, 8, 9), a_region(2, 3, 8, 12)]],
)  # fmt: skip
def test_where_no_region_is_right_nothing_is_black_and_a_person_must_look(
    tmp_path: Path, regions: list[Dataset]
) -> None:
    pixels, reasons, _ = blanked(tmp_path, an_ultrasound(*regions))
    assert (pixels == 200).all()
    assert reasons == ["burned-in-risk"]


def test_another_device_is_not_meant(tmp_path: Path) -> None:
    pixels, reasons, _ = blanked(tmp_path, an_ultrasound(a_region(2, 3, 8, 9), Manufacturer="Other"))
    assert (pixels == 200).all()
    assert reasons == ["burned-in-risk"]


def test_areas_of_the_site_and_regions_of_the_file_add_up(tmp_path: Path) -> None:
    boxes = [BOX, {"modality": "US", "areas": [[0, 0, 20, 5]]}]
    pixels, reasons, _ = blanked(tmp_path, an_ultrasound(a_region(2, 3, 8, 9)), boxes=boxes)
    wanted = np.zeros((12, 20), np.uint8)
    wanted[5:10, 2:9] = 200
    assert (pixels == wanted).all()
    assert reasons == []
