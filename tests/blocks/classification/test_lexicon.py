"""Words are found in four languages as people write them, and not where somebody says no."""

from __future__ import annotations

import pytest

from blocks.classification import lexicon


@pytest.mark.parametrize(
    ("label", "text", "value"),
    [
        ("region", "MRT Schädel", "skull"),
        ("region", "MRT SCHAEDEL", "skull"),
        ("region", "MRT Schadel", "skull"),
        ("region", "épaule", "shoulder"),
        ("region", "EPAULE", "shoulder"),
        ("region", "HANDGELENK", "wrist"),  # and no hand
        ("region", "Kniegelenk_re", "knee"),
        ("region", "C-Spine", "cervical-spine"),
        ("region", "colonna   lombare", "lumbar-spine"),
        ("side", "Knie re", "right"),
        ("side", "LT KNEE", "left"),
        ("side", "ginocchio dx", "right"),
        ("side", "genou gauche", "left"),
        ("side", "Knie bds.", "both"),
        ("sequence", "t2_tse_sag", "t2"),
        ("sequence", "T2*", "t2star"),
        ("sequence", "t2_tirm_dark-fluid", "flair"),
        ("contrast", "+C", "yes"),
        ("contrast", "t1 post Gd", "yes"),
        ("pathology", "Gonarthrose", "arthrosis"),
        ("pathology", "Arthritis", "inflammation"),
        ("pathology", "V.a. Tumor", "tumor"),
    ],
)
def test_a_word_is_found(label: str, text: str, value: str) -> None:
    assert lexicon.words(label, text) == (value,)


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("pathology", "kein Anhalt für eine Fraktur"),
        ("pathology", "no evidence of fracture"),
        ("pathology", "pas de fracture"),
        ("pathology", "senza frattura"),
        ("pathology", "Fraktur ausgeschlossen"),
        ("contrast", "ohne KM"),
        ("contrast", "sans produit de contraste"),
        ("contrast", "senza mdc"),
        ("contrast", "w/o contrast"),
        ("contrast", "phase contrast"),
        ("side", "re-scan of the series"),  # no part of the body beside it
        ("side", "MRI L spine"),
        ("region", "Knieper"[:2]),
        ("region", "handover"),
        ("sequence", "pt1 reader"),
    ],
)
def test_what_is_denied_or_no_word_is_not(label: str, text: str) -> None:
    assert lexicon.words(label, text) == ()


def test_a_denial_reaches_to_the_end_of_its_part_of_the_sentence() -> None:
    assert lexicon.words("pathology", "keine Fraktur, Tumor der Tibia") == ("tumor",)


def test_a_suspicion_is_told_from_a_finding() -> None:
    [suspected] = lexicon.matches("pathology", "Ausschluss Fraktur")
    [found] = lexicon.matches("pathology", "Fraktur der Tibia")
    assert (suspected.is_suspected, found.is_suspected) == (True, False)


def test_a_text_of_any_length_and_kind_is_taken() -> None:
    for text in ("", " ", "|" * 5_000, "knie" * 5_000, "\0\ud800 Knie", "Ⅷ ½ ﬁ Knie"):
        lexicon.words("region", text)
