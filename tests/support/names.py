"""Hostile and merely unusual names, each of which some system holds: more than three hundred."""

from __future__ import annotations

import unicodedata

from protocol.names import name_key, refusal

_DEVICES = ("CON", "prn", "Aux", "NUL", "COM1", "com9", "COM¹", "LPT1", "lpt³", "CONIN$", "CONOUT$")
_SIGNS = '<>:"|?*\\'
_ENDS = ("", ".txt", ".tar.gz", " ", ".", "...", " .", ". ")
_STEMS = (
    "plain",
    "with space",
    " leading",
    "-rf",
    "--help",
    "$HOME",
    "`id`",
    "'quoted'",
    "a;b&c",
    "{a,b}",
    "[a-z]",
    "~user",
    "#hash#",
    "100%",
    "%2e%2e%2f",
    "&lt;b&gt;",
    "=1+1",
    "@at",
    "!bang",
    "a,b",
    "..a",
    "...",
    "tab\u2003wide",
    "no\u00a0break",
    "zero\u200bwidth",
    "soft\u00adhyphen",
    "rtl\u202egpj.exe",
    "isolate\u2066x\u2069",
    "bom\ufeffinside",
    "e\u0301galite",
    "r\u00e9sum\u00e9",
    "\u1e9e stra\u00dfe",
    "\u0130stanbul",
    "d\u0131sk",
    "\u212bngstr\u00f6m",
    "\ufb01ne",
    "\u03a3\u03c2",
    "\u0e01\u0e33",
    "\u0928\u093f",
    "\ud55c\uae00",
    "\u1112\u1161\u11ab",
    "\u65e5\u672c\u8a9e",
    "\u0627\u0644\u0639",
    "\u05e9\u05dc\u05d5\u05dd",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\U0001f1e8\U0001f1ed",
    "\U00020000",
    "\uf03a private",
    "\uf025\uf03a",
    "FOO~1",
    "LONGNA~12",
    "x" * 200,
    "\u00e9" * 100,
    "\U0001f600" * 50,
)


def unusual_names() -> list[str]:
    """No two of them are twins, none is refused; `NFC` and `NFD` forms of one stand for it in turn."""
    candidates = [stem + end for stem in _STEMS for end in _ENDS]
    candidates += [device + end for device in _DEVICES for end in ("", ".txt", " .dcm")]
    candidates += [f"a{sign}{number}" for number, sign in enumerate(_SIGNS * 4)]
    candidates += [sign * 3 for sign in _SIGNS]
    found: dict[str, str] = {}
    for number, name in enumerate(candidates):
        spelled = unicodedata.normalize("NFD", name) if number % 5 == 0 else name
        if refusal(spelled) is None:
            found.setdefault(name_key(spelled), spelled)
    return list(found.values())
