"""Syncthing as a peer: two instances that know only each other.

Owns: its configuration (loopback, no discovery, relays, reports or upgrades) and its REST calls.
May import: the standard library, benchmarks.peers.
"""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers import LIMIT_SECONDS, Peer, PeerError, call, end, free_port, spawn, wait_for_port

FOLDER = "bench"
WATCH_SECONDS = 1  # the shortest it takes, in whole seconds; its default is 10
QUIET = {
    "globalAnnounceEnabled": "false",
    "localAnnounceEnabled": "false",
    "relaysEnabled": "false",
    "natEnabled": "false",
    "crashReportingEnabled": "false",
    "autoUpgradeIntervalH": "0",
    "urAccepted": "-1",
    "startBrowser": "false",
    "reconnectionIntervalS": "1",
    "setLowPriority": "false",
}


@dataclass(slots=True)
class _Instance:
    home: Path
    folder: Path
    id: str
    port: int
    gui_port: int
    key: str
    process: subprocess.Popen[bytes] | None = None

    def rest(self, path: str, *, post: bool = False) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.gui_port}/rest/{path}",
            headers={"X-API-Key": self.key},
            method="POST" if post else "GET",
        )
        with urllib.request.urlopen(request, timeout=LIMIT_SECONDS) as reply:
            body = reply.read()
        return json.loads(body) if body.strip() else None


class Syncthing(Peer):
    name, needs, watches = "Syncthing", "syncthing", True
    _both: tuple[_Instance, ...] = ()

    def start(self) -> None:
        self._both = tuple(self._generate(side, folder) for side, folder in (("a", self.a), ("b", self.b)))
        for instance in self._both:
            self._configure(instance)
        for instance in self._both:
            instance.process = spawn(
                *("syncthing", "serve", f"--home={instance.home}", "--no-browser", "--no-restart"),
                log=instance.home / "log",
                environment={"STNOUPGRADE": "1", "HOME": str(instance.home)},
            )
        for instance in self._both:
            wait_for_port(instance.gui_port)
        self._until_connected()

    def stop(self) -> None:
        for instance in self._both:
            end(instance.process)

    def go(self) -> None:
        """Its watcher would see the change as well; being told is faster, so this is its best case."""
        self._both[0].rest(f"db/scan?folder={FOLDER}", post=True)

    def look_afresh(self) -> None:
        for instance in self._both:
            instance.rest(f"db/scan?folder={FOLDER}", post=True)

    def wire_bytes(self) -> int | None:
        total = self._both[0].rest("system/connections")["total"]
        return int(total["inBytesTotal"]) + int(total["outBytesTotal"])

    def pids(self) -> dict[str, int]:
        return {
            f"instance {side}": one.process.pid
            for side, one in zip("AB", self._both, strict=True)
            if one.process
        }

    def _generate(self, side: str, folder: Path) -> _Instance:
        home = self.home / side
        home.mkdir()
        call(
            "syncthing", "generate", f"--home={home}", "--no-default-folder", environment={"HOME": str(home)}
        )
        own_id = call("syncthing", f"--home={home}", "--device-id", environment={"HOME": str(home)}).strip()
        key = ET.parse(home / "config.xml").findtext("gui/apikey") or ""
        return _Instance(home, folder, own_id, free_port(), free_port(), key)

    def _configure(self, instance: _Instance) -> None:
        file = instance.home / "config.xml"
        tree = ET.parse(file)
        root = tree.getroot()
        options = root.find("options")
        if options is None:
            raise PeerError("Syncthing wrote a configuration without options")
        for name in ("listenAddress", "globalAnnounceServer"):
            for old in options.findall(name):
                options.remove(old)
        for name, value in {**QUIET, "listenAddress": f"tcp://127.0.0.1:{instance.port}"}.items():
            option = options.find(name)
            (ET.SubElement(options, name) if option is None else option).text = value
        address = root.find("gui/address")
        if address is not None:
            address.text = f"127.0.0.1:{instance.gui_port}"
        for old in root.findall("device"):
            root.remove(old)
        folder = ET.SubElement(
            root,
            "folder",
            id=FOLDER,
            path=str(instance.folder),
            type="sendreceive",
            rescanIntervalS="3600",
            fsWatcherEnabled="true",
            fsWatcherDelayS=str(WATCH_SECONDS),
        )
        for each in self._both:
            ET.SubElement(folder, "device", id=each.id)
            device = ET.SubElement(root, "device", id=each.id, name=each.home.name)
            ET.SubElement(device, "address").text = f"tcp://127.0.0.1:{each.port}"
        tree.write(file)

    def _until_connected(self) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if all(
                any(one["connected"] for one in instance.rest("system/connections")["connections"].values())
                for instance in self._both
            ):
                return
            time.sleep(0.1)
        raise PeerError("The two Syncthing instances did not find each other")
