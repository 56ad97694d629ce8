"""Medical-Blocks as a peer: a server and two clients, from A through the server to B.

Owns: how they are set up for a run.  May import: the standard library, benchmarks.peers.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import IO

from benchmarks.peers import LIMIT_SECONDS, Peer, PeerError, call, end

BIN = Path(sys.executable).parent
PASSWORD = "only for this benchmark"


class Ours(Peer):
    name, needs, watches = "ours", str(BIN / "mb-sync"), True
    _server: subprocess.Popen[str] | None = None

    def start(self) -> None:
        data = self.home / "server"
        call(
            self._bin("mb-server"),
            "init",
            "--data",
            str(data),
            "--admin",
            "bench",
            "--password-stdin",
            stdin=PASSWORD,
        )
        self._log: IO[str] = (self.home / "server.log").open("w")
        self._server = subprocess.Popen(
            [self._bin("mb-server"), "serve", "--data", str(data), "--listen", "127.0.0.1:0"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        assert self._server.stdout is not None
        said = self._server.stdout.readline()
        if not said.startswith("listening on "):
            raise PeerError(f"The server said {said!r}")
        for side, folder in (("a", self.a), ("b", self.b)):
            self._sync(
                *(
                    side,
                    "login",
                    said.split()[-1],
                    "--user",
                    "bench",
                    "--password-stdin",
                    "--device-name",
                    side,
                ),
                stdin=PASSWORD,
            )
            self._sync(side, "add", "/Home/bench", str(folder), "--create")
            self._sync(side, "start")
        self.look_afresh()

    def stop(self) -> None:
        for side in ("a", "b"):
            try:
                self._sync(side, "stop")
            except PeerError as error:
                print(f"  {error}", file=sys.stderr)
        end(self._server)
        self._log.close()

    def go(self) -> None:
        """Nothing: its watcher sees the change."""

    def look_afresh(self) -> None:
        for side in ("a", "b"):
            self._sync(side, "wait", "--timeout", str(LIMIT_SECONDS))

    def wire_bytes(self) -> int | None:
        """Both hops together."""
        traffic = [json.loads(self._sync(side, "status", "--json"))["traffic"] for side in ("a", "b")]
        return sum(int(one["sent_bytes"]) + int(one["received_bytes"]) for one in traffic)

    def pids(self) -> dict[str, int]:
        found = {"server": self._server.pid} if self._server else {}
        for side in ("a", "b"):
            for path in Path("/proc").glob("[0-9]*/environ"):
                if self._is_daemon(path, side):
                    found[f"client {side.upper()}"] = int(path.parent.name)
        return found

    def _is_daemon(self, environ: Path, side: str) -> bool:
        try:
            return f"MB_SYNC_HOME={self.home / side}\0".encode() in environ.read_bytes()
        except OSError:  # another user's process, or one that has ended
            return False

    def _sync(self, side: str, *arguments: str, stdin: str = "") -> str:
        home = {"MB_SYNC_HOME": str(self.home / side)}
        return call(self._bin("mb-sync"), *arguments, environment=home, stdin=stdin)

    @staticmethod
    def _bin(program: str) -> str:
        return str(BIN / program)
