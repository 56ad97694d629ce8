"""Finding words of the vocabulary in what people write, in German, French, Italian and English.

Owns: folding, matching, negation; the words themselves are data (lexicon.toml).
May import: the standard library, blocks.classification.

Pure, and a text is looked at once for each label however many files repeat it.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).with_name("lexicon.toml")
_MOST_TEXT = 1_000
_REACH = 4  # so many words before it may negate a word, in the same part of the sentence
_REACH_AFTER = 2
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})
_STARRED = "t2*"
_SHORT = 3  # letters: too short to say a side without a part of the body beside it


@dataclass(frozen=True, slots=True)
class Match:
    """A word that was found; start and end are places in the folded text."""

    value: str
    start: int
    end: int
    is_negated: bool
    is_suspected: bool


def fold(text: str) -> str:
    """Small letters without accents, one space between words, a bar where a part of a sentence ends."""
    plain = unicodedata.normalize("NFKD", text[:_MOST_TEXT].casefold())
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    plain = re.sub(r"(?<![a-z0-9])([a-z])[.]", r"\1 ", plain)  # V.a., W.O.
    plain = re.sub(r"(?<!\d)[.](?!\d)|(?<=\d)[.](?!\d)|(?<!\d)[.](?=\d)|[,;:()\[\]<>|]", " | ", plain)
    plain = re.sub(r"[^a-z0-9+*.|]+", " ", plain)
    return " ".join(plain.split())


@lru_cache(maxsize=4_096)
def matches(label: str, text: str) -> tuple[Match, ...]:
    """The words of this label in a text, in their order; of overlapping ones the longest."""
    folded = fold(text)
    lexicon = _lexicon()
    found = [
        Match(value, start, end, _is_negated(folded, start, end), _is_suspected(folded, start))
        for value, start, end in lexicon.patterns[label].find(folded)
        if value != "ignore"
    ]
    if label == "side":
        found = [one for one in found if one.end - one.start > _SHORT or _is_beside_region(folded, one)]
    return tuple(found)


def words(label: str, text: str) -> tuple[str, ...]:
    """The values that a text affirms, each once."""
    return tuple(dict.fromkeys(one.value for one in matches(label, text) if not one.is_negated))


@lru_cache(maxsize=1_024)
def body_part(text: str) -> tuple[str, ...]:
    """What BodyPartExamined means: also short words of makers that would mean other things in a sentence."""
    whole = fold(text)
    told = _lexicon().patterns["body-part"].whole(whole)
    return (told,) if told else words("region", text)


def says_no_agent(text: str) -> bool:
    """Of a field that names a contrast agent."""
    return bool(_lexicon().patterns["no-agent"].whole(fold(text)))


@dataclass(frozen=True, slots=True)
class _Spelling:
    """is_stem: more letters may follow."""

    core: str
    is_stem: bool
    value: str

    def fits(self, folded: str, start: int) -> int:
        """Where it ends if it stands here, else 0."""
        if not folded.startswith(self.core, start):
            return 0
        end = start + len(self.core)
        last, follows = self.core[-1], folded[end : end + 1]
        if self.is_stem:
            while folded[end : end + 1].isalpha():
                end += 1
        elif (last.isdigit() and (follows.isdigit() or follows == "*")) or (
            last.isalpha() and follows.isalpha()
        ):
            return 0
        return end


@dataclass(frozen=True, slots=True)
class _Patterns:
    """The words of one label.  by_start: by their first two letters, the longest first.  endings: of compounds."""

    by_start: dict[str, list[_Spelling]]
    endings: list[_Spelling]
    exact: dict[str, str]

    def find(self, folded: str) -> Iterator[tuple[str, int, int]]:
        at = 0
        while at < len(folded):
            spelling, end = self._at(folded, at)
            if spelling is not None:
                yield spelling.value, at, end
                at = end
            at += 1

    def _at(self, folded: str, at: int) -> tuple[_Spelling | None, int]:
        before, letter = folded[at - 1 : at] if at else "", folded[at]
        if (letter.isalpha() and before.isalpha()) or (letter.isdigit() and before.isalnum()):
            return None, at  # inside of a word
        for key in (folded[at : at + 2], letter):
            for spelling in self.by_start.get(key, ()):
                if end := spelling.fits(folded, at):
                    return spelling, end
        if self.endings and letter.isalpha():
            end = at
            while folded[end : end + 1].isalpha():
                end += 1
            for spelling in self.endings:
                if folded[at:end].endswith(spelling.core):
                    return spelling, end
        return None, at

    def whole(self, folded: str) -> str:
        return self.exact.get(folded, "")

    def any_in(self, folded: str) -> bool:
        return next(self.find(folded), None) is not None


@dataclass(frozen=True, slots=True)
class _Lexicon:
    patterns: dict[str, _Patterns]
    before: _Patterns
    after: _Patterns
    suspected: _Patterns


@lru_cache(maxsize=1)
def _lexicon() -> _Lexicon:
    told: dict[str, dict[str, Any]] = tomllib.loads(_FILE.read_text("utf-8"))
    negation = told.pop("negation")
    return _Lexicon(
        {label: _patterns(values) for label, values in told.items()},
        *(_patterns({kind: negation[kind]}) for kind in ("before", "after", "suspected")),
    )


def _patterns(values: dict[str, list[str]]) -> _Patterns:
    by_start: dict[str, list[_Spelling]] = {}
    endings: list[_Spelling] = []
    exact: dict[str, str] = {}
    for value, phrases in values.items():
        for first, core, last in _spellings(phrases):
            spelling = _Spelling(core, bool(last), value)
            exact.setdefault(core, value)
            if first:
                endings.append(spelling)
            else:
                by_start.setdefault(core[:2], []).append(spelling)
    for bucket in by_start.values():
        bucket.sort(key=lambda one: -len(one.core))
    return _Patterns(by_start, endings, exact)


def _spellings(phrases: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Folded, with the stars around them; umlauts also as people write them without."""
    for phrase in phrases:
        for written in dict.fromkeys((phrase, phrase.translate(_UMLAUTS))):
            first, core, last = _parts(written)
            yield first, fold(core), last


def _parts(spelling: str) -> tuple[str, str, str]:
    """A star in front, the word, a star behind; the star of T2* is its own."""
    core = spelling.removeprefix("*")
    bare = core if core == _STARRED else core.removesuffix("*")
    return "*" * (len(spelling) - len(core)), bare, "*" * (len(core) - len(bare))


def _is_negated(folded: str, start: int, end: int) -> bool:
    before = folded[:start].rsplit("|", 1)[-1].split()[-_REACH:]
    after = folded[end:].split("|", 1)[0].split()[:_REACH_AFTER]
    lexicon = _lexicon()
    return lexicon.before.any_in(" ".join(before)) or lexicon.after.any_in(" ".join(after))


def _is_suspected(folded: str, start: int) -> bool:
    return _lexicon().suspected.any_in(" ".join(folded[:start].split()[-_REACH - 2 :]))


def _is_beside_region(folded: str, side: Match) -> bool:
    """L SPINE is no left spine."""
    for _, start, end in _lexicon().patterns["region"].find(folded):
        if start <= side.start and side.end <= end:
            return False
        between = folded[end : side.start] if end <= side.start else folded[side.end : start]
        if not between.strip():
            return True
    return False
