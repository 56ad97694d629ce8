"""The settings of this computer: speed, notices, starting, rules of what is ignored, the way to the server, help.

Owns: what the page may read and change of them; each change counts at once.
May import: protocol, sync_client.{control,home,notice_choice,pinning}, commands.desktop, doctor,
engine.ignoring, asked.
"""

from __future__ import annotations

import asyncio
import base64
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from protocol.errors import BadRequest, LocalProblem, NotTrusted
from protocol.trust import Trust, fingerprint, proxy_address, shown_fingerprint
from sync_client.commands.desktop import start_at_login, starts_at_login
from sync_client.control import Json, NotRunning, ask
from sync_client.doctor import findings
from sync_client.doctor.bundle import packed, parts_of_bundle
from sync_client.doctor.looking import examine
from sync_client.engine.ignoring import IGNORE_FILE, MAX_BYTES
from sync_client.home import ClientHome, change_way, read_identity, read_trust, require_sign_in
from sync_client.notice_choice import Level, NoticeChoice, read_choice, save_choice
from sync_client.pinning import greeted
from sync_client.quick import status_of
from sync_client.settings.asked import number_of, path_of, text_of


class Preferring:
    def __init__(self, home: ClientHome) -> None:
        self._home = home

    async def settings(self, _: dict[str, Json]) -> Json:
        """All that does not need the running client."""
        return await asyncio.to_thread(self._settings)

    def _settings(self) -> Json:
        known, choice = read_identity(self._home), read_choice(self._home)
        trust = read_trust(self._home, known)
        return {
            "server": known.server,
            "user": known.user,
            "device": known.device_name,
            "kept": None if known.server is None else (known.kept.value if known.kept else "file"),
            "proxy": _without_password(trust.proxy),
            "authority": shown_fingerprint(fingerprint(trust.authority)) if trust.authority else "",
            "autostart": starts_at_login(self._home),
            "notices": {"level": choice.level.value, "snooze_until": choice.snooze_until},
        }

    async def notices(self, asked: dict[str, Json]) -> Json:
        """level: which are wanted.  snooze_seconds: none for so long; 0 ends that."""
        try:
            level = Level(text_of(asked, "level"))
        except ValueError as error:
            raise BadRequest("There is no such choice", hint="All, important or none.") from error
        now = time.time()
        seconds = number_of(asked, "snooze_seconds", least=0, most=366 * 86_400)
        until = now + seconds if seconds else 0.0
        await asyncio.to_thread(save_choice, self._home, NoticeChoice(level, until), now=now)
        return await self.settings({})

    async def autostart(self, asked: dict[str, Json]) -> Json:
        await asyncio.to_thread(start_at_login, self._home, wanted=bool(asked.get("on")))
        return await self.settings({})

    # ---- the way to the server -----------------------------------------------------------------------------

    async def network(self, asked: dict[str, Json]) -> Json:
        """Another proxy, or another authority.  It is kept only if the server answers that way.

        proxy: "" for that of this computer; left out: as it is.  authority: PEM; left out: as it is.
        """
        require_sign_in(self._home)
        known = read_identity(self._home)
        assert known.server is not None
        before = read_trust(self._home, known)
        proxy, authority = before.proxy, before.authority
        if "proxy" in asked:
            text = text_of(asked, "proxy").strip()
            proxy = proxy_address(text) if text else ""
        if "authority" in asked:
            authority = text_of(asked, "authority").strip()
            fingerprint(authority)  # it is a certificate
        trust = Trust(authority=authority, proxy=proxy)
        try:
            await greeted(known.server, trust)
        except NotTrusted as error:
            raise NotTrusted(error.what, hint="Nothing was changed.") from error
        await asyncio.to_thread(change_way, self._home, trust)
        with suppress(NotRunning):
            await asyncio.to_thread(ask, self._home.path, "reload")
        return await self.settings({})

    # ---- rules ---------------------------------------------------------------------------------------------

    async def rules(self, asked: dict[str, Json]) -> Json:
        """The file of rules in a followed folder."""
        return await asyncio.to_thread(lambda: {"text": _read_rules(self._followed(asked))})

    async def save_rules(self, asked: dict[str, Json]) -> Json:
        """before: what the person saw; if another computer changed it meanwhile, nothing is written."""
        text, before = text_of(asked, "text"), text_of(asked, "before")
        if len(text.encode()) > MAX_BYTES:
            raise BadRequest("These are too many rules", hint=f"At most {MAX_BYTES:,} bytes count.")
        folder = await asyncio.to_thread(self._followed, asked)
        await asyncio.to_thread(_write_rules, folder, text, before)
        return {"text": text}

    def _followed(self, asked: dict[str, Json]) -> Path:
        folder = path_of(asked, "folder")
        if str(folder) not in [one["local"] for one in status_of(self._home)["folders"]]:
            raise LocalProblem(f"{folder} is no followed folder", hint="Load the page again.")
        return folder

    # ---- help ----------------------------------------------------------------------------------------------

    async def doctor(self, _: dict[str, Json]) -> Json:
        found = await asyncio.to_thread(self._examined)
        return findings.answer(found)

    async def bundle(self, _: dict[str, Json]) -> Json:
        """What is in it, and the zip itself, for the browser to keep."""
        parts = await asyncio.to_thread(lambda: parts_of_bundle(self._home, self._examined()))
        sizes = [{"name": name, "bytes": len(text)} for name, text in parts.items()]
        return {"parts": sizes, "zip": base64.b64encode(packed(parts)).decode("ascii")}

    def _examined(self) -> list[findings.Finding]:
        return list(examine(self._home, starts_at_login=starts_at_login(self._home)))


def _without_password(proxy: str) -> str:
    """The page shows where it is, never what opens it."""
    scheme, _, rest = proxy.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if rest else ""


def _read_rules(folder: Path) -> str:
    """Raises LocalProblem."""
    path = folder / IGNORE_FILE
    try:
        if path.is_symlink():
            raise LocalProblem(f"{path} is a link", hint="Put a file of its own there.")
        with path.open("rb") as file:
            return file.read(MAX_BYTES).decode("utf-8-sig", "replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise LocalProblem(
            f"{path} cannot be read ({error.strerror})", hint="See who may read it."
        ) from error


def _write_rules(folder: Path, text: str, before: str) -> None:
    """Whole or not at all; the scan sees it as an edit like any other.  Raises LocalProblem."""
    if _read_rules(folder) != before:
        raise LocalProblem(
            f"{IGNORE_FILE} was changed meanwhile", hint="Look at what it says now, and repeat your change."
        )
    path = folder / IGNORE_FILE
    try:
        number, name = tempfile.mkstemp(
            dir=folder, prefix=".~lock.", suffix="#"
        )  # a name that is never synced
        try:
            with os.fdopen(number, "w", encoding="utf-8", newline="") as file:
                file.write(text)
            os.chmod(name, path.stat().st_mode & 0o777 if path.exists() else 0o644)
            os.replace(name, path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise LocalProblem(
            f"{path} cannot be written ({error.strerror})", hint="See who may write there."
        ) from error
