"""The words of the pages stand in catalogues, complete in each language, and nowhere else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import sync_client.settings

PAGES = Path(sync_client.settings.__file__).parent / "pages"
SCRIPTS = sorted(PAGES.glob("*.js"))
CATALOGUES: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text("utf-8")) for path in (PAGES / "strings").glob("*.json")
}
# What begins like a word for people and is none.
NO_WORDS = {"ArrowDown", "ArrowUp", "ArrowRight", "ArrowLeft", "Home", "End", "Enter", "Escape", "English"}
NO_WORDS |= {"Deutsch", "Content-Type", "X-MB-Session", "POST", "MB-Sync", "MB-SyncLight", "M"}


def placeholders(text: str | dict[str, str]) -> set[str]:
    texts = [text] if isinstance(text, str) else list(text.values())
    return {name for one in texts for name in re.findall(r"\{(\w+)\}", one)}


def literals(script: str) -> list[str]:
    without_comments = re.sub(r"^\s*//.*$|\s// .*$", "", script, flags=re.MULTILINE)
    return re.findall(r'"((?:[^"\\\n]|\\.)*)"', without_comments)


def test_every_language_says_all_of_it() -> None:
    assert set(CATALOGUES) == {"en", "de"}
    english, german = CATALOGUES["en"], CATALOGUES["de"]
    assert list(english) == list(german)
    for key, text in english.items():
        assert isinstance(german[key], type(text)), key
        assert placeholders(text) == placeholders(german[key]), key
        for one in (text, german[key]):
            assert all(one.values() if isinstance(one, dict) else [one]), key
            if isinstance(one, dict):
                assert set(one) == {"one", "other"}, key


def test_words_for_people_stand_in_no_script() -> None:
    assert len(SCRIPTS) > 5
    for script in SCRIPTS:
        for literal in literals(script.read_text("utf-8")):
            if literal in NO_WORDS or re.fullmatch(r"M\d[\d .\-a-zA-Z]*", literal):
                continue
            assert not re.match(r"[A-ZÄÖÜ][a-zäöü]|[A-Z] [a-z]", literal), f"{script.name}: {literal!r}"


def test_what_is_asked_of_a_catalogue_is_in_it_and_nothing_is_left_over() -> None:
    scripts = "\n".join(script.read_text("utf-8") for script in SCRIPTS)
    plain = set(re.findall(r'\bt\("([\w.-]+)"', scripts))
    plain |= set(re.findall(r'\bt\([^"()]*\? "([\w.-]+)"', scripts))
    assert plain - set(CATALOGUES["en"]) == set()
    begun = set(re.findall(r"[`\"]([a-z_]+\.[\w.-]*)\$\{", scripts))  # t(`state.${state}`)
    for key in CATALOGUES["en"]:
        named = f'"{key}"' in scripts or any(key.startswith(start) for start in begun)
        assert named, f"{key} is never said"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_never_makes_html_of_text_and_loads_nothing_from_elsewhere(script: Path) -> None:
    text = script.read_text("utf-8")
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|\.style\b|document\.cookie"
    assert not re.search(forbidden, text)
    addresses = re.findall(r"https?://[\w.]+", text.replace("http://www.w3.org/2000/svg", ""))
    assert {one.split("//")[1] for one in addresses} <= {"proxy.example.org", "files.example.org"}
    assert all((PAGES / name).is_file() for name in re.findall(r'from "\./([\w.]+)"', text))


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.html")), ids=lambda path: path.name)
def test_a_page_holds_no_inline_script_or_style(page: Path) -> None:
    text = page.read_text("utf-8")
    assert not re.search(r"<style|style=|\bon\w+=|<script(?! src=)|https?:", text)
    for name in re.findall(r'(?:src|href)="([^"]*)"', text):
        assert (PAGES / name).is_file()
