"""MetaImage files come out with what says how to read them, and their voxels; or not at all."""

from __future__ import annotations

import random
import time
import zlib
from os import environ
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from blocks.contract.sniff import sniff
from blocks.formats import unpacking
from blocks.formats.cleaned import Cleaned, Held
from blocks.formats.metaimage_cleaning import clean_metaimage
from tests.blocks.formats.test_nifti import NAMES, a_task
from tests.support.dicom_studies import found_in
from tests.support.volumes import MetaImage


def cleaned(folder: Path, data: bytes, **layers: object) -> tuple[bytes, Cleaned]:
    source, target = folder / "in", folder / "out"
    source.write_bytes(data)
    answer = clean_metaimage(source, target, a_task("Zweistein Jane", "Zweistein.mha", **layers))
    assert [path.name for path in folder.iterdir() if path.suffix == ".packed"] == []
    return target.read_bytes(), answer


def read_by_another(folder: Path, data: bytes) -> SimpleITK.Image:
    (folder / "again.mha").write_bytes(data)
    return SimpleITK.ReadImage(str(folder / "again.mha"))


def equal(one: SimpleITK.Image, other: SimpleITK.Image) -> bool:
    return (
        np.array_equal(SimpleITK.GetArrayFromImage(one), SimpleITK.GetArrayFromImage(other))
        and one.GetPixelIDValue() == other.GetPixelIDValue()
        and one.GetSpacing() == other.GetSpacing()
        and one.GetOrigin() == other.GetOrigin()
        and one.GetDirection() == other.GetDirection()
    )


@pytest.mark.parametrize("packed", [False, True])
def test_comments_names_and_all_behind_the_voxels_go_and_geometry_and_voxels_stay(
    tmp_path: Path, packed: bool
) -> None:
    image = MetaImage()
    if packed:
        data = zlib.compress(image.data)
        image = MetaImage({**image.lines}, data, image.behind).changed(
            CompressedData="True", CompressedDataSize=str(len(data))
        )
    before = read_by_another(tmp_path, image.as_bytes())
    after, answer = cleaned(tmp_path, image.as_bytes())
    assert answer.reasons == []
    assert found_in(NAMES, after + repr(answer).encode()) == []
    assert equal(before, read_by_another(tmp_path, after))
    if not packed:
        assert after.endswith(image.data)
    assert cleaned(tmp_path, after)[0] == after  # once clean, it stays as it is, to the byte
    assert answer.place[-1].endswith(".mha")
    assert ("dimensions", "5 x 4 x 3") in [(label.name, label.value) for label in answer.labels]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
def test_files_that_another_wrote_are_read_by_it_as_before(tmp_path: Path, dtype: str, packed: bool) -> None:
    chance = np.random.default_rng(1)
    image = SimpleITK.GetImageFromArray((chance.random((6, 7, 8)) * 200).astype(dtype))
    image.SetSpacing((0.7, 0.8, 3.3))
    image.SetOrigin((-101.25, 3.0, 1e-3))
    image.SetDirection((0.6, -0.8, 0, 0.8, 0.6, 0, 0, 0, -1))
    image.SetMetaData("Comment", "Zweistein Jane")
    image.SetMetaData("PatientName", "Zweistein Jane")
    path = tmp_path / "zweistein.mha"
    SimpleITK.WriteImage(image, str(path), useCompression=packed)
    assert sniff(path.read_bytes()[:4096]) == "metaimage"
    after, answer = cleaned(tmp_path, path.read_bytes())
    assert answer.reasons == []
    assert equal(image, read_by_another(tmp_path, after))
    assert found_in(NAMES, after) == []


@pytest.mark.parametrize(
    ("image", "code"),
    [
        (MetaImage().changed(ElementDataFile="zweistein.raw"), "data-elsewhere"),
        (MetaImage().changed(ElementDataFile="LIST"), "data-elsewhere"),
        (MetaImage().changed(ElementDataFile="../../%d.raw 1 9 1"), "data-elsewhere"),
        (MetaImage().changed(BinaryData="False"), "ascii-data"),
        (MetaImage().changed(BinaryData=None), "ascii-data"),
        (MetaImage().changed(ObjectType="Tube"), "not-readable"),
        (MetaImage().changed(DimSize="5 4"), "not-readable"),
        (MetaImage().changed(DimSize="5 4 -3"), "not-readable"),
        (MetaImage().changed(DimSize="5 4 Jane"), "not-readable"),
        (MetaImage().changed(DimSize="9999999 9999999 9999999"), "wrong-size"),
        (MetaImage().changed(DimSize=None), "not-readable"),
        (MetaImage().changed(ElementType="MET_ZWEISTEIN"), "not-readable"),
        (MetaImage().changed(ElementType="MET_LONG"), "not-readable"),
        (MetaImage().changed(Offset="19800401 0 0"), "not-readable"),
        (MetaImage().changed(Offset="nan 0 0"), "not-readable"),
        (MetaImage().changed(TransformMatrix="Zweistein"), "not-readable"),
        (MetaImage().changed(HeaderSize="100"), "not-readable"),
        (MetaImage().changed(Position="1 2 3"), "not-readable"),
        (MetaImage().changed(AnatomicalOrientation="JANE"), "not-readable"),
        (MetaImage().changed(CompressedData="True"), "not-readable"),
    ],
)
def test_what_is_not_here_or_is_none_is_held_back_and_nothing_is_made_of_it(
    tmp_path: Path, image: MetaImage, code: str
) -> None:
    with pytest.raises(Held) as held:
        cleaned(tmp_path, image.as_bytes())
    assert held.value.code == code
    assert found_in(NAMES, held.value.text.encode()) == []


def test_a_picture_and_a_head_are_told_as_of_any_volume(tmp_path: Path) -> None:
    image = MetaImage().changed(DimSize="60 1 1")
    assert [reason.code for reason in cleaned(tmp_path, image.as_bytes())[1].reasons] == ["burned-in-risk"]
    head = MetaImage().changed(ElementSpacing="5 5 5", DimSize="20 20 20")
    head.data = bytes(16_000)
    assert [reason.code for reason in cleaned(tmp_path, head.as_bytes(), faces="hold")[1].reasons] == [
        "face-risk"
    ]


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "SMALL_BYTES", 1 << 20)
    image = MetaImage().changed(CompressedData="True", DimSize="5000 5000 4")
    image.data = zlib.compress(bytes(200_000_000))
    with pytest.raises(Held) as held:
        cleaned(tmp_path, image.as_bytes())
    assert held.value.code == "too-large"


def test_a_file_with_any_bytes_changed_is_cleaned_or_held_and_never_breaks_the_cleaner(
    tmp_path: Path,
) -> None:
    seed = int(environ.get("MB_SEED", "1"))
    chance = random.Random(seed)
    many = 300 if not environ.get("MB_BUDGET_SECONDS") else 20_000
    source = MetaImage().as_bytes()
    head = source.index(b"LOCAL\n") + 6
    for number in range(many):
        data = bytearray(source)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(head)] = chance.choice(
                [10, 13, 32, 45, 48, 57, 61, 84, 255, chance.randrange(256)]
            )
        whole = bytes(data[: chance.randrange(len(data))]) if number % 7 == 0 else bytes(data)
        began = time.thread_time()
        try:
            after, answer = cleaned(tmp_path, whole)
        except Held:
            continue
        finally:
            assert time.thread_time() - began < 5, seed
        assert found_in(NAMES, after + repr(answer).encode()) == [], seed
        assert b"ElementDataFile = LOCAL\n" in after
