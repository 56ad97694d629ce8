"""The keys of a store: one that seals chunks, one that wraps it, and the recovery key on paper.

Owns: the two files in `keys/`, the text of the recovery key, the derivation of every other key.
May import: cryptography, protocol.errors.

    master.key   32 random bytes, mode 0600.  Never in a backup.  The recovery key is these bytes as text.
    store.key    "MBSK" 0x01, nonce, the store key sealed with the master key.  Of no use without it, so the
                 database keeps a copy, and the recovery key alone opens a backup.

A store key is never changed, only wrapped anew.  Derivation: one block of HKDF-Expand, SHA-256 (RFC 5869).
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from protocol.errors import BadRequest, LocalProblem

KEY_BYTES = 32
_MASTER, _STORE = "master.key", "store.key"
_STORE_HEAD = b"MBSK\x01"
_NONCE_BYTES = 12

_SYMBOLS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: no I, L, O, U
_CHECK_SYMBOLS = _SYMBOLS + "*~$=U"  # the value modulo 37, so one wrong symbol or two swapped ones show
_RECOVERY_SYMBOLS = 52  # 260 bits, of which the first four are zero
_MISREAD = str.maketrans("OIL", "011", "- \t\n")


class StoreKeys:
    """What is derived from the store key.  It is never shown, also not by `repr`."""

    def __init__(self, store_key: bytes) -> None:
        # HMAC with its two padded keys hashed beforehand: a key per chunk costs a third of hmac.digest.
        block = store_key.ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))
        self._chunk_inner = self._inner.copy()
        self._chunk_inner.update(b"mb-chunk-1")

    def chunk_key(self, chunk: bytes) -> bytes:
        """The 32 bytes that seal this one chunk."""
        inner, outer = self._chunk_inner.copy(), self._outer.copy()
        inner.update(chunk + b"\x01")
        outer.update(inner.digest())
        return outer.digest()

    def subkey(self, info: bytes) -> bytes:
        """32 bytes for one purpose, named by `info` (`b"mb-cursor-1"`)."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(info + b"\x01")
        outer.update(inner.digest())
        return outer.digest()


def create_keys(folder: Path) -> str:
    """Make the two key files and return the recovery key, which is shown to a person once and kept nowhere.

    Raises LocalProblem: there are keys already; new ones would make every stored chunk unreadable.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (folder / _STORE).exists() or (folder / _MASTER).exists():
        raise LocalProblem("There are keys in this data folder already", hint="They are kept as they are.")
    master = secrets.token_bytes(KEY_BYTES)
    nonce = os.urandom(_NONCE_BYTES)
    wrapped = AESGCM(master).encrypt(nonce, secrets.token_bytes(KEY_BYTES), _STORE_HEAD)
    _write_secret(folder / _STORE, _STORE_HEAD + nonce + wrapped)
    _write_secret(folder / _MASTER, master)
    _sync_folder(folder)
    return recovery_text(master)


def open_keys(folder: Path) -> StoreKeys:
    """Raises LocalProblem: a file is missing or damaged, or the two do not belong together."""
    master = _read_secret(folder / _MASTER)
    if len(master) != KEY_BYTES:
        raise LocalProblem(
            f"{_MASTER} is damaged", hint="Put it back with the recovery key printed by `init`."
        )
    return StoreKeys(_unwrap(wrapped_store_key(folder), master))


def wrapped_store_key(folder: Path) -> bytes:
    """What store.key holds.  The database keeps it too: so no backup needs this folder."""
    return _read_secret(folder / _STORE)


def recover_keys(folder: Path, text: str, *, kept: bytes | None = None) -> None:
    """Write master.key anew from the recovery key, and store.key where it is gone.

    kept: the wrapped store key as the database keeps it.
    Raises BadRequest: this is no recovery key.  Raises LocalProblem: it is not the key of this store.
    """
    master = parse_recovery_text(text)
    store_file = folder / _STORE
    wrapped = kept if kept is not None and not store_file.exists() else wrapped_store_key(folder)
    _unwrap(wrapped, master)
    folder.mkdir(mode=0o700, exist_ok=True)
    if not store_file.exists():
        _write_secret(store_file, wrapped)
    (folder / _MASTER).unlink(missing_ok=True)
    _write_secret(folder / _MASTER, master)
    _sync_folder(folder)


def recovery_text(master: bytes) -> str:
    """Crockford base32 with a check symbol, in groups of five and a last one of three."""
    value = int.from_bytes(master)
    symbols = "".join(_SYMBOLS[value >> 5 * place & 31] for place in reversed(range(_RECOVERY_SYMBOLS)))
    symbols += _CHECK_SYMBOLS[value % 37]
    return "-".join(symbols[at : at + 5] for at in range(0, len(symbols), 5))


def parse_recovery_text(text: str) -> bytes:
    """The master key a person typed: any case, hyphens and blanks anywhere, O for 0 and I or L for 1."""
    symbols = text.upper().translate(_MISREAD)
    hint = f"It has {_RECOVERY_SYMBOLS + 1} letters and digits; compare it with the printed one."
    if len(symbols) != _RECOVERY_SYMBOLS + 1 or not set(symbols[:-1]) <= set(_SYMBOLS):
        raise BadRequest("This is not a recovery key", hint=hint)
    value = 0
    for symbol in symbols[:-1]:
        value = value << 5 | _SYMBOLS.index(symbol)
    if value >> 8 * KEY_BYTES or _CHECK_SYMBOLS[value % 37] != symbols[-1]:
        raise BadRequest("The recovery key has a typing error", hint=hint)
    return value.to_bytes(KEY_BYTES)


def _unwrap(sealed: bytes, master: bytes) -> bytes:
    nonce_end = len(_STORE_HEAD) + _NONCE_BYTES
    if not sealed.startswith(_STORE_HEAD):
        raise LocalProblem(f"{_STORE} is of an unknown version", hint="Use the program that wrote it.")
    try:
        return AESGCM(master).decrypt(sealed[len(_STORE_HEAD) : nonce_end], sealed[nonce_end:], _STORE_HEAD)
    except (InvalidTag, ValueError) as error:
        raise LocalProblem(
            "The master key does not open this store", hint="Use the recovery key that `init` printed for it."
        ) from error


def _read_secret(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise LocalProblem(
            f"keys/{path.name} is missing", hint="Put it back: stored files cannot be read without it."
        ) from error


def _write_secret(path: Path, data: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if hasattr(os, "O_DIRECTORY"):  # Windows has no such thing to sync
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
