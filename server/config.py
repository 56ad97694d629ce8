"""The settings of the service: defaults < server.toml < environment < flags.

Owns: what may be set, where each value comes from, the address to listen on.
May import: the standard library, msgspec, protocol, server.quantities, server.retention.
"""

from __future__ import annotations

import ipaddress
import logging
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from protocol.errors import BadRequest, LocalProblem
from server.quantities import parse_quota, parse_span
from server.retention import parse_trash, parse_versions

log = logging.getLogger(__name__)

SETTINGS_FILE = "server.toml"
ENVIRONMENT_PREFIX = "MB_SERVER_"
_NO_SETTINGS = {"data"}  # MB_SERVER_DATA says where the data folder is: it cannot stand inside it

FIRST_SETTINGS = """\
# Settings of this Medical-Blocks server.  An environment variable MB_SERVER_NAME goes before a line
# here, a flag of `mb-server serve` before both.

# listen = "127.0.0.1:8850"    # HOST:PORT; port 0 takes any free one
# tls = "off"                  # "auto": a certificate of this server's own authority, which clients pin
# tls_names = ""               # for "auto": what people call this computer, "data.example.org, 192.0.2.7"
# tls_certificate = ""         # or a certificate of your own: a PEM file with its chain …
# tls_key = ""                 # … and its key
# behind_proxy = false         # true: a proxy in front of this server does TLS
# log_level = "info"           # debug, info, warning, error
# shutdown_seconds = 5.0       # how long a running request may go on once the server was told to stop
# gc_every = "24h"             # how often stored bytes that nothing holds are dropped; "0s": never by itself
# keep_versions = "all 1d, daily 30d, weekly 365d"   # of older contents of a file; "all": for ever
# keep_trash = "30d"           # how long what was deleted can come back; "forever"
# default_quota = "none"       # of each home and project that has none of its own: "50G"
# blocks_trusted = ""          # Python blocks of others that may run as this account: "count-words, my-model"
# blocks_sandbox = true        # false: programs of others run in containers only
# blocks_at_once = 0           # how many runs of blocks beside each other; 0: one for each processor core
"""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that an operator may choose."""

    listen: Annotated[str, Meta(min_length=1, max_length=300)] = "127.0.0.1:8850"
    tls: Annotated[str, Meta(pattern="^(off|auto)$")] = "off"
    tls_names: Annotated[str, Meta(max_length=4_000)] = ""
    tls_certificate: str = ""
    tls_key: str = ""
    behind_proxy: bool = False
    log_level: Annotated[str, Meta(pattern="^(debug|info|warning|error)$")] = "info"
    shutdown_seconds: Annotated[float, Meta(ge=0, le=600)] = 5.0
    gc_every: str = "24h"
    keep_versions: str = "all 1d, daily 30d, weekly 365d"
    keep_trash: str = "30d"
    default_quota: str = "none"
    blocks_trusted: Annotated[str, Meta(max_length=4_000)] = ""
    blocks_sandbox: bool = True
    blocks_at_once: Annotated[int, Meta(ge=0, le=256)] = 0

    def __post_init__(self) -> None:
        """Raises ValueError: a span or a rule that is none."""
        try:
            parse_span(self.gc_every)
            parse_versions(self.keep_versions)
            parse_trash(self.keep_trash)
            parse_quota(self.default_quota)
        except BadRequest as error:
            raise ValueError(str(error)) from error


def load_settings(
    data: Path, *, environment: Mapping[str, str], flags: Mapping[str, object | None]
) -> Settings:
    """What holds for this run.  flags: None means not given.

    Raises LocalProblem: the file cannot be read, names what is no setting, or holds a wrong value.
    """
    values: dict[str, object] = dict(_from_file(data / SETTINGS_FILE))
    values |= _from_environment(environment)
    values |= {name: value for name, value in flags.items() if value is not None}
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise LocalProblem(
            f"A setting has a wrong value: {error}",
            hint=f"Correct it in {SETTINGS_FILE}, in the {ENVIRONMENT_PREFIX}… environment or in the flag.",
        ) from error


def named(text: str) -> list[str]:
    """The names of a setting that holds several, with commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def listen_address(settings: Settings) -> tuple[str, int]:
    """Host and port to bind.

    Raises LocalProblem: not HOST:PORT, or an address that other computers reach while nobody does TLS.
    """
    host, colon, port_text = settings.listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not (port_text.isascii() and port_text.isdigit()) or int(port_text) > 65_535:
        raise LocalProblem(
            f"{settings.listen!r} is no address to listen on", hint="Give HOST:PORT, such as 127.0.0.1:8850."
        )
    if not settings.behind_proxy and not uses_tls(settings) and not _is_loopback(host):
        raise LocalProblem(
            f"Listening on {host} would send passwords and files over the network in the clear",
            hint="Say --tls auto, or listen on 127.0.0.1, or put a proxy that does TLS in front and say"
            " --behind-proxy.",
        )
    return host, int(port_text)


def uses_tls(settings: Settings) -> bool:
    """Raises LocalProblem: the settings of TLS do not go together."""
    if bool(settings.tls_certificate) != bool(settings.tls_key):
        raise LocalProblem(
            "A certificate and its key go together", hint="Give both --tls-certificate and --tls-key."
        )
    if settings.tls == "auto" and settings.tls_certificate:
        raise LocalProblem(
            "The server is to use its own authority and a given certificate",
            hint="Choose one: --tls auto, or --tls-certificate and --tls-key.",
        )
    return settings.tls == "auto" or bool(settings.tls_certificate)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _from_file(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise LocalProblem(f"{path} cannot be read: {error}", hint="Correct the file.") from error
    unknown = sorted(set(values) - set(Settings.__struct_fields__))
    if unknown:
        raise LocalProblem(
            f"{path} names what is no setting: {', '.join(unknown)}",
            hint=f"The settings are {', '.join(Settings.__struct_fields__)}.",
        )
    return values


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """An unknown name is only warned about: orchestrators set names such as MB_SERVER_PORT by themselves."""
    found: dict[str, str] = {}
    for variable, value in environment.items():
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
        if name in Settings.__struct_fields__:
            found[name] = value
        elif name not in _NO_SETTINGS:
            log.warning("ignored environment variable=%s: it is no setting", variable)
    return found
