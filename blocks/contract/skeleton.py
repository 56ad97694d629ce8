"""The beginning of a new block: a folder that works as it stands, with its test.

Owns: the text of a skeleton.
May import: the standard library, protocol.errors.
"""

from __future__ import annotations

import re
from pathlib import Path

from protocol.errors import BadRequest, LocalProblem

_MANIFEST = """\
contract = 1
name = "NAME"
version = "0.1"
summary = "Says how large a file is, and writes its first line into a new one."
produces = ["derived", "labels"]

# {block} is this folder, read only; the command runs in a sandbox without network, in the folder of its job.
[program]
type = "command"
command = ["/usr/bin/python3", "{block}/run.py"]

# Which files it takes: by kind (told from the first bytes) and by name. An empty table takes every file.
[[accepts]]
types = ["text"]
names = ["*.txt", "*.md"]

[resources]
memory_bytes = 536_870_912
wall_seconds = 60

# What a rule may set, as a JSON schema.
[parameters.properties.longest]
type = "integer"
minimum = 1
default = 80
"""

_PROGRAM = '''\
"""Reads job.json and in/, writes out/ and result.json. Only the standard library: it runs in a sandbox."""

import json
from pathlib import Path

job = json.loads(Path("job.json").read_text())
answers = []
for number, file in enumerate(job["files"]):
    data = (Path("in") / file["file"]).read_bytes()
    first = data.split(b"\\n", 1)[0][: job["parameters"]["longest"]]
    (Path("out") / f"{number}.txt").write_bytes(first + b"\\n")
    answers.append(
        {
            "source": number,
            "verdict": "released",
            "outputs": [{"file": f"{number}.txt", "path": [file["path"][-1] + ".first.txt"]}],
            "labels": [{"name": "size", "value": str(len(data)), "rule": "count-bytes"}],
        }
    )
Path("result.json").write_text(json.dumps({"contract": 1, "files": answers}))
'''

_TEST = '''\
"""Run it with: python3 -m pytest, or python3 test_block.py"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = Path(__file__).with_name("run.py")


def test_the_first_line_is_written_and_the_size_is_told():
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder)
        for name in ("in", "out"):
            (job / name).mkdir()
        (job / "in/0").write_text("first\\nsecond\\n")
        told = {"parameters": {"longest": 80}, "files": [{"file": "0", "path": ["notes", "a.txt"]}]}
        (job / "job.json").write_text(json.dumps(told))

        subprocess.run([sys.executable, str(PROGRAM)], cwd=job, check=True)

        [answer] = json.loads((job / "result.json").read_text())["files"]
        assert answer["verdict"] == "released"
        assert answer["labels"][0]["value"] == "13"
        assert (job / "out/0.txt").read_text() == "first\\n"


if __name__ == "__main__":
    test_the_first_line_is_written_and_the_size_is_told()
    print("passed")
'''


def write_skeleton(name: str, into: Path) -> list[Path]:
    """Makes the folder `into`/`name` with a working block; the files that were written."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or len(name) > 60:
        raise BadRequest(
            f"{name[:60]!r} cannot be a block's name", hint="Use small letters, digits and single hyphens."
        )
    folder = into / name
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise LocalProblem(f"{folder} is there already", hint="Choose another name or folder.") from error
    except OSError as error:
        raise LocalProblem(
            f"{folder} cannot be made ({error.strerror})", hint="Choose another folder."
        ) from error
    files = {"block.toml": _MANIFEST.replace("NAME", name), "run.py": _PROGRAM, "test_block.py": _TEST}
    for file, text in files.items():
        (folder / file).write_text(text, encoding="utf-8")
    return [folder / file for file in files]
