"""What happens to one attribute, decided once for each tag and place.

Owns: the judgement of a tag: template first, then the standard's table, then what its VR allows; never a value.
May import: pydicom's dictionary, blocks.dicom.

The order of doubt: private → removed; in no dictionary → removed; in the table → its action, made as strong as the
object's type needs; in the dictionary alone → kept, but names, unknown UIDs, dates and addresses of the net are not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from pydicom.datadict import dictionary_keyword, dictionary_VR

from blocks.dicom.annex_e import annex_e, attribute_types
from blocks.dicom.template import Do, Rule, Template
from blocks.dicom.values import BINARY, FREE_TEXT, NUMBERS_AS_TEXT, TEXT

# Content items (PS3.3 C.17.3): their values are judged by the name of their concept
CONTENT_SEQUENCES = frozenset({0x0040A730, 0x00400555, 0x00400610, 0x0040B020, 0x00400612})
CONTENT_VALUES = frozenset(
    {0x0040A120, 0x0040A121, 0x0040A122, 0x0040A123, 0x0040A124, 0x0040A160, 0x00700006, 0x0040A13A}
)
PATIENT_NAME, PATIENT_ID, PATIENT_AGE = 0x00100010, 0x00100020, 0x00101010
TIMEZONE_OFFSET = 0x00080201
CHARACTER_SET, PIXEL_DATA = 0x00080005, 0x7FE00010

# Words that the standard itself puts there: a patient called Text does not make a report invalid
_VALUE_TYPES = {"TEXT", "NUM", "CODE", "DATETIME", "DATE", "TIME", "UIDREF", "PNAME", "COMPOSITE", "IMAGE"}
_VALUE_TYPES |= {"WAVEFORM", "SCOORD", "SCOORD3D", "TCOORD", "CONTAINER", "TABLE"}
_RELATIONS = {"CONTAINS", "HAS PROPERTIES", "HAS CONCEPT MOD", "HAS OBS CONTEXT", "HAS ACQ CONTEXT"}
_RELATIONS |= {"INFERRED FROM", "SELECTED FROM"}
ENUMERATED: dict[int, frozenset[str]] = {
    0x0040A040: frozenset(_VALUE_TYPES),
    0x0040A010: frozenset(_RELATIONS),
    0x0040A050: frozenset({"SEPARATE", "CONTINUOUS"}),
    0x0040A491: frozenset({"PARTIAL", "COMPLETE"}),
    0x0040A493: frozenset({"UNVERIFIED", "VERIFIED"}),
    0x00280004: frozenset(
        (
            "MONOCHROME1",
            "MONOCHROME2",
            "RGB",
            "PALETTE COLOR",
            "YBR_FULL",
            "YBR_FULL_422",
            "YBR_RCT",
            "YBR_ICT",
        )
    ),
    0x00185100: frozenset({"HFP", "HFS", "HFDR", "HFDL", "FFDR", "FFDL", "FFP", "FFS"}),
}

# UIDs that name a kind of thing; every other one is made new
_KIND_UIDS = re.compile(
    "(SOPClass|SOPClasses|TransferSyntax|CodingScheme|MappingResource|Context|PrivateInformationCreator)"
)


class Act(Enum):
    KEEP = auto()  # numbers and pixels: as they are
    KEEP_TEXT = auto()  # searched for identifiers
    KEEP_CODE = auto()  # a coded word, searched likewise
    KEEP_NUMBER = auto()  # a number, time or date written as text: must look like one
    KEEP_OFFSET = auto()  # from UTC: a sign and four digits
    REMOVE = auto()
    EMPTY = auto()
    DUMMY = auto()
    UID = auto()
    SHIFT = auto()
    WORDS = auto()  # only words of imaging stay
    AGE = auto()
    RECURSE = auto()  # a sequence, cleaned inside
    RECURSE_DUMMY = auto()  # a sequence that must be there, and of which nothing may stay
    CONTENT_VALUE = auto()
    PATIENT_NAME = auto()
    PATIENT_ID = auto()
    TEMPLATE = auto()  # replace, hash, regex


@dataclass(frozen=True, slots=True)
class Decision:
    act: Act
    why: str  # for the report: the rule, never a value
    vr: str
    other_vrs: frozenset[str] = frozenset()  # that the dictionary allows besides
    rule: Rule | None = None


class Decisions:
    """The decisions under one template; asked millions of times, decided once."""

    def __init__(self, template: Template) -> None:
        self.template = template
        self.options = frozenset(template.options)
        self._rules = template.rules_by_tag()
        self._places: dict[tuple[str, int, bool], Place] = {}

    def at(self, sop_class: str, parent: int, *, dummy: bool) -> Place:
        """The decisions for the data set of an object (parent 0), or for an item of the sequence `parent`."""
        key = ("" if parent else sop_class, parent, dummy)
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = Place(self, *key)
        return place

    def decide(self, tag: int, sop_class: str, parent: int, *, dummy: bool) -> Decision:
        """tag: of an even group."""
        group = tag >> 16
        if group < 8 or group == 0xFFFC or tag & 0xFFFF == 0:
            return Decision(Act.REMOVE, "not part of a data set", "")
        rule = self._rules.get(tag)
        if rule is not None:
            return _by_template(tag, rule)
        if group & 0xFF00 in {0x5000, 0x6000}:
            return Decision(Act.REMOVE, "annex-e X overlay or curve", "")
        try:
            vr, *others = dictionary_VR(tag).split(" or ")
        except KeyError:
            vr, others = "", []
        if vr == "NONE":
            return Decision(Act.REMOVE, "not part of a data set", "")
        if parent in CONTENT_SEQUENCES and tag in CONTENT_VALUES and "structured-content" in self.options:
            return Decision(Act.CONTENT_VALUE, "annex-e concept", vr)
        action = annex_e().action(tag, self.options)
        if action is not None:
            act, why = self._by_table(tag, vr, action, sop_class, parent)
        elif vr:
            act, why = self._by_vr(tag, vr)
        else:
            act, why = Act.REMOVE, "unknown attribute"
        if dummy:
            act, why = _made_dummy(act, vr), "annex-e D, in a sequence"
        return Decision(act, why, vr, frozenset(others))

    def _by_table(self, tag: int, vr: str, action: str, sop_class: str, parent: int) -> tuple[Act, str]:
        why = f"annex-e {action}"
        if tag == PATIENT_NAME:
            return Act.PATIENT_NAME, why
        if tag == PATIENT_ID:
            return Act.PATIENT_ID, why
        if tag == TIMEZONE_OFFSET and action in {"K", "C"}:  # times mean nothing without its sign
            return Act.KEEP_OFFSET, why
        if action == "K":
            return (Act.AGE if tag == PATIENT_AGE else _kept(vr)), why
        if action == "C":
            return _cleaned(vr), why
        if "U" in action:
            return (Act.RECURSE if vr == "SQ" else Act.UID if vr == "UI" else Act.REMOVE), why
        strength = _strength(action, _type_of(tag, sop_class, parent))
        if strength == "X":
            return Act.REMOVE, why
        if strength == "Z":
            return Act.EMPTY, why
        if vr == "SQ":
            return Act.RECURSE_DUMMY, why
        return (Act.UID if vr == "UI" else Act.DUMMY), why

    def _by_vr(self, tag: int, vr: str) -> tuple[Act, str]:
        """What neither the table nor a rule speaks of, and the dictionary knows."""
        if vr == "PN":
            return Act.EMPTY, "vr PN"
        if vr == "AE":
            return Act.EMPTY, "vr AE"
        if vr == "UR":
            return Act.REMOVE, "vr UR"
        if vr == "UI":
            if "uids" in self.options or _KIND_UIDS.search(dictionary_keyword(tag)):
                return Act.KEEP_TEXT, "kept"
            return Act.UID, "vr UI"
        if vr in {"DA", "DT"} and "full-dates" not in self.options:
            return Act.SHIFT, f"vr {vr}"
        if tag in {0x0040A160, 0x00700006}:  # free text whose concept nobody looked at
            return Act.DUMMY, "free text"
        return _kept(vr), "kept"


class Place(dict[int, Decision]):
    """Tag → decision, filled as tags are met."""

    def __init__(self, decisions: Decisions, sop_class: str, parent: int, dummy: bool) -> None:  # noqa: FBT001 - the key of `at`
        super().__init__()
        self._decisions, self._at, self._dummy = decisions, (sop_class, parent), dummy

    def __missing__(self, tag: int) -> Decision:
        decision = self[tag] = self._decisions.decide(tag, *self._at, dummy=self._dummy)
        return decision


def _type_of(tag: int, sop_class: str, parent: int) -> str:
    """1, 1C, 2, 2C or 3; for an object we have no table of, the strictest that any has."""
    types = attribute_types()
    if parent:
        return types.nested.get((parent, tag), "3")
    own = types.of(sop_class)
    return "1" if own is None else own.get(tag, "3")


def _strength(action: str, kind: str) -> str:
    """The one of X/Z/D that the type needs: X breaks types 1 and 2, Z breaks type 1 (PS3.15 E.3)."""
    choices = action.split("/")
    if kind in {"1", "1C"}:
        wanted = "D"
    elif kind in {"2", "2C"}:
        wanted = "Z"
    else:
        wanted = choices[0]
    if len(choices) == 1:  # the table leaves no choice, but an invalid object helps nobody
        return max(choices[0], wanted, key="XZD".index)
    return wanted if wanted in choices else max(choices, key="XZD".index)


def _kept(vr: str) -> Act:
    if vr == "SQ":
        return Act.RECURSE
    if vr == "CS":
        return Act.KEEP_CODE
    if vr in NUMBERS_AS_TEXT:
        return Act.KEEP_NUMBER
    if vr in TEXT or vr == "UI":
        return Act.KEEP_TEXT
    if vr in BINARY:
        return Act.KEEP
    return Act.REMOVE


def _cleaned(vr: str) -> Act:
    if vr == "SQ":
        return Act.RECURSE
    if vr in {"DA", "DT"}:
        return Act.SHIFT
    if vr in NUMBERS_AS_TEXT:
        return Act.KEEP_NUMBER
    return Act.WORDS if vr in FREE_TEXT - {"PN", "UR"} or vr == "CS" else Act.REMOVE


def _made_dummy(act: Act, vr: str) -> Act:
    """Inside a sequence that only has to be there, no text or date of anybody's stays."""
    if act in {Act.KEEP_TEXT, Act.WORDS} and vr != "UI":
        return Act.DUMMY
    if act is Act.RECURSE:
        return Act.RECURSE_DUMMY
    return Act.DUMMY if act is Act.SHIFT or vr in {"DA", "DT"} else act


def _by_template(tag: int, rule: Rule) -> Decision:
    try:
        vr, *others = dictionary_VR(tag).split(" or ")
    except KeyError:
        vr, others = "", []
    acts = {Do.KEEP: _kept(vr), Do.REMOVE: Act.REMOVE, Do.EMPTY: Act.EMPTY, Do.SHIFT: Act.SHIFT}
    act = acts.get(rule.do, Act.TEMPLATE)
    if vr == "SQ" and rule.do in {Do.REPLACE, Do.HASH, Do.SHIFT, Do.REGEX}:
        act = Act.REMOVE
    return Decision(act, f"template {rule.do.value}", vr, frozenset(others), rule)
