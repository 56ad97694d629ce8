"""A command block in its sandbox: it does its work, and reaches nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from blocks.contract.job import InputFile, Job, write_job
from blocks.contract.manifest import MEBIBYTE, CommandProgram, Manifest, Resources, read_manifest
from blocks.contract.output import check_finished
from blocks.runners.container import container_argv
from blocks.runners.policy import Isolation, Machine, Policy, choose
from blocks.runners.ran import Ended, Ran
from blocks.runners.sandbox import missing, run_in_sandbox
from protocol.errors import Refused

DIGEST = "sha256:" + "0" * 64
LIMITS = Resources(
    memory_bytes=256 * MEBIBYTE, cpu_seconds=2, wall_seconds=4, output_bytes=MEBIBYTE, open_files=64
)
MANIFEST = """
contract = 1
name = "shell"
version = "1"
summary = "Runs a script."
produces = ["derived"]
program = {program}
accepts = [{{}}]
"""
COPY = """
cp in/0 out/copy.txt
outputs='[{"file": "copy.txt"}]'
echo '{"contract": 1, "files": [{"source": 0, "verdict": "released", "outputs": '"$outputs"'}]}' > result.json
"""


def a_manifest(program: str = '{ type = "command", command = ["/bin/sh", "{block}/run.sh"] }') -> Manifest:
    return read_manifest(MANIFEST.replace("{program}", program).replace("{{}}", "{}").encode())


def a_job() -> Job:
    files = [InputFile(file="0", path=["letter.txt"], kind="text", size_bytes=5)]
    return Job(id="1", block="shell", version="1", parameters={}, files=files)


async def run(folder: Path, script: str, limits: Resources = LIMITS) -> tuple[Ran, Path]:
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed: .ci/run does it")
    block, job = folder / "block", folder / "job"
    for path in (block, job / "in", job / "out", job / "keys"):
        path.mkdir(parents=True)
    (block / "run.sh").write_text("set -e\n" + script)
    (job / "in/0").write_text("hello")
    (job / "keys/project").write_text("secret")
    write_job(job, a_job())
    program = a_manifest().program
    assert isinstance(program, CommandProgram)
    return await run_in_sandbox(program, block, job, limits), job


async def test_a_command_block_does_its_work(tmp_path: Path) -> None:
    ran, job = await run(tmp_path, COPY)

    assert ran.ended is Ended.DONE, (job / "log").read_text()
    finished = check_finished(job, a_job(), a_manifest())
    assert finished.size_bytes == {"copy.txt": 5}


@pytest.mark.parametrize(
    ("script", "proof"),
    [
        ("echo x > in/0", "in/0 was written"),
        ("echo x > job.json", "job.json was written"),
        ("echo x > keys/project", "a key was written"),
        ("echo x > /block/run.sh", "the block was written"),
        ("echo x > /usr/x", "the system was written"),
        ("test -e /etc/passwd", "the machine's accounts are seen"),
        ("test -e /root", "homes are seen"),
        ("test -n \"$MB_SECRET\"", "the environment is seen"),
        ("test \"$(id -u)\" = 0", "it is root"),
        ("mount -t tmpfs none /tmp", "it can mount"),
        ("test $(ls -d /proc/[0-9]* | wc -l) -gt 12", "other processes are seen"),
        ("test $(tail -n +3 /proc/net/dev | wc -l) -gt 1", "a network is there"),
    ],
)  # fmt: skip
async def test_nothing_outside_its_folder_is_in_reach(
    tmp_path: Path, script: str, proof: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MB_SECRET", "hidden")
    ran, _ = await run(tmp_path, f"if ( {script} ) 2>/dev/null; then exit 0; else exit 1; fi")

    assert ran.ended is Ended.FAILED, proof


@pytest.mark.parametrize(
    ("script", "ended", "why"),
    [
        ("sleep 30", Ended.OVERRAN, "time was up"),
        ("while :; do :; done", Ended.OVERRAN, "processor time"),
        ("head -c 3000000 /dev/zero > out/large", Ended.FAILED, ""),
        ("exit 75", Ended.AGAIN, "again"),
        ("kill -9 $$", Ended.CRASHED, "signal 9"),
        ("exit 3", Ended.CRASHED, "code 3"),
    ],
)
async def test_how_it_ended_is_told(tmp_path: Path, script: str, ended: Ended, why: str) -> None:
    patient = Resources(
        memory_bytes=256 * MEBIBYTE, cpu_seconds=1, wall_seconds=60
    )  # the machine may be busy
    ran, job = await run(tmp_path, script, LIMITS if {"sleep", "head"} & set(script.split()) else patient)

    assert why in ran.why
    if "large" in script:
        assert ran.ended in {Ended.OVERRAN, Ended.FAILED, Ended.CRASHED}
        assert (job / "out/large").stat().st_size <= MEBIBYTE
    else:
        assert ran.ended is ended


async def test_without_a_sandbox_a_strangers_block_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert await missing() is not None
    with pytest.raises(Refused, match="no sandbox"):
        await run_in_sandbox(CommandProgram(command=["true"]), tmp_path, tmp_path, LIMITS)


CONTAINER = f'{{ type = "container", image = "localhost/count@{DIGEST}", command = ["/count"] }}'
PYTHON = '{ type = "python", entry = "somebody.else:Block" }'
ALL = Machine(no_sandbox=None, no_container=None)
NOTHING = Machine(no_sandbox="there is none", no_container="there is none")


def test_the_operator_s_policy_chooses_and_nothing_weaker_is_taken() -> None:
    shipped = a_manifest('{ type = "python", entry = "blocks.dicom.deidentify:Deidentify" }')
    assert choose(shipped, Policy(), NOTHING) is Isolation.PROCESS
    assert choose(a_manifest(), Policy(), ALL) is Isolation.SANDBOX
    assert choose(a_manifest(CONTAINER), Policy(), ALL) is Isolation.CONTAINER
    assert choose(a_manifest(PYTHON), Policy(trusted=frozenset({"shell"})), NOTHING) is Isolation.PROCESS
    for manifest, policy, machine in (
        (a_manifest(PYTHON), Policy(), ALL),
        (a_manifest(), Policy(), NOTHING),
        (a_manifest(), Policy(sandbox=False), ALL),
        (a_manifest(CONTAINER), Policy(), NOTHING),
    ):
        with pytest.raises(Refused, match="is not run"):
            choose(manifest, policy, machine)


def test_a_container_has_no_network_no_rights_and_limits(tmp_path: Path) -> None:
    argv = " ".join(
        container_argv("podman", f"localhost/a@{DIGEST}", ["/a"], tmp_path, LIMITS, container="mb-1")
    )

    for part in (
        "--network none",
        "--read-only",
        "--cap-drop ALL",
        "no-new-privileges",
        "--user 65534:65534",
    ):
        assert part in argv
    for part in ("--pull never", f"--memory {256 * MEBIBYTE}", "--pids-limit 128", "--cpus 1", DIGEST):
        assert part in argv
