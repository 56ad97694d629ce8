"""A real proxy as hospitals have it: CONNECT alone, with a name and a password, every host led to one port.

with connect_proxy(port, "anna:secret") as proxy:
    ... proxy.url (with the name), proxy.address (without) ...
    proxy.asked  # the lines of CONNECT that were let through
"""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class ConnectProxy:
    port: int
    credentials: str
    asked: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.credentials}@127.0.0.1:{self.port}"


@contextmanager
def connect_proxy(target_port: int, credentials: str) -> Iterator[ConnectProxy]:
    listener = socket.create_server(("127.0.0.1", 0))
    proxy = ConnectProxy(listener.getsockname()[1], credentials)

    def accept() -> None:
        with contextlib.suppress(OSError):  # it was closed: the test is over
            while True:
                client, _ = listener.accept()
                threading.Thread(target=_serve, args=(proxy, client, target_port), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield proxy
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _serve(proxy: ConnectProxy, client: socket.socket, target_port: int) -> None:
    with client, contextlib.suppress(OSError):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = client.recv(4096)
            if not piece:
                return
            head += piece
        lines = head.decode("latin-1").split("\r\n")
        wanted = "Proxy-Authorization: Basic " + base64.b64encode(proxy.credentials.encode()).decode()
        if wanted not in lines:
            client.sendall(
                b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n"
                b"Content-Length: 0\r\nConnection: close\r\n\r\n"
            )
            return
        proxy.asked.append(lines[0])
        with socket.create_connection(("127.0.0.1", target_port)) as server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pour, args=(server, client), daemon=True)
            back.start()
            _pour(client, server)
            back.join()


def _pour(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
