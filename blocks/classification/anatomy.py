"""Rules for what is shown: region, side, focus, pathology.

Owns: these rules.
May import: blocks.classification.

Sources: PS3.3 (attributes), PS3.16 CID 4031 and Annex L (regions and their short words), PS3.3 C.8.5.6.1.1 (kinds of
ultrasound examinations).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from blocks.classification import lexicon
from blocks.classification.clues import Clue, Finding, clue, decide
from blocks.classification.facts import Facts, Said
from blocks.classification.vocabulary import vocabulary

_ULTRASOUND = {
    "ABDOMINAL": "abdomen", "ABDOM/RAD": "abdomen", "BREAST": "breast", "CHEST": "chest", "EPICARDIAL": "heart",
    "CARDIOLOGY": "heart", "CARDIAC": "heart", "INTRACARDIAC": "heart", "TEE": "heart", "TTE": "heart",
    "GYNECOLOGY": "pelvis", "OBSTETRICAL": "uterus", "FETAL HEART": "uterus", "NEONATAL HEAD": "head",
    "TRANSCRANIAL": "head", "OPHTHALMIC": "orbit", "PELVIC": "pelvis", "SCROTAL": "scrotum", "THYROID": "thyroid",
    "ENDORECTAL": "rectum", "RETROPERITONEAL": "abdomen",
}  # fmt: skip
_SIDES = {"L": "left", "R": "right", "B": "both", "U": "unpaired"}
_BESIDE_MM = 60.0  # a limb lies beside the middle of the scanner at least so far, mostly
_IN_A_STUDY, _IN_A_SERIES = 0.6, 0.7


def region(facts: Facts) -> list[Finding]:
    return decide("region", _region_clues(facts))


def anatomy(facts: Facts, *, where: Finding | None, sequence: str) -> list[Finding]:
    """Of the region that was found (where), or of none.  sequence: the value that was found, or ""."""
    found = decide("side", _side_clues(facts, where.value if where else ""))
    found += decide("focus", _focus_clues(facts, where, sequence))
    found += _pathologies(facts)
    return found


def _region_clues(facts: Facts) -> Iterator[Clue]:
    coded = vocabulary().coded
    for code in (*facts.anatomy, *facts.structures):
        if coded.get(code.value, ("", ""))[0] == "region":
            yield clue(coded[code.value][1], "coded-region", code.source, confidence=0.95)
    for said in facts.body_parts:
        if values := lexicon.body_part(said.text):
            yield Clue(values, "body-part", (said.source,), 0.85)
    if facts.modality in {"US", "IVUS"} and facts.image_type[2:3] and facts.image_type[2] in _ULTRASOUND:
        yield clue(_ULTRASOUND[facts.image_type[2]], "ultrasound-kind", "ImageType", confidence=0.8)
    yield from _in_texts("region", facts.texts, _IN_A_SERIES)
    yield from _in_texts("region", facts.study_texts, _IN_A_STUDY)
    yield from _in_texts("region", facts.reasons, 0.35)
    if facts.coil and (values := lexicon.words("region", facts.coil)):
        yield Clue(values, "coil", ("ReceiveCoilName",), 0.3)


def _in_texts(name: str, texts: Iterable[Said], confidence: float) -> Iterator[Clue]:
    for said in texts:
        if values := lexicon.words(name, said.text):
            yield Clue(values, "lexicon", (said.source,), confidence)


def _side_clues(facts: Facts, region: str) -> Iterator[Clue]:
    for said in facts.sides:
        if said.text in _SIDES:
            yield clue(_SIDES[said.text], "laterality", said.source, confidence=0.9)
    yield from _in_texts("side", facts.texts, _IN_A_SERIES)
    yield from _in_texts("side", facts.study_texts, _IN_A_STUDY)
    if region and vocabulary().is_within("region", region, "limb"):
        beside = _beside(facts)
        if abs(beside) > _BESIDE_MM:
            sources = ("ImagePositionPatient", "ImageOrientationPatient")
            yield Clue(("left" if beside > 0 else "right",), "volume-centre", sources, 0.4)


def _beside(facts: Facts) -> float:
    """How far the middle of the slice lies to the patient's left."""
    if len(facts.position) != 3 or len(facts.orientations) != 1 or len(facts.spacing) != 2:
        return 0.0
    row, column = facts.orientations[0][:3], facts.orientations[0][3:]
    width, height = facts.columns * facts.spacing[1] / 2, facts.rows * facts.spacing[0] / 2
    return facts.position[0] + row[0] * width + column[0] * height


def _focus_clues(facts: Facts, where: Finding | None, sequence: str) -> Iterator[Clue]:
    coded = vocabulary().coded
    for code in facts.structures:
        if coded.get(code.value, ("", ""))[0] == "focus":
            yield clue(coded[code.value][1], "coded-structure", code.source, confidence=0.95)
    by_sequence = {"neurography": "nerve", "tof": "vessel", "phase-contrast": "vessel", "dixon": "muscle"}
    if sequence in by_sequence:
        confidence = 0.4 if sequence == "dixon" else 0.8
        yield clue(by_sequence[sequence], "sequence-focus", *_texts_or(facts), confidence=confidence)
    yield from _in_texts("focus", facts.texts, 0.49)
    yield from _in_texts("focus", facts.study_texts, 0.45)
    if where is not None and (usual := vocabulary().words["region"][where.value].focus):
        yield Clue((usual,), "region-focus", where.sources, 0.35)


def _texts_or(facts: Facts) -> tuple[str, ...]:
    return tuple(dict.fromkeys(said.source for said in facts.texts)) or ("ImageType",)


def _pathologies(facts: Facts) -> list[Finding]:
    """Each that a text affirms or suspects; of two the narrower.  The text itself goes nowhere."""
    sure: dict[str, tuple[float, str]] = {}
    for said in (*facts.reasons, *facts.study_texts, *facts.texts):
        for match in lexicon.matches("pathology", said.text):
            if not match.is_negated and match.value not in sure:
                sure[match.value] = (0.35 if match.is_suspected else 0.6, said.source)
    for code in facts.structures:
        name, value = vocabulary().coded.get(code.value, ("", ""))
        if name == "pathology":
            sure[value] = (0.9, code.source)
    return [
        Finding("pathology", value, "lexicon", (source,), confidence)
        for value, (confidence, source) in sure.items()
        if not any(other != value and vocabulary().is_within("pathology", other, value) for other in sure)
    ]
