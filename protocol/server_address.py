"""What may stand as the address of a server.

Owns: the check of a URL that a person typed or a configuration holds.
May import: the standard library, protocol.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from protocol.errors import LocalProblem

_EXAMPLE = "Give it like https://data.example.org or http://127.0.0.1:8080."


def server_address(url: str) -> str:
    """The address as everyone keeps it: scheme, host, port, perhaps a path, no slash at the end.

    Raises LocalProblem: it is no such address, or a password would cross a network in the clear.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme not in {"http", "https"} or not host:
        raise LocalProblem(f"{url!r} is not the address of a server", hint=_EXAMPLE)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise LocalProblem("The address of a server holds no name, password, ? or #", hint=_EXAMPLE)
    if parts.scheme == "http" and not is_loopback(host):
        raise LocalProblem(
            f"{host} is another computer, and http:// would send the password over the network in the clear",
            hint="Use https://.",
        )
    shown_host = f"[{host}]" if ":" in host else host
    shown_port = f":{port}" if port is not None else ""
    return f"{parts.scheme}://{shown_host}{shown_port}{parts.path.rstrip('/')}"


def is_loopback_address(address: str) -> bool:
    """`is_loopback` for what `server_address` gave."""
    return is_loopback(urlsplit(address).hostname or "")


def is_loopback(host: str) -> bool:
    """Does `host`, a name or an IP address, mean this very computer?"""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
