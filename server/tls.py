"""The certificate that the server shows.

Owns: the private authority made at `init`, the certificate under it and its renewal, a certificate that was given,
the context that the socket listens with.
May import: cryptography, ssl, protocol.

    keys/authority.key, authority.pem   the private authority; clients pin it when they sign in
    keys/tls.key, tls.pem               the certificate under it; made anew when it nears its end or a name is added

RFC 5280 says what stands in a certificate.  The authority signs one certificate at a time, on this very machine, so
there is no list of revoked ones: a stolen key is answered with a new authority, and clients sign in anew.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from protocol.errors import LocalProblem

AUTHORITY_DAYS = 3_650
CERTIFICATE_DAYS = 397  # what browsers accept of any authority
RENEWED_BEFORE = timedelta(days=60)
CLOCKS_APART = timedelta(days=1)  # a client's clock may be behind
AUTHORITY, _AUTHORITY_KEY = "authority.pem", "authority.key"
_KEY, _CERTIFICATE = "tls.key", "tls.pem"


@dataclass(slots=True)
class Tls:
    """What a listening socket needs.  authority: PEM of the private authority, "" for a given certificate.

    names: what the certificate is for.  ends_at: when it ends.  again: reads it, or makes it, anew.
    """

    context: ssl.SSLContext
    authority: str
    names: tuple[str, ...]
    ends_at: datetime
    files: tuple[Path, Path]
    again: Callable[[datetime], Tls]

    def refresh(self, now: datetime) -> None:
        """Connections from here on see the certificate as it lies on the disk now, renewed if it was time.

        Raises LocalProblem: it cannot be used; the one before stays.
        """
        fresh = self.again(now)
        self.context.load_cert_chain(*fresh.files)
        self.names, self.ends_at = fresh.names, fresh.ends_at


def create_authority(keys: Path, *, now: datetime) -> None:
    """Make the private authority, unless there is one.  Its key never leaves the folder."""
    if (keys / AUTHORITY).exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Medical-Blocks private authority")])
    certificate = (
        _builder(name, name, key.public_key(), now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write(keys / _AUTHORITY_KEY, _pem(key))
    _write(keys / AUTHORITY, certificate.public_bytes(serialization.Encoding.PEM))


def automatic(keys: Path, names: Iterable[str], *, now: datetime) -> Tls:
    """A certificate of the private authority for `names`: the one that is there, or a new one.

    names: host names and addresses.  Raises LocalProblem: a key cannot be read, or a name is none.
    """
    wanted = tuple(dict.fromkeys(names))
    create_authority(keys, now=now)
    try:
        there = _found(keys / _CERTIFICATE)
        authority = x509.load_pem_x509_certificate((keys / AUTHORITY).read_bytes())
        if (
            there is None
            or set(_names_of(there)) != {_shown(_general_name(name)) for name in wanted}
            or there.not_valid_after_utc - now < RENEWED_BEFORE
            or there.issuer != authority.subject
            or not _is_signed_by(there, authority)
        ):
            there = _issue(keys, authority, wanted, now)
        context = _context(keys / _CERTIFICATE, keys / _KEY)
    except (OSError, ValueError, ssl.SSLError) as error:
        raise LocalProblem(
            f"The server's own authority cannot be used ({error})",
            hint="See who may read the folder keys/; without authority.key and authority.pem a new one is made,"
            " and every client must sign in anew.",
        ) from error
    pem = authority.public_bytes(serialization.Encoding.PEM).decode()
    return Tls(
        context,
        pem,
        _names_of(there),
        there.not_valid_after_utc,
        (keys / _CERTIFICATE, keys / _KEY),
        lambda later: automatic(keys, wanted, now=later),
    )


def given(certificate: Path, key: Path) -> Tls:
    """A certificate of the hospital's: PEM with the chain below it, and its key.  Raises LocalProblem."""
    try:
        context = _context(certificate, key)
        first = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    except (OSError, ValueError, ssl.SSLError) as error:
        raise LocalProblem(
            f"The certificate {certificate} with the key {key} cannot be used ({error})",
            hint="Both are PEM files; the certificate comes first in its file, those that signed it after it.",
        ) from error
    return Tls(
        context,
        "",
        _names_of(first),
        first.not_valid_after_utc,
        (certificate, key),
        lambda _: given(certificate, key),
    )


def usual_names(listen_host: str) -> list[str]:
    """What people on this network may call this computer, as far as it knows by itself."""
    names = [socket.gethostname(), socket.getfqdn(), "localhost", "127.0.0.1", "::1"]
    with contextlib.suppress(ValueError):
        if not ipaddress.ip_address(listen_host).is_unspecified:
            names.append(listen_host)
        return [name for name in names if _is_name(name)]
    return [name for name in (listen_host, *names) if _is_name(name)]


def _is_name(name: str) -> bool:
    try:
        _general_name(name)
    except ValueError:
        return False
    return bool(name)


def _issue(
    keys: Path, authority: x509.Certificate, names: tuple[str, ...], now: datetime
) -> x509.Certificate:
    signer = serialization.load_pem_private_key((keys / _AUTHORITY_KEY).read_bytes(), password=None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise ValueError("authority.key is no key of ours")  # noqa: TRY004 - the file is wrong, not a caller
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Medical-Blocks server")])
    certificate = (
        _builder(subject, authority.subject, key.public_key(), now, CERTIFICATE_DAYS)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .sign(signer, hashes.SHA256())
    )
    _write(keys / _KEY, _pem(key))
    _write(keys / _CERTIFICATE, certificate.public_bytes(serialization.Encoding.PEM))
    return certificate


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_APART)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    """Raises ValueError: neither an address nor a host name."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        if not name or len(name) > 253 or not all(part.isascii() for part in name) or set(name) & set(" /:@"):
            raise ValueError(f"{name!r} is no host name") from None
        return x509.DNSName(name.lower())


def _shown(name: x509.GeneralName) -> str:
    return str(name.value)


def _names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(_shown(name) for name in names)


def _found(path: Path) -> x509.Certificate | None:
    """None: there is none, or it is damaged and is made anew."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _is_signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except Exception:
        return False
    return True


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, data: bytes) -> None:
    """As a whole, for this user alone, on the disk when this returns."""
    temporary = path.with_name(path.name + ".new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
