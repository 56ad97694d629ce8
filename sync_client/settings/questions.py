"""All that the page of MB-Sync may ask, by name.

Owns: the list, and what each comes to: mostly a question to the running client, over its socket.
May import: asyncio, protocol, sync_client.{control,home,operations,quick,showing}, commands.running, asked, choosing,
meeting, preferring, sharing.

The client itself serves no page: whatever a page asks goes over the same socket as a command, so neither can take the
other down, and a page that waits keeps nobody else waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from protocol.errors import BadRequest, LocalProblem
from sync_client.commands.running import LEAST_RATE, start_background
from sync_client.control import Json, TimeIsUp, ask
from sync_client.home import ClientHome, read_account
from sync_client.operations import MAX_PAUSE_SECONDS, parse_remote
from sync_client.quick import status_of
from sync_client.settings.asked import number_of, path_of, text_of
from sync_client.settings.choosing import Choosing
from sync_client.settings.local_page import Question
from sync_client.settings.local_places import LocalPlaces
from sync_client.settings.meeting import Meeting
from sync_client.settings.preferring import Preferring
from sync_client.settings.sharing import Sharing
from sync_client.showing import nearest, show

ANSWER_SECONDS = 60.0
ADD_SECONDS = 120.0
SYNC_SECONDS = 30.0  # somebody looks at it; what takes longer goes on without them
MAX_ACTIVITY = 500
MOST_RATE = 10**12


class MbSyncPage:
    """Of one client home."""

    def __init__(self, home: ClientHome) -> None:
        self._home = home
        self._meeting = Meeting(home)
        self._choosing = Choosing(home)
        self._preferring = Preferring(home)
        self._sharing = Sharing(home)
        self._places = LocalPlaces(home.path, self._followed)

    def questions(self) -> Mapping[str, Question]:
        return {
            "now": self.now,
            "greet": self._meeting.greet,
            "sign-in": self._meeting.sign_in,
            "remote": self._choosing.remote,
            "local": self._places.local,
            "place": self._places.place,
            "usual": self._places.usual,
            "add": self.add,
            "start": self.start,
            "sync": self.sync,
            "pause": self.pause,
            "resume": self.resume,
            "show": self.show,
            "activity": self.activity,
            "conflicts": self.conflicts,
            "resolve": self.resolve,
            "bring-back": self.bring_back,
            "guard-list": self.guard_list,
            "guard-decide": self.decide_guard,
            "exclude": self.exclude,
            "size": self._choosing.size,
            "followed": self._choosing.followed,
            "remove": self.remove,
            "limit": self.limit,
            "scan": self.scan,
            "ignore-test": self.ignore_test,
            "shared": self._sharing.shared,
            "share": self._sharing.share,
            "unshare": self._sharing.unshare,
            "make-code": self._sharing.make_code,
            "revoke-code": self._sharing.revoke_code,
            "versions": self._sharing.versions,
            "restore-version": self._sharing.restore_version,
            "settings": self._preferring.settings,
            "notices": self._preferring.notices,
            "autostart": self._preferring.autostart,
            "network": self._preferring.network,
            "rules": self._preferring.rules,
            "save-rules": self._preferring.save_rules,
            "doctor": self._preferring.doctor,
            "bundle": self._preferring.bundle,
        }

    def _followed(self) -> list[Path]:
        return [Path(folder["local"]) for folder in status_of(self._home)["folders"]]

    async def now(self, _: dict[str, Json]) -> Json:
        """How things are; asked every second or so."""
        return await asyncio.to_thread(self._now)

    def _now(self) -> Json:
        status = status_of(self._home)
        quiet = not status["running"] or status["state"] in ("starting", "synced")
        guards = [] if quiet else ask(self._home.path, "guard", seconds=ANSWER_SECONDS)
        return {"status": status, "guards": guards, "own": str(Path.home())}

    async def _asked(self, do: str, *, seconds: float = ANSWER_SECONDS, **arguments: Json) -> Json:
        return await asyncio.to_thread(ask, self._home.path, do, seconds=seconds, **arguments)

    # ---- what a person does --------------------------------------------------------------------------------

    async def add(self, asked: dict[str, Json]) -> Json:
        """Follow a remote folder in a place.  without: nodes in it that are not wanted on this computer."""
        return await self._asked(
            "add",
            seconds=ADD_SECONDS,
            remote=parse_remote(text_of(asked, "remote")),
            local=str(path_of(asked, "local")),
            create=bool(asked.get("create")),
            without=asked.get("without", []),
            client_home=str(self._home.path.resolve()),
        )

    async def start(self, _: dict[str, Json]) -> Json:
        await asyncio.to_thread(read_account, self._home)
        await asyncio.to_thread(start_background, self._home)
        return {}

    async def sync(self, _: dict[str, Json]) -> Json:
        """Look afresh at both sides; what was put off after an error is tried again now."""
        try:
            answer = await self._asked("wait", seconds=SYNC_SECONDS)
        except TimeIsUp:
            return {"synced": False, "goes_on": True}
        return {"synced": answer["synced"], "goes_on": False}

    async def pause(self, asked: dict[str, Json]) -> Json:
        seconds = None
        if asked.get("seconds") is not None:
            seconds = number_of(asked, "seconds", least=60, most=MAX_PAUSE_SECONDS - 1)
        return await self._asked("pause", paused=True, for_seconds=seconds, folder=asked.get("folder"))

    async def resume(self, asked: dict[str, Json]) -> Json:
        return await self._asked("pause", paused=False, folder=asked.get("folder"))

    async def show(self, asked: dict[str, Json]) -> Json:
        """A file or folder in the file explorer, if it lies in a followed folder."""
        path = path_of(asked, "path")
        followed = await asyncio.to_thread(self._followed)
        if not any(path == folder or folder in path.parents for folder in followed) or ".." in path.parts:
            raise LocalProblem(f"{path} is in no followed folder", hint="Open it in your file explorer.")
        await asyncio.to_thread(show, nearest(path, inside=not path.is_dir()))
        return {}

    async def activity(self, asked: dict[str, Json]) -> Json:
        return await self._asked("activity", limit=number_of(asked, "limit", least=1, most=MAX_ACTIVITY))

    # ---- what waits for a decision -------------------------------------------------------------------------

    async def conflicts(self, _: dict[str, Json]) -> Json:
        return await self._asked("conflicts")

    async def resolve(self, asked: dict[str, Json]) -> Json:
        return await self._asked("resolve", id=text_of(asked, "id"), keep=text_of(asked, "keep"))

    async def bring_back(self, asked: dict[str, Json]) -> Json:
        """What gave way, out of the local trash."""
        to = str(path_of(asked, "to")) if asked.get("to") is not None else None
        return await self._asked("trash-restore", item=text_of(asked, "item"), to=to)

    async def guard_list(self, asked: dict[str, Json]) -> Json:
        """A part of all that waits in a folder, from `after` on."""
        return await self._asked(
            "guard-list",
            folder=str(path_of(asked, "folder")),
            what=text_of(asked, "what"),
            after=number_of(asked, "after", least=0, most=2**62),
        )

    async def decide_guard(self, asked: dict[str, Json]) -> Json:
        apply = asked.get("apply")
        if not isinstance(apply, bool):
            raise BadRequest("'apply' is missing", hint="Load the page again.")
        return await self._asked("guard-decide", folder=str(path_of(asked, "folder")), apply=apply)

    async def exclude(self, asked: dict[str, Json]) -> Json:
        """Keep something off this computer; remove: have it here again."""
        return await self._asked(
            "exclude", path=str(path_of(asked, "path")), remove=bool(asked.get("remove"))
        )

    # ---- folders and limits --------------------------------------------------------------------------------

    async def remove(self, asked: dict[str, Json]) -> Json:
        """Follow a folder no more; nothing is deleted."""
        return await self._asked("remove", local=str(path_of(asked, "local")))

    async def limit(self, asked: dict[str, Json]) -> Json:
        """Without `limits`: what they are."""
        if "limits" not in asked:
            return await self._asked("limit")
        limits = asked["limits"]
        if not isinstance(limits, dict):
            raise BadRequest("These are no limits", hint="Load the page again.")
        for way in ("up", "down"):
            if limits.get(way) is not None:
                number_of(limits, way, least=LEAST_RATE, most=MOST_RATE)
        for end in ("begins", "ends"):
            if limits.get(end) is not None:
                number_of(limits, end, least=0, most=1_439)
        return await self._asked("limit", limits=limits)

    async def scan(self, asked: dict[str, Json]) -> Json:
        """How often all of a folder is looked at.  seconds: None for the usual."""
        seconds = None
        if asked.get("seconds") is not None:
            seconds = number_of(asked, "seconds", least=10, most=86_400)
        return await self._asked("scan", folder=str(path_of(asked, "folder")), every_seconds=seconds)

    async def ignore_test(self, asked: dict[str, Json]) -> Json:
        return await self._asked("ignore-test", path=str(path_of(asked, "path")))
