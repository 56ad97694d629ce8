"""The values that a label may have: a closed list, kept as data.

Owns: reading vocabulary.toml, codes of the standard, which word lies in which, whether a label is allowed.
May import: the standard library, blocks.classification.

A label is one of these words or a number: so whatever stands in a header, nothing of it can stand in a label.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).with_name("vocabulary.toml")
_NUMBER = re.compile(r"\d{1,9}(\.\d{1,3})?")
_TREES = ("region", "focus", "pathology", "sequence")


@dataclass(frozen=True, slots=True)
class Word:
    """within: the wider words that hold too.  codes: of SNOMED CT, and of its older form."""

    within: frozenset[str]
    codes: tuple[str, ...]
    focus: str
    weighting: str


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """words: of each label, by value.  numbers: labels whose value is one."""

    words: Mapping[str, Mapping[str, Word]]
    numbers: frozenset[str]
    coded: Mapping[str, tuple[str, str]]  # label and value of a code

    def allows(self, name: str, value: str) -> bool:
        if name in self.numbers:
            return _NUMBER.fullmatch(value) is not None
        return value in self.words.get(name, {})

    def is_within(self, name: str, narrow: str, wide: str) -> bool:
        """Equal words lie in each other; everything lies in the whole body."""
        words = self.words[name]
        return wide in {narrow, "whole-body"} or (narrow in words and wide in words[narrow].within)

    def agree(self, name: str, one: str, other: str) -> bool:
        return self.is_within(name, one, other) or self.is_within(name, other, one)


@lru_cache(maxsize=1)
def vocabulary() -> Vocabulary:
    told = tomllib.loads(_FILE.read_text("utf-8"))
    words: dict[str, dict[str, Word]] = {}
    coded: dict[str, tuple[str, str]] = {}
    for name, values in told.items():
        if name == "numbers":
            continue
        words[name] = {value: _word(values[value] if name in _TREES else {}) for value in values}
        for value, word in words[name].items():
            coded.update(dict.fromkeys(word.codes, (name, value)))
    for value, word in words["region"].items():  # a code of both an organ and a tissue is the organ
        coded.update(dict.fromkeys(word.codes, ("region", value)))
    return Vocabulary(words, frozenset(told["numbers"]), coded)


def _word(told: Mapping[str, Any]) -> Word:
    return Word(
        within=frozenset(told.get("within", ())),
        codes=(*told.get("sct", ()), *told.get("srt", ())),
        focus=told.get("focus", ""),
        weighting=told.get("weighting", ""),
    )
