"""What a rule is told, as people and programs write it: a JSON object for its block, patterns of names.

Owns: reading them.  What a block takes is the business of its manifest.
May import: the standard library, protocol.errors, protocol.limits.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from protocol.errors import BadRequest
from protocol.limits import MAX_MESSAGE_DEPTH, MAX_NAME_PATTERN, MAX_NAME_PATTERNS

HINT = 'Say {"name": "value"}; see the block\'s manifest.'


def read_parameters(text: str, *, what: str = "--parameters") -> dict[str, Any]:
    """what: how the caller calls it, for the message.

    Raises BadRequest: no JSON, no object, or a deeper one than any message may be.
    """
    try:
        values: Any = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"{what}: this is not JSON", hint=HINT) from error
    if not isinstance(values, dict) or _is_too_deep(values):
        raise BadRequest(f"{what}: this is no JSON object of a few levels", hint=HINT)
    return values


def read_patterns(names: Sequence[str]) -> tuple[str, ...] | None:
    """Of files' names, as `--only` takes them; none given: None.  "*" alone is every file: no pattern.

    Raises BadRequest: one that no name fits, since it names folders, or is too long; or too many.
    """
    for name in names:
        if "/" in name or not 1 <= len(name) <= MAX_NAME_PATTERN:
            raise BadRequest(
                f"--only: {name[:80]!r} is no pattern of a file's name",
                hint="Say *.nii.gz, without any folder; the rule's folder says where.",
            )
    if len(names) > MAX_NAME_PATTERNS:
        raise BadRequest(f"--only: more than {MAX_NAME_PATTERNS} patterns", hint="Say fewer.")
    if not names:
        return None
    return () if "*" in names else tuple(names)


def _no_number(word: str) -> Any:
    raise ValueError(word)  # NaN and the infinities are no JSON


def _is_too_deep(values: Any) -> bool:
    level = [values]
    for _ in range(MAX_MESSAGE_DEPTH):
        level = [
            below
            for one in level
            if isinstance(one, dict | list)
            for below in (one.values() if isinstance(one, dict) else one)
        ]
    return bool(level)
