"""What our programs say in English, in the language of the person at this computer.

Owns: which language that is, and finding the sentence of a catalogue that says the same.
May import: the standard library.

The engine says each thing once, in English: the terminal, the log and the socket carry that sentence.  A catalogue
(`settings/pages/sentences/LANGUAGE.json`) holds for each of them another one, with the same {names}; where a
sentence is shown to a person, it is looked up by its own words.  A sentence that no catalogue holds, of a newer
program perhaps, stays English.  The page does the same in `sentences.js`; tests read the sentences out of our source,
so that none is without its translation (docs/decisions/0025).

Names: {count…} and {size…} are figures, {why}, {said} and {who} are looked up too, all others stand as they are.
"""

from __future__ import annotations

import json
import locale
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.resources import files

LANGUAGES = ("de",)  # beside English
MOST_CHARACTERS = 2_000  # of a sentence: what is longer is none
_NAME = re.compile(r"\{(\w+)\}")
_FIGURES = {"count": r"[\d.,]+", "size": r"[\d.,]+(?: ?[kMGT]?B)?"}

Say = Callable[[str], str]


def as_it_is(text: str) -> str:
    return text


def language_of(environ: Mapping[str, str]) -> str:
    """A short name such as "de"; "en" where we speak no language that is asked for (POSIX, GNU gettext)."""
    named = next((value for key in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := environ.get(key))), "")
    if not named:
        named = locale.getlocale()[0] or ""
    wanted = [named]
    if named.partition(".")[0] not in ("", "C", "POSIX"):
        wanted = [*environ.get("LANGUAGE", "").split(":"), named]
    for one in filter(None, wanted):
        short = re.split(r"[_.@-]", one)[0].lower()
        if short == "en" or short in LANGUAGES:
            return short
        if short == "german":  # as Windows writes it
            return "de"
    return "en"


def speaker(language: str) -> Say:
    """say(sentence): the same in that language, or the sentence itself."""
    if language not in LANGUAGES:
        return as_it_is
    file = files("sync_client.settings").joinpath("pages", "sentences", f"{language}.json")
    return Sentences(json.loads(file.read_text("utf-8"))).say


class Sentences:
    """One catalogue: `sentences`, `tray` (lines of a menu, notices); `parts` and `people` stand inside them."""

    def __init__(self, catalogue: Mapping[str, Mapping[str, str]]) -> None:
        self._whole = _Table({**catalogue["tray"], **catalogue["sentences"]})
        self._parts = _Table(catalogue["parts"])
        self._people = _Table(catalogue["people"])
        self.say: Say = lru_cache(maxsize=2_000)(self._say)

    def _say(self, text: str) -> str:
        found = self._find(text) if len(text) <= MOST_CHARACTERS else None
        return text if found is None else found

    def _find(self, text: str) -> str | None:
        """What happened and what to do about it stand in two sentences of the catalogue, else in one."""
        at = text.find(". ")
        while at >= 0:
            first = self._match(self._whole, text[:at])
            rest = None if first is None else self._find(text[at + 2 :])
            if rest is not None:
                return f"{first}. {rest}"
            at = text.find(". ", at + 1)
        return self._match(self._whole, text)

    def _match(self, table: _Table, text: str) -> str | None:
        found = table.find(text)
        if found is None:
            return None
        translated, values = found
        return _NAME.sub(lambda name: self._filled(name[1], values[name[1]]), translated)

    def _filled(self, name: str, value: str) -> str:
        if name == "who":
            return self._match(self._people, value) or value
        if name in ("why", "said"):
            return self._match(self._parts, value) or self._find(value) or value
        return value.translate(_OTHER_SIGNS) if name.startswith(tuple(_FIGURES)) else value


_OTHER_SIGNS = str.maketrans(",.", ".,")  # 1,204.5 in English


class _Table:
    def __init__(self, sentences: Mapping[str, str]) -> None:
        self._exact = {key: said for key, said in sentences.items() if not _NAME.search(key)}
        patterns = [(_NAME.sub("", key), key, said) for key, said in sentences.items() if _NAME.search(key)]
        patterns.sort(key=lambda one: -len(one[0]))  # the one that says most by itself
        self._patterns = [(re.compile(_pattern(key), re.DOTALL), said) for _, key, said in patterns]

    def find(self, text: str) -> tuple[str, dict[str, str]] | None:
        if text in self._exact:
            return self._exact[text], {}
        for pattern, said in self._patterns:
            if found := pattern.fullmatch(text):
                return said, found.groupdict()
        return None


def _pattern(key: str) -> str:
    pieces = _NAME.split(key)
    for at in range(0, len(pieces), 2):
        pieces[at] = re.escape(pieces[at])
    for at in range(1, len(pieces), 2):
        figure = next((shape for start, shape in _FIGURES.items() if pieces[at].startswith(start)), ".+?")
        pieces[at] = f"(?P<{pieces[at]}>{figure})"
    return "".join(pieces)
