"""Words that may stay in a description: those of imaging, and no others.

Owns: cleaning free text by a list of what is known to be safe.
May import: the standard library.

A list of what is dangerous can never be complete; a list of what is harmless need not be.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_TOKEN = re.compile(r"[^\W_]+|[+*.,/\-_ ]", re.UNICODE)
# a number of at most four digits with or without a unit; "t2", "b1000"; nothing as long as a date or an id
_MEASURE = re.compile(r"[tb]?\d{1,4}(mm|cm|ms|s|deg|hz|khz|kv|kev|mev|ma|t|x|d|min|ph|fov|b|mg|ml)?")


@cache
def known_words() -> frozenset[str]:
    return frozenset(Path(__file__).with_name("words.txt").read_text("utf-8").split())


def only_known_words(text: str) -> str:
    """What is left of a description when every word that is not one of imaging is gone."""
    known = known_words()
    kept = [
        token
        for token in _TOKEN.findall(text)
        if not token[0].isalnum() or token.casefold() in known or _MEASURE.fullmatch(token.casefold())
    ]
    return " ".join("".join(kept).split()).strip(" +*.,/-_")
