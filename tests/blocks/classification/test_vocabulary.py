"""The vocabulary and the lexicon fit each other, and their codes are the standard's."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydicom.sr._snomed_dict import mapping  # the library's own list of old codes

from blocks.classification import lexicon, vocabulary

FOLDER = Path(vocabulary.__file__).parent
TOLD: dict[str, Any] = tomllib.loads((FOLDER / "vocabulary.toml").read_text("utf-8"))
LEXICON: dict[str, dict[str, Any]] = tomllib.loads((FOLDER / "lexicon.toml").read_text("utf-8"))
BOTH_WAYS = {"both", "ignore"}  # of words that say yes and no, or nothing


def test_every_old_code_stands_for_one_of_the_new_ones_of_its_word() -> None:
    for tree in ("region", "focus", "pathology"):
        for value, word in TOLD[tree].items():
            new = {mapping["SRT"][old] for old in word.get("srt", ())}
            assert new <= set(word.get("sct", ())), value
            assert all(code.isdigit() for code in word.get("sct", ()))


def test_most_regions_have_a_code() -> None:
    coded = [value for value, word in TOLD["region"].items() if word.get("sct")]
    assert len(coded) >= len(TOLD["region"]) - 2


def test_no_code_stands_for_two_regions() -> None:
    codes = [
        code for word in TOLD["region"].values() for code in (*word.get("sct", ()), *word.get("srt", ()))
    ]
    assert len(codes) == len(set(codes))


def test_what_a_word_lies_in_is_a_word_too_and_so_is_its_focus() -> None:
    for tree in ("region", "pathology", "sequence"):
        for value, word in TOLD[tree].items():
            assert set(word.get("within", ())) <= TOLD[tree].keys() - {value}
            assert word.get("focus", "brain") in TOLD["focus"]
            assert word.get("weighting", "t1") in TOLD["weighting"]


def test_the_lexicon_leads_to_words_of_the_vocabulary_only() -> None:
    for label, words in LEXICON.items():
        if label in {"negation", "no-agent"}:
            continue
        name = "region" if label == "body-part" else label
        assert words.keys() - BOTH_WAYS <= set(TOLD[name]), label


@pytest.mark.parametrize(("label", "value"), [("region", "knee"), ("b-value", "800"), ("gaps", "0.25")])
def test_words_and_numbers_are_labels(label: str, value: str) -> None:
    assert vocabulary.vocabulary().allows(label, value)


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("region", "Zweistein"),
        ("b-value", "19800401000"),
        ("b-value", "4711-X"),
        ("name", "knee"),
        ("region", ""),
    ],
)
def test_nothing_else_is(label: str, value: str) -> None:
    assert not vocabulary.vocabulary().allows(label, value)


def test_no_two_values_share_a_word() -> None:
    for label, words in LEXICON.items():
        if label == "negation":
            continue
        seen: dict[str, str] = {}
        for value, phrases in words.items():
            for phrase in phrases:
                folded = lexicon.fold(phrase)
                assert seen.setdefault(folded, value) == value, (label, phrase)
