"""A week of sharing: an owner, an editor, a reader, somebody who sees names only, and two who hold a sync code.

Real processes on real folders.  After each day everyone is looked at: what lies in their folder and how it is, which
names the server lists for them, and which requests it answers.  All of it equals the table beside the day.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from sync_client.home import ClientHome, read_account
from tests.support.computers import Computer, until
from tests.support.light import MbSyncLight, files
from tests.support.server import RunningServer

pytestmark = pytest.mark.timeout(400)

STUDY = "/Home/Study"
ASKS = {  # a right, and a request about the study that needs it
    "names": ("GET", "/list", None),
    "read": ("GET", "/files/{scan}", None),
    "people": ("GET", "/activity", None),
    "versions": ("GET", "/trash", None),
    "write": ("POST", "/missing", {"chunks": ""}),
}
EVERYTHING = set(ASKS)
READS = {"names", "read", "people"}
CODE = {"names", "read"}
NAMES = {"names"}
NOTHING: set[str] = set()


@dataclass(frozen=True)
class Sees:
    """A row of the table.  folder: the files on their own disk, None: they follow none.  state: of that folder.
    listed: the names in the study that the server tells them.  may: which of ASKS it answers."""

    folder: dict[str, str] | None
    state: str
    listed: set[str]
    may: set[str]


@dataclass
class Week:
    server: RunningServer
    people: dict[str, Computer]
    holders: dict[str, tuple[MbSyncLight, Path]]
    view: str = ""
    scan: str = ""

    @property
    def ana(self) -> Computer:
        return self.people["ana"]

    def share(self, who: str, *how: str) -> None:
        self.ana.mb_sync.done("share", STUDY, "--with", f"user:{who}", *how)

    def learn_ids(self) -> None:
        """Of the study's view, as its members know it, and of a file in it."""
        views = requests.get(self._url("/views"), headers=self._signed("ben"), timeout=30).json()["views"]
        [self.view] = [view["view"] for view in views if view["name"] == "/Shared/Study"]
        listed = self._ask("ben", "names").json()["items"]
        [self.scan] = [item["node"] for item in listed if item["name"] == "scan.dcm"]

    def equals(self, table: dict[str, Sees]) -> None:
        assert set(table) == {*self.people, *self.holders}, "everyone has a row"
        for name, row in table.items():
            if row.folder is not None:
                wanted = {path: text.encode() for path, text in row.folder.items()}
                until(lambda: self._files(name) == wanted, f"{name} has {sorted(wanted)}")  # noqa: B023 - done before the next turn
                until(lambda: self._state(name) == row.state, f"{name}'s folder is {row.state}")  # noqa: B023
        for name, row in table.items():  # when all is at rest: nothing came to anybody in the meantime
            if row.folder is not None:
                assert self._files(name) == {path: text.encode() for path, text in row.folder.items()}, name
            found = self._ask(name, "names")
            names = {item["name"] for item in found.json()["items"]} if found.ok else NOTHING
            assert (name, names) == (name, row.listed)
            answers = {what: self._ask(name, what).status_code for what in ASKS}
            refusal = 403 if "names" in row.may else (401 if row.state == "ended" else 404)
            assert (name, answers) == (
                name,
                {what: 200 if what in row.may else refusal for what in ASKS},
            )

    def _files(self, name: str) -> dict[str, bytes]:
        try:
            return files(self.people[name].folder if name in self.people else self.holders[name][1])
        except FileNotFoundError:  # it was put in its place between two looks
            return {}

    def _state(self, name: str) -> str:
        if name in self.holders:
            light, folder = self.holders[name]
            return str(light.state(folder)["state"])
        [followed] = self.people[name].status()["folders"]
        return str(followed["state"])

    def _ask(self, name: str, what: str) -> requests.Response:
        method, path, body = ASKS[what]
        url = self._url(f"/views/{self.view}{path.format(scan=self.scan)}")
        return requests.request(method, url, headers=self._signed(name), json=body, timeout=30)

    def _signed(self, name: str) -> dict[str, str]:
        if name in self.holders:
            [token] = self.holders[name][0].home.rglob("token")
            text = token.read_text().strip()
        else:
            text = read_account(ClientHome(self.people[name].mb_sync.home)).token
        return {"Authorization": f"Bearer {text}", "Accept": "application/json"}

    def _url(self, path: str) -> str:
        return f"{self.server.url}/api/v1{path}"


@pytest.fixture
def week(server: RunningServer, tmp_path: Path) -> Iterator[Week]:
    people = {name: Computer(tmp_path, f"{name}s") for name in ("ana", "ben", "cleo", "dan")}
    for name, computer in people.items():
        server.add_user(name)
        computer.login(server, name)
    holders = {name: (MbSyncLight(tmp_path / name), tmp_path / f"{name}s") for name in ("jo", "kim")}
    yield Week(server, people, holders)
    for name in ("ana", "ben", "cleo"):
        people[name].mb_sync("stop")


def test_what_each_can_see_on_each_day_is_what_the_table_says(week: Week, server: RunningServer) -> None:
    ana, ben, cleo, _ = week.people.values()
    study = {"scan.dcm": "scan", "series/1": "one"}
    private = {"private/diary": "mine alone"}
    with ExitStack() as ends:
        # Monday: the study is shared with three, and by two codes with people outside
        ana.follow("/Home")
        for path, text in study.items():
            ana.write(f"Study/{path}", text.encode())
        ana.write("private/diary", b"mine alone")
        ana.once()
        week.share("ben", "--role", "editor")
        week.share("cleo", "--role", "reader")
        week.share("dan", "--role", "metadata")
        for member in (ben, cleo):
            member.follow("/Shared/Study")
        for computer in (ana, ben, cleo):
            computer.start_working()
        codes = {}
        for name, remote in (("jo", STUDY), ("kim", f"{STUDY}/series")):
            made = ana.mb_sync.json("code", "create", remote, "--label", name)
            codes[name] = made["code"]
            light, folder = week.holders[name]
            ends.enter_context(light.running("-", folder, stdin=made["link"] + "\n"))
        week.learn_ids()
        tops = {"scan.dcm", "series"}
        owner = {f"Study/{path}": text for path, text in study.items()} | private
        week.equals(
            {
                "ana": Sees(owner, "synced", tops, EVERYTHING),
                "ben": Sees(study, "synced", tops, EVERYTHING),
                "cleo": Sees(study, "synced", tops, READS),
                "dan": Sees(None, "", tops, NAMES),
                "jo": Sees(study, "synced", tops, CODE),
                "kim": Sees({"1": "one"}, "synced", NOTHING, NOTHING),
            }
        )

        # Tuesday: the editor works, and the reader does too, for herself
        ben.write("report", b"of ben")
        cleo.save("scan.dcm", b"edited by cleo")
        study = {"scan.dcm": "scan", "series/1": "one", "report": "of ben"}
        cleos = {"scan (my copy).dcm": "edited by cleo"}
        tops = {"scan.dcm", "series", "report"}
        owner = {f"Study/{path}": text for path, text in study.items()} | private
        week.equals(
            {
                "ana": Sees(owner, "synced", tops, EVERYTHING),
                "ben": Sees(study, "synced", tops, EVERYTHING),
                "cleo": Sees(study | cleos, "synced", tops, READS),
                "dan": Sees(None, "", tops, NAMES),
                "jo": Sees(study, "synced", tops, CODE),
                "kim": Sees({"1": "one"}, "synced", NOTHING, NOTHING),
            }
        )

        # Wednesday: a folder is moved out of the study; who holds a code for that very folder keeps it
        ana.move("Study/series", "private/series")
        ana.wait()
        ana.write("private/series/2", b"two")
        study = {"scan.dcm": "scan", "report": "of ben"}
        tops = {"scan.dcm", "report"}
        private |= {"private/series/1": "one", "private/series/2": "two"}
        owner = {f"Study/{path}": text for path, text in study.items()} | private
        week.equals(
            {
                "ana": Sees(owner, "synced", tops, EVERYTHING),
                "ben": Sees(study, "synced", tops, EVERYTHING),
                "cleo": Sees(study | cleos, "synced", tops, READS),
                "dan": Sees(None, "", tops, NAMES),
                "jo": Sees(study, "synced", tops, CODE),
                "kim": Sees({"1": "one", "2": "two"}, "synced", NOTHING, NOTHING),
            }
        )

        # Thursday: the editor only reads from now on, names become contents, and kim's code is revoked
        week.share("ben", "--role", "reader")
        week.share("dan", "--role", "reader")
        ana.mb_sync.done("code", "revoke", codes["kim"])
        ana.write("private/series/3", b"three")
        private |= {"private/series/3": "three"}
        owner |= private
        week.equals(
            {
                "ana": Sees(owner, "synced", tops, EVERYTHING),
                "ben": Sees(study, "synced", tops, READS),
                "cleo": Sees(study | cleos, "synced", tops, READS),
                "dan": Sees(None, "", tops, READS),
                "jo": Sees(study, "synced", tops, CODE),
                "kim": Sees({"1": "one", "2": "two"}, "ended", NOTHING, NOTHING),
            }
        )

        # Friday: the shares of two end and something new comes, which is not theirs any more; files stay
        week.share("cleo", "--remove")
        week.share("dan", "--remove")
        ana.write("Study/friday", b"new")
        before, study = study, study | {"friday": "new"}
        tops |= {"friday"}
        owner |= {"Study/friday": "new"}
        week.equals(
            {
                "ana": Sees(owner, "synced", tops, EVERYTHING),
                "ben": Sees(study, "synced", tops, READS),
                "cleo": Sees(before | cleos, "error", NOTHING, NOTHING),
                "dan": Sees(None, "", NOTHING, NOTHING),
                "jo": Sees(study, "synced", tops, CODE),
                "kim": Sees({"1": "one", "2": "two"}, "ended", NOTHING, NOTHING),
            }
        )

        # Saturday: the last code is revoked, a file is deleted, and the share is given to cleo again
        ana.mb_sync.done("code", "revoke", codes["jo"])
        until(
            lambda: week.holders["jo"][0].state(week.holders["jo"][1])["state"] == "ended", "jo's has ended"
        )
        ana.delete("Study/report")
        week.share("cleo", "--role", "reader")
        saturday = {"scan.dcm": "scan", "friday": "new"}
        tops = {"scan.dcm", "friday"}
        owner = {f"Study/{path}": text for path, text in saturday.items()} | private
        week.equals(
            {
                "ana": Sees(owner, "synced", tops, EVERYTHING),
                "ben": Sees(saturday, "synced", tops, READS),
                "cleo": Sees(saturday | cleos, "synced", tops, READS),
                "dan": Sees(None, "", NOTHING, NOTHING),
                "jo": Sees(study, "ended", NOTHING, NOTHING),
                "kim": Sees({"1": "one", "2": "two"}, "ended", NOTHING, NOTHING),
            }
        )
    server.check_deep()
