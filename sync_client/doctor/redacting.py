"""What may leave this computer of a log: our own words, and counts.

Owns: that rule.  May import: the standard library, engine.file_systems.

Nothing is looked for that must not leave; what is known to be ours is let through.  A word passes if the text of our
own program holds it, a value if it is a number or such a word.  All else becomes "…".  What names this person, this
computer or a folder is barred on top of it, for a folder may be called "error".
"""

from __future__ import annotations

import builtins
import importlib.util
import pkgutil
import re
from collections.abc import Iterable, Iterator
from functools import cache
from types import CodeType

from sync_client.engine.file_systems import NETWORK_KINDS

LEFT_OUT = "…"
PACKAGES = ("sync_client", "protocol")
SAFE = NETWORK_KINDS | {
    "ext4",
    "ext3",
    "xfs",
    "btrfs",
    "zfs",
    "overlay",
    "tmpfs",
    "vfat",
    "exfat",
    "ntfs3",
    "fuseblk",
}
MAX_DIGITS = 12  # of a number: longer ones may be somebody's

_LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) ([A-Z]+) ([A-Za-z_.]+) (.*)")
_LOGGERS = (*PACKAGES, "asyncio", "aiohttp", "watchdog")
_FRAME = re.compile(r'\s*File "(.*)", line (\d+), in (\S+)')
_OURS = re.compile(r"((?:sync_client|protocol)(?:[/\\][a-z_]+)*[/\\][a-z_]+\.py)$")
_WORD = re.compile(r"[a-z][a-z-]*")
_NUMBER = re.compile(rf"-?\d{{1,{MAX_DIGITS}}}(\.\d{{1,6}})?")
_VERSION = re.compile(r"\d{1,4}(\.\d{1,4}){0,3}")
_EXCEPTION = re.compile(r"[A-Z][A-Za-z]+")


class Redactor:
    """barred: what names people, computers and folders here; each word of it is left out wherever it stands."""

    def __init__(self, barred: Iterable[str]) -> None:
        words, exceptions = vocabulary()
        self._exceptions = exceptions
        self._words = words - {part for text in barred for part in _parts(text)}

    def lines(self, text: str) -> Iterator[str]:
        """Of a log as `sync_client.logs` writes it."""
        for line in text.splitlines():
            if found := _LINE.fullmatch(line):
                moment, level, logger, message = found.groups()
                who = logger if logger.split(".")[0] in _LOGGERS else LEFT_OUT
                yield f"{moment} {level} {who} {self._message(message)}"
            elif found := _FRAME.fullmatch(line):
                yield f"  {_place(found[1])}:{found[2]}"
            elif not line.startswith(" "):  # "OSError at", or what is none of ours
                yield self._message(line)

    def code(self, text: str) -> str:
        """A code of an error, a kind of file system, a version: whatever else it is, is left out."""
        return (
            text
            if text == "" or self._is_value(text) or text in SAFE or _VERSION.fullmatch(text)
            else LEFT_OUT
        )

    def _message(self, text: str) -> str:
        told = [self._token(token) for token in text.split(" ")]
        return " ".join(
            one for at, one in enumerate(told) if one != LEFT_OUT or told[at - 1 : at] != [LEFT_OUT]
        )

    def _token(self, token: str) -> str:
        key, equals, value = token.partition("=")
        if equals and key in self._words:
            return f"{key}={value if self._is_value(value) else LEFT_OUT}"
        bare = token.rstrip(".,:;)").lstrip("(")
        return token if self._is_ours(bare) else LEFT_OUT

    def _is_value(self, value: str) -> bool:
        return self._is_ours(value) or _NUMBER.fullmatch(value) is not None

    def _is_ours(self, word: str) -> bool:
        if word in self._exceptions:
            return True
        return all(part in self._words for part in word.split("-")) if _WORD.fullmatch(word) else False


def _parts(text: str) -> Iterator[str]:
    """A name, and its words; what has one or two letters names nobody."""
    yield text.lower()
    yield from re.findall(r"[a-z]{3,}", text.lower())


def _place(file: str) -> str:
    """Of a line of a traceback: which file of ours, or that it is none."""
    found = _OURS.search(file)
    return found[1].replace("\\", "/") if found else LEFT_OUT


@cache
def vocabulary() -> tuple[frozenset[str], frozenset[str]]:
    """Our own words in lower case, and the names of errors.  Read from the compiled modules, as they are installed."""
    words: set[str] = set()
    names: set[str] = set()
    for code in _codes():
        names.update(code.co_names)
        for constant in code.co_consts:
            if isinstance(constant, str):
                words.update(_parts_as_written(constant))
    raised = {name for name in vars(builtins) if _is_exception(getattr(builtins, name))}
    ours = {name for name in names if _EXCEPTION.fullmatch(name)}
    return frozenset(words), frozenset(raised | ours)


def _parts_as_written(text: str) -> Iterator[str]:
    """Words that stand in lower case; a capital may begin a name."""
    yield from re.findall(r"(?<![A-Za-z])[a-z]+(?![A-Za-z])", text)


def _is_exception(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, BaseException)


def _codes() -> Iterator[CodeType]:
    for package in PACKAGES:
        for name in (package, *_modules(package)):
            spec = importlib.util.find_spec(name)
            get_code = getattr(spec.loader if spec else None, "get_code", None)
            code = get_code(name) if get_code else None
            if code is not None:
                yield from _all(code)


def _modules(package: str) -> Iterator[str]:
    spec = importlib.util.find_spec(package)
    for module in pkgutil.iter_modules(spec.submodule_search_locations if spec else None):
        yield f"{package}.{module.name}"
        if module.ispkg:
            yield from _modules(f"{package}.{module.name}")


def _all(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _all(constant)
