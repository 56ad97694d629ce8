"""A container block, run by a real engine: it does its work, and reaches nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks.contract.job import InputFile, Job, write_job
from blocks.contract.manifest import MEBIBYTE, ContainerProgram, Resources, read_manifest
from blocks.contract.output import check_finished
from blocks.runners.container import engine, run_in_container
from blocks.runners.ran import Ended, Ran
from protocol.errors import Refused
from tests.support.podman import busybox_image, podman_settings, remove_image, said

LIMITS = Resources(
    memory_bytes=128 * MEBIBYTE,
    cpu_seconds=10,
    wall_seconds=30,
    output_bytes=MEBIBYTE,
    processes=32,
    open_files=64,
)
NAME = "localhost/mb-test-copy"
SCRIPT = b"""set -e
cp in/0 out/copy.txt
! echo x > in/0
! echo x > /x
! test -w /bin
test "$(tail -n +3 /proc/net/dev | wc -l)" -le 1
test "$(id -u)" = 65534
echo '{"contract": 1, "files": [{"source": 0, "verdict": "released", "outputs": [{"file": "copy.txt"}]}]}' > result.json
"""  # fmt: skip


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with podman_settings(tmp_path_factory.mktemp("podman")):
        programs = ("sh", "cp", "echo", "test", "tail", "wc", "id", "sleep")
        name = busybox_image(*programs, files={"block.sh": SCRIPT}, name=NAME)
        yield name
        remove_image(name)


async def run(folder: Path, image: str, *command: str, limits: Resources = LIMITS) -> tuple[Ran, Path, Job]:
    job = folder / "job"
    for name in ("in", "out"):
        (job / name).mkdir(parents=True)
    (job / "in/0").write_text("hello")
    files = [InputFile(file="0", path=["letter.txt"], kind="text", size_bytes=5)]
    told = Job(id="1", block="copy", version="1", parameters={}, files=files)
    write_job(job, told)
    return (
        await run_in_container(ContainerProgram(image=image, command=list(command)), job, limits),
        job,
        told,
    )


async def test_a_container_block_does_its_work_and_reaches_nothing_else(tmp_path: Path, image: str) -> None:
    ran, job, told = await run(tmp_path, image, "/bin/sh", "/block.sh")

    assert ran.ended is Ended.DONE, (job / "log").read_text()
    manifest = read_manifest(
        f"""
        contract = 1
        name = "copy"
        version = "1"
        summary = "Copies."
        produces = ["derived"]
        program = {{ type = "container", image = "{image}" }}
        accepts = [{{}}]
        """.encode()
    )
    assert check_finished(job, told, manifest).size_bytes == {"copy.txt": 5}


async def test_an_image_is_found_by_the_digest_that_podman_tells(tmp_path: Path, image: str) -> None:
    digest = said("image", "inspect", "--format", "{{.Digest}}", image).strip()
    assert digest != image  # which is its id
    for number, way in enumerate((f"{NAME}@{digest}", f"{NAME}@{image}")):
        (tmp_path / str(number)).mkdir()
        ran, job, _ = await run(tmp_path / str(number), way, "/bin/sh", "/block.sh")
        assert ran.ended is Ended.DONE, (job / "log").read_text()

    (tmp_path / "absent").mkdir()
    ran, _, _ = await run(tmp_path / "absent", f"{NAME}@sha256:{'0' * 64}", "/bin/sh", "/block.sh")
    assert ran.ended is not Ended.DONE


def containers() -> str:
    return said("ps", "--all", "--format", "{{.Names}}")


async def test_a_container_that_does_not_end_is_ended(tmp_path: Path, image: str) -> None:
    short = Resources(memory_bytes=128 * MEBIBYTE, cpu_seconds=10, wall_seconds=2, processes=32)
    ran, _, _ = await run(tmp_path, image, "/bin/sleep", "600", limits=short)

    assert ran.ended is Ended.OVERRAN
    assert "mb-" not in containers()


async def test_without_an_engine_a_container_block_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert await engine() is None
    with pytest.raises(Refused, match="no container engine"):
        await run(tmp_path, "sha256:" + "0" * 64, "/bin/true")
