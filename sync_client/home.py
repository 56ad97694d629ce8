"""The client home: the one folder where MB-Sync keeps what it knows on this computer.

Owns: where it is, its files and their modes, config.toml, the token.
May import: the standard library, protocol, engine.account, token_keeping; platformdirs and tomlkit where needed.

    config.toml   the account and the device; a person may read it
    token         the device token, mode 0600, where no keyring keeps it
    authority.pem the server's own authority, if it was pinned at sign-in
    state.db      the engine's rows
    control.sock  where the running client answers; `control.port` where there are no such sockets
    notices.json  which notices are wanted
    looked-at.json  of what a reviewer fetched, the digests
    lock          held by the one process that works here
    log/          rotated; no file names, no secrets
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from protocol.errors import LocalProblem, MedicalBlocksError
from protocol.ids import DeviceId
from protocol.names import STATE_FOLDER
from sync_client import token_keeping
from sync_client.token_keeping import Kept, checked_token

if TYPE_CHECKING:
    from protocol.trust import Trust
    from sync_client.engine.account import Account

# What the server's "unknown token" means to a person, whatever ended it.
SIGN_IN_AGAIN = "The sign-in of this computer has ended. Sign in again with `mb-sync login URL --user NAME`."
MARKER = Path(STATE_FOLDER, "marker.json")


class NotSignedInHere(LocalProblem):
    """There is no account in this client home."""

    def __init__(self) -> None:
        super().__init__("Nobody is signed in here", hint="Sign in with `mb-sync login URL --user NAME`.")


@dataclass(frozen=True, slots=True)
class ClientHome:
    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.toml"

    @property
    def token(self) -> Path:
        return self.path / "token"

    @property
    def authority(self) -> Path:
        return self.path / "authority.pem"

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def log(self) -> Path:
        return self.path / "log"

    def make(self) -> None:
        """Make the folder, for its owner alone.  Raises LocalProblem if it may not lie here."""
        make_private_folder(
            self.path,
            self.log,
            called="The client home",
            hint="Choose another folder with --home or MB_SYNC_HOME.",
        )


def find_home(asked: str | None) -> ClientHome:
    """The home that was asked for (`--home`), that of the environment, or the usual place of this system."""
    place = asked or os.environ.get("MB_SYNC_HOME")
    if place:
        return ClientHome(Path(place).expanduser().absolute())
    return ClientHome(_usual_place())


def _usual_place() -> Path:
    """Where this system keeps the data of a user's programs."""
    if sys.platform == "linux":  # as platformdirs says (a test compares), without its 40 ms on every `status`
        data = os.environ.get("XDG_DATA_HOME", "").strip()
        return (Path(data) if data else Path.home() / ".local" / "share") / "mb-sync"
    from platformdirs import user_data_path  # noqa: PLC0415 - see above

    return user_data_path("mb-sync", appauthor=False)


def make_private_folder(path: Path, *inside: Path, called: str, hint: str) -> None:
    """A home and the folders inside it, for their owner alone.

    called: what the home is to a person.  hint: what they do if it cannot be.  Raises LocalProblem.
    """
    refuse_inside_followed(path)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        for folder in inside:
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise LocalProblem(f"{called} {path} cannot be made ({error.strerror})", hint=hint) from error


def refuse_inside_followed(path: Path) -> None:
    """The home holds secrets and a database that changes all the time: neither may be synced."""
    real = path.resolve()
    for folder in (real, *real.parents):
        if has_marker(folder):
            raise LocalProblem(
                f"The client home {path} lies inside the followed folder {folder}",
                hint="Choose a folder outside it with --home or MB_SYNC_HOME.",
            )


def has_marker(folder: Path) -> bool:
    """Whether some client follows it.  That of another user of this computer keeps us out of its private folder."""
    try:
        os.lstat(folder / MARKER)
    except PermissionError:
        return os.path.lexists(folder / STATE_FOLDER)
    except OSError:
        return False
    return True


# ---- the account -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Identity:
    """What config.toml says: the device, and who is signed in (None: nobody).

    kept: where the token is (None: in the file, from before there was a choice).  token_file: the one given at sign-in.
    """

    device: DeviceId | None = None
    server: str | None = None
    user: str | None = None
    device_name: str = ""
    proxy: str = field(default="", repr=False)
    kept: Kept | None = None
    token_file: str = ""


def read_identity(home: ClientHome) -> Identity:
    config = _read_config(home)
    account = config.get("account", {})
    try:
        device = DeviceId(UUID(config["device"])) if "device" in config else None
        if not account:
            return Identity(device=device)
        server, user, name = (str(account[key]) for key in ("server", "user", "device_name"))
        kept = Kept(account["token"]) if "token" in account else None
        file = str(account.get("token_file", ""))
        return Identity(device, server, user, name, str(account.get("proxy", "")), kept, file)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(home, str(error)) from error


def require_sign_in(home: ClientHome) -> None:
    """Raises NotSignedInHere.  Asks no keyring: whoever works with the token will."""
    identity = read_identity(home)
    if identity.server is None or identity.user is None or identity.device is None:
        raise NotSignedInHere
    is_ours = identity.kept in (None, Kept.FILE) and token_keeping.given_file("") is None
    if is_ours and not home.token.exists():
        raise NotSignedInHere


def read_account(home: ClientHome) -> Account:
    """The account and its token.  Raises NotSignedInHere, LocalProblem."""
    from sync_client.engine.account import Account  # noqa: PLC0415 - `status` without a daemon needs no more than a name

    identity = read_identity(home)
    if identity.server is None or identity.user is None or identity.device is None:
        raise NotSignedInHere
    token = _read_token(home, identity, identity.device)
    if token is None:
        raise NotSignedInHere
    trust = read_trust(home, identity)
    return Account(identity.server, identity.user, token, identity.device, identity.device_name, trust)


def _read_token(home: ClientHome, identity: Identity, device: DeviceId) -> str | None:
    """None: there is none, or it can be none.  Raises LocalProblem: its place cannot be read."""
    configured = identity.token_file if identity.kept is Kept.GIVEN else ""
    if (given := token_keeping.given_file(configured)) is not None:
        return token_keeping.read_given(given)
    if identity.kept is Kept.KEYRING:
        held = token_keeping.read_from_keyring(str(device))
        return None if held is None else checked_token(held.encode())
    try:
        with home.token.open("rb") as file:
            return checked_token(file.read(token_keeping.MAX_TOKEN_BYTES + 1))
    except OSError:
        return None


def read_trust(home: ClientHome, identity: Identity) -> Trust:
    """Whom this home believes for its server, and the proxy on the way."""
    from protocol.trust import Trust  # noqa: PLC0415 - as above

    try:
        authority = home.authority.read_text("ascii")
    except FileNotFoundError:
        authority = ""
    except (OSError, UnicodeDecodeError) as error:
        raise LocalProblem(
            f"{home.authority} cannot be read ({error})", hint="Sign in again with `mb-sync login`."
        ) from error
    return Trust(authority=authority, proxy=identity.proxy)


def fresh_device() -> DeviceId:
    """A device is a client home, not a machine: its id is made at the first sign-in."""
    return DeviceId(uuid4())


def save_account(home: ClientHome, account: Account, *, kept: Kept = Kept.FILE, token_file: str = "") -> None:
    """The token first: a home with a name and no token says "sign in", never signs in as another.

    kept: where the token is; in a file of our own it is put by this, elsewhere it is already.
    """
    if kept is Kept.FILE:
        write_private(home.token, account.token + "\n")
    if account.trust.authority:
        write_private(home.authority, account.trust.authority)
    else:
        home.authority.unlink(missing_ok=True)
    said = {"server": account.server, "user": account.user, "device_name": account.device_name}
    said["token"] = kept.value
    if token_file:
        said["token_file"] = token_file
    if account.trust.proxy:
        said["proxy"] = account.trust.proxy
    _change_config(home, device=str(account.device), account=said)
    if kept is not Kept.FILE:
        home.token.unlink(missing_ok=True)


def keep_account(home: ClientHome, account: Account, *, wants_keyring: bool = True) -> Kept:
    """Save a fresh sign-in, its token in the system's keyring if there is one; where it is now."""
    keyring = token_keeping.find_keyring() if wants_keyring else None
    if keyring is not None and token_keeping.keep_in(keyring, str(account.device), account.token):
        save_account(home, account, kept=Kept.KEYRING)
        return Kept.KEYRING
    save_account(home, account)
    return Kept.FILE


def change_way(home: ClientHome, trust: Trust) -> None:
    """Another proxy or another authority for the server that this computer is signed in to."""
    account = _read_config(home).get("account", {})
    if trust.authority:
        write_private(home.authority, trust.authority)
    else:
        home.authority.unlink(missing_ok=True)
    said = {key: value for key, value in account.items() if key != "proxy"}
    if trust.proxy:
        said["proxy"] = trust.proxy
    _change_config(home, account=said)


def move_token_to_keyring(home: ClientHome) -> bool:
    """Of a client that is older than the choice; whoever calls holds the lock of the home.

    True: it was moved.  Where there is no keyring nothing changes.
    """
    identity = read_identity(home)
    if identity.server is None or identity.kept is not None or token_keeping.given_file("") is not None:
        return False
    account = read_account(home)
    keyring = token_keeping.find_keyring()
    if keyring is None or not token_keeping.keep_in(keyring, str(account.device), account.token):
        return False
    save_account(home, account, kept=Kept.KEYRING)
    return True


def forget_account(home: ClientHome) -> bool:
    """The device goes too: the server has ended it, and the next sign-in is a new one.

    False: the keyring could not be told; what it holds is worth nothing any more.
    """
    identity = read_identity(home)
    is_gone = identity.kept is not Kept.KEYRING or token_keeping.forget_in_keyring(str(identity.device))
    home.token.unlink(missing_ok=True)
    home.authority.unlink(missing_ok=True)
    _change_config(home, device=None, account=None)
    return is_gone


def _read_config(home: ClientHome) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - 15 ms that a running daemon's `status` need not pay

    try:
        return tomllib.loads(home.config.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _damaged(home, str(error)) from error


def _damaged(home: ClientHome, why: str) -> MedicalBlocksError:
    return LocalProblem(
        f"{home.config} cannot be read ({why})",
        hint="Put it right, or move it away and sign in again with `mb-sync login`.",
    )


def _change_config(home: ClientHome, **changes: object) -> None:
    """Set (or, with None, drop) top-level keys; a person's own comments and keys stay."""
    import tomlkit  # noqa: PLC0415 - only those who write pay for it

    try:
        document = tomlkit.parse(home.config.read_text("utf-8"))
    except FileNotFoundError:
        document = tomlkit.document()
        document.add(tomlkit.comment("MB-Sync on this computer.  The token lies beside this file."))
    for key, value in changes.items():
        if value is None:
            document.pop(key, None)
        else:
            document[key] = value
    write_private(home.config, tomlkit.dumps(document))


def write_private(path: Path, text: str) -> None:
    """Replace a file as a whole, mode 0600 from its first byte, on the disk when this returns.

    Raises LocalProblem; the file is then what it was.
    """
    import tempfile  # noqa: PLC0415 - drags in much that a quick command need not pay for

    name: str | None = None
    try:
        number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # 0600 by its contract
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
        name = None
    except OSError as error:
        raise LocalProblem(
            f"{path} cannot be written ({error.strerror})", hint="Make room, or see who may write there."
        ) from error
    finally:
        if name is not None:
            Path(name).unlink(missing_ok=True)
