"""One history: three computers and a server, people at work, mishaps; then peace, and what must be true.

Owns: what happens when, chosen by the seed; the promises that are checked.
May import: the standard library, protocol, sync_client.engine, tests.simulation.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import random
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.simulation import faked_os, virtual_time
from tests.simulation.entropy import drawn_from
from tests.simulation.machines import Computer, MemoryWatcher, ServerMachine, Template, watchers_are
from tests.simulation.memory_disk import Inode
from tests.simulation.network import CALM, Network, Weather
from tests.simulation.people import NAMES, NO_TWINS, Memory, Person
from tests.simulation.virtual_time import VirtualLoop

COMPUTERS = 3
SETTLE_ROUNDS = 40
PATIENCE_SECONDS = 180.0  # for one look at both sides, in peace
DAY = 86_400.0
WRONG_CLOCKS = (-365 * DAY, -10 * DAY, -30.0, 0.0, 2.0, 30.0, 10 * DAY, 80 * 365 * DAY)  # seconds ahead
MOST_INTERRUPTIONS = 100  # by people, between two calls: each makes more calls, and that would never end
NAMED_CALLS = {"exchange", "rename", "rmdir", "unlink", "mkdir"}


class Violation(AssertionError):
    """A promise was broken."""


@dataclass
class Faults:
    """How often what goes wrong.  `of` draws them: each history has its own sort of trouble."""

    actions: int = 30
    writers: int = COMPUTERS
    case_blind: float = 0.3
    exchanges: bool = True
    edits_between_calls: float = 0.0
    crashes_between_calls: float = 0.0
    raced_swaps: float = 0.0  # an edit just before an exchange, and a crash before it is looked at
    power: float = 0.0  # how many of the crashes are power cuts
    slow_jobs: float = 0.0
    deaf: float = 0.0
    weather: Weather = field(default_factory=Weather)
    restores: bool = False
    alone: bool = False  # no mishaps, one writer: then no conflict copies either

    @classmethod
    def of(cls, chance: random.Random) -> Faults:
        def sometimes(share: float, value: float) -> float:
            return chance.uniform(0, value) if chance.random() < share else 0.0

        if chance.random() < 0.08:
            return cls(actions=25, writers=1, case_blind=0.0, alone=True)
        return cls(
            actions=chance.choice([8, 20, 30, 40]),
            writers=chance.choice([1, 2, 3, 3]),
            case_blind=chance.choice([0.0, 0.3, 1.0]),
            exchanges=chance.random() < 0.8,
            edits_between_calls=sometimes(0.6, 0.08),
            crashes_between_calls=sometimes(0.5, 0.02),
            power=sometimes(0.6, 1.0),
            slow_jobs=sometimes(0.5, 0.3),
            deaf=sometimes(0.3, 0.5),
            weather=Weather(
                slowest_seconds=chance.choice([0.002, 0.05, 1.5]),
                cut=sometimes(0.5, 0.06),
                clog=sometimes(0.3, 0.03),
                repeat=sometimes(0.4, 0.2),
                refuse=sometimes(0.3, 0.4),
            ),
            restores=chance.random() < 0.2,
        )


class World:
    def __init__(self, seed: int, base: Path, template: Template, faults: Faults | None = None) -> None:
        self.seed = seed
        self.trace: list[str] = []
        self.chance = random.Random(seed)
        self.chance_of_clocks = random.Random(f"clocks {seed}")  # its own: old seeds keep their histories
        self.clocks_are_wrong = self.chance_of_clocks.random() < 0.4
        self.loop = VirtualLoop(self.chance)
        self.chance_of_races = random.Random(f"races {seed}")  # its own, too
        self.faults = faults or Faults.of(self.chance)
        if faults is None and not self.faults.alone and self.chance_of_races.random() < 0.3:
            self.faults.raced_swaps = self.chance_of_races.uniform(0, 0.3)
        self.system = faked_os.System()
        self.network = Network(self.chance, self.tell)
        self.server = ServerMachine(base, template, self.network, self.tell)
        self.memory = Memory(self.chance)
        self.excused: set[bytes] = set()  # what a power cut took from people before anybody else had it
        self.acknowledged: set[str] = set()
        self.on_disks_alone: set[str] = (
            set()
        )  # what a restore left to the clients: people may still delete it
        self.behind: dict[str, bool] = {}  # who knows the server of before a restore; True: is told by now
        self.broken: list[str] = []
        self.computers = [
            Computer(number, self.loop, base, template, self.system, self.network)
            for number in range(COMPUTERS)
        ]
        names = NO_TWINS if self.faults.alone else NAMES
        self.people = [Person(one.name, one.disk, self.memory, self.tell, names) for one in self.computers]
        self._dead: list[Computer] = []
        self._raced: set[str] = set()  # computers that end before their next call
        self._peace = False
        self._interruptions = 0
        for one, person in zip(self.computers, self.people, strict=True):
            one.disk.case_blind = self.chance.random() < self.faults.case_blind
            one.before = self._before_call_of(one, person)
            one.disk.on_shown = self._shown

    def tell(self, what: str) -> None:
        self.trace.append(f"{self.loop.time():10.4f} {what}")

    # ---- between any two calls ---------------------------------------------------------------------------

    def _before_call_of(self, computer: Computer, person: Person) -> Callable[[str, str], None]:
        writes = self.people.index(person) < self.faults.writers

        def before(call: str, name: str) -> None:
            self.tell(f"{computer.name} {call} {name if len(name) < 40 else name[:12] + '…' + name[-6:]}")
            if self._peace:
                return
            if computer.name in self._raced:
                self._raced.remove(computer.name)
                self._kill(computer)
                return
            chance, faults = self.chance, self.faults
            races = writes and call == "exchange" and self._interruptions < MOST_INTERRUPTIONS
            if races and self.chance_of_races.random() < faults.raced_swaps:
                self._interruptions += 1
                person.edit_named(name)
                self._raced.add(computer.name)
                return
            likely = 3 if call in NAMED_CALLS else 1
            # where names cannot be exchanged, two windows are left (docs/durability.md)
            may_edit = writes and (faults.exchanges or call not in ("rename", "unlink"))
            may_edit = may_edit and self._interruptions < MOST_INTERRUPTIONS
            if may_edit and chance.random() < faults.edits_between_calls * likely:
                self._interruptions += 1
                if name and chance.random() < 0.5:
                    person.edit_named(name)
                else:
                    person.act()
            if chance.random() < faults.crashes_between_calls * likely:
                self._kill(computer)

        return before

    def _shown(self, folder: Inode, name: str, inode: Inode) -> None:
        """P4: under its name a file is whole."""
        del folder
        torn = inode.by == "engine" and stat.S_ISREG(inode.mode) and inode.data not in self.memory.made
        if torn and not self._is_private(inode):
            self.broken.append(f"P4: {name!r} was shown with bytes that nobody wrote: {inode.data[:40]!r}")

    def _is_private(self, inode: Inode) -> bool:
        return not any(one is inode for computer in self.computers for _, one in computer.shown())

    def _kill(self, computer: Computer) -> None:
        power = self.chance.random() < self.faults.power
        self.tell(f"{computer.name} {'loses power' if power else 'is killed'}")
        self._note_agreed(computer)
        computer.die()
        if power:
            self._cut_power(computer)
        self._dead.append(computer)
        self.loop.call_soon(self._bury_soon)

    def _cut_power(self, computer: Computer) -> None:
        def of_people() -> set[bytes]:
            return {inode.data for _, inode, _, _ in computer.disk.walk() if inode.by == "person"}

        before = of_people()
        computer.disk.cut_power(self.chance)
        inodes = [inode for _, inode, _, _ in computer.disk.walk()]
        self.excused |= before - {inode.data for inode in inodes}
        # What it left of a person's file comes back as that person's, also from where an exchange had put it.
        self.memory.made |= {
            inode.data for inode in inodes if inode.by == "person" and stat.S_ISREG(inode.mode)
        }
        for path, inode in computer.shown():
            if stat.S_ISREG(inode.mode) and inode.by != "person" and inode.data not in self.memory.made:
                self.broken.append(f"P4: after a power cut {path!r} holds {inode.data[:40]!r}")

    def _bury_soon(self) -> None:
        dead, self._dead = self._dead, []
        for computer in dead:
            self.loop.create_task(self._rise_again(computer, self.chance.choice([0.0, 0.5, 5.0])))

    async def _rise_again(self, computer: Computer, seconds: float) -> None:
        await computer.bury()
        await asyncio.sleep(seconds)
        if not computer.runs and computer.is_buried and not self._peace:
            self.tell(f"{computer.name} starts again")
            computer.start()

    def _note_agreed(self, computer: Computer) -> None:
        if computer.name in self.behind:
            if not computer.puts_back and self.behind[computer.name]:
                del self.behind[computer.name]
            else:
                self.behind[computer.name] |= computer.puts_back
                return
        self.acknowledged |= {digest.hex() for digest in computer.agreed()}

    def watcher_of(self, path: Path) -> MemoryWatcher:
        def lost() -> str:
            if self._peace or self.chance.random() >= self.faults.deaf:
                return "told"
            return self.chance.choice(["overflow", "silence"])

        [computer] = [one for one in self.computers if self.system.mounted[str(path)] is one.disk]
        return MemoryWatcher(computer, self.loop, lost)

    def close(self) -> None:
        """Whatever still runs ends."""

        async def end() -> None:
            self._peace = True
            for computer in self.computers:
                await computer.stop()
            await self.server.stop()
            for _ in range(20):
                await asyncio.sleep(1)

        self.loop.run_until_complete(end())
        self.loop.close()

    # ---- a history ---------------------------------------------------------------------------------------

    async def run(self) -> None:
        self.tell(f"{self.faults}{' wrong clocks' if self.clocks_are_wrong else ''}")
        if self.clocks_are_wrong:
            for computer in self.computers:
                self._set_clock(computer)
        for computer, person in zip(self.computers, self.people, strict=True):
            if self.people.index(person) < self.faults.writers and self.chance.random() < 0.5:
                for _ in range(self.chance.randint(1, 6)):
                    person.act()
            computer.follow()
        await self.server.start()
        self.loop.slow_jobs = self.faults.slow_jobs
        self.network.weather = self.faults.weather
        for computer in self.computers:
            computer.start()
        for _ in range(self.faults.actions):
            pause = self.chance.choice([0.0, 0.01, 0.1, 1.0, 4.0]) * self.chance.random()
            await asyncio.sleep(pause + 3.0 * self.faults.alone)
            if self.clocks_are_wrong and self.chance_of_clocks.random() < 0.1:
                self._set_clock(self.chance_of_clocks.choice(self.computers))
            await self._something()
            for computer in self.computers:
                if computer.runs:
                    self._note_agreed(computer)
        await self._make_peace()
        await self._settle()
        self._check()

    def _set_clock(self, computer: Computer) -> None:
        computer.clock_ahead = self.chance_of_clocks.choice(WRONG_CLOCKS)
        self.tell(f"{computer.name} has its clock {computer.clock_ahead:.0f} s ahead")

    async def _something(self) -> None:
        chance, faults = self.chance, self.faults
        what = "person" if faults.alone else chance.choices(_HAPPENINGS, _WEIGHTS)[0]
        number = chance.randrange(COMPUTERS)
        computer = self.computers[number]
        match what:
            case "person":
                for _ in range(1 if faults.alone else chance.choice([1, 1, 2, 4])):
                    self.people[chance.randrange(faults.writers)].act()
            case "away":
                self.tell(f"{computer.name} is without a network")
                self.network.take_away(computer.name)
            case "back":
                self.network.away.clear()
            case "kill" if computer.runs:
                self._kill(computer)
            case "stop" if computer.runs:
                self.tell(f"{computer.name} stops")
                self._note_agreed(computer)
                await computer.stop()
            case "start":
                for one in self.computers:
                    if not one.runs and one not in self._dead and one.is_buried:
                        self.tell(f"{one.name} starts")
                        one.start()
            case "crash server" if self.server.runs:
                await self.server.crash()
                await asyncio.sleep(chance.choice([0.0, 2.0, 20.0]))
                await self.server.start()
            case "restart server" if self.server.runs:
                await self.server.stop()
                await self.server.start()
            case "back up" if faults.restores:
                self.server.back_up()
            case "restore" if faults.restores and self.server.has_backup:
                await self._restore()

    async def _restore(self) -> None:
        await self.server.stop()
        on_disks = {
            hashlib.sha256(inode.data).hexdigest()
            for computer in self.computers
            for _, inode, _, _ in computer.disk.walk()
            if stat.S_ISREG(inode.mode)
        }
        held = {digest for digest, _, _ in self.server.holds(of_backup=True)}
        self.acknowledged &= on_disks | held
        self.on_disks_alone |= self.acknowledged - held
        self.behind = dict.fromkeys((computer.name for computer in self.computers), False)
        self.server.restore()
        await self.server.start()

    # ---- the end -----------------------------------------------------------------------------------------

    async def _make_peace(self) -> None:
        self.tell("peace")
        self._peace = True
        self.network.weather = CALM
        self.network.away.clear()
        self.loop.slow_jobs = 0.0
        await asyncio.sleep(40)  # what was sent twice has come twice, who is dead is buried
        for computer in self.computers:
            if not computer.runs:
                self.tell(f"{computer.name} starts")
                computer.start()
        await asyncio.sleep(1)

    async def _settle(self) -> None:
        before: list[dict[str, tuple[str, bytes]]] = []
        for _ in range(SETTLE_ROUNDS):
            for computer in self.computers:
                await self._bring_to_rest(computer)
            trees = [computer.tree() for computer in self.computers]
            if trees == before and all(tree == trees[0] for tree in trees):
                return
            before = trees
        raise Violation(f"P2: no end in {SETTLE_ROUNDS} rounds: {_difference(self.computers)}")

    async def _bring_to_rest(self, computer: Computer) -> None:
        if computer.trouble or computer.engine is None:
            raise Violation(f"{computer.name} does not run: {computer.trouble}")
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                fine = await computer.engine.wait_synced()
                if not fine and sum(
                    sync.apply_guard() for sync in computer.engine.syncs.values() if sync.guard.held
                ):
                    self.tell(f"{computer.name} is told to go on with what it held back")
                    fine = await computer.engine.wait_synced()
        except TimeoutError:
            raise Violation(f"P2: {computer.name} never comes to rest: {_status(computer)}") from None
        if not fine:
            raise Violation(f"P8: {computer.name} has items in error in peace: {_status(computer)}")
        self.behind.pop(computer.name, None)
        self._note_agreed(computer)

    def _check(self) -> None:
        if self.broken:
            raise Violation(self.broken[0])
        tree = self.computers[0].tree()
        held = self.server.holds()
        current = {path: digest for digest, state, path in held if state == "current"}
        shown = {
            path: hashlib.sha256(data).hexdigest()
            for path, (kind, data) in tree.items()
            if kind in ("file", "program")
        }
        if current != shown:
            raise Violation(f"P2: the server has {sorted(current.items() ^ shown.items())} otherwise")
        in_tree = {data for kind, data in tree.values()}
        if lost := self.memory.made - self.memory.given_up - self.excused - in_tree:
            raise Violation(f"P1: nobody gave up {sorted(one[:24] for one in lost)}, and it is in no tree")
        ever = {digest for digest, _, _ in held}
        for computer in self.computers:
            ever |= {hashlib.sha256(data).hexdigest() for data in computer.trash()}
            if computer.left_over():
                raise Violation(f"P2: temporary names are left on {computer.name}: {computer.left_over()}")
        deleted = {hashlib.sha256(data).hexdigest() for data in self.memory.given_up}
        if lost_digests := self.acknowledged - ever - (self.on_disks_alone & deleted):
            names = [
                data[:24] for data in self.memory.made if hashlib.sha256(data).hexdigest() in lost_digests
            ]
            raise Violation(f"P1: acknowledged, and nowhere any more: {names or lost_digests}")
        if faults := self.server.faults():
            raise Violation(f"P2: check --deep finds {faults[:3]}")
        if self.faults.alone:
            if copies := [path for path in tree if "(conflict" in path]:
                raise Violation(f"P2: one writer, and yet {copies}")
            made, nodes = self.memory.creations, self.server.count_nodes()
            if nodes > made:
                raise Violation(f"history: {made} things were made, and the server has {nodes} nodes")
        gc.collect()  # an error that nobody heard is told when its task is forgotten
        if self.loop.bugs:
            raise Violation(f"an error that nobody heard: {self.loop.bugs[0]}")


_HAPPENINGS, _WEIGHTS = zip(
    *(
        ("person", 60),
        ("away", 3),
        ("back", 4),
        ("kill", 4),
        ("stop", 3),
        ("start", 5),
        ("crash server", 2),
        ("restart server", 1),
        ("back up", 5),
        ("restore", 3),
    ),
    strict=True,
)


def _difference(computers: list[Computer]) -> str:
    trees = [computer.tree() for computer in computers]
    paths = sorted({path for tree in trees for path in tree if len({tree.get(path) for tree in trees}) > 1})
    told = []
    for path in paths:
        contents = [tree[path][1][:20] if path in tree else None for tree in trees]
        told.append(f"{path!r}: {contents}")
    return "; ".join(told) or "they change for ever"


def _status(computer: Computer) -> str:
    if computer.engine is None:
        return "dead"
    told = []
    for sync in computer.engine.syncs.values():
        told.append(f"stopped={sync.stopped} quiet={sync.is_quiet}")
        told += [f"{trouble}" for trouble in sync.troubles.shown()]
        told += [f"{odd}" for odds in sync.looker.odd.values() for odd in odds]
    return f"offline={computer.engine.offline} signed_out={computer.engine.signed_out} {'; '.join(told)}"


def history(
    seed: int,
    base: Path,
    template: Template,
    *,
    faults: Faults | None = None,
    right_clocks: bool = False,
    begun: Callable[[World], None] = lambda _: None,
) -> World:
    """Run one history in `base`, a folder of its own.  Raises Violation; its text names the seed.

    faults: if not those that the seed draws.  right_clocks: on all computers, whatever the seed draws.  begun: told
    of the world before anything happens in it.
    """
    base.mkdir(parents=True)
    try:
        with drawn_from(seed):
            world = World(seed, base, template, faults)
            world.clocks_are_wrong &= not right_clocks
            begun(world)
            with (
                virtual_time.installed(world.loop),
                faked_os.installed(world.system, exchanges=world.faults.exchanges),
                watchers_are(world.watcher_of),
            ):
                try:
                    world.loop.run_until_complete(world.run())
                finally:
                    world.close()
    except Exception as error:
        raise Violation(f"seed {seed}: {type(error).__name__} {error}") from error
    else:
        return world
    finally:
        shutil.rmtree(base, ignore_errors=True)
