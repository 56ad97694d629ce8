"""The keyring of a desktop: a real gnome-keyring on a bus of its own, unlocked.

with a_keyring(folder) as session:
    MbSync(home, variables=session.variables)
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.forks import environment
from tests.support.panel import a_session_bus


@dataclass
class Session:
    """variables: what a program of this session has in its environment."""

    variables: tuple[tuple[str, str], ...]
    data: Path

    def held(self) -> bytes:
        """The bytes of the keyring on the disk."""
        return b"".join(path.read_bytes() for path in self.data.rglob("*.keyring"))


@contextmanager
def a_keyring(folder: Path) -> Iterator[Session]:
    runtime, data = folder / "runtime", folder / "data"
    runtime.mkdir(mode=0o700)
    data.mkdir()
    with a_session_bus(folder) as address:
        variables = {
            "DBUS_SESSION_BUS_ADDRESS": address,
            "XDG_RUNTIME_DIR": str(runtime),
            "XDG_DATA_HOME": str(data),
        }
        process = subprocess.Popen(
            ["gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment() | variables,
        )
        try:
            assert process.stdin is not None
            process.stdin.write(b"a password of the keyring")  # with an empty one the first write hangs
            process.stdin.close()
            _wait_for_it(address)
            yield Session(tuple(variables.items()), data)
        finally:
            process.terminate()
            process.wait(60)


def _wait_for_it(address: str) -> None:
    """Until it has its name on the bus: asked for before, the bus would start another one, which is locked."""
    ends = time.monotonic() + 60
    while True:
        ran = subprocess.run(
            [
                *("dbus-send", f"--bus={address}", "--print-reply", "--dest=org.freedesktop.DBus"),
                *(
                    "/org/freedesktop/DBus",
                    "org.freedesktop.DBus.NameHasOwner",
                    "string:org.freedesktop.secrets",
                ),
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        if "boolean true" in ran.stdout:
            return
        assert time.monotonic() < ends, "the keyring does not come"
        time.sleep(0.05)
