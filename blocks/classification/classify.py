"""The block `classify`: files in, labels out, and nothing else.

Owns: which kind of file goes to which rules; that a label is of the vocabulary; one answer for each file.
May import: the standard library, protocol, blocks.contract, blocks.dicom, blocks.classification.

It looks at originals inside an intake, and its labels are read outside: the last thing that happens to each is that it
must be a word of the vocabulary or a number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from blocks.classification import signals, volumes
from blocks.classification.clues import Finding
from blocks.classification.image import labels_of
from blocks.classification.reading import read_facts
from blocks.classification.vocabulary import vocabulary
from blocks.contract.job import IN, InputFile, Job
from blocks.contract.manifest import read_manifest
from blocks.contract.result import FileResult, Label, Result, Verdict
from blocks.dicom import files

_MANIFEST = Path(__file__).with_name("classify.toml")
_MOST_LABELS = 400


class Classify:
    """One worker's copy."""

    def __init__(self) -> None:
        files.be_silent()
        self.manifest = read_manifest(_MANIFEST.read_bytes())
        vocabulary()

    def run(self, job: Job, folder: Path) -> Result:
        return Result(files=[_one(source, file, folder) for source, file in enumerate(job.files)])


def classify(path: Path, kind: str) -> list[Label]:
    """kind: as `blocks.contract.sniff` says.  Empty: nothing can be said of it, or it is damaged."""
    try:
        return _labels(_RULES[kind](path))
    except (MemoryError, OSError):
        raise
    except (
        Exception
    ):  # a damaged file has no labels; what is wrong with it is for the block that cleans it to say
        return []


def _one(source: int, file: InputFile, folder: Path) -> FileResult:
    labels = classify(folder / IN / file.file, file.kind)
    verdict = Verdict.RELEASED if labels else Verdict.UNCHANGED
    return FileResult(source=source, verdict=verdict, labels=labels)


def _labels(found: Iterable[Finding]) -> list[Label]:
    words = vocabulary()
    return [
        Label(
            name=one.name,
            value=one.value,
            rule=one.rule,
            confidence=one.confidence,
            source="+".join(one.sources)[:200],
        )
        for one in found
        if words.allows(one.name, one.value)
    ][:_MOST_LABELS]


def _image(path: Path) -> list[Finding]:
    return labels_of(read_facts(path))


_RULES: dict[str, Callable[[Path], list[Finding]]] = {
    "dicom": _image,
    "dicom-without-header": _image,
    "edf": signals.recording,
    "bdf": signals.recording,
    "nifti": volumes.nifti,
    "nifti-gz": volumes.nifti,
    "metaimage": volumes.metaimage,
}
