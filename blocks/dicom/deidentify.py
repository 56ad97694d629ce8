"""The block `dicom-deidentify`: identified DICOM files in, de-identified ones out, or held back with a reason.

Owns: the order of steps for one file, the markers in it, its new place, its report.
May import: pydicom, msgspec, protocol, blocks.contract, blocks.dicom.

When in doubt, hold back and say so: every way out of this module that is not the last line of `_release` is a
quarantine.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from pydicom.dataset import Dataset
from pydicom.uid import UID

from blocks.contract.job import IN, OUT, InputFile, Job
from blocks.contract.manifest import read_manifest
from blocks.contract.result import FileResult, Output, OutputKind, Reason, Result, Verdict
from blocks.dicom import boxes, files, notices, risks
from blocks.dicom.annex_e import BASIC_PROFILE, CLEAN_PIXELS, OPTIONS, annex_e
from blocks.dicom.attributes import attributes_of
from blocks.dicom.cleaning import Cleaner, Patient, TooDeep, gather
from blocks.dicom.decisions import PATIENT_ID, PATIENT_NAME, PIXEL_DATA, Decisions
from blocks.dicom.elements import Charset, CutShort, own_charset, raw_bytes, text_of
from blocks.dicom.files import Unreadable
from blocks.dicom.identifiers import Identifiers, Needles
from blocks.dicom.pseudonyms import Pseudonyms, identity, read_key
from blocks.dicom.template import Documents, Template, read_template
from protocol.errors import Refused

KEY = "project"  # the key's name in Job.keys
_BIRTH_DATE, _STUDY, _SERIES, _INSTANCE, _SOP_CLASS = (
    0x00100030,
    0x0020000D,
    0x0020000E,
    0x00080018,
    0x00080016,
)
_MANIFEST = Path(__file__).with_name("deidentify.toml")

Change = tuple[tuple[int, ...], str, str]  # where, what was done, by which rule


class Deidentify:
    """One worker's copy; what it learned of a template is kept from job to job, what it saw of a patient is not."""

    def __init__(self) -> None:
        files.be_silent()
        self.manifest = read_manifest(_MANIFEST.read_bytes())
        self._decisions: dict[bytes, Decisions] = {}

    def run(self, job: Job, folder: Path) -> Result:
        template = read_template(job.parameters)
        known = self._decisions.setdefault(msgspec.json.encode(template), Decisions(template))
        if KEY not in job.keys:
            raise Refused("The job brought no key of its project", hint="Pseudonyms are made with one.")
        run = _Run(known, read_key(folder / job.keys[KEY]), folder)
        return Result(files=[run.one(source, file) for source, file in enumerate(job.files)])


@dataclass(slots=True)
class Cleaned:
    """What became of one file; `data` is None where nothing of it may ever pass."""

    reasons: list[Reason]
    data: bytes | None = None
    place: list[str] = field(default_factory=list)
    changes: Counter[Change] = field(default_factory=Counter)
    dataset: Dataset | None = None


@dataclass(slots=True)
class _Run:
    decisions: Decisions
    pseudonyms: Pseudonyms
    folder: Path

    def one(self, source: int, file: InputFile) -> FileResult:
        cleaned = deidentify(self.folder / IN / file.file, self.decisions, self.pseudonyms)
        outputs = []
        out = self.folder / OUT
        if cleaned.data is not None:
            (out / f"{source}.dcm").write_bytes(cleaned.data)
            table = attributes_of(cleaned.dataset) if cleaned.dataset is not None else {}
            outputs.append(Output(file=f"{source}.dcm", path=cleaned.place, attributes=dict(table)))
        report = write_report(self.decisions.template, cleaned)
        (out / f"{source}.report.json").write_bytes(report)
        outputs.append(Output(file=f"{source}.report.json", output="report", kind=OutputKind.REPORT))
        verdict = Verdict.QUARANTINED if cleaned.reasons else Verdict.RELEASED
        return FileResult(source=source, verdict=verdict, reasons=cleaned.reasons, outputs=outputs)


def deidentify(path: Path, decisions: Decisions, pseudonyms: Pseudonyms) -> Cleaned:
    """One file.  Whatever goes wrong with it holds back this file, and says why without a value."""
    try:
        return _deidentify(path, decisions, pseudonyms)
    except MemoryError:
        raise
    except Unreadable as error:
        return Cleaned([Reason(code=error.code, text=error.text)])
    except CutShort:
        return Cleaned([Reason(code="cut-short", text="The file ends before all of it was there.")])
    except (TooDeep, RecursionError):
        return Cleaned([Reason(code="too-deep", text="Its sequences are nested deeper than is allowed.")])
    except Exception as error:  # a file that breaks the engine is a file to look at, not one to lose
        return Cleaned(
            [Reason(code="not-cleaned", text=f"It could not be cleaned ({type(error).__name__}).")]
        )


def _deidentify(path: Path, decisions: Decisions, pseudonyms: Pseudonyms) -> Cleaned:
    dataset = files.read(path)
    charset: Charset = ["iso8859"]
    sop_class = _uid(dataset, _SOP_CLASS)
    template = decisions.template
    is_replaced = template.documents is Documents.NOTICE and notices.can_replace(dataset, sop_class)
    refused = risks.refused(dataset, sop_class)
    if refused is not None and not is_replaced:
        return Cleaned([refused])
    if not risks.is_whole(dataset, path.stat().st_size):
        raise CutShort
    if is_replaced:
        notices.take_out(dataset)
    syntax = files.transfer_syntax(dataset)
    gathered = Identifiers()
    gather(dataset, gathered, charset)
    needles = gathered.needles()
    who = identity(
        _text(dataset, PATIENT_ID),
        _text(dataset, PATIENT_NAME),
        _text(dataset, _BIRTH_DATE),
        _uid(dataset, _STUDY) or _uid(dataset, _INSTANCE),
    )
    patient = Patient(pseudonyms.patient(who), pseudonyms.days_back(who))
    blanking = boxes.fitting(dataset, template.boxes)
    is_cleaned = bool(blanking.areas) and (blanking.is_enough or risks.is_trusted(dataset, template.trusted))
    reasons = risks.held(dataset, sop_class, template.trusted, pixels_cleaned=is_cleaned)
    if syntax.is_transfer_syntax and "MPEG" in syntax.name.upper():
        reasons.append(Reason(code="video", text="It is a video: people may be seen or heard in it."))
    if blanking.areas:
        boxes.blank(dataset, syntax, blanking.areas)
    cleaner = Cleaner(decisions, pseudonyms, patient, needles, sop_class)
    cleaner.clean(dataset, charset)
    if is_replaced:
        notices.put_in(dataset, sop_class, pseudonyms)
        cleaner.changes[(notices.DOCUMENT,), "replaced by a notice", "documents"] += 1
    _mark(dataset, template, pixels_cleaned=is_cleaned)
    data = files.written(dataset, syntax, sop_class, pseudonyms, instance=_uid(dataset, _INSTANCE))
    reasons += _last_look(dataset, data, needles)
    place = _place(dataset, patient, pseudonyms)
    return Cleaned(reasons, data, place, cleaner.changes, dataset)


def _last_look(dataset: Dataset, data: bytes, needles: Needles) -> list[Reason]:
    """Whatever the rules did: no telling identifier may stand anywhere before the pixels, in any encoding."""
    if needles.overflowed:
        return [Reason(code="too-many-names", text="The file holds more names than can be looked for.")]
    pixels = len(raw_bytes(dataset, PIXEL_DATA)) if PIXEL_DATA in dataset else 0  # type: ignore[arg-type] # a tag is a number
    if needles.in_bytes(data[: len(data) - pixels]):
        return [
            Reason(code="identifier-left", text="An identifier of the study is still in the cleaned file.")
        ]
    return []


def _mark(dataset: Dataset, template: Template, *, pixels_cleaned: bool) -> None:
    """What the standard asks a de-identified object to say of itself (PS3.15 E.1.1, PS3.3 C.7.1.1)."""
    dataset.add_new(0x00120062, "CS", "YES")
    method = f"Medical-Blocks, {template.name}, PS3.15 {annex_e().edition}"
    dataset.add_new(0x00120063, "LO", method)
    codes = [BASIC_PROFILE, *(OPTIONS[option] for option in template.options)]
    if pixels_cleaned:
        codes.append(CLEAN_PIXELS)
        dataset.add_new(0x00280301, "CS", "NO")
    dataset.add_new(0x00120064, "SQ", [_code(*code) for code in sorted(codes)])
    options = set(template.options)
    dates = (
        "UNMODIFIED" if "full-dates" in options else "MODIFIED" if "modified-dates" in options else "REMOVED"
    )
    dataset.add_new(0x00280303, "CS", dates)


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.add_new(0x00080100, "SH", value)
    code.add_new(0x00080102, "SH", "DCM")
    code.add_new(0x00080104, "LO", meaning)
    return code


def _place(dataset: Dataset, patient: Patient, pseudonyms: Pseudonyms) -> list[str]:
    """pseudonym/study/series/file: made of the cleaned file alone, never of the old names."""
    instance, series, study = (_uid(dataset, tag) for tag in (_INSTANCE, _SERIES, _STUDY))
    date = _matching(r"\d{8}", _text(dataset, 0x00080020))
    modality = _matching(r"[A-Z]{2,8}", _text(dataset, 0x00080060))
    return [
        patient.pseudonym,
        "-".join(filter(None, ("study", date, pseudonyms.word(study, length=8)))),
        "-".join(
            filter(
                None, ("series", _number(dataset, 0x00200011, 3), modality, pseudonyms.word(series, length=8))
            )
        ),
        "-".join(filter(None, (_number(dataset, 0x00200013, 5), pseudonyms.word(instance, length=10))))
        + ".dcm",
    ]


def write_report(template: Template, cleaned: Cleaned) -> bytes:
    """What was done, why, and by which rule; of values not a letter."""
    return msgspec.json.encode(
        {
            "block": "dicom-deidentify",
            "standard": f"DICOM PS3.15 {annex_e().edition} Annex E",
            "template": template.name,
            "options": template.options,
            "verdict": "quarantined" if cleaned.reasons else "released",
            "reasons": cleaned.reasons,
            "changes": [
                {"at": ".".join(f"{tag:08X}" for tag in path), "did": act, "rule": why, "times": times}
                for (path, act, why), times in sorted(cleaned.changes.items())
            ],
        }
    )


def _number(dataset: Dataset, tag: int, digits: int) -> str:
    text = _matching(r"\d{1,8}", _text(dataset, tag))
    return text.zfill(digits) if text else ""


def _matching(pattern: str, text: str) -> str:
    return text if re.fullmatch(pattern, text) else ""


def _text(dataset: Dataset, tag: int) -> str:
    if tag not in dataset:
        return ""
    return text_of(dataset.get_item(tag), own_charset(dataset, ["iso8859"])).strip()


def _uid(dataset: Dataset, tag: int) -> str:
    text = _text(dataset, tag)
    return str(UID(text)) if re.fullmatch(r"[0-9.]{1,64}", text) else ""
