"""The block `dicom-to-volume`: the series in a folder become one volume each, with a sidecar.

Owns: the order of a run, the names of what is made, what is said of what could not be made.
May import: the standard library, msgspec, blocks.contract, blocks.dicom, blocks.formats, blocks.imaging.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from blocks.contract.job import IN, OUT, Job
from blocks.contract.manifest import read_manifest
from blocks.contract.result import FileResult, Output, Reason, Result, Verdict
from blocks.dicom.deidentify import KEY
from blocks.dicom.files import be_silent
from blocks.dicom.pseudonyms import read_key
from blocks.dicom.template import Template
from blocks.formats.cleaned import Cleaned, Task
from blocks.formats.sidecar import clean_values
from blocks.imaging.gradients import gradients_of
from blocks.imaging.slices import NoVolume, Slice, read_slices
from blocks.imaging.volumes import Volume, grouped, put_together
from blocks.imaging.writing import sidecar_of, write_metaimage, write_nifti
from protocol.errors import Refused

MOST_FOLDER_BYTES = 4 << 30
_WORTH_TELLING = 0.1  # of a step: so far may a slice lie from where its file says, without a word
_MANIFEST = Path(__file__).with_name("convert.toml")
_WRITERS = {"nifti": (write_nifti, ".nii.gz"), "metaimage": (write_metaimage, ".mha")}
# Dates and characteristics are those of the files, which were cleaned by their project's template before
_TEMPLATE = Template(name="converted", options=["descriptors", "full-dates", "patient-characteristics"])


class Convert:
    """One worker's copy."""

    def __init__(self) -> None:
        be_silent()
        self.manifest = read_manifest(_MANIFEST.read_bytes())

    def run(self, job: Job, folder: Path) -> Result:
        if KEY not in job.keys:
            raise Refused("The job brought no key of its project", hint="It runs on a server.")
        task = Task(job.files[0].path, read_key(folder / job.keys[KEY]), _TEMPLATE)
        reasons: dict[str, NoVolume] = {}
        slices: list[Slice] = []
        for file in job.files:
            try:
                slices += read_slices(folder / IN / file.file)
            except NoVolume as reason:
                reasons.setdefault(reason.code, reason)
            if sum(one.pixels.nbytes for one in slices) > MOST_FOLDER_BYTES:
                text = "The pictures of the folder are larger together than the block may hold."
                return Result(files=[_answer([], [NoVolume("too-large", text, is_fault=True)])])
        volumes: list[Volume] = []
        for group in grouped(slices):
            try:
                volumes.append(put_together(group, step_of=job.parameters["step"]))
            except NoVolume as reason:
                reasons.setdefault(reason.code, reason)
        for volume in volumes:
            if _is_off(volume):
                text = (
                    "The steps between the slices differ, and a volume has one for all: a slice lies up to "
                    f"{volume.off_mm:.2f} mm from where its file says. The parameter `step` chooses which."
                )
                reasons.setdefault("uneven-steps", NoVolume("uneven-steps", text))
        outputs: list[Output] = []
        for number, volume in enumerate(volumes, start=1):
            name = _name(task.path) + (f"-{number}" if len(volumes) > 1 else "")
            try:
                outputs += _written(volume, name, job.parameters["format"], task, folder)
            except NoVolume as reason:
                reasons.setdefault(reason.code, reason)
        return Result(files=[_answer(outputs, list(reasons.values()))])


def _answer(outputs: list[Output], reasons: list[NoVolume]) -> FileResult:
    if outputs:
        verdict = Verdict.RELEASED
    else:
        verdict = Verdict.FAILED if any(reason.is_fault for reason in reasons) else Verdict.UNCHANGED
    told = [Reason(code=reason.code, text=reason.text) for reason in reasons]
    return FileResult(source=0, verdict=verdict, reasons=told, outputs=outputs)


def _is_off(volume: Volume) -> bool:
    return volume.off_mm > _WORTH_TELLING * volume.steps[-1]


def _written(volume: Volume, name: str, form: str, task: Task, folder: Path) -> list[Output]:
    """The volume and its sidecar.  Their words depend on the series alone, so that a later run makes new versions."""
    write, ending = _WRITERS[form]
    word = hashlib.sha256(repr(volume.key).encode()).hexdigest()[:12]
    values = clean_values(sidecar_of(volume), task, Cleaned([]))
    if _is_off(volume):
        values["SlicesOffByMillimetres"] = round(volume.off_mm, 3)
    write(volume, folder / OUT / f"{word}{ending}")
    (folder / OUT / f"{word}.json").write_bytes(
        msgspec.json.format(msgspec.json.encode(values), indent=2) + b"\n"
    )
    above = list(task.path[:-2])
    beside = []
    if gradients := gradients_of(volume):
        for kind, text in zip(("bval", "bvec"), gradients, strict=True):
            (folder / OUT / f"{word}.{kind}").write_text(text, "ascii")
            beside.append(
                Output(file=f"{word}.{kind}", output=f"{kind}-{word}", path=[*above, f"{name}.{kind}"])
            )
    return [
        *beside,
        Output(file=f"{word}{ending}", output=f"volume-{word}", path=[*above, name + ending]),
        Output(file=f"{word}.json", output=f"sidecar-{word}", path=[*above, name + ".json"]),
    ]


def _name(path: Sequence[str]) -> str:
    """That of the series' folder."""
    return path[-2] if len(path) > 1 else "volume"
