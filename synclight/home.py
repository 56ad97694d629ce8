"""The home of MB-SyncLight: what it keeps on this computer, one folder for each code that it follows.

Owns: where it is, its files and their modes.
May import: msgspec, platformdirs, protocol, engine.account, sync_client.home (private files and folders).

    device          the id of this home, made at the first code
    lock            held by the one process that works here
    log/            rotated; no file names, no secrets
    follows/ID/     one for each code: account.json, token (0600), state.db, state.json
    follows/ID/remove, apply    what another command asks of the process that works here
"""

from __future__ import annotations

import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
from platformdirs import user_data_path

from protocol.errors import LocalProblem
from protocol.ids import DeviceId
from protocol.trust import Trust
from sync_client.engine.account import Account
from sync_client.home import make_private_folder, write_private

FORMAT = 1
_MAX_TOKEN_BYTES = 1_024  # it stands in a header of every request


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """What a code opened: account.json.

    name: of the view, as the server calls it.  ended: why nothing more comes; "" while it goes on.
    """

    folder: str
    server: str
    view: UUID
    name: str
    device: UUID
    device_name: str
    authority: str = ""
    proxy: str = ""
    label: str = ""
    shared_by: str = ""
    expires_at_ms: int | None = None
    ended: str = ""
    ended_at_ms: int = 0
    format: int = FORMAT


class State(msgspec.Struct, frozen=True, kw_only=True):
    """How it stood when somebody looked last: state.json.  `state` is one of those of `mb-sync status`."""

    state: str
    words: str
    files: int = 0
    bytes: int = 0
    own_files: int = 0
    problems: list[dict[str, str]] = []
    at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Follow:
    """One code and its folder."""

    path: Path

    @property
    def shared(self) -> Shared:
        """A record that cannot be read counts as ended, with the reason, so that the others go on."""
        try:
            found = msgspec.json.decode((self.path / "account.json").read_bytes(), type=Shared)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return _unreadable(self.path, f"cannot be read ({error})")
        if found.format != FORMAT:
            return _unreadable(self.path, "was written by a newer program")
        return found

    @property
    def folder(self) -> Path:
        return Path(self.shared.folder)

    def account(self) -> Account:
        """Raises LocalProblem: there is no token."""
        shared = self.shared
        try:
            token = (self.path / "token").read_bytes()[: _MAX_TOKEN_BYTES + 1].decode("ascii").strip()
        except (OSError, UnicodeDecodeError):
            token = ""
        if not re.fullmatch(r"[\w~+/=.-]+", token, re.ASCII) or len(token) > _MAX_TOKEN_BYTES:
            raise LocalProblem(
                f"What {shared.folder} is fetched with is missing", hint="Redeem the code again."
            )
        return Account(
            shared.server,
            shared.shared_by,
            token,
            DeviceId(shared.device),
            shared.device_name,
            Trust(authority=shared.authority, proxy=shared.proxy),
            only_down=True,
        )

    def save(self, shared: Shared, token: str | None = None) -> None:
        """token: None keeps the one that is there."""
        if token is not None:
            write_private(self.path / "token", token + "\n")
        write_private(self.path / "account.json", msgspec.json.encode(shared).decode() + "\n")

    def end(self, why: str) -> None:
        """Nothing more comes; every file stays."""
        now_ms = time.time_ns() // 1_000_000
        self.save(msgspec.structs.replace(self.shared, ended=why, ended_at_ms=now_ms))

    @property
    def state(self) -> State:
        try:
            return msgspec.json.decode((self.path / "state.json").read_bytes(), type=State)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return State(state="starting", words="Not looked at yet")

    def save_state(self, state: State) -> None:
        """A glance for `list`; lost in a power cut it is written again."""
        new = self.path / "state.json.new"
        new.write_bytes(msgspec.json.encode(state) + b"\n")
        os.replace(new, self.path / "state.json")

    # ---- what one command asks of the process that works here -----------------------------------------------

    def ask(self, what: str) -> None:
        (self.path / what).touch(mode=0o600)

    def is_asked(self, what: str) -> bool:
        return (self.path / what).exists()

    def answered(self, what: str) -> None:
        (self.path / what).unlink(missing_ok=True)

    def forget(self) -> None:
        """What was known of it; nothing in its folder is touched."""
        gone = self.path.with_name(f".gone-{self.path.name}")  # whole or not at all, also after a crash
        self.path.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def _unreadable(path: Path, why: str) -> Shared:
    nobody = UUID(int=0)
    return Shared(
        folder=str(path),
        server="",
        view=nobody,
        name="",
        device=nobody,
        device_name="",
        ended=f"The record account.json {why}. Remove this one and redeem the code again; your files stay.",
    )


@dataclass(frozen=True, slots=True)
class LightHome:
    path: Path

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def log(self) -> Path:
        return self.path / "log"

    @property
    def _follows(self) -> Path:
        return self.path / "follows"

    def make(self) -> None:
        """Make the folder, for its owner alone.  Raises LocalProblem if it may not lie here."""
        make_private_folder(
            self.path,
            self.log,
            self._follows,
            called="The home of MB-SyncLight",
            hint="Choose another folder with --home.",
        )

    def device(self) -> DeviceId:
        """The same for every code: on a server this computer counts once."""
        try:
            return DeviceId(UUID((self.path / "device").read_text("ascii").strip()))
        except FileNotFoundError:
            made = uuid4()
            write_private(self.path / "device", f"{made}\n")
            return DeviceId(made)
        except (OSError, ValueError) as error:
            raise LocalProblem(
                f"{self.path / 'device'} cannot be read ({error})", hint="Move it away; a new one is made."
            ) from error

    def follows(self) -> list[Follow]:
        """In the order in which they were added."""
        try:
            found = [path for path in self._follows.iterdir() if not path.name.startswith(".")]
        except FileNotFoundError:
            return []
        return [Follow(path) for path in sorted(found)]

    def following(self, folder: Path) -> Follow | None:
        """The one that fills this folder."""
        real = str(folder.resolve())
        return next((follow for follow in self.follows() if follow.shared.folder == real), None)

    def add(self, shared: Shared, token: str) -> Follow:
        """It is there whole, or not at all."""
        name = f"{time.time_ns() // 1_000_000:013x}-{uuid4().hex[:8]}"
        new = Follow(self._follows / f".new-{name}")
        new.path.mkdir(mode=0o700)
        new.save(shared, token)
        return Follow(new.path.rename(self._follows / name))


def find_home(asked: str | None) -> LightHome:
    """The home that was asked for (`--home`), or the usual place of this system."""
    if asked:
        return LightHome(Path(asked).expanduser().absolute())
    return LightHome(user_data_path("mb-synclight", appauthor=False))
