"""The sentences for people that stand in our source, as templates: `{}` where a fact goes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ERRORS = {
    *("LocalProblem", "BadRequest", "AccessDenied", "NotFound", "Unavailable", "ServerFault", "NotSignedIn"),
    *("DeviceCloned", "Refused", "NotTrusted", "ContentDamaged"),
}
FINDINGS = {"ok", "warning", "error"}  # of the doctor
OTHERS = {"words", "hint", "what", "note", "message"}  # names that such a sentence is put under
_SENTENCE = re.compile(r"[A-Z{\d`'].* .*", re.DOTALL)


def sentences_of(*modules: Path) -> dict[str, str]:
    """Template → where it stands.  A sentence is what an error or a finding says, and whatever else begins like one
    and ends in a full stop."""
    found: dict[str, str] = {}
    for module in modules:
        tree = ast.parse(module.read_text("utf-8"))
        for node, text in _texts(tree):
            if _SENTENCE.fullmatch(text) and "\n" not in text:
                found.setdefault(text, f"{module.relative_to(ROOT)}:{node.lineno}")
    return found


def _texts(tree: ast.Module) -> Iterator[tuple[ast.expr, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Name(id=name) | ast.Attribute(attr=name), args=[*given], keywords=[*named]
            ):
                if name in ERRORS:
                    wanted = [*given[:1], *(one.value for one in named if one.arg == "hint")]
                elif name in FINDINGS:
                    wanted = given[1:3]
                else:
                    wanted = [one for one in given if (_text(one) or "").endswith(".")]
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in OTHERS:
                wanted = [value]
            case ast.Return(value=value) | ast.Tuple(elts=[_, value]):
                wanted = [value] if value is not None and (_text(value) or "").endswith(".") else []
            case _:
                continue
        for one in wanted:
            for choice in [one.body, one.orelse] if isinstance(one, ast.IfExp) else [one]:
                if text := _text(choice):
                    yield choice, text


def _text(node: ast.expr) -> str | None:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in values)
    return None
