"""What a cleaner is given, and what it says of the file that it made.

Owns: the shape of both, the report, the new names of files whose headers name no study.
May import: the standard library, msgspec, blocks.contract, blocks.dicom.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from blocks.contract.result import Label, Reason
from blocks.dicom.pseudonyms import Pseudonyms
from blocks.dicom.template import Template


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
        stem = "/".join([*folders, name.split(".", 1)[0]])
        return [pseudonym, f"{kind}-{self.pseudonyms.word(f'file {stem}', length=10)}{ending}"]


@dataclass(slots=True)
class Cleaned:
    """The file that was made beside this answer.  reasons: why a person must look first; none: it may pass.

    changes: where, and what was done there; of values not a letter.
    """

    place: list[str]
    reasons: list[Reason] = field(default_factory=list)
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)
    labels: list[Label] = field(default_factory=list)


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
