"""Structured content (reports, acquisition context): what may stay of an item, by the name of its concept.

Owns: the judgement of one content item by PS3.15 Table E.3.4-1.
May import: pydicom, blocks.dicom.annex_e.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from pydicom.dataset import Dataset

from blocks.dicom.annex_e import annex_e


@dataclass(frozen=True, slots=True)
class ContentItem:
    goes: bool = False  # the whole item, with all below it
    stays: bool = False  # its value as it is
    dates_move: bool = False  # a date in it is shifted; else it becomes a dummy
    dates_stay: bool = False
    words_stay: bool = False  # of a text, the words of imaging

    @classmethod
    def of(cls, item: Dataset, options: AbstractSet[str]) -> ContentItem:
        """The judgement of one item; a text whose concept the table does not know becomes a dummy."""
        action = _action(item, options)
        if action is None:
            return cls(
                dates_move="modified-dates" in options,
                dates_stay="full-dates" in options,
                words_stay="descriptors" in options,
            )
        if action == "X":
            return cls(goes=True)
        if action == "K":
            return cls(stays=True)
        if action == "C":
            return cls(dates_move=True, words_stay=True)
        # D and X/D: a dummy where a value of the kind can be one; references get new UIDs by the tables
        goes = action == "X/D" and _text(item, "ValueType") in {"NUM", "CODE", "CONTAINER"}
        return cls(goes=goes)


def _action(item: Dataset, options: AbstractSet[str]) -> str | None:
    names = item.get("ConceptNameCodeSequence")
    if not names:
        return None
    return annex_e().concept_action(
        _text(names[0], "CodingSchemeDesignator"), _text(names[0], "CodeValue"), options
    )


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    return str(value).strip() if value is not None else ""
