"""A volume made of a series is the one that dcm2niix makes, or none is made and the reason is said."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from os import environ
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from blocks.contract.job import InputFile, Job
from blocks.contract.output import check_finished
from blocks.contract.result import FileResult, Verdict, encode_result
from blocks.imaging.convert import Convert
from tests.support.dicom_studies import KEY, an_image, file_bytes, found_in
from tests.support.series import CORNER, a_series, written

CT = {"Modality": "CT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}
BLOCK = Convert()
SHIPPED = Path(pydicom.__file__).parent / "data/test_files/dicomdirtests"


def converted(
    folder: Path, files: list[bytes], form: str = "nifti", step: str = "first"
) -> tuple[FileResult, dict[str, Path]]:
    """The block's answer, and each file that it made, by its new name."""
    run = folder / f"run-{form}"
    for name in ("in", "out", "keys"):
        (run / name).mkdir(parents=True)
    (run / "keys/project").write_bytes(KEY)
    written(run / "in", files)
    inputs = [
        InputFile(file=str(n), path=["PABC", "study", "series 3", f"{n}.dcm"], kind="dicom", size_bytes=1)
        for n in range(len(files))
    ]
    job = Job(id="1", block="dicom-to-volume", version="1.0", parameters={"format": form, "step": step}, files=inputs,
              keys={"project": "keys/project"})  # fmt: skip
    result = BLOCK.run(job, run)
    (run / "result.json").write_bytes(encode_result(result))
    [answer] = check_finished(run, job, BLOCK.manifest).result.files
    made = {}
    for output in answer.outputs:
        assert output.path[:-1] == ["PABC", "study"]
        named = run / output.path[-1]
        (run / "out" / output.file).rename(named)
        made[output.path[-1]] = named
    return answer, made


def by_dcm2niix(folder: Path, files: list[bytes]) -> list[nibabel.Nifti1Image]:
    source, target = written(folder / "theirs", files), folder / "made"
    target.mkdir()
    program = Path(sys.executable).with_name("dcm2niix")
    subprocess.run([program, "-z", "y", "-b", "n", "-o", target, source], check=True, capture_output=True)
    return [nibabel.load(path) for path in sorted(target.glob("*.nii.gz"))]


def agree(ours: nibabel.Nifti1Image, theirs: nibabel.Nifti1Image) -> bool:
    return (
        ours.shape == theirs.shape
        and np.array_equal(np.asanyarray(ours.dataobj), np.asanyarray(theirs.dataobj))
        and np.allclose(ours.affine, theirs.affine, atol=1e-4)
        and np.allclose(ours.get_qform(), ours.affine, atol=5e-3)
        and np.allclose(ours.header.get_zooms()[:3], theirs.header.get_zooms()[:3], atol=1e-4)
    )


SERIES: dict[str, dict[str, Any]] = {
    "axial": {},
    "feet first": {"row": (-1, 0, 0)},
    "sagittal": {"row": (0, 1, 0), "column": (0, 0, -1)},
    "coronal": {"row": (1, 0, 0), "column": (0, 0, -1)},
    "oblique": {"row": (0.8, 0.6, 0), "column": (-0.48, 0.64, 0.6)},
    "downwards": {"step": -2.5},
    "one slice": {"slices": 1},
    "moments": {"moments": 3, "slices": 4},
    "ct": {**CT, "RescaleSlope": 1, "RescaleIntercept": -1024},
    "other scales": {"RescaleSlope": lambda n: 0.5 * n + 0.5, "RescaleIntercept": 0},
    "sagittal in 3d": {
        "row": (0.02, 1, 0),
        "column": (0.02, -0.0004, -1),
        "MRAcquisitionType": "3D",
        "slices": 6,
    },
    "axial in 3d": {"MRAcquisitionType": "3D", "slices": 6},
    "epi in 3d": {"MRAcquisitionType": "3D", "ScanningSequence": "EP", "slices": 6},
    "16 bits": {"PixelData": np.full((12, 10), 60_000, "<u2").tobytes()},
    "signed": {"PixelRepresentation": 1, "PixelData": np.arange(-60, 60).astype("<i2").tobytes()},
}


@pytest.mark.parametrize("name", SERIES)
def test_it_agrees_with_dcm2niix_on_shape_values_and_affine(tmp_path: Path, name: str) -> None:
    files = a_series(**SERIES[name])
    answer, made = converted(tmp_path, files)
    assert (answer.verdict, answer.reasons) == (Verdict.RELEASED, [])
    assert sorted(made) == ["series 3.json", "series 3.nii.gz"]
    [theirs] = by_dcm2niix(tmp_path, files)
    assert agree(nibabel.load(made["series 3.nii.gz"]), theirs)


@pytest.mark.parametrize("of", ["98892003/MR700", "98892001/CT5N"])
def test_it_agrees_with_dcm2niix_on_what_scanners_wrote(tmp_path: Path, of: str) -> None:
    agrees_on(tmp_path, sorted((SHIPPED / of).iterdir()))


@pytest.mark.skipif("MB_MORE_DICOM" not in environ, reason="looks at the folder that MB_MORE_DICOM names")
def test_it_agrees_with_dcm2niix_on_every_volume_of_a_folder(tmp_path: Path) -> None:
    series: dict[tuple[Path, str], list[Path]] = {}
    for path in sorted(Path(environ["MB_MORE_DICOM"]).rglob("*")):
        if path.is_file() and path.read_bytes()[128:132] == b"DICM":
            uid = pydicom.dcmread(path, specific_tags=["SeriesInstanceUID"]).get("SeriesInstanceUID", "")
            series.setdefault((path.parent, uid), []).append(path)
    many = [files for files in series.values() if len(files) > 1]
    assert many
    for number, files in enumerate(many):
        agrees_on(tmp_path / str(number), files)


def agrees_on(folder: Path, paths: list[Path]) -> None:
    files = [path.read_bytes() for path in paths]
    _, made = converted(folder, files)
    volumes = [nibabel.load(path) for name, path in made.items() if name.endswith(".nii.gz")]
    theirs = by_dcm2niix(folder, files)
    assert volumes
    assert all(any(agree(one, other) for one in volumes) for other in theirs)
    assert len(volumes) == len(theirs)


def test_two_echoes_become_two_volumes_and_the_order_of_the_files_does_not_matter(tmp_path: Path) -> None:
    files = a_series(moments=2, slices=4, EchoTime=lambda n: 5 if n < 4 else 10)
    answer, made = converted(tmp_path / "a", files)
    assert sorted(made) == ["series 3-1.json", "series 3-1.nii.gz", "series 3-2.json", "series 3-2.nii.gz"]
    again, others = converted(tmp_path / "b", files[::-1])
    assert [(one.output, one.path) for one in again.outputs] == [
        (one.output, one.path) for one in answer.outputs
    ]
    assert [path.read_bytes() for path in made.values()] == [path.read_bytes() for path in others.values()]
    more, _ = converted(tmp_path / "c", a_series(slices=6))
    fewer, _ = converted(tmp_path / "d", a_series(slices=5))
    assert [one.output for one in more.outputs] == [
        one.output for one in fewer.outputs
    ]  # versions of one file


def test_each_voxel_lies_where_its_slice_said(tmp_path: Path) -> None:
    row, column = np.array([0.8, 0.6, 0]), np.array([-0.48, 0.64, 0.6])
    _, made = converted(tmp_path, a_series(tuple(row), tuple(column)))
    image = nibabel.load(made["series 3.nii.gz"])
    values = np.asanyarray(image.dataobj)
    for data in a_series(tuple(row), tuple(column)):
        dataset = pydicom.dcmread(_as_file(tmp_path, data))
        position = np.array([float(one) for one in dataset.ImagePositionPatient])
        for i, j in ((0, 0), (11, 0), (0, 9), (11, 9), (4, 7)):
            place = (position + row * 0.9 * j + column * 1.5 * i) * (-1, -1, 1)
            index = np.linalg.inv(image.affine) @ [*place, 1]
            x, y, z = np.rint(index[:3]).astype(int)
            assert np.allclose(index[:3], [x, y, z], atol=1e-3)
            assert values[x, y, z] == dataset.pixel_array[i, j]
    assert CORNER


def _as_file(folder: Path, data: bytes) -> Path:
    (folder / "one.dcm").write_bytes(data)
    return folder / "one.dcm"


@pytest.mark.parametrize("name", ["axial", "oblique", "moments", "ct", "other scales", "sagittal in 3d"])
def test_as_metaimage_it_is_the_same_volume(tmp_path: Path, name: str) -> None:
    files = a_series(**SERIES[name])
    _, made = converted(tmp_path, files)
    _, meta = converted(tmp_path, files, "metaimage")
    nifti = SimpleITK.ReadImage(str(made["series 3.nii.gz"]))
    image = SimpleITK.ReadImage(str(meta["series 3.mha"]))
    values = [SimpleITK.GetArrayFromImage(one).astype(float) for one in (image, nifti)]
    assert np.allclose(values[0][..., ::-1, :], values[1])
    size = image.GetSize()
    for corner in ((0, 0, 0), (size[0] - 1, 0, 2), (0, size[1] - 1, 1)):
        flipped = (corner[0], size[1] - 1 - corner[1], corner[2])
        rest = (0,) * (len(size) - 3)
        one = image.TransformIndexToPhysicalPoint((*corner, *rest))
        other = nifti.TransformIndexToPhysicalPoint((*flipped, *rest))
        assert np.allclose(one[:3], other[:3], atol=1e-3)


@pytest.mark.parametrize(
    ("series", "code", "verdict"),
    [
        ({"places": [0, 2.5, 5, 10, 12.5]}, "missing-slices", Verdict.FAILED),
        ({"places": [0, 2.5, 5, 5, 7.5]}, "missing-slices", Verdict.FAILED),
        ({"places": [0, 0, 2.5, 2.5, 5, 5], "slices": 6, "InstanceNumber": 1}, "double-slices", Verdict.FAILED),
        ({"askew": (0, 0.7, 0)}, "tilted", Verdict.FAILED),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "no-position", Verdict.FAILED),
        ({"PixelData": b"short!"}, "not-readable", Verdict.FAILED),
        ({"Rows": 60_000, "Columns": 60_000}, "too-large", Verdict.FAILED),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]}, "mosaic", Verdict.UNCHANGED),
        ({"SamplesPerPixel": 3}, "colour", Verdict.UNCHANGED),
        ({"Modality": "SEG"}, "segmentation", Verdict.UNCHANGED),
        ({"PixelSpacing": None}, "no-position", Verdict.UNCHANGED),
    ],
)  # fmt: skip
def test_what_is_no_even_stack_is_refused_with_the_reason(
    tmp_path: Path, series: dict[str, Any], code: str, verdict: Verdict
) -> None:
    answer, made = converted(tmp_path, a_series(**series))
    assert ([reason.code for reason in answer.reasons], made) == ([code], {})
    assert answer.verdict is verdict


def test_one_file_that_is_no_slice_does_not_hold_up_the_others(tmp_path: Path) -> None:
    answer, made = converted(
        tmp_path, [*a_series(), b"\0" * 128 + b"DICM", file_bytes(an_image(PixelData=b""))]
    )
    assert answer.verdict is Verdict.RELEASED
    assert answer.reasons
    assert "series 3.nii.gz" in made


def test_the_frames_of_an_enhanced_image_are_slices(tmp_path: Path) -> None:
    files = a_series(moments=2, slices=4)
    parts = sorted(
        (pydicom.dcmread(_as_file(tmp_path, data)) for data in files), key=lambda one: one.InstanceNumber
    )
    frames = []
    for part in parts:
        frame = Dataset()
        place, content = Dataset(), Dataset()
        place.ImagePositionPatient = part.ImagePositionPatient
        content.TemporalPositionIndex = (part.InstanceNumber - 1) // 4 + 1
        frame.PlanePositionSequence = DicomSequence([place])
        frame.FrameContentSequence = DicomSequence([content])
        frames.append(frame)
    shared, plane, measures = Dataset(), Dataset(), Dataset()
    plane.ImageOrientationPatient = parts[0].ImageOrientationPatient
    measures.PixelSpacing = parts[0].PixelSpacing
    shared.PlaneOrientationSequence = DicomSequence([plane])
    shared.PixelMeasuresSequence = DicomSequence([measures])
    enhanced = an_image(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.4.1", Rows=12, Columns=10, NumberOfFrames=8,
        PixelData=b"".join(part.PixelData for part in parts),
        PerFrameFunctionalGroupsSequence=DicomSequence(frames), SharedFunctionalGroupsSequence=DicomSequence([shared]),
    )  # fmt: skip
    for word in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        del enhanced[word]
    _, made = converted(tmp_path / "one", [file_bytes(enhanced)])
    _, single = converted(tmp_path / "many", files)
    one, other = nibabel.load(made["series 3.nii.gz"]), nibabel.load(single["series 3.nii.gz"])
    assert np.array_equal(np.asanyarray(one.dataobj), np.asanyarray(other.dataobj))
    assert np.allclose(one.affine, other.affine)


def test_where_positions_are_rounded_it_still_agrees_and_says_how_far_slices_are_off(tmp_path: Path) -> None:
    files = a_series(slices=20, places=ROUNDED)
    answer, made = converted(tmp_path, files)
    [theirs] = by_dcm2niix(tmp_path, files)
    assert agree(nibabel.load(made["series 3.nii.gz"]), theirs)
    [reason] = answer.reasons
    assert (answer.verdict, reason.code) == (Verdict.RELEASED, "uneven-steps")
    off = farthest(theirs.affine)
    assert f"{off:.2f} mm" in reason.text
    assert abs(json.loads(made["series 3.json"].read_bytes())["SlicesOffByMillimetres"] - off) < 1e-3


def test_with_the_mean_step_no_slice_lies_far_from_where_its_file_says(tmp_path: Path) -> None:
    answer, made = converted(tmp_path, a_series(slices=20, places=ROUNDED), step="mean")
    assert answer.reasons == []
    assert farthest(nibabel.load(made["series 3.nii.gz"]).affine) < 0.13
    assert "SlicesOffByMillimetres" not in json.loads(made["series 3.json"].read_bytes())


ROUNDED = [7.0 * n + 0.06 * (n % 3 - 1) for n in range(20)]  # the first step is 7.06


def farthest(affine: np.ndarray) -> float:
    return max(abs(float((affine @ [0, 0, n, 1])[2]) - CORNER[2] - place) for n, place in enumerate(ROUNDED))


DIRECTIONS = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0.6, 0, 0.8)]


def diffusion(**attributes: object) -> list[bytes]:
    values: dict[str, object] = {
        "row": (0.8, 0.6, 0),
        "column": (-0.48, 0.64, 0.6),
        "Manufacturer": "Philips",
        "ScanningSequence": "EP",
        "DiffusionBValue": lambda n: 0.0 if n < 3 else 1_000.0,
        "DiffusionGradientOrientation": lambda n: [float(part) for part in DIRECTIONS[n // 3]],
        "TemporalPositionIdentifier": lambda n: n // 3 + 1,
    }
    return a_series(moments=4, slices=3, **(values | attributes))  # type: ignore[arg-type] # chosen by name


def test_gradients_are_those_of_dcm2niix(tmp_path: Path) -> None:
    files = diffusion()
    _, made = converted(tmp_path, files)
    by_dcm2niix(tmp_path, files)
    for ending in ("bval", "bvec"):
        [theirs] = (tmp_path / "made").glob(f"*.{ending}")
        ours = np.loadtxt(made[f"series 3.{ending}"])
        assert ours.shape == ((4,) if ending == "bval" else (3, 4))
        assert np.allclose(ours, np.loadtxt(theirs), atol=1e-4)


def test_gradients_that_are_not_all_there_are_not_written_and_mixed_ones_are_refused(tmp_path: Path) -> None:
    _, made = converted(tmp_path / "a", diffusion(DiffusionGradientOrientation=[0.0, 0.0, 0.0]))
    assert sorted(made) == ["series 3.json", "series 3.nii.gz"]
    answer, made = converted(tmp_path / "b", diffusion(DiffusionBValue=lambda n: 500.0 * n))
    assert ([reason.code for reason in answer.reasons], made) == (["mixed-moments"], {})


def test_the_sidecar_says_how_it_was_acquired_and_never_who_it_is(tmp_path: Path) -> None:
    files = a_series(
        EchoTime=11.5, RepetitionTime=600, ScanOptions=["PER", "FS"], MagneticFieldStrength=3, Manufacturer="SIEMENS",
        SeriesDescription="t1 tse Zweistein", InstitutionName="Quacksalver",
    )  # fmt: skip
    _, made = converted(tmp_path, files)
    values = json.loads(made["series 3.json"].read_bytes())
    assert values["EchoTime"] == 0.0115
    assert values["RepetitionTime"] == 0.6
    assert values["ScanOptions"] == "PER_FS"
    assert values["ImageOrientationPatientDICOM"] == [1, 0, 0, 0, 1, 0]
    assert (values["Manufacturer"], values["Modality"], values["PatientPosition"]) == ("Siemens", "MR", "HFS")
    everything = b"".join(path.read_bytes() for path in made.values())
    assert found_in(("Zweistein", "Jane", "4711", "Quacksalver", "19800401", "20240229"), everything) == []


@pytest.mark.filterwarnings("ignore")  # of the library, of values that are none
def test_files_with_any_bytes_changed_never_break_it(tmp_path: Path) -> None:
    seed = int(environ.get("MB_SEED", "1"))
    chance = random.Random(seed)
    source = a_series(slices=3)
    for number in range(60 if not environ.get("MB_BUDGET_SECONDS") else 3_000):
        files = []
        for data in source:
            changed = bytearray(data)
            for _ in range(chance.randint(0, 3)):
                changed[chance.randrange(300, len(changed))] = chance.randrange(256)
            files.append(bytes(changed[: chance.randrange(len(changed))] if number % 9 == 0 else changed))
        answer, made = converted(tmp_path / str(number), files)
        assert made or answer.reasons, seed
