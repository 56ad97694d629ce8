"""Our tables hold what the standard says: compared with a list that somebody else made."""

from __future__ import annotations

from typing import Any

import pytest
from dicomanonymizer.dicom_anonymization_databases import dicomfields_2026c as other
from pydicom._private_dict import private_dictionaries
from pydicom.datadict import tag_for_keyword

from blocks.dicom.annex_e import OPTIONS, annex_e, attribute_types, safe_private

LISTS = {
    "D": "D_TAGS", "Z": "Z_TAGS", "X": "X_TAGS", "U": "U_TAGS", "Z/D": "Z_D_TAGS", "X/Z": "X_Z_TAGS",
    "X/D": "X_D_TAGS", "X/Z/D": "X_Z_D_TAGS", "X/Z/U*": "X_Z_U_STAR_TAGS",
}  # fmt: skip
ADDED_IN_2026D = {0x3004007F}


def tag_of(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    return int(tag)


def test_every_action_is_the_one_of_an_independent_list() -> None:
    theirs: dict[int, str] = {}
    for action, name in LISTS.items():
        tags: list[Any] = getattr(other, name)
        theirs |= {tag[0] << 16 | tag[1]: action for tag in tags if len(tag) == 2}

    ours = {tag: basic for tag, (basic, _) in annex_e().attributes.items()}
    assert len(ours) == 653
    assert set(ours) - set(theirs) == ADDED_IN_2026D
    differing = {tag for tag in theirs if tag in ours and ours[tag] != theirs[tag]}
    assert not differing
    assert not {tag for tag in set(theirs) - set(ours) if tag >> 24 not in {0x50, 0x60}}


def test_the_edition_is_said_and_every_option_is_known() -> None:
    assert annex_e().edition == "2026d"
    said = {option for _, options in annex_e().attributes.values() for option in options}
    assert said - {"graphics"} == set(OPTIONS) - {
        "safe-private"
    }  # private ones have no row of their own here
    assert len(annex_e().concepts) == 205  # of 214 rows; where a concept has two, the stricter holds


def test_an_option_that_keeps_wins_over_one_that_cleans() -> None:
    study_date = tag_of("StudyDate")
    assert annex_e().action(study_date, frozenset()) == "Z"
    assert annex_e().action(study_date, {"modified-dates"}) == "C"
    assert annex_e().action(study_date, {"modified-dates", "full-dates"}) == "K"
    assert annex_e().action(tag_of("Rows"), frozenset()) is None


@pytest.mark.parametrize(
    ("sop_class", "keyword", "kind"),
    [
        ("1.2.840.10008.5.1.4.1.1.4", "StudyInstanceUID", "1"),
        ("1.2.840.10008.5.1.4.1.1.4", "PatientName", "2"),
        ("1.2.840.10008.5.1.4.1.1.481.5", "RTPlanLabel", "1"),
    ],
)
def test_the_type_of_an_attribute_is_known_for_its_object(sop_class: str, keyword: str, kind: str) -> None:
    types = attribute_types().of(sop_class)
    assert types is not None
    assert types[tag_of(keyword)] == kind


def test_safe_private_attributes_are_those_that_their_vendor_describes() -> None:
    for (group, creator, element), vr in safe_private().items():
        vendor = private_dictionaries[creator]
        found = vendor.get(f"{group:04X}xx{element:02X}") or vendor.get(f"{group:04x}xx{element:02x}")
        assert found is not None, (creator, f"{group:04X}xx{element:02X}")
        assert found[0] == vr, (creator, f"{group:04X}xx{element:02X}", found)
