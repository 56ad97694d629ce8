"""The block `deidentify`: each file goes to the cleaner of its kind; DICOM to the one that knows it.

Owns: the choice by kind, what a file that breaks its cleaner becomes.
May import: the standard library, protocol, blocks.contract, blocks.dicom, blocks.formats.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from blocks.contract.job import IN, OUT, InputFile, Job
from blocks.contract.manifest import read_manifest
from blocks.contract.result import FileResult, Output, OutputKind, Reason, Result, Verdict
from blocks.dicom.deidentify import KEY
from blocks.dicom.deidentify import Deidentify as DeidentifyDicom
from blocks.dicom.pseudonyms import Pseudonyms, read_key
from blocks.dicom.template import Template, read_template
from blocks.formats.cleaned import Cleaned, Held, Task, write_report
from blocks.formats.edf_cleaning import clean_edf
from blocks.formats.gradients import clean_gradients
from blocks.formats.index import described
from blocks.formats.metaimage_cleaning import clean_metaimage
from blocks.formats.nifti_cleaning import clean_nifti
from blocks.formats.sidecar import clean_sidecar
from protocol.errors import Refused

_MANIFEST = Path(__file__).with_name("deidentify.toml")
_CLEANERS: dict[str, Callable[[Path, Path, Task], Cleaned]] = {
    "edf": clean_edf,
    "bdf": clean_edf,
    "nifti": clean_nifti,
    "nifti-gz": clean_nifti,
    "metaimage": clean_metaimage,
    "json": clean_sidecar,
    "text": clean_gradients,
}


class Deidentify:
    """One worker's copy."""

    def __init__(self) -> None:
        self.manifest = read_manifest(_MANIFEST.read_bytes())
        self._dicom = DeidentifyDicom()

    def run(self, job: Job, folder: Path) -> Result:
        if KEY not in job.keys:
            raise Refused("The job brought no key of its project", hint="Pseudonyms are made with one.")
        template, pseudonyms = read_template(job.parameters), read_key(folder / job.keys[KEY])
        results = self._dicom_files(job, folder)
        for source, file in enumerate(job.files):
            if file.kind in _CLEANERS:
                results[source] = _one(source, file, folder, template, pseudonyms)
        return Result(files=[results[source] for source in sorted(results)])

    def _dicom_files(self, job: Job, folder: Path) -> dict[int, FileResult]:
        """By the files' places in this job; the other block numbers its own, and so its outputs get names here."""
        mine = [source for source, file in enumerate(job.files) if file.kind not in _CLEANERS]
        if not mine:
            return {}
        answered = self._dicom.run(
            msgspec.structs.replace(job, files=[job.files[source] for source in mine]), folder
        )
        return {
            mine[one.source]: _renamed(one, mine[one.source], folder / OUT)
            for one in reversed(answered.files)
        }


def _renamed(answer: FileResult, source: int, out: Path) -> FileResult:
    """Its outputs under the number that the file has here; the last first, so that none takes another's name."""
    outputs = []
    for output in answer.outputs:
        ending = output.file.split(".", 1)[1]
        (out / output.file).rename(out / f"{source}.{ending}")
        outputs.append(msgspec.structs.replace(output, file=f"{source}.{ending}"))
    return msgspec.structs.replace(answer, source=source, outputs=outputs)


def _one(
    source: int, file: InputFile, folder: Path, template: Template, pseudonyms: Pseudonyms
) -> FileResult:
    target = folder / OUT / f"{source}.{file.kind}"
    cleaned: Cleaned | None = None
    try:
        cleaned = _CLEANERS[file.kind](folder / IN / file.file, target, Task(file.path, pseudonyms, template))
        reasons = cleaned.reasons
    except (MemoryError, OSError):
        raise
    except Held as held:
        reasons = [Reason(code=held.code, text=held.text)]
    except Exception as error:  # a file that breaks its cleaner is a file to look at, not one to lose
        text = f"It could not be cleaned ({type(error).__name__})."
        reasons = [Reason(code="not-cleaned", text=text)]
    outputs = []
    if cleaned is None:
        target.unlink(missing_ok=True)
    else:
        table = described(file.kind, target, patient=cleaned.place[0])
        outputs.append(Output(file=target.name, path=cleaned.place, attributes=dict(table)))
    report = f"{source}.report.json"
    (folder / OUT / report).write_bytes(write_report(template, file.kind, cleaned, reasons))
    outputs.append(Output(file=report, output="report", kind=OutputKind.REPORT))
    return FileResult(
        source=source,
        verdict=Verdict.QUARANTINED if reasons else Verdict.RELEASED,
        reasons=reasons,
        outputs=outputs,
        labels=[] if cleaned is None or reasons else cleaned.labels,
    )
