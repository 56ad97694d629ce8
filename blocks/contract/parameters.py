"""Parameters of a block: which schemas a manifest may hold, and whether given values fit one.

Owns: the subset of JSON Schema that blocks use.
May import: the standard library, protocol.errors.

The subset is what a form can be made from: type, properties, required, additionalProperties, items, enum, const,
minimum, maximum, minLength, maxLength, minItems, maxItems, default, title, description.  A schema with any other
word is refused when the manifest is read, so no condition is ever silently ignored.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from protocol.errors import BadRequest

MAX_DEPTH = 16
_WORDS = {"type", "properties", "required", "additionalProperties", "items", "enum", "const", "default"}
_WORDS |= {"minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "title", "description"}
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def check_schema(schema: object, *, at: str = "parameters", depth: int = 0) -> None:
    """BadRequest if this is no schema of the subset above."""
    if not isinstance(schema, Mapping):
        raise _wrong(f"{at} is not a table")
    if depth > MAX_DEPTH:
        raise _wrong(f"{at} is nested deeper than {MAX_DEPTH}")
    unknown = sorted(str(word) for word in schema if word not in _WORDS)
    if unknown:
        raise _wrong(f"{at} uses {unknown[0]!r}, which blocks do not have")
    if "type" in schema and schema["type"] not in _TYPES:
        raise _wrong(f"{at}.type is none of {', '.join(_TYPES)}")
    for word in ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"):
        if word in schema and (isinstance(schema[word], bool) or not isinstance(schema[word], int | float)):
            raise _wrong(f"{at}.{word} is not a number")
    if not isinstance(schema.get("enum", []), list):
        raise _wrong(f"{at}.enum is not a list")
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise _wrong(f"{at}.required is not a list of names")
    properties = schema.get("properties", {})
    if not isinstance(properties, Mapping):
        raise _wrong(f"{at}.properties is not a table")
    for name, below in properties.items():
        check_schema(below, at=f"{at}.{name}", depth=depth + 1)
    if "items" in schema:
        check_schema(schema["items"], at=f"{at}[]", depth=depth + 1)
    if not isinstance(schema.get("additionalProperties", False), bool):
        check_schema(schema["additionalProperties"], at=f"{at}.*", depth=depth + 1)


def with_defaults(schema: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The given parameters, checked, and the schema's defaults for those left out.

    A parameter that the schema does not name is refused: it was meant for something.
    """
    values = dict(given)
    for name, below in schema.get("properties", {}).items():
        if name not in values and "default" in below:
            values[name] = below["default"]
    problem = _problem({"type": "object", **schema}, values, "parameters", 0)
    if problem:
        raise BadRequest(f"The block cannot take these parameters: {problem}", hint="See its manifest.")
    return values


def _problem(schema: Mapping[str, Any], value: object, at: str, depth: int) -> str | None:
    if depth > MAX_DEPTH:
        return f"{at} is nested deeper than {MAX_DEPTH}"
    if "type" in schema and not _is_a(value, schema["type"]):
        return f"{at} is not of type {schema['type']}"
    if isinstance(value, float) and not math.isfinite(value):
        return f"{at} is not a finite number"
    if "enum" in schema and not any(_same(value, allowed) for allowed in schema["enum"]):
        return f"{at} is none of the allowed values"
    if "const" in schema and not _same(value, schema["const"]):
        return f"{at} is not the one allowed value"
    return _outside(schema, value, at) or _problem_inside(schema, value, at, depth)


def _outside(schema: Mapping[str, Any], value: object, at: str) -> str | None:
    size: float
    if isinstance(value, str):
        size, low, high = len(value), "minLength", "maxLength"
    elif isinstance(value, list):
        size, low, high = len(value), "minItems", "maxItems"
    elif isinstance(value, int | float) and not isinstance(value, bool):
        size, low, high = value, "minimum", "maximum"
    else:
        return None
    if low in schema and size < schema[low]:
        return f"{at} is below its {low}, {schema[low]}"
    if high in schema and size > schema[high]:
        return f"{at} is above its {high}, {schema[high]}"
    return None


def _problem_inside(schema: Mapping[str, Any], value: object, at: str, depth: int) -> str | None:
    if isinstance(value, list):
        below = schema.get("items", {})
        found = (_problem(below, part, f"{at}[{n}]", depth + 1) for n, part in enumerate(value))
        return next((problem for problem in found if problem), None)
    if not isinstance(value, dict):
        return None
    properties = schema.get("properties", {})
    missing = next((name for name in schema.get("required", []) if name not in value), None)
    if missing is not None:
        return f"{at}.{missing} is missing"
    others = schema.get("additionalProperties", depth > 0 and not properties)
    for name, part in value.items():
        below = properties.get(name, {} if others is True else others)
        if below is False:
            return f"{at}.{name} is not known"
        problem = _problem(below, part, f"{at}.{name}", depth + 1)
        if problem:
            return problem
    return None


def _is_a(value: object, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, _TYPES[name])


def _same(value: object, other: object) -> bool:
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def _wrong(what: str) -> BadRequest:
    return BadRequest(f"In the schema of the parameters, {what}", hint="docs/blocks.md lists its words.")
