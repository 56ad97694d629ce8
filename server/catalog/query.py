"""What a search asks for.

Owns: the grammar, the meaning of a condition, whether a file's facts satisfy a query.  Pure.
May import: protocol.

    query      region=knee EchoTime=20..80 not sequence=T1,T2       side by side: all of them
               ( region=knee or region=hip ) StudyDate=2020..2021
    condition  KEY=VALUE   KEY=A,B (either)   KEY=A..B, A.., ..B (between)   KEY=begin*   KEY=* (whatever it is)
               KEY!=VALUE (not KEY=VALUE)     a word alone: some description or label has a word that begins so
    "…"        around a value that holds spaces, commas, brackets or dots of its own

A KEY is the name of a label, or a keyword of the DICOM standard in any spelling of its letters.  All conditions are of
one and the same file: a series, study or patient is found when one file of it fits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from protocol.attributes import BY_LOWER, KINDS, AttributeKind, Value
from protocol.catalog import LABEL_NAME
from protocol.errors import BadRequest
from protocol.limits import MAX_LABEL_NAME, MAX_QUERY, MAX_QUERY_CONDITIONS, MAX_QUERY_DEPTH

TEXT = "text"  # the name of what is said by words anywhere
LAST = "\U0010ffff"
_SPLIT = re.compile(r'\s*(?:([()])|((?:[^\s()"]|"[^"]*")+))')
_CONDITION = re.compile(r"([A-Za-z][A-Za-z0-9-]*)(!?=)(.*)", re.DOTALL)
_PART = re.compile(r'((?:[^,"]|"[^"]*")*)(,|$)')
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
_DATE = re.compile(r"(\d{4})(?:-?(\d{2})(?:-?(\d{2}))?)?")
_WORDS = re.compile(r"\w+")

Facts = Mapping[str, tuple[Value, ...]]  # by the name of a label, or a keyword


# ---- what a condition may ask of a value -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Is:
    """Equal text, or the same number.  text: case-folded."""

    text: str
    number: float | None


@dataclass(frozen=True, slots=True)
class Begins:
    """text: case-folded; "" is true of whatever there is."""

    text: str


@dataclass(frozen=True, slots=True)
class Between:
    """Both ends count."""

    least: float
    most: float


Test = Is | Begins | Between


@dataclass(frozen=True, slots=True)
class Has:
    """One of the values under one of these names passes one of the tests."""

    names: tuple[str, ...]
    tests: tuple[Test, ...]


@dataclass(frozen=True, slots=True)
class All:
    parts: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Any:
    parts: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Query


Query = Has | All | Any | Not
EVERYTHING = All(())


# ---- values ------------------------------------------------------------------------------------------------


def folded(value: Value) -> str:
    """As it stands in the index, and as two spellings of one value agree."""
    if isinstance(value, str):
        return value.casefold()
    return f"{value:.6f}".rstrip("0").rstrip(".")


def number_of(name: str, value: Value) -> float | None:
    """Where ranges make sense: of numbers, of dates, of labels that are numbers."""
    if isinstance(value, int | float):
        return float(value)
    kind = KINDS.get(name)
    if kind is AttributeKind.DATE:
        return float(value)
    return _as_number(value) if kind is None and name != TEXT else None


def words_in(facts: Facts) -> set[str]:
    """What `text` looks through: words of descriptions, and of labels."""
    found: set[str] = set()
    for name, values in facts.items():
        if KINDS.get(name, AttributeKind.TEXT) is AttributeKind.TEXT:
            for value in values:
                found.update(_WORDS.findall(folded(value)))
    return found


def _as_number(text: str) -> float | None:
    if len(text) > 40 or _NUMBER.fullmatch(text) is None:
        return None
    number = float(text)
    return number if math.isfinite(number) else None


# ---- deciding ----------------------------------------------------------------------------------------------


def satisfies(facts: Facts, query: Query) -> bool:
    """Whether one file fits."""
    match query:
        case All(parts):
            return all(satisfies(facts, part) for part in parts)
        case Any(parts):
            return any(satisfies(facts, part) for part in parts)
        case Not(part):
            return not satisfies(facts, part)
        case Has(names, tests):
            return any(
                _passes(name, value, test)
                for name in names
                for value in (words_in(facts) if name == TEXT else facts.get(name, ()))
                for test in tests
            )


def _passes(name: str, value: Value, test: Test) -> bool:
    match test:
        case Is(text, number):
            return folded(value) == text or (number is not None and number_of(name, value) == number)
        case Begins(text):
            return folded(value).startswith(text)
        case Between(least, most):
            own = number_of(name, value)
            return own is not None and least <= own <= most


def conditions_in(query: Query) -> Iterator[Has]:
    match query:
        case Has():
            yield query
        case Not(part):
            yield from conditions_in(part)
        case All(parts) | Any(parts):
            for part in parts:
                yield from conditions_in(part)


def of_labels_alone(query: Query) -> Query | None:
    """The same for who may not read attributes; None: a condition is of nothing else."""
    match query:
        case Has(names, tests):
            kept = tuple(name for name in names if name not in KINDS)
            return Has(kept, tests) if kept else None
        case Not(part):
            within = of_labels_alone(part)
            return None if within is None else Not(within)
        case All(parts) | Any(parts):
            made = [of_labels_alone(part) for part in parts]
            if any(part is None for part in made):
                return None
            return type(query)(tuple(part for part in made if part is not None))


# ---- reading -----------------------------------------------------------------------------------------------


def parse(text: str) -> Query:
    """Raises BadRequest: it is no query, and says where."""
    if len(text) > MAX_QUERY:
        raise BadRequest(f"A search has at most {MAX_QUERY:,} characters", hint="Ask for less at once.")
    reading = _Reading(list(_split(text)))
    query = reading.alternatives(0) if reading.rest else EVERYTHING
    if reading.rest:
        raise _wrong(f"there is a {reading.rest[0]} too many")
    if sum(1 for _ in conditions_in(query)) > MAX_QUERY_CONDITIONS:
        raise BadRequest(
            f"A search has at most {MAX_QUERY_CONDITIONS} conditions", hint="Ask for less at once."
        )
    return query


def _split(text: str) -> Iterator[str]:
    at = 0
    text = text.strip()
    while at < len(text):
        found = _SPLIT.match(text, at)
        if found is None:
            raise _wrong('a " is not closed')
        yield found[1] or found[2]
        at = found.end()


@dataclass(slots=True)
class _Reading:
    """What of the query is not read yet."""

    rest: list[str]

    def alternatives(self, depth: int) -> Query:
        if depth > MAX_QUERY_DEPTH:
            raise _wrong("its brackets are nested too deeply")
        parts = [self._together(depth)]
        while self.rest and self.rest[0].casefold() == "or":
            self.rest.pop(0)
            parts.append(self._together(depth))
        return parts[0] if len(parts) == 1 else Any(tuple(parts))

    def _together(self, depth: int) -> Query:
        parts: list[Query] = []
        while self.rest and self.rest[0] != ")" and self.rest[0].casefold() != "or":
            if self.rest[0].casefold() == "and" and parts:
                self.rest.pop(0)
            parts.append(self._one(depth))
        if not parts:
            raise _wrong("a condition is missing")
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _one(self, depth: int) -> Query:
        part = self.rest.pop(0) if self.rest else ""
        if part.casefold() == "not":
            if depth > MAX_QUERY_DEPTH:
                raise _wrong("its brackets are nested too deeply")
            return Not(self._one(depth + 1))
        if part == "(":
            inside = self.alternatives(depth + 1)
            if not self.rest or self.rest.pop(0) != ")":
                raise _wrong("a ) is missing")
            return inside
        if part in ("", ")") or part.casefold() in ("and", "or"):
            raise _wrong("a condition is missing")
        return _condition(part)


def _condition(part: str) -> Query:
    found = _CONDITION.fullmatch(part)
    if found is None:
        return _words(_unquoted(part))
    key, sign, values = found.groups()
    if key.casefold() == TEXT:
        condition = _words(_unquoted(values))
    else:
        names = _names(key)
        condition = Has(names, tuple(_test(names, value) for value in _parts(values)))
    return Not(condition) if sign == "!=" else condition


def _names(key: str) -> tuple[str, ...]:
    """A label may be called as a keyword is in small letters: then both are meant."""
    label = key.casefold()
    is_label = len(label) <= MAX_LABEL_NAME and re.fullmatch(LABEL_NAME, label) is not None
    keyword = BY_LOWER.get(label)
    if keyword is not None and key != label:
        return (keyword,)
    names: tuple[str, ...] = (label,) if is_label else ()
    names += (keyword,) if keyword is not None else ()
    if not names:
        raise _wrong(f"{key[:40]!r} can be neither a label nor an attribute")
    return names


def _words(text: str) -> Query:
    words = _WORDS.findall(text.casefold())
    if not words:
        raise _wrong("it looks for text without a word")
    parts = tuple(Has((TEXT,), (Begins(word),)) for word in words)
    return parts[0] if len(parts) == 1 else All(parts)


def _parts(values: str) -> Iterable[str]:
    found, at = [], 0
    while True:
        part = _PART.match(values, at)
        assert part is not None, "every text has a part, if an empty one"
        found.append(part[1])
        at = part.end()
        if part[2] != ",":
            return found


def _test(names: tuple[str, ...], text: str) -> Test:
    plain = _unquoted(text)
    if not plain:
        raise _wrong(f"{names[0]} has no value", hint=f"Say {names[0]}=*, if it may have any.")
    is_date = any(KINDS.get(name) is AttributeKind.DATE for name in names)
    if '"' not in text:
        if plain.endswith("*"):
            return Begins(plain[:-1].casefold())
        low, dots, high = plain.partition("..")
        if dots:
            return _between(low, high, is_date=is_date)
        if is_date and (day := _date(plain)) is not None:
            return Between(*day)
        if is_date and not any(name not in KINDS for name in names):
            raise _wrong(f"{plain[:20]!r} is no date", hint="Write 2020, 2020-03 or 2020-03-31.")
    return Is(plain.casefold(), _as_number(plain))


def _between(low: str, high: str, *, is_date: bool) -> Between:
    least: float | None
    most: float | None
    least, most = -math.inf, math.inf
    if low:
        least = _date(low)[0] if is_date and _date(low) else _as_number(low)  # type: ignore[index] # looked at first
    if high:
        most = _date(high)[1] if is_date and _date(high) else _as_number(high)  # type: ignore[index] # as above
    if least is None or most is None or not (low or high):
        what = "dates such as 2020-03-31, or numbers" if is_date else "numbers"
        raise _wrong(
            f"{low[:20]}..{high[:20]} is no range", hint=f"Write A..B with {what}; one may be left out."
        )
    return Between(least, most)


def _date(text: str) -> tuple[float, float] | None:
    """The first and the last day that it may mean, each as the number YYYYMMDD."""
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    year, month, day = found.groups()
    if not ("01" <= (month or "01") <= "12" and "01" <= (day or "01") <= "31"):
        return None
    return float(f"{year}{month or '00'}{day or '00'}"), float(f"{year}{month or '99'}{day or '99'}")


def _unquoted(text: str) -> str:
    return text.replace('"', "").strip()


def _wrong(
    what: str, *, hint: str = "Write KEY=VALUE, with `or`, `not` and ( ) where you need them."
) -> BadRequest:
    return BadRequest(f"This search is not understood: {what}", hint=hint)
