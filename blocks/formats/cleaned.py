"""What a cleaner is given, and what it says of the file that it made.

Owns: the shape of both, the report, the new names of files whose headers name no study, whose a file is that names
nobody.
May import: the standard library, msgspec, blocks.contract, blocks.dicom.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from blocks.contract.result import Label, Reason
from blocks.dicom.pseudonyms import Pseudonyms, identity
from blocks.dicom.template import Template

_ENDING = re.compile(
    r"\.(nii\.gz|nii|json|bvals?|bvecs?|mha|mhd|raw|zraw|hdr|img|edf|bdf|[a-z0-9]{1,4})$", re.IGNORECASE
)
_SUBJECT = re.compile(r"(sub-[0-9A-Za-z]+)(?=_|$)")  # how BIDS names one (bids-specification, "entities")
_CONTENTS = frozenset({  # what BIDS says that a file holds
    "T1w", "T2w", "PDw", "T2starw", "FLAIR", "inplaneT1", "inplaneT2", "PDT2", "UNIT1", "MEGRE", "MESE", "VFA",
    "MP2RAGE", "angio", "T1map", "T2map", "bold", "cbv", "sbref", "dwi", "asl", "m0scan", "pet", "ct", "phasediff",
    "phase1", "phase2", "magnitude", "magnitude1", "magnitude2", "fieldmap", "epi", "eeg", "mask", "dseg",
})  # fmt: skip


class Held(ValueError):
    """Nothing of this file can be made safe; `code` and the words go into the reason, never a value."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


@dataclass(frozen=True, slots=True)
class Task:
    """path: the file's folders and name as people know them; they are data of a patient too."""

    path: Sequence[str]
    pseudonyms: Pseudonyms
    template: Template

    def has(self, option: str) -> bool:
        return option in self.template.options

    def place(self, pseudonym: str, kind: str, ending: str) -> list[str]:
        """pseudonym/kind-word.ending: made of the old path, with no way back."""
        *folders, name = self.path
        stem = "/".join([*folders, _stem(name)])
        return [pseudonym, f"{kind}-{self.pseudonyms.word(f'file {stem}', length=10)}{ending}"]

    def volume_place(self, ending: str) -> list[str]:
        """For what names nobody.  A volume and its sidecar have one name but for its ending, as they had before."""
        kind = _stem(self.path[-1]).rsplit("_", 1)[-1]
        return self.place(
            self.pseudonyms.patient(self.owner), kind if kind in _CONTENTS else "volume", ending
        )

    @property
    def owner(self) -> str:
        """Whose file it is, where only its place says so.  When in doubt, two patients rather than one of two people.

        The folder that the project says is named by the patient's id; else a subject of BIDS; else the folder that it
        lies in; at the top the file alone.
        """
        *folders, name = self.path
        depth = self.template.patient_folder
        if 0 < depth <= len(folders):
            return identity(folders[depth - 1], "", "", "")
        for n, part in enumerate([*folders, _stem(name)]):
            if found := _SUBJECT.match(part):
                return "place " + "/".join([*folders[:n], found[1]])
        return "place " + ("/".join(folders) or _stem(name))


@dataclass(slots=True)
class Cleaned:
    """The file that was made beside this answer.  reasons: why a person must look first; none: it may pass.

    changes: where, and what was done there; of values not a letter.
    """

    place: list[str]
    reasons: list[Reason] = field(default_factory=list)
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)
    labels: list[Label] = field(default_factory=list)


def _stem(name: str) -> str:
    return _ENDING.sub("", name) or name


def write_report(template: Template, kind: str, cleaned: Cleaned | None, reasons: list[Reason]) -> bytes:
    """What was done, where, how often; for the people of the source."""
    changes = cleaned.changes if cleaned is not None else Counter()
    return msgspec.json.encode(
        {
            "block": "deidentify",
            "kind": kind,
            "template": template.name,
            "options": template.options,
            "verdict": "quarantined" if reasons else "released",
            "reasons": reasons,
            "changes": [
                {"at": at, "did": did, "times": times} for (at, did), times in sorted(changes.items())
            ],
        }
    )
