"""NIfTI files come out with their numbers and their voxels, and nothing else; or not at all."""

from __future__ import annotations

import gzip
import random
import struct
import time
import tracemalloc
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import environ
from pathlib import Path

import nibabel
import numpy as np
import pytest

from blocks.contract.sniff import HEAD_BYTES, sniff
from blocks.dicom.pseudonyms import Pseudonyms, identity
from blocks.dicom.template import read_template
from blocks.formats import unpacking
from blocks.formats.cleaned import Cleaned, Held, Task
from blocks.formats.nifti_cleaning import clean_nifti
from tests.support.dicom_studies import KEY, found_in
from tests.support.volumes import Nifti, gzipped

NAMES = ("Zweistein", "Jane", "19800401", "4711")
SHIPPED = Path(nibabel.__file__).parent / "tests/data"


def a_task(*path: str, preset: str = "research", **layers: object) -> Task:
    template = read_template({"preset": preset, "project": layers})
    return Task(list(path or ("Zweistein Jane", "Zweistein t1.nii")), Pseudonyms(KEY), template)


def cleaned(folder: Path, data: bytes, task: Task | None = None) -> tuple[bytes, Cleaned]:
    source, target = folder / "in", folder / "out"
    source.write_bytes(data)
    answer = clean_nifti(source, target, task or a_task())
    return target.read_bytes(), answer


def read_by_another(folder: Path, data: bytes) -> nibabel.Nifti1Image:
    path = folder / ("again.nii.gz" if data[:2] == b"\x1f\x8b" else "again.nii")
    path.write_bytes(data)
    return nibabel.load(path)


@pytest.mark.parametrize("pack", [lambda data: data, gzipped, lambda data: gzipped(data, members=5)])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("version", [1, 2])
def test_texts_extensions_and_all_around_the_voxels_go_and_geometry_and_voxels_stay(
    tmp_path: Path, version: int, order: str, pack: Callable[[bytes], bytes]
) -> None:
    nifti = Nifti(version=version, order=order, shape=(5, 4, 3, 2))
    before = read_by_another(tmp_path, nifti.as_bytes())
    expected = np.asanyarray(before.dataobj), before.affine, before.header
    after, answer = cleaned(tmp_path, pack(nifti.as_bytes()))
    assert answer.reasons == []
    plain = gzip.decompress(after) if after[:2] == b"\x1f\x8b" else after
    assert plain[-len(nifti.voxels) :] == nifti.voxels
    assert len(plain) == (352 if version == 1 else 544) + len(nifti.voxels)
    assert found_in(NAMES, after + plain + repr(answer).encode()) == []
    again = read_by_another(tmp_path, after)
    assert np.array_equal(np.asanyarray(again.dataobj), expected[0])
    assert np.array_equal(again.affine, expected[1])
    for what in ("dim", "pixdim", "qform_code", "sform_code", "scl_slope", "scl_inter", "xyzt_units"):
        assert np.array_equal(again.header[what], expected[2][what], equal_nan=True), what
    assert not again.header.extensions


@pytest.mark.parametrize(
    "name",
    ["anatomical.nii", "example4d.nii.gz", "example_nifti2.nii.gz", "functional.nii", "standard.nii.gz",
     "reoriented_anat_moved.nii", "resampled_anat_moved.nii"],
)  # fmt: skip
def test_files_of_others_are_read_by_others_as_before(tmp_path: Path, name: str) -> None:
    data = (SHIPPED / name).read_bytes()
    after, _ = cleaned(tmp_path, data)
    before, again = nibabel.load(SHIPPED / name), read_by_another(tmp_path, after)
    assert np.array_equal(np.asanyarray(again.dataobj), np.asanyarray(before.dataobj), equal_nan=True)
    assert np.array_equal(again.affine, before.affine)
    assert again.header.get_zooms() == before.header.get_zooms()
    assert again.header.get_xyzt_units() == before.header.get_xyzt_units()
    assert (again.get_data_dtype(), again.shape) == (before.get_data_dtype(), before.shape)
    same, _ = cleaned(tmp_path, after)  # once clean, it stays as it is, to the byte
    assert same == after


def test_the_same_file_is_the_same_to_the_byte_and_its_header_of_gzip_says_nothing(tmp_path: Path) -> None:
    first, _ = cleaned(tmp_path, gzipped(Nifti().as_bytes()))
    second, _ = cleaned(
        tmp_path, gzip.compress(Nifti(texts=b"", extension=b"", behind=b"").as_bytes(), mtime=7)
    )
    assert first == second
    assert first[3:8] == bytes(5)  # no name, no comment, no time


@pytest.mark.parametrize(
    ("at", "code"), [(136, "f"), (132, "f"), (128, "f"), (92, "f"), (56, "f"), (140, "i"), (32, "i")]
)
def test_a_number_that_is_a_date_and_no_measure_goes(tmp_path: Path, at: int, code: str) -> None:
    nifti = Nifti(numbers={str(at): (code, 19_800_401)})
    after, answer = cleaned(tmp_path, nifti.as_bytes())
    assert answer.reasons == []
    assert struct.unpack_from("<" + code, after, at)[0] == 0


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (Nifti(behind=b"").as_bytes()[:-1], "wrong-size"),
        (gzip.compress(Nifti(behind=b"").as_bytes()[:-1]), "wrong-size"),
        (gzipped(Nifti().as_bytes())[:60], "cut-short"),
        (gzipped(Nifti().as_bytes())[:-20] + bytes(20), "not-readable"),
        (Nifti().as_bytes()[:300], "not-readable"),
        (Nifti().as_bytes().replace(b"n+1\0", b"ni1\0"), "data-elsewhere"),
        (Nifti(datatype=1).as_bytes(), "not-readable"),
        (Nifti(numbers={"40": ("h", 9)}).as_bytes(), "not-readable"),
        (Nifti(numbers={"42": ("h", -5)}).as_bytes(), "not-readable"),
        (Nifti(numbers={"68": ("h", 3006)}).as_bytes(), "cifti"),
        (Nifti(numbers={"108": ("f", 100.0)}).as_bytes(), "not-readable"),
        (Nifti(numbers={"108": ("f", 352.5)}).as_bytes(), "not-readable"),
        (Nifti(numbers={"108": ("f", float("nan"))}).as_bytes(), "not-readable"),
        (Nifti(numbers={"108": ("f", 1e9)}).as_bytes(), "wrong-size"),
        (Nifti(numbers={"108": ("f", 360.0)}).as_bytes(), "not-readable"),  # in the midst of an extension
        (gzip.compress(Nifti(numbers={"108": ("f", 1e9)}).as_bytes()), "too-large"),
        (Nifti(numbers={"256": ("f", 1.5)}).as_bytes(), "not-readable"),
        (Nifti(numbers={"280": ("f", 19_800_401)}).as_bytes(), "not-readable"),
        (Nifti(version=2, numbers={"24": ("q", 1 << 40)}).as_bytes(), "wrong-size"),
    ],
)  # fmt: skip
def test_what_is_not_whole_or_not_here_is_held_back_and_nothing_is_made_of_it(
    tmp_path: Path, data: bytes, code: str
) -> None:
    with pytest.raises(Held) as held:
        cleaned(tmp_path, data)
    assert held.value.code == code


@pytest.mark.parametrize("nifti", [Nifti(shape=(40, 3)), Nifti(shape=(60, 1, 2))])
def test_a_picture_is_held_for_a_look(tmp_path: Path, nifti: Nifti) -> None:
    _, answer = cleaned(tmp_path, nifti.as_bytes())
    assert [reason.code for reason in answer.reasons] == ["burned-in-risk"]


def test_of_a_volume_that_could_show_a_face_it_is_said_and_a_project_may_hold_it(tmp_path: Path) -> None:
    head = Nifti(shape=(30, 30, 30), step=5.0).as_bytes()
    _, answer = cleaned(tmp_path, head)
    assert ("face", "not looked for") in [(label.name, label.value) for label in answer.labels]
    assert answer.reasons == []
    _, answer = cleaned(tmp_path, head, a_task(faces="hold"))
    assert [reason.code for reason in answer.reasons] == ["face-risk"]
    _, answer = cleaned(tmp_path, Nifti().as_bytes(), a_task(faces="hold"))
    assert answer.reasons == []
    assert [(label.name, label.value) for label in answer.labels] == [
        ("dimensions", "5 x 4 x 3"), ("voxel-size-mm", "2 x 2 x 2"), ("volumes", "1"),
    ]  # fmt: skip


def test_whose_it_is_its_place_says_and_a_name_is_never_kept(tmp_path: Path) -> None:
    def place(*path: str, **layers: object) -> list[str]:
        return cleaned(tmp_path, Nifti().as_bytes(), a_task(*path, **layers))[1].place

    one, other = place("Zweistein", "a.nii"), place("Zweistein", "b.nii")
    assert one[0] == other[0]
    assert one[1] != other[1]
    assert place("Zweistein", "MR", "a.nii")[0] != place("Meier", "MR", "a.nii")[0]
    assert place("a.nii")[0] != place("b.nii")[0]
    subject = place("Study", "sub-01", "ses-1", "anat", "sub-01_ses-1_T1w.nii")
    assert subject[0] == place("Study", "sub-01", "func", "sub-01_bold.nii.gz")[0]
    assert subject[0] != place("Study", "sub-02", "anat", "sub-02_T1w.nii")[0]
    assert subject[1].startswith("T1w-")
    of_images = Pseudonyms(KEY).patient(identity("PID-4711-X", "Zweistein^Jane", "", "1.2"))
    assert place("In", "PID-4711-X", "MR", "a.nii", patient_folder=2)[0] == of_images
    assert found_in(NAMES, repr([one, other, subject]).encode()) == []


def test_a_bomb_is_refused_before_it_fills_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "SMALL_BYTES", 1 << 20)
    shape = (1000, 1000, 1000)
    source = Nifti(shape=(1, 1, 1), extension=b"", behind=b"").as_bytes()[:352]
    head = source[:40] + struct.pack("<8h", 3, *shape, 1, 1, 1, 1) + source[56:]
    packer = zlib.compressobj(9, wbits=31)
    bomb = (
        packer.compress(head) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(200)) + packer.flush()
    )
    tracemalloc.start()
    with pytest.raises(Held) as held:
        cleaned(tmp_path, bomb)
    assert tracemalloc.get_traced_memory()[1] < 32 << 20
    tracemalloc.stop()
    assert held.value.code == "too-large"
    assert (tmp_path / "out").stat().st_size < 1 << 20


@contextmanager
def suppress_rounding() -> Iterator[None]:
    """nibabel refuses a quaternion that is longer than 1 by a millionth; others take it as it is, so it stays."""
    try:
        yield
    except ValueError as error:
        assert "w2 should be positive" in str(error)  # noqa: PT017 - its own words


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_with_any_bytes_changed_is_cleaned_or_held_and_never_breaks_the_cleaner(
    tmp_path: Path, version: int
) -> None:
    seed = int(environ.get("MB_SEED", "1"))
    chance = random.Random(seed)
    many = 300 if not environ.get("MB_BUDGET_SECONDS") else 20_000
    for number in range(many):
        data = bytearray(Nifti(version=version).as_bytes())
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(4, min(560, len(data)))] = chance.choice(
                [0, 1, 2, 127, 128, 255, chance.randrange(256)]
            )
        whole = bytes(data) if number % 3 else gzipped(bytes(data))
        if number % 7 == 0:
            whole = whole[: chance.randrange(len(whole))]
        began = time.thread_time()
        try:
            after, answer = cleaned(tmp_path, whole)
        except Held:
            continue
        finally:
            assert time.thread_time() - began < 5, seed
        plain = gzip.decompress(after) if after[:2] == b"\x1f\x8b" else after
        head = plain[
            : 352 if version == 1 else 544
        ]  # a changed number may make voxels of what stood around them
        assert found_in(NAMES, head + repr(answer).encode()) == [], seed
        kind = nibabel.Nifti1Image if version == 1 else nibabel.Nifti2Image
        with warnings.catch_warnings(), suppress_rounding():
            warnings.simplefilter("ignore")
            assert kind.from_bytes(plain).shape, seed


@pytest.mark.parametrize("version", [1, 2])
def test_its_kind_is_told_from_its_beginning(version: int) -> None:
    for order in "<>":
        data = Nifti(version=version, order=order).as_bytes()
        assert sniff(data[:HEAD_BYTES]) == "nifti"
        assert sniff(gzipped(data)[:HEAD_BYTES]) == "nifti-gz"
