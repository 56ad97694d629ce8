"""What a project wants done with its DICOM files: a preset, and rules of its own.

Owns: the template's shape, the presets, how a site's rules and a project's become one.
May import: msgspec, pydicom's dictionary, protocol.errors, blocks.dicom.annex_e.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from pydicom.datadict import tag_for_keyword

from blocks.dicom.annex_e import OPTIONS
from protocol.errors import BadRequest

MAX_RULES = 2_000


def rule_tag(name: str) -> int:
    """The tag that a rule's name means: a keyword of the standard, or eight hex digits."""
    if re.fullmatch(r"[0-9A-Fa-f]{8}", name):
        return int(name, 16)
    tag = tag_for_keyword(name)
    if tag is None:
        raise BadRequest(f"{name[:64]!r} is no attribute of DICOM", hint="Say PatientSex, or 00100040.")
    return int(tag)


class Do(Enum):
    """What a rule of a template does with an attribute, wherever it stands."""

    KEEP = "keep"
    REMOVE = "remove"
    EMPTY = "empty"
    REPLACE = "replace"  # by `value`
    HASH = "hash"  # by a pseudonym of its value: UIDs stay UIDs
    SHIFT = "shift"  # dates, by the patient's offset
    REGEX = "regex"  # each match of `pattern` by `value`


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    do: Do
    value: Annotated[str, Meta(max_length=1_024, pattern=r"^[\x20-\x7e]*$")] = ""
    pattern: Annotated[str, Meta(max_length=1_024)] = ""

    def __post_init__(self) -> None:
        if self.do is Do.REGEX:
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise BadRequest(
                    f"A rule's pattern is no regular expression: {error}", hint="Mend it."
                ) from error


class Box(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parts of a picture to be made black, for the devices that write a name into it."""

    modality: str
    manufacturer: str = ""  # how (0008,0070) begins, in any case; empty: any
    model: str = ""  # likewise (0008,1090)
    rows: int = 0  # 0: any
    columns: int = 0
    areas: Annotated[list[tuple[int, int, int, int]], Meta(max_length=100)] = []  # left, top, right, bottom
    outside_regions: bool = (
        False  # all that lies outside the regions of ultrasound that the file itself names
    )

    def __post_init__(self) -> None:
        if not self.areas and not self.outside_regions:
            raise BadRequest("A box makes nothing black", hint="Give areas, or outside_regions.")
        if any(not (0 <= left < right and 0 <= top < bottom) for left, top, right, bottom in self.areas):
            raise BadRequest("A box is no rectangle", hint="Give left, top, right, bottom, in pixels.")


class Documents(Enum):
    """What becomes of a document inside a DICOM object, which no table can clean."""

    HOLD = "hold"
    NOTICE = "notice"  # replaced by a page that says that it was removed


class Faces(Enum):
    """What becomes of a volume in which a face could be seen (NIfTI, MetaImage: no header tells of what body part)."""

    LABEL = "label"
    HOLD = "hold"


class Template(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    options: list[str] = []
    rules: Annotated[dict[str, Rule], Meta(max_length=MAX_RULES)] = {}  # by keyword, or by tag "00100010"
    boxes: Annotated[list[Box], Meta(max_length=1_000)] = []
    trusted: Annotated[
        list[str], Meta(max_length=50)
    ] = []  # modalities that never burn text in, at this site
    documents: Documents = Documents.HOLD
    faces: Faces = Faces.LABEL
    patient_folder: Annotated[int, Meta(ge=0, le=20)] = (
        0  # which folder of a path is named by the patient's id; 0: none
    )

    def __post_init__(self) -> None:
        unknown = sorted(set(self.options) - set(OPTIONS))
        if unknown:
            raise BadRequest(f"There is no option {unknown[0]!r}", hint=f"There are {', '.join(OPTIONS)}.")
        if {"full-dates", "modified-dates"} <= set(self.options):
            raise BadRequest("Dates cannot both stay and move", hint="Choose full-dates or modified-dates.")
        for name in self.rules:
            rule_tag(name)

    def rules_by_tag(self) -> dict[int, Rule]:
        return {rule_tag(name): rule for name, rule in self.rules.items()}


_CHOICES = ("documents", "faces", "patient_folder")
PRESETS = {
    "basic": Template(name="basic", options=["structured-content"]),
    "research": Template(
        name="research",
        options=["structured-content", "modified-dates", "patient-characteristics", "safe-private"],
    ),
    "paper": Template(
        name="paper",
        options=["structured-content", "modified-dates", "patient-characteristics"],
        rules={"PatientBirthDate": Rule(do=Do.REPLACE, value="19000101")},
    ),
}


def read_template(parameters: dict[str, Any]) -> Template:
    """The template that a job's parameters describe: `preset`, then `project`, then `site`.

    The two layers change the preset tag by tag; where both have a rule for one tag, the site's holds, because the
    site answers for what leaves it; so too of `documents`, `faces` and `patient_folder`.  `options` and `boxes` are
    added up.
    """
    name = parameters.get("preset", "basic")
    preset = PRESETS.get(name)
    if preset is None:
        raise BadRequest("There is no such preset", hint=f"There are {', '.join(PRESETS)}.")
    merged: dict[int, tuple[str, Rule]] = {
        rule_tag(name): (name, rule) for name, rule in preset.rules.items()
    }
    options, boxes, trusted = list(preset.options), list(preset.boxes), list(preset.trusted)
    chosen: dict[str, Any] = {}
    for layer in ("project", "site"):
        try:
            own = msgspec.convert({"name": name, **parameters.get(layer, {})}, Template)
        except msgspec.ValidationError as error:
            raise BadRequest(
                f"The {layer}'s template is not one: {error}", hint="See docs/blocks.md."
            ) from error
        merged |= {rule_tag(name): (name, rule) for name, rule in own.rules.items()}
        options += own.options
        boxes += own.boxes
        trusted += own.trusted
        chosen |= {choice: getattr(own, choice) for choice in _CHOICES if choice in parameters.get(layer, {})}
    return Template(
        name=name,
        options=sorted(set(options)),
        rules=dict(merged.values()),
        boxes=boxes,
        trusted=sorted(set(trusted)),
        **chosen,
    )
