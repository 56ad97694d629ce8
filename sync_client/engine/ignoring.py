"""Which files a person does not want synced: the rules of `.mbignore` files.

Owns: how a rule is read (as git reads it, through pathspec), which rule decides about a path.
May import: pathspec, protocol.

A file of rules may stand in any folder and counts from there down; a nearer file beats one further up, a later line
beats an earlier one, `!` takes back.  What lies in an ignored folder is ignored with it, whatever is taken back.
The rules come from other people too, so no line may cost more than its length: see `_without_trying_again`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from protocol.names import is_junk

IGNORE_FILE = ".mbignore"
MAX_BYTES = 64 * 1024
MAX_LINES = 1_000
MAX_LINE = 1_000
MAX_DEEP = 3  # times "**" in one line

Parts = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One line.  ignores: False where it takes back."""

    line: int
    text: str
    ignores: bool
    pattern: re.Pattern[str]

    def fits(self, path: str) -> bool:
        """path: from the folder of the rules, a slash at the end of a folder's.  A match of something above it does
        not count: that was asked before."""
        for found in self.pattern.finditer(path):
            if self.pattern.pattern.endswith("/") and found.end() == len(path):
                continue  # all that is in a folder, not the folder
            if "ps_d" not in self.pattern.groupindex or found["ps_d"] is None:
                return True
            if found.end("ps_d") == len(path):
                return True
        return False


@dataclass(frozen=True, slots=True)
class Match:
    """The line that decided.  folder: where its file stands; None: it is one of the well-known droppings."""

    folder: Parts | None
    rule: Rule | None
    ignores: bool = True


def read_rules(data: bytes) -> list[Rule]:
    """The lines that are rules; what cannot be understood, or is too long, is none."""
    from pathspec.patterns.gitignore import GitIgnorePatternError  # noqa: PLC0415 - MB-SyncLight is without it
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern  # noqa: PLC0415 - as above

    rules: list[Rule] = []
    lines = data[:MAX_BYTES].decode("utf-8-sig", "replace").splitlines()
    for number, text in enumerate(lines[:MAX_LINES], start=1):
        if len(text) > MAX_LINE or text.count("**") > MAX_DEEP:
            continue
        try:
            read = GitIgnoreSpecPattern(text)
            if read.regex is None or read.include is None:
                continue
            pattern = re.compile(_without_trying_again(read.regex.pattern))
        except (GitIgnorePatternError, re.error):
            continue
        rules.append(Rule(number, text, bool(read.include), pattern))
    return rules


_STAR = "[^/]*"


def _without_trying_again(expression: str) -> str:
    """Between two stars of one name the first place that fits is as good as any other, so it is never tried again:
    else a line of twenty stars could keep a computer busy for a year."""
    first, *pieces = expression.split(_STAR)
    made = first
    for at, piece in enumerate(pieces):
        signs = piece.replace("[^/]", "")  # any one sign
        is_last = at == len(pieces) - 1 or "/" in signs or "(" in signs
        made += _STAR + piece if is_last else f"(?>[^/]*?{piece})"
    return made


class Ignoring:
    """The rules of one followed folder.  Empty where nobody wrote any.

    obeys: False where nothing is ever sent: there all that is shared comes down, whatever the files of rules say.
    """

    def __init__(self, *, obeys: bool = True) -> None:
        self.obeys = obeys
        self._data: dict[Parts, bytes] = {}
        self._rules: dict[Parts, list[Rule]] = {}
        self._folders: dict[Parts, bool] = {}

    def __bool__(self) -> bool:
        return bool(self._rules)

    def take(self, folder: Parts, data: bytes | None) -> bool:
        """The rules in this folder (None: there are none).  True: they are others than before."""
        if not self.obeys:
            return False
        if self._data.get(folder) == data:
            return False
        self._folders.clear()
        if data is None:
            del self._data[folder], self._rules[folder]
        else:
            self._data[folder], self._rules[folder] = data, read_rules(data)
        return True

    def ignores(self, parts: Parts, *, folder: bool) -> bool:
        """Whether this path, or a folder above it, is ignored."""
        if not self._rules:
            return False
        return self._above_is_ignored(parts[:-1]) or self.ignores_entry(parts, folder=folder)

    def ignores_entry(self, parts: Parts, *, folder: bool) -> bool:
        """The same, where nothing above it is ignored."""
        found = self._decides(parts, folder=folder)
        return found is not None and found.ignores

    def _above_is_ignored(self, parts: Parts) -> bool:
        known = self._folders.get(parts)
        if known is None:
            known = bool(parts) and self.ignores(parts, folder=True)
            self._folders[parts] = known
        return known

    def explain(self, parts: Parts, *, folder: bool) -> Match | None:
        """The line that decides about this path: the topmost that ignores, else the one that took it back."""
        found: Match | None = None
        for depth in range(1, len(parts) + 1):
            if is_junk(parts[depth - 1]):
                return Match(None, None)
            found = self._decides(parts[:depth], folder=folder or depth < len(parts))
            if found is not None and found.ignores:
                return found
        return found

    def _decides(self, parts: Parts, *, folder: bool) -> Match | None:
        if parts[-1] == IGNORE_FILE:
            return None  # it travels itself, so that the rules are the same everywhere
        end = "/" if folder else ""
        for depth in range(len(parts) - 1, -1, -1):
            for rule in reversed(self._rules.get(parts[:depth], ())):
                if rule.fits("/".join(parts[depth:]) + end):
                    return Match(parts[:depth], rule, rule.ignores)
        return None

    def digest(self) -> str:
        """Names this set of rules; "" for none."""
        if not self._data:
            return ""
        seen = hashlib.sha256()
        for folder, data in sorted(self._data.items()):
            seen.update("/".join(folder).encode("utf-8", "surrogateescape") + b"\0%d\0" % len(data) + data)
        return seen.hexdigest()


def words(found: Match | None) -> str:
    """What decides, for people."""
    if found is None:
        return "No rule names it: it is synced."
    if found.folder is None or found.rule is None:
        return "It is a well-known dropping of an operating system or a program: it is never synced."
    where = shown_file(found.folder)
    verb = "It is ignored" if found.ignores else "It is synced"
    return f"{verb}: {where}, line {found.rule.line}: {found.rule.text}"


def shown_file(folder: Sequence[str]) -> str:
    return "/".join((*folder, IGNORE_FILE))
