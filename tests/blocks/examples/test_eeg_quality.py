"""The documented example of a model of one's own: it works as docs/blocks.md says, in a sandbox and in shadow mode."""

from __future__ import annotations

import importlib.util
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from server.access.projects import Template, create_project, give_role
from server.access.rights import Role
from server.hooks import rules
from server.hooks.jobs import State
from tests.server.hooks.test_shadowing import files_of, labels_of
from tests.server.http.test_sharing import Person
from tests.support.intake import an_imaging_project

BLOCK = Path(__file__).parents[3] / "docs" / "examples" / "eeg-quality"
RECORDS, RATE = 4, 100


def loaded(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module of the example, as its own folder sees it."""
    monkeypatch.syspath_prepend(str(BLOCK))
    spec = importlib.util.spec_from_file_location(f"eeg_quality_{name}", BLOCK / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def a_recording(channels: list[list[int]]) -> bytes:
    """EDF, one signal for each list of samples."""
    count = len(channels)
    fixed = (
        b"0",
        b"X",
        b"X",
        b"01.01.85",
        b"00.00.00",
        b"%d" % (256 * (count + 1)),
        b"",
        b"%d" % RECORDS,
        b"1",
        b"%d" % count,
    )
    header = b"".join(
        value.ljust(width) for value, width in zip(fixed, (8, 80, 80, 8, 8, 8, 44, 8, 8, 4), strict=True)
    )
    of_signals = (
        (b"EEG", 16), (b"", 80), (b"uV", 8), (b"-100", 8), (b"100", 8), (b"-32768", 8), (b"32767", 8), (b"", 80),
        (b"%d" % RATE, 8), (b"", 32),
    )  # fmt: skip
    header += b"".join(value.ljust(width) * count for value, width in of_signals)
    body = b"".join(
        sample.to_bytes(2, "little", signed=True)
        for record in range(RECORDS)
        for samples in channels
        for sample in samples[record * RATE : (record + 1) * RATE]
    )
    return header + body


def signals(monkeypatch: pytest.MonkeyPatch, *kinds: str) -> list[list[int]]:
    make = loaded("train", monkeypatch).signal
    return [make(kind, random.Random(place + 7)) for place, kind in enumerate(kinds)]


def test_the_shipped_model_is_what_its_script_makes_and_it_is_right_mostly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train = loaded("train", monkeypatch)
    model = json.loads((BLOCK / "model.json").read_text())
    made = train.rounded(train.train())
    assert made["features"] == model["features"]
    assert made["weights"] == pytest.approx(model["weights"], abs=1e-3)
    assert train.accuracy(model) > 0.9


def test_good_channels_are_told_from_bad_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = a_recording(signals(monkeypatch, "good", "flat", "good", "clipped"))
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    (tmp_path / "in" / "0").write_bytes(recording)
    (tmp_path / "in" / "1").write_bytes(recording[:300])
    files = [{"file": str(number), "path": ["night", f"{number}.edf"]} for number in range(2)]
    (tmp_path / "job.json").write_text(json.dumps({"parameters": {"threshold": 0.5}, "files": files}))
    subprocess.run([sys.executable, "-B", BLOCK / "run.py"], cwd=tmp_path, check=True, timeout=240)
    whole, cut = json.loads((tmp_path / "result.json").read_text())["files"]
    assert cut == {"source": 1, "verdict": "unchanged"}
    labels = {label["name"]: label["value"] for label in whole["labels"]}
    assert labels == {"signal-quality": "mixed", "good-channels": "2"}
    rows = (tmp_path / "out" / "0.csv").read_text().splitlines()[1:]
    assert [float(row.split(",")[1]) >= 0.5 for row in rows] == [True, False, True, False]


async def test_in_shadow_mode_its_results_reach_the_study_team_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed: .ci/run does it")
    async with an_imaging_project(tmp_path / "data") as imaging:
        service = imaging.server.service
        await imaging.server.add_user("leader")
        with service.database.writing() as session:
            create_project(session, "Model", Template.EMPTY, now_ms=1)
            give_role(session, "Model", "user:leader", Role.OWNER, now_ms=1)
            places = [rules.folder_at(session, path) for path in ("/Projects/Nerves/Data", "/Projects/Model")]
            rules.add_rule(session, str(BLOCK), *places, {}, now_ms=service.clock(), shadow=True)
        ada = imaging.researcher
        await ada.follow()
        [folder] = [node for node, state in ada.known.items() if state.name == "Data"]
        node = await ada.file("night.edf", a_recording(signals(monkeypatch, "good", "good")), folder)
        [job] = await imaging.ended(1)
        assert job.state is State.PUBLISHED, job.reasons

        leader = await Person(await imaging.server.sign_in("leader")).look_at("/Projects/Model")
        files = await files_of(leader)
        assert files.keys() == {"night.edf.quality.csv", "night.edf.labels.json"}
        for name in files:
            assert await labels_of(leader, files[name]) == {
                "good-channels": ["2"],
                "signal-quality": ["good"],
            }
        assert list(await imaging.out()) == ["Data/night.edf"]
        assert await labels_of(ada, node) == {}
