"""The tables of the standard: what PS3.15 Annex E asks for, and which attributes an object needs (PS3.3).

Owns: reading `tables/`, finding the action of a tag under a set of options.
May import: the standard library.

The tables are data, made by packaging/dicom_tables/build.py; nothing here knows a tag by name.
"""

from __future__ import annotations

import json
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_TABLES = Path(__file__).with_name("tables")

# What of an identity may stay, by the standard's options; the code is the one of CID 7050 for it.
OPTIONS = {
    "structured-content": ("113104", "Clean Structured Content Option"),
    "descriptors": ("113105", "Clean Descriptors Option"),
    "full-dates": ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    "modified-dates": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    "patient-characteristics": ("113108", "Retain Patient Characteristics Option"),
    "device": ("113109", "Retain Device Identity Option"),
    "uids": ("113110", "Retain UIDs Option"),
    "safe-private": ("113111", "Retain Safe Private Option"),
    "institution": ("113112", "Retain Institution Identity Option"),
}
BASIC_PROFILE = ("113100", "Basic Application Confidentiality Profile")
CLEAN_PIXELS = ("113101", "Clean Pixel Data Option")


@dataclass(frozen=True, slots=True)
class AnnexE:
    """Table E.1-1 by tag, Table E.3.4-1 by concept: the basic action, and that of each option."""

    edition: str
    attributes: dict[int, tuple[str, dict[str, str]]]
    concepts: dict[str, tuple[str, dict[str, str]]]

    def action(self, tag: int, options: AbstractSet[str]) -> str | None:
        """D, Z, X, K, C, U or several with strokes between, as the table has it; None: not in the table."""
        rule = self.attributes.get(tag)
        return None if rule is None else _chosen(rule, options)

    def concept_action(self, scheme: str, code: str, options: AbstractSet[str]) -> str | None:
        """The action for a content item of this concept name; None: not in the table."""
        rule = self.concepts.get(f"{scheme} {code}")
        return None if rule is None else _chosen(rule, options)


def _chosen(rule: tuple[str, dict[str, str]], options: AbstractSet[str]) -> str:
    """An option that keeps wins over one that cleans, and either over the basic action."""
    basic, by_option = rule
    actions = {action for option, action in by_option.items() if option in options}
    return "K" if "K" in actions else "C" if "C" in actions else basic


@cache
def annex_e() -> AnnexE:
    table = json.loads((_TABLES / "annex_e.json").read_text())
    return AnnexE(
        edition=table["edition"],
        attributes={
            int(tag, 16): (basic, options)
            for tag, (basic, options) in table["attributes"].items()
            if "x" not in tag and tag != "PRIVATE"  # groups 50xx and 60xx, private ones: rules of their own
        },
        concepts={key: (basic, options) for key, (basic, options) in table["concepts"].items()},
    )


@dataclass(frozen=True, slots=True)
class AttributeTypes:
    """Which attributes an object must have (1, 1C) or must have at least empty (2, 2C)."""

    objects: dict[str, str]
    types: dict[str, dict[int, str]]
    nested: dict[tuple[int, int], str]

    def of(self, sop_class: str) -> dict[int, str] | None:
        """For the top level of an object of this class; None: a class we have no table for."""
        iod = self.objects.get(sop_class)
        return None if iod is None else self.types.get(iod)


@cache
def attribute_types() -> AttributeTypes:
    table = json.loads((_TABLES / "attribute_types.json").read_text())
    return AttributeTypes(
        objects=table["objects"],
        types={
            iod: {int(tag, 16): kind for tag, kind in types.items()} for iod, types in table["types"].items()
        },
        nested={(int(key[:8], 16), int(key[9:], 16)): kind for key, kind in table["nested"].items()},
    )


@cache
def safe_private() -> dict[tuple[int, str, int], str]:
    """(group, creator, element within its block) → VR of private attributes that may stay."""
    table = json.loads((_TABLES / "safe_private.json").read_text())
    return {
        (int(tag[:4], 16), creator, int(tag[4:], 16)): vr
        for creator, tags in table["attributes"].items()
        for tag, vr in tags.items()
    }
