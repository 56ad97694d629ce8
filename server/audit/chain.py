"""What makes the log tamper-evident: canonical text, links, seals, signed heads.  Pure.

Owns: the format that docs/formats.md describes ("The audit log").  May import: cryptography, msgspec, protocol.

Each row is linked to the one before it in its space; each seal names the last links of the spaces that grew, and
is linked to the seal before it.  So one seal that was kept elsewhere vouches for all that came before it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

HEADS_KEY_INFO = b"mb-audit-head-1"  # the seed of the signing key is derived from the store key
START = bytes(32)  # what comes before the first link of a chain


def canonical(facts: Mapping[str, Any]) -> bytes:
    """JSON with sorted keys, no blanks, ASCII only: so one text, and no control character, for one value."""
    return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def linked(before: bytes, facts: Mapping[str, Any]) -> bytes:
    """The hash that stands for `facts` and for all that came before them."""
    return hashlib.sha256(before + canonical(facts)).digest()


def row_facts(row: Any) -> dict[str, Any]:
    """A row as it is hashed and exported; what is empty is left out."""
    facts = {
        "sequence": row.sequence,
        "at_ms": row.at_ms,
        "space": row.space,
        "did": row.did,
        "result": row.result,
        "actor": row.actor.hex() if row.actor else "",
        "device": row.device.hex() if row.device else "",
        "address": row.address,
        "request": row.request,
        "detail": row.detail,
        "count": row.count,
        "nodes": row.nodes.hex(),
    }
    return {name: value for name, value in facts.items() if value != ""}


def seal_facts(number: int, at_ms: int, last: int, heads: Mapping[int, bytes]) -> dict[str, Any]:
    """last: the sequence of the last row it covers.  heads: the last link of each space that grew."""
    return {
        "number": number,
        "at_ms": at_ms,
        "last": last,
        "heads": {str(space): head.hex() for space, head in heads.items()},
    }


@dataclass(frozen=True, slots=True)
class Head:
    """A seal, as it is kept outside the database.  kind: "head", or "restored": the log goes on from there."""

    kind: str
    server: str
    epoch: int
    number: int  # of the seal; 0 before the first
    last: int
    at_ms: int
    hash: bytes
    key: bytes = b""
    signature: bytes = b""

    def signed(self, seed: bytes) -> Head:
        private = Ed25519PrivateKey.from_private_bytes(seed)
        key = private.public_key().public_bytes_raw()
        return Head(*self._plain(), key, private.sign(self._text(key)))

    def is_genuine(self) -> bool:
        """Whether whoever has the private half of its key signed these very words."""
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(self.signature, self._text(self.key))
        except (InvalidSignature, ValueError):
            return False
        return True

    def line(self) -> str:
        facts = self._facts(self.key) | {"signature": self.signature.hex()}
        return canonical(facts).decode("ascii")

    def _plain(self) -> tuple[str, str, int, int, int, int, bytes]:
        return self.kind, self.server, self.epoch, self.number, self.last, self.at_ms, self.hash

    def _facts(self, key: bytes) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "server": self.server,
            "epoch": self.epoch,
            "number": self.number,
            "last": self.last,
            "at_ms": self.at_ms,
            "hash": self.hash.hex(),
            "key": key.hex(),
        }

    def _text(self, key: bytes) -> bytes:
        return canonical(self._facts(key))


def read_head(line: str) -> Head | None:
    """None: this line is no head."""
    try:
        facts = json.loads(line)
        return Head(
            kind=str(facts["kind"]),
            server=str(facts["server"]),
            epoch=int(facts["epoch"]),
            number=int(facts["number"]),
            last=int(facts["last"]),
            at_ms=int(facts["at_ms"]),
            hash=bytes.fromhex(facts["hash"]),
            key=bytes.fromhex(facts["key"]),
            signature=bytes.fromhex(facts["signature"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def public_key(seed: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
