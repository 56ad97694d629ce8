"""From clues to labels: which value counts, how sure it is, what speaks against it.

Owns: the one way to weigh clues.
May import: the standard library, blocks.classification.

Pure.  The surest clue counts.  Others that agree make it surer, and a narrower word of one of them is taken; others
that cannot both be right make it less sure, and the contradiction is a finding of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from blocks.classification.vocabulary import vocabulary

CONTRADICTION = "contradiction"
_SURE_ENOUGH = 0.5  # a weaker clue contradicts nothing
_NARROWS = 0.4  # a weaker clue makes nothing narrower
_AMBIGUOUS, _CONTRADICTED = 0.7, 0.55  # how much is left
_MOST = 0.99


@dataclass(frozen=True, slots=True)
class Clue:
    """values: more than one: any of them.  sources: attributes.  confidence: 0 to 1, of this clue alone."""

    values: tuple[str, ...]
    rule: str
    sources: tuple[str, ...]
    confidence: float


@dataclass(frozen=True, slots=True)
class Finding:
    """One label of a file."""

    name: str
    value: str
    rule: str
    sources: tuple[str, ...]
    confidence: float


def clue(value: str, rule: str, *sources: str, confidence: float) -> Clue:
    return Clue((value,), rule, sources, confidence)


def decide(name: str, clues: Iterable[Clue]) -> list[Finding]:
    """The label that these clues speak for, and a contradiction if there is one; empty without clues."""
    words = vocabulary()
    known = [
        Clue(values, one.rule, one.sources, one.confidence)
        for one in clues
        if (values := tuple(value for value in one.values if words.allows(name, value)))
    ]
    if not known:
        return []
    best = max(known, key=lambda one: one.confidence)
    value = _value_of(name, best, known)
    agreeing = [one for one in known if _agrees(name, one, value)]
    against = [one for one in known if not _agrees(name, one, value) and one.confidence >= _SURE_ENOUGH]
    value, narrow = _narrowest(name, value, best, agreeing)
    unsure = 1.0
    for source in {one.sources for one in agreeing}:
        unsure *= 1 - max(one.confidence for one in agreeing if one.sources == source)
    confidence = min(_MOST, 1 - unsure)
    if len(best.values) > 1 and len(agreeing) == 1:
        confidence *= _AMBIGUOUS
    if against:
        confidence = min(confidence, best.confidence) * _CONTRADICTED
    found = [Finding(name, value, narrow.rule, _sources([narrow, *agreeing]), round(confidence, 2))]
    if against:
        sure = max(one.confidence for one in against)
        found.append(Finding(CONTRADICTION, name, f"{name}-clues", _sources([best, *against]), sure))
    return found


def _value_of(name: str, best: Clue, known: Sequence[Clue]) -> str:
    """Of several values the one that another clue agrees with, else the first."""
    for other in known:
        if other is not best:
            for value in best.values:
                if _agrees(name, other, value):
                    return value
    return best.values[0]


def _agrees(name: str, one: Clue, value: str) -> bool:
    return any(vocabulary().agree(name, value, own) for own in one.values)


def _narrowest(name: str, value: str, best: Clue, agreeing: Sequence[Clue]) -> tuple[str, Clue]:
    narrow = best
    for one in agreeing:
        for own in one.values:
            if one.confidence >= _NARROWS and own != value and vocabulary().is_within(name, own, value):
                value, narrow = own, one
    return value, narrow


def _sources(clues: Iterable[Clue]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(source for one in clues for source in one.sources))
