"""What a block says of a file is kept with the version that it looked at, and with who said so."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from server.hooks.jobs import State
from server.hooks.rules import add_rule, folder_at, run_again
from tests.server.hooks.test_intake import put
from tests.support.intake import an_imaging_project

MB_SERVER = Path(sys.executable).with_name("mb-server")
MANIFEST = """
contract = 1
name = "size"
version = "3"
summary = "Says how long a file is."
produces = ["labels"]
program = { type = "command", command = ["/bin/sh", "{block}/run.sh"] }
accepts = [{}]
"""
RUN = """
size=$(wc -c < in/0)
label='{"name": "size", "value": "'$size'", "rule": "count", "confidence": 0.5}'
[ $size -lt 9 ] && verdict=released || verdict=unchanged
[ $size -eq 7 ] && label=
echo '{"contract": 1, "files": [{"source": 0, "verdict": "'$verdict'", "labels": ['"$label"']}]}' > result.json
"""


def told(data: Path, path: str) -> dict[str, list[dict[str, object]]]:
    done = subprocess.run(
        [MB_SERVER, "label", "list", path, "--data", data, "--json"],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    return json.loads(done.stdout)  # type: ignore[no-any-return] # the test looks into it


async def test_labels_belong_to_the_version_that_was_looked_at(tmp_path: Path) -> None:
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed: .ci/run does it")
    block, data = tmp_path / "size", tmp_path / "data"
    block.mkdir()
    (block / "block.toml").write_text(MANIFEST)
    (block / "run.sh").write_text(RUN)
    async with an_imaging_project(data) as imaging:
        database, now_ms = imaging.server.service.database, imaging.server.service.clock()
        with database.writing() as session:
            data_folder = folder_at(session, "/Projects/Nerves/Data")
            rule = add_rule(session, str(block), data_folder, data_folder, {}, now_ms=now_ms)
        assert imaging.researcher.caller.view is not None
        await imaging.researcher.follow()
        [folder] = [node for node, state in imaging.researcher.known.items() if state.name == "Data"]
        node = await imaging.researcher.file("a.txt", b"four", folder)
        [job] = await imaging.ended(1)
        assert job.state is State.PUBLISHED
        found = told(data, "/Projects/Nerves/Data/a.txt")
        [label] = found["labels"]
        assert label["parameters"] != ""
        del label["parameters"]
        assert label == {
            "name": "size",
            "value": "4",
            "said_by": "count",
            "confidence": 0.5,
            "source": "",
            "block": "size",
            "block_version": "3",
            "rule": rule.short,
        }
        assert found["made_by"] == []

        await put(imaging.researcher, node, b"a longer one")  # the block says so, and makes nothing of it
        assert (await imaging.ended(2))[0].state is State.UNCHANGED
        [label] = told(data, "/Projects/Nerves/Data/a.txt")["labels"]
        assert label["value"] == "12"

        (block / "run.sh").write_text(RUN.replace("-eq 7", "-eq 12"))  # now it has nothing to say of it
        with database.writing() as session:
            assert run_again(session, rule) == 2
        await imaging.until(lambda jobs: {job.state for job in jobs} == {State.UNCHANGED, State.GONE})
        assert told(data, "/Projects/Nerves/Data/a.txt")["labels"] == []
