"""A random history of two real computers: whatever happens, both end equal and nothing is lost."""

from __future__ import annotations

import os
import random
import time

import pytest

from tests.support.computers import Computer, Together

BUDGET_SECONDS = float(os.environ.get("MB_BUDGET_SECONDS") or 15)
SEED = int(os.environ.get("MB_SEED") or time.time_ns() % 1_000_000)
NAMES = ("a", "b", "c", "C", "e\u0301", "\u00e9", "long name.txt")
SETTLE_EACH = 25

pytestmark = pytest.mark.timeout(int(BUDGET_SECONDS) + 300)


class History:
    """Random edits of two folders, and clients that are started, stopped and killed meanwhile."""

    def __init__(self, pair: Together, chance: random.Random) -> None:
        self.pair = pair
        self.chance = chance
        self.told: list[str] = []

    def step(self) -> None:
        computer = self.chance.choice(self.pair.computers)
        act = self.chance.choices(
            (
                self.write,
                self.save,
                self.make_folder,
                self.move,
                self.delete,
                self.link,
                self.start,
                self.stop,
                self.kill,
            ),
            (6, 3, 3, 5, 3, 1, 2, 1, 1),
        )[0]
        try:
            act(computer)
        except (FileNotFoundError, NotADirectoryError, FileExistsError, IsADirectoryError, OSError) as error:
            self.told.append(
                f"  ({type(error).__name__})"
            )  # MB-Sync was there in between: as with a real person

    def tell(self, computer: Computer, *words: str) -> None:
        self.told.append(" ".join((computer.name, *words)))

    def folder(self, computer: Computer) -> str:
        folders = [path + "/" for path, one in computer.tree().items() if one.kind == "folder"]
        return self.chance.choice(["", *folders])

    def anything(self, computer: Computer) -> str | None:
        paths = list(computer.tree())
        return self.chance.choice(paths) if paths else None

    def write(self, computer: Computer) -> None:
        path = self.folder(computer) + self.chance.choice(NAMES)
        if not computer.at(path).is_dir() and not computer.at(path).is_symlink():
            self.tell(computer, "write", path)
            size = self.chance.choice((0, 10, 3_000, 70_000, 400_000))
            computer.at(path).write_bytes(self.chance.randbytes(size))

    def save(self, computer: Computer) -> None:
        files = [path for path, one in computer.tree().items() if one.kind == "file"]
        if files:
            path = self.chance.choice(files)
            self.tell(computer, "save", path)
            computer.save(path, self.chance.randbytes(self.chance.randrange(5_000)))

    def make_folder(self, computer: Computer) -> None:
        path = self.folder(computer) + self.chance.choice(NAMES)
        if path.count("/") < 4 and not os.path.lexists(computer.at(path)):
            self.tell(computer, "mkdir", path)
            computer.at(path).mkdir()

    def move(self, computer: Computer) -> None:
        old, folder = self.anything(computer), self.folder(computer)
        new = folder + self.chance.choice(NAMES)
        if old and not os.path.lexists(computer.at(new)) and not (new + "/").startswith(old + "/"):
            self.tell(computer, "move", old, new)
            computer.at(old).rename(computer.at(new))

    def delete(self, computer: Computer) -> None:
        path = self.anything(computer)
        if path:
            self.tell(computer, "delete", path)
            computer.delete(path)

    def link(self, computer: Computer) -> None:
        path = self.folder(computer) + "link"
        if not os.path.lexists(computer.at(path)):
            self.tell(computer, "link", path)
            computer.at(path).symlink_to(self.chance.choice(NAMES))

    def start(self, computer: Computer) -> None:
        self.tell(computer, "start")
        computer.start()

    def stop(self, computer: Computer) -> None:
        self.tell(computer, "stop")
        computer.stop()

    def kill(self, computer: Computer) -> None:
        self.tell(computer, "kill -9")
        computer.kill9()


def test_a_random_history_ends_equal_with_nothing_lost(pair: Together) -> None:
    print(f"MB_SEED={SEED}")  # shown when the test fails
    pair.start()
    history = History(pair, random.Random(SEED))
    ends = time.monotonic() + BUDGET_SECONDS
    try:
        while time.monotonic() < ends:
            for _ in range(SETTLE_EACH):
                history.step()
                if history.chance.random() < 0.3:
                    time.sleep(history.chance.uniform(0, 0.3))
            history.told.append("-- settle")
            pair.settle()
    except BaseException:
        print("\n".join(history.told))
        raise
    pair.sound()
