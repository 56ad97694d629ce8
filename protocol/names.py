"""The rules for names of files and folders, on every operating system.

Owns: which names are twins, refused, not portable or junk; how a disk spells one; names of conflict copies.
May import: the standard library, protocol.limits.

Pure functions of text: a name is one component of a path, never a path.  What the user typed is kept; only
`name_key` is compared.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import Enum
from functools import lru_cache

from protocol import limits

# No Unicode version in it: for assigned characters, normalisation and case folding never change again.
NAME_RULES = "mb-names-1"
MAX_NAME_BYTES = limits.MAX_NAME_BYTES
MAX_PATH_BYTES = limits.MAX_PATH_BYTES
MAX_DEPTH = limits.MAX_DEPTH
STATE_FOLDER = ".mb-sync"


class Os(Enum):
    LINUX = "linux"
    MACOS = "macos"
    WINDOWS = "windows"


# ---- twins -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=65_536)
def name_key(name: str) -> str:
    """Two names with one key cannot stand beside each other: NFC(casefold(NFD(name)))."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


# ---- refused everywhere ----------------------------------------------------------------------------------

_NEVER = re.compile("[/\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_ROOTED = re.compile(r"[A-Za-z]:(\\.*)?|\\\\.*", re.DOTALL)  # a drive letter, or a share of Windows
_IGNORED_BY_OLD_DISKS = re.compile(
    "[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]"
)  # HFS+ looks through them


def refusal(name: str) -> str | None:
    """Why no system may hold this name, in words; None if it may."""
    found = _NEVER.search(name)
    if found is not None:
        return _why_never(found.group())
    if not name:
        return "the name is empty"
    if len(name) > MAX_NAME_BYTES or (not name.isascii() and len(name.encode()) > MAX_NAME_BYTES):
        return f"the name is longer than {MAX_NAME_BYTES} bytes"
    if name[0] == ".":
        if name in {".", ".."}:
            return f"{name!r} names a folder of its own kind"
        if _is_state_folder(name):
            return f"{STATE_FOLDER!r} is kept for the sync program itself"
    elif _ROOTED.fullmatch(name):
        return "the name begins like a drive or a network share of Windows"
    elif not name[0].isascii() and _is_state_folder(name):
        return f"{STATE_FOLDER!r} is kept for the sync program itself"
    return None


def path_refusal(names: Sequence[str]) -> str | None:
    """Why this path (its names from the root down, each checked by itself) is out of bounds, or None."""
    if len(names) > MAX_DEPTH:
        return f"it lies more than {MAX_DEPTH} folders deep"
    if sum(len(name.encode("utf-8", "surrogatepass")) + 1 for name in names) - 1 > MAX_PATH_BYTES:
        return f"its path is longer than {MAX_PATH_BYTES} bytes"
    return None


def _why_never(character: str) -> str:
    if character == "/":
        return "the name holds a slash"
    if "\ud800" <= character <= "\udfff":
        return "the name is not text: its bytes are not UTF-8"
    return f"the name holds the control character {ord(character):#04x}"


def _is_state_folder(name: str) -> bool:
    return name_key(_IGNORED_BY_OLD_DISKS.sub("", name)) == STATE_FOLDER


# ---- what Windows cannot hold, and how it is spelled there -----------------------------------------------

_DEVICES = r"CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|COM[1-9¹²³]|LPT[1-9¹²³]"
_NOT_ON_WINDOWS = re.compile(
    r"""(?P<sign>[<>:"|?*\\])"""
    rf"|^(?:{_DEVICES})(?P<device>(?=\ *(?:\.|$)))"
    r"|(?P<end>[. ]$)"
    r"|^(?=[^.]{1,8}(?:\.[^.]{0,3})?$)[^.]*?(?P<alias>~)(?=[0-9]+(?:\.|$))",
    re.IGNORECASE | re.DOTALL,
)
# An escaped character is moved into this private range, as Cygwin and Windows' own Linux layer do it: one
# unit of UTF-16 for one, so no name grows too long, and nobody types these signs.  A name that holds such a
# sign by itself has _QUOTE before it.
_PRIVATE = 0xF000
_QUOTE = chr(_PRIVATE + ord("%"))
_PRIVATE_SIGN = re.compile("[\uf001-\uf0ff]")
_QUOTED_OR_PRIVATE = re.compile(f"{_QUOTE}([\uf001-\uf0ff])|([\uf001-\uf0ff])")


def unportable(name: str) -> str | None:
    """Why Windows cannot hold this name (there it is shown escaped), in words; None if it can."""
    found = _NOT_ON_WINDOWS.search(name)
    if found is None:
        return None
    match found.lastgroup:
        case "sign":
            return f"Windows allows no {found.group()} in a name"
        case "device":
            return f"Windows keeps the name {found.group()} for a device"
        case "end":
            return "Windows drops a dot or a space at the end of a name"
        case _:
            return "Windows may take it for the short form of another name"


def to_disk(name: str, os: Os) -> str:
    """How this system's disk spells `name`, which passed `refusal`."""
    if os is not Os.WINDOWS:
        return name  # Linux and macOS hold all that is not refused
    if not name.isascii():
        name = _PRIVATE_SIGN.sub(lambda found: _QUOTE + found.group(), name)
    return _NOT_ON_WINDOWS.sub(_escape, name)


def from_disk(disk_name: str, os: Os) -> str:
    """The name that `to_disk` spells like this; a spelling that it never makes is taken as it stands."""
    if os is not Os.WINDOWS or not _PRIVATE_SIGN.search(disk_name):
        return disk_name
    name = _QUOTED_OR_PRIVATE.sub(
        lambda found: found[1] or chr(ord(found[2]) - _PRIVATE),
        disk_name,
    )
    return name if refusal(name) is None and to_disk(name, os) == disk_name else disk_name


def _escape(found: re.Match[str]) -> str:
    """Only one character is moved: the sign itself, or the last of a device's name."""
    text = found.group()
    return text[:-1] + chr(_PRIVATE + ord(text[-1]))


# ---- for people ------------------------------------------------------------------------------------------

_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


def shown(name: str) -> str:
    """The name for a screen: what would turn text round, hide in it or drive a terminal is spelled out."""
    return _UNSEEN.sub(_spell_out, name)


def _spell_out(found: re.Match[str]) -> str:
    number = ord(found.group())
    if 0xDC80 <= number <= 0xDCFF:  # a byte of a name that is not text, as Python holds it (PEP 383)
        number -= 0xDC00
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


# ---- conflict copies -------------------------------------------------------------------------------------

_CONFLICT = re.compile(r" \(conflict [^()]* \d{4}-\d\d-\d\d \d\d-\d\d(?: \d+)?\)$", re.DOTALL)
_MY_COPY = re.compile(r" \(my copy(?: \d+)?\)$")
_EXTENSION = re.compile(r"(?<=[^.])\.(?=[^.]*[^\W\d_])[^\W_]{1,12}$")
_PACKED_EXTENSION = re.compile(
    r"(?<=[^.])\.(?=[^.]*[^\W\d_])[^\W_]{1,12}\.(?:gz|bz2|xz|zst|lz4|z)$", re.IGNORECASE
)
_NOT_IN_DEVICE = re.compile(r"[^\w\-+.@ ]+")
_MAX_DEVICE_BYTES = 40


def conflict_name(name: str, *, device: str, when: datetime, taken: Callable[[str], bool]) -> str:
    """`name (conflict DEVICE 2026-11-22 14-03).ext`: legal everywhere, at most 255 bytes, not `taken`.

    when: in the device's local time.  taken: is there anything of this name (or a twin of it) already?
    Of a conflict copy it is no copy of a copy: the older mark gives way.
    """
    stem, extension = _split_extension(name)
    stem = _CONFLICT.sub("", stem) or stem
    mark = f"conflict {safe_device_name(device)} {when:%Y-%m-%d %H-%M}"
    for count in itertools.count(1):
        suffix = f" ({mark} {count}){extension}" if count > 1 else f" ({mark}){extension}"
        candidate = _cut(stem, MAX_NAME_BYTES - len(suffix.encode())) + suffix
        if not taken(candidate):
            return candidate
    raise AssertionError  # there is always a next number


def my_copy_name(name: str, *, taken: Callable[[str], bool]) -> str:
    """`name (my copy).ext`: what somebody changed in a folder that is read only for them; not `taken`."""
    stem, extension = _split_extension(name)
    stem = _MY_COPY.sub("", stem) or stem
    for count in itertools.count(1):
        suffix = f" (my copy {count}){extension}" if count > 1 else f" (my copy){extension}"
        candidate = _cut(stem, MAX_NAME_BYTES - len(suffix.encode())) + suffix
        if not taken(candidate):
            return candidate
    raise AssertionError  # there is always a next number


def safe_device_name(device: str) -> str:
    """The name of a computer as it may stand inside a file's name, with no brackets and at most 40 bytes."""
    return _cut(_NOT_IN_DEVICE.sub("-", device), _MAX_DEVICE_BYTES).strip(" .-") or "computer"


def _split_extension(name: str) -> tuple[str, str]:
    """Stem and extension; `.nii.gz` is one extension, the end of `1.2.840` or of `Dr. Meier` is none."""
    found = _PACKED_EXTENSION.search(name) or _EXTENSION.search(name)
    return (name[: found.start()], found.group()) if found else (name, "")


def _cut(text: str, limit_bytes: int) -> str:
    """As much of `text` as fits, without parting a character from its bytes or from its accents."""
    if len(text.encode()) <= limit_bytes:
        return text
    kept = text.encode()[:limit_bytes].decode(errors="ignore")
    while kept and unicodedata.category(text[len(kept)]).startswith("M"):
        kept = kept[:-1]
    return kept


# ---- junk ------------------------------------------------------------------------------------------------

_JUNK_NAMES = frozenset(
    {
        ".ds_store",
        ".apdisk",
        ".fseventsd",
        ".spotlight-v100",
        ".temporaryitems",
        ".trashes",
        "icon\r",
        "$recycle.bin",
        "system volume information",
        "desktop.ini",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "thumbs.db",
    }
)
_JUNK_PATTERN = re.compile(
    r"~\$.+"  # Microsoft Office: who has the document open
    r"|\.~lock\..+#"  # LibreOffice: the same
    r"|\.#.+"  # Emacs: the same
    r"|\..+\.sw[a-p]"  # Vim: the text being edited
    r"|\.nfs[0-9a-f]{16,}"  # NFS: deleted and still open
    r"|\.fuse_hidden[0-9a-f]{16,}",  # FUSE: the same
    re.DOTALL,
)
_JUNK_STARTS = frozenset("~.$iIsSdDeEtT")
_HALF_DONE = (".part", ".crdownload", ".partial")  # downloads under way


def is_junk(name: str) -> bool:
    """Well-known droppings of operating systems and editors, never anything that a person made."""
    if name.endswith(_HALF_DONE):
        return True
    if not name or name[0] not in _JUNK_STARTS:
        return False
    return name.lower() in _JUNK_NAMES or _JUNK_PATTERN.fullmatch(name) is not None
