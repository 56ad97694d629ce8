"""One person in every spelling, through a real intake: a researcher finds none of them, in any encoding."""

from __future__ import annotations

import gzip
import json
import logging
from pathlib import Path

import pytest

from server.hooks.jobs import State
from tests.server.http.test_search import find
from tests.support.dicom_studies import in_any_encoding
from tests.support.intake import an_imaging_project
from tests.support.recordings import Recording, a_bdf
from tests.support.volumes import SIDECAR, MetaImage, Nifti, gzipped

# Jürg Müller-Zweistein, born on 1 April 1980, recorded on 29 February 2024
SPELLINGS = [
    *("Müller-Zweistein^Jürg", "Jürg Müller Zweistein", "MÜLLER", "Mueller, Juerg", "muller zweistein", "ZWEISTEIN"),
    *("zweistein_juerg", "JürgMüller", "J. Müller", "MuellerJ", "Hr. Zweistein", "Zweisteins Auge auf", "Zwei-Stein"),
    *("JMZ 01.04.1980", "JMZ010480", "MJ 1.4.80", "*01.04.80", "1980-04-01", "19800401", "01APR1980", "1980/04/01"),
    *("01-04-1980", "04/01/1980", "1. April 1980", "April 1st, 1980", "born 1980 04 01", "geb. am 1.4.1980"),
    *("Eyes open Müller blinking", "Stimulus 12 (19800401) end", "Sleep stage W Zweistein", "EEG 0041-79-555-01-23"),
]  # fmt: skip
LOOKED_FOR = [
    *("Zweistein", "Müller", "Mueller", "Muller", "Jürg", "Juerg", "JMZ", "MuellerJ", "Zwei-Stein", "79-555"),
    *("01.04.1980", "01.04.80", "1.4.80", "1.4.1980", "1980-04-01", "19800401", "01APR1980", "01-APR-1980", "010480"),
    *("01-04-1980", "04/01/1980", "1980/04/01", "1980 04 01", "April", "PID-4711", "4711-X", "ACC7731", "Quacksalver"),
    *("29.02.24", "29-FEB-2024", "20240229", "2024-02-29"),
]  # fmt: skip
AS_BYTES = ("utf-8", "cp1252")
HEADER = {
    "patient": "PID-4711-X M 01-APR-1980 Müller-Zweistein_Jürg".encode("cp1252"),
    "recording": b"Startdate 29-FEB-2024 ACC7731 Quacksalver Acme",
}
FIELDS = ("Müller", "JMZ010480", "Zweistein Fp1", "01.04.1980", "Mueller")


def recordings() -> dict[str, bytes]:
    made = {}
    for number in range(0, len(SPELLINGS), 2):
        some = SPELLINGS[number : number + 2]
        form = AS_BYTES[number // 2 % 2]
        word = FIELDS[number // 2 % len(FIELDS)].encode(form)
        texts = [*(text.encode(form) for text in some), b"Stimulus 12"]
        kind = a_bdf if number // 2 % 2 else Recording
        fields = {
            "texts": texts,
            "labels": [word, b"ECG"],
            "transducer": word,
            "prefilter": b"HP:0.1Hz " + word,
        }
        more = {"signal_reserved": word, "unit": word[:8], "reserved": b"EDF+C " + word}
        if kind is a_bdf:
            more["reserved"] = b"BDF+C " + word
        made[f"{some[0].replace('/', '-').replace('*', '')}.{'bdf' if kind is a_bdf else 'edf'}"] = kind(
            **HEADER, **fields, **more
        ).as_bytes()
    return made


def volumes() -> dict[str, bytes]:
    made = {}
    for number, form in enumerate(("utf-8", "utf-16-le", "utf-16-be", "cp1252", "utf-32-le")):
        said = "; ".join(SPELLINGS[number::5]).encode(form)
        nifti = Nifti(texts=said, extension=said, behind=said, version=1 + number % 2, order="<>"[number % 2])
        made[f"sub-JMZ010480_ses-20240229_acq-Mueller{number}_T1w.nii.gz"] = gzipped(nifti.as_bytes())
        values = {f"Comment{n}": text for n, text in enumerate(SPELLINGS[number::5])}
        meta = MetaImage(behind=said).changed(Comment=SPELLINGS[number], Name="MÜLLER", **values)
        made[f"Müller Zweistein {number}.mha"] = meta.as_bytes()
        texts = {
            "SeriesDescription": f"t1 {SPELLINGS[number]} sag",
            "ProtocolName": SPELLINGS[-1 - number],
            "ImageComments": SPELLINGS[number + 5],
            "ImageType": ["ORIGINAL", "PRIMARY", "MÜLLER", "19800401"],
            "AcquisitionDateTime": "2024-02-29T10:11:12",
            "SeriesNumber": "19800401",
            "global": {"const": {"PatientName": SPELLINGS[0], "StudyDescription": SPELLINGS[number + 10]}},
            SPELLINGS[number + 14]: SPELLINGS[number + 15],
        }
        made[f"sub-JMZ010480_ses-20240229_acq-Mueller{number}_T1w.json"] = json.dumps(
            {**SIDECAR, **texts}, ensure_ascii=bool(number % 2)
        ).encode()
    return made


def wide() -> dict[str, bytes]:
    """Annotations of two bytes a letter, which the format does not have: some programs write them."""
    return {
        f"Zweistein {form}.edf": Recording(**HEADER, texts=["Zweistein 1980".encode(form)]).as_bytes()
        for form in ("utf-16-le", "utf-16-be")
    }


async def test_no_spelling_of_a_person_is_seen_by_a_researcher(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    files, more = recordings() | volumes(), wide()
    async with an_imaging_project(tmp_path / "data") as imaging:
        folder = await imaging.clinician.folder("Müller-Zweistein Jürg 01.04.1980")
        for name, data in (files | more).items():
            await imaging.clinician.file(name, data, folder)
        jobs = await imaging.ended(len(files) + len(more))
        assert {job.state for job in jobs} <= {State.PUBLISHED, State.QUARANTINED}
        assert sum(job.state is State.PUBLISHED for job in jobs) >= len(files)
        out = {path: unpacked(path, data) for path, data in (await imaging.out()).items()}
        assert len(out) >= len(files)
        person = imaging.researcher
        answers = ["\n".join(out).encode(), repr(person.known).encode()]
        asks = [*("search?level=file", "search.csv", "counts", "label-kinds", "cohorts", "activity", "jobs")]
        asks += [f"nodes/{node}/labels" for node, state in person.known.items() if state.content is not None]
        for path in asks:
            status, body, _ = await person.caller.raw("GET", f"{person.caller.at}/{path}")
            assert status in (200, 403), path
            answers.append(body)
        for word in ("Zweistein", "müller", "1980"):
            assert (await find(person, word)).items == []
        told = caplog.text.encode() + repr(jobs).encode()
        for word in LOOKED_FOR:
            for place, data in (*out.items(), ("answers", b"".join(answers)), ("log", told)):
                assert not in_any_encoding(word, data), (word, place)
        # and what names nobody is still there
        assert sum(b"Stimulus 12" in data for data in out.values()) == len(recordings())


def unpacked(path: str, data: bytes) -> bytes:
    """As its reader sees it."""
    if path.endswith(".gz"):
        return data + gzip.decompress(data)
    if path.endswith(".json"):
        return data + json.dumps(json.loads(data), ensure_ascii=False).encode()
    return data
