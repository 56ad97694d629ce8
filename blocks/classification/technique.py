"""Rules for how it was taken: sequence, weighting, contrast agent, fat saturation.

Owns: these rules and their thresholds.
May import: blocks.classification.

Physics and coded attributes first, free text second.  Thresholds are for 1 to 3 tesla; below 1 tesla relaxation is
faster and they are relaxed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from blocks.classification import lexicon
from blocks.classification.clues import Clue, Finding, clue, decide
from blocks.classification.facts import Facts
from blocks.classification.vocabulary import vocabulary

_IN_IMAGE_TYPE = {
    "LOCALIZER": "localizer", "SCOUT": "localizer", "ADC": "adc", "FA": "fa", "TRACEW": "trace", "TRACE": "trace",
    "DIFFUSION": "dwi", "SWI": "swi", "SWI_IMAGE": "swi", "TOF": "tof", "DIXON": "dixon", "WATER": "dixon",
    "FAT": "dixon", "IN_PHASE": "dixon", "OPP_PHASE": "dixon", "OUT_PHASE": "dixon", "ASL": "asl",
    "PERFUSION": "perfusion", "RCBF": "perfusion", "RCBV": "perfusion", "MTT": "perfusion", "TTP": "perfusion",
    "FMRI": "bold", "T1 MAP": "t1-map", "T2 MAP": "t2-map", "T2_STAR MAP": "t2-map",
}  # fmt: skip
_NARROW_TYPES = ("adc", "fa", "trace")  # before DIFFUSION, which stands beside them
_IN_CONTRAST = {
    "DIFFUSION": "dwi", "FLOW_ENCODED": "phase-contrast", "FLUID_ATTENUATED": "flair", "PERFUSION": "perfusion",
    "PROTON_DENSITY": "pd", "STIR": "stir", "T1": "t1", "T2": "t2", "T2_STAR": "t2star", "TOF": "tof",
}  # fmt: skip
_PHYSICS, _TEXT = 0.75, 0.7
_LATE = "late-gradient-echo"
_WEAK = 0.45  # fits several kinds of sequences
_LOW_FIELD_TESLA, _RELAXED = 1.0, 1.25
_BOLD_POINTS = 20
_PLEXUS = {"brachial-plexus", "lumbosacral-plexus"}
_FINE = {"space", "cube", "vista", "nerveview"}  # how makers call a turbo spin echo in 3D
_WORDS = re.compile(r"[a-z]+")
_TIMES = ("EchoTime", "RepetitionTime")


def sequence(facts: Facts, *, where: Finding | None) -> list[Finding]:
    """Sequence and weighting of an MR image; of others only what they have in common with it.  where: the region."""
    clues = list(_sequence_clues(facts))
    clues += _over_a_plexus(facts, where, clues)
    found = decide("sequence", clues)
    if found and facts.modality in {"MR", ""}:
        found += _weighting(found[0], clues)
    return found


def _over_a_plexus(facts: Facts, where: Finding | None, clues: list[Clue]) -> Iterator[Clue]:
    """What is laid over a plexus with fat-suppressed or fine T2 weighting is to show its nerves."""
    if where is None or where.value not in _PLEXUS or facts.modality != "MR":
        return
    fine = [said for said in facts.texts if _FINE & set(_WORDS.findall(said.text.lower()))]
    for one in clues:
        if "stir" in one.values or (fine and "t2" in one.values):
            sources = (*where.sources, *one.sources, *(said.source for said in fine[:1]))
            yield Clue(("neurography",), "over-a-plexus", tuple(dict.fromkeys(sources)), 0.6)
            return


def _sequence_clues(facts: Facts) -> Iterator[Clue]:
    types = [_IN_IMAGE_TYPE[word] for word in facts.image_type[2:] if word in _IN_IMAGE_TYPE]
    types.sort(key=lambda value: value not in _NARROW_TYPES)
    if types:
        yield clue(types[0], "image-type", "ImageType", confidence=0.92)
    if facts.scan_options & {"SCOUT MODE", "SCOUT"}:
        yield clue("localizer", "scan-options", "ScanOptions", confidence=0.9)
    by_values = list(_of_mr(facts)) if facts.modality == "MR" else []
    yield from by_values
    is_late = any(one.rule == _LATE for one in by_values)
    for said in facts.texts:
        values = lexicon.words("sequence", said.text)
        if is_late:  # what T2 means of a gradient echo
            values = tuple("t2star" if value == "t2" else value for value in values)
        if "localizer" in values:
            yield clue("localizer", "lexicon", said.source, confidence=0.9)
        elif values and facts.modality in {"MR", ""}:
            yield Clue(_without_wider(values), "lexicon", (said.source,), _TEXT)
    if facts.modality in {"MR", ""}:
        for said in facts.study_texts:
            values = lexicon.words("sequence", said.text)
            if "neurography" in values:
                yield clue("neurography", "lexicon", said.source, confidence=0.6)


def _without_wider(values: tuple[str, ...]) -> tuple[str, ...]:
    """t2_dixon: both are said, and the narrower is meant."""
    within = vocabulary().is_within
    return tuple(
        value
        for value in values
        if not any(other != value and within("sequence", other, value) for other in values)
    )


def _of_mr(facts: Facts) -> Iterator[Clue]:
    if facts.acquisition_contrast in _IN_CONTRAST:
        value = _IN_CONTRAST[facts.acquisition_contrast]
        yield clue(value, "acquisition-contrast", "AcquisitionContrast", confidence=0.9)
    weighted = [number for number in facts.b_values if number.value > 0]
    if weighted:
        yield clue("dwi", "b-value", weighted[0].source, confidence=0.85)
    elif "EP" in facts.scanning and facts.sequence_name.lower().lstrip("*").startswith("ep_b"):
        yield clue("dwi", "sequence-name", "SequenceName", confidence=0.8)
    points = facts.temporal_positions or 0
    if "EP" in facts.scanning and points > _BOLD_POINTS and not weighted:
        sources = ("ScanningSequence", "NumberOfTemporalPositions")
        yield Clue(("bold",), "echo-planar-series", sources, 0.7)
    yield from _by_times(facts)


def _by_times(facts: Facts) -> Iterator[Clue]:
    """The table of thresholds; what fits none of it is not guessed."""
    relaxed = _RELAXED if facts.field_strength and facts.field_strength < _LOW_FIELD_TESLA else 1.0
    tr, te, ti = facts.repetition_time or 0.0, facts.echo_time or 0.0, facts.inversion_time or 0.0
    if not tr or not te or "EP" in facts.scanning:
        return
    inverted = ti > 0 and ("IR" in facts.scanning or facts.scanning <= {"SE", "GR"})
    sources = ("ScanningSequence", *_TIMES)
    if "GR" in facts.scanning:
        flip = facts.flip_angle or 0.0
        if inverted and 500 <= ti <= 1_400 and tr > 1_000:
            yield Clue(("mprage",), "inversion-gradient-echo", (*sources, "InversionTime"), _PHYSICS)
        elif not inverted and te > 12 and tr > 40:
            yield Clue(("t2star",), _LATE, sources, 0.55)
        elif not inverted and 15 <= tr < 40 and te <= 12 and 15 <= flip <= 35:
            yield Clue(("tof",), "time-of-flight-times", (*sources, "FlipAngle"), _WEAK)
        return
    if "SE" not in facts.scanning and "IR" not in facts.scanning:
        return
    if inverted and 1_500 / relaxed <= ti <= 3_000 and te > 70:
        yield Clue(("flair",), "long-inversion", (*sources, "InversionTime"), _PHYSICS)
    elif inverted and 80 <= ti <= 300:
        yield Clue(("stir",), "short-inversion", (*sources, "InversionTime"), _PHYSICS)
    elif inverted:
        return
    elif tr < 1_000 * relaxed and te < 35:
        yield Clue(("t1",), "spin-echo-times", sources, _PHYSICS)
    elif tr > 1_800 / relaxed and te < 45:
        yield Clue(("pd",), "spin-echo-times", sources, _PHYSICS)
    elif tr > 1_800 / relaxed and te >= 60:
        yield Clue(("t2",), "spin-echo-times", sources, _PHYSICS)


def _weighting(found: Finding, clues: list[Clue]) -> list[Finding]:
    """By the sequence itself, or by what else says it where the sequence leaves it open (Dixon)."""
    words = vocabulary().words["sequence"]
    if usual := words[found.value].weighting:
        return [Finding("weighting", usual, found.rule, found.sources, found.confidence)]
    if found.value != "dixon":
        return []
    open_left = [
        Clue(tuple(value for value in one.values if value in {"t1", "t2", "pd"}), one.rule, one.sources, 0.6)
        for one in clues
    ]
    return decide("weighting", open_left)


def contrast(facts: Facts) -> list[Finding]:
    return decide("contrast", _contrast_clues(facts))


def _contrast_clues(facts: Facts) -> Iterator[Clue]:
    agent = facts.contrast_agent
    if facts.contrast_given == "NO":
        yield clue("no", "agent-coded", "ContrastBolusAgentAdministered", confidence=0.95)
    elif facts.contrast_agents:
        yield clue("yes", "agent-coded", "ContrastBolusAgentSequence", confidence=0.95)
    if agent:
        value = "no" if lexicon.says_no_agent(agent) else "yes"
        yield clue(value, "agent-named", "ContrastBolusAgent", confidence=0.9)
    if facts.contrast_volume and not agent:
        yield clue("yes", "agent-volume", "ContrastBolusVolume", confidence=0.8)
    elif facts.contrast_volume == 0 and not agent and not facts.contrast_agents:
        yield clue("no", "agent-volume", "ContrastBolusVolume", confidence=0.5)
    if facts.contrast_route and not agent:
        yield clue("yes", "agent-route", "ContrastBolusRoute", confidence=0.45)
    for texts, sure_yes, sure_no in ((facts.texts, 0.7, 0.7), (facts.study_texts, 0.45, 0.6)):
        for said in texts:
            if value := _contrast_in(said.text):
                sure = sure_yes if value == "yes" else sure_no
                yield clue(value, "lexicon", said.source, confidence=sure)


def _contrast_in(text: str) -> str:
    """ "" where it says both, or neither."""
    found = {
        "no" if one.value == "yes" and one.is_negated else one.value
        for one in lexicon.matches("contrast", text)
    }
    return found.pop() if len(found) == 1 and "both" not in found else ""


def fat_saturation(facts: Facts, found: str) -> list[Finding]:
    """found: the sequence."""
    return decide("fat-saturation", _fat_clues(facts, found))


def _fat_clues(facts: Facts, found: str) -> Iterator[Clue]:
    if facts.modality not in {"MR", ""}:
        return
    if facts.scan_options & {"FS", "FAT_SAT", "FATSAT"}:
        yield clue("yes", "scan-options", "ScanOptions", confidence=0.9)
    if facts.suppression in {"FAT", "FAT_AND_WATER"}:
        yield clue("yes", "suppression", "SpectrallySelectedSuppression", confidence=0.95)
    elif facts.excitation == "WATER":
        yield clue("yes", "excitation", "SpectrallySelectedExcitation", confidence=0.8)
    elif facts.suppression == "NONE":
        yield clue("no", "suppression", "SpectrallySelectedSuppression", confidence=0.8)
    for said in facts.texts:
        matches = lexicon.matches("fat-saturation", said.text)
        if matches:
            value = "no" if all(one.is_negated for one in matches) else "yes"
            yield clue(value, "lexicon", said.source, confidence=_TEXT)
    if found == "stir":
        yield clue("yes", "short-inversion", "InversionTime", confidence=_WEAK)
