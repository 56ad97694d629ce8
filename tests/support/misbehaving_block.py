"""A Python block that does what a test asks of it, good or bad."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from blocks.contract.job import Job
from blocks.contract.manifest import read_manifest
from blocks.contract.result import FileResult, Result, Verdict

MANIFEST = b"""
contract = 1
name = "misbehaving"
version = "1"
summary = "For tests."
produces = ["labels"]
program = { type = "python", entry = "tests.support.misbehaving_block:Misbehaving" }
accepts = [{}]
"""
ENTRY = "tests.support.misbehaving_block:Misbehaving"
seen: list[str] = []


class Misbehaving:
    def __init__(self) -> None:
        self.manifest = read_manifest(MANIFEST)

    def run(self, job: Job, folder: Path) -> Result:
        seen.append(job.id)
        match job.parameters["deed"]:
            case "memory":
                bytearray(2 << 30)
            case "time":
                time.sleep(60)
            case "processor":
                while True:
                    pass
            case "crash":
                os.abort()
            case "raise":
                raise ValueError("Zweistein^Jane")
            case "large-file":
                (folder / "out/large").write_bytes(bytes(20 << 20))
            case "leave-a-process":
                late = f"import time; time.sleep(1); open({str(folder / 'late')!r}, 'w')"
                subprocess.Popen([sys.executable, "-c", late])
            case "print":
                print('{"status": 0, "killed": false, "seconds": 0}', flush=True)
            case "seen":
                (folder / "out/seen").write_text(" ".join(seen))
        return Result(files=[FileResult(source=0, verdict=Verdict.UNCHANGED)])
