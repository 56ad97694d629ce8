"""What `state.db` promises: all or nothing, and no batch number twice."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from uuid import uuid4

import pytest

from protocol.errors import LocalProblem
from protocol.ids import Cursor, NodeId, ViewId
from protocol.messages import Manifest
from sync_client.engine.database import ACTIVITY_KEPT, FORMAT, Followed, Note, StateDatabase


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDatabase]:
    with closing(StateDatabase(tmp_path / "state.db")) as state:
        yield state


class Broken(Exception):
    pass


def a_folder(state: StateDatabase, local: str = "/data/studies") -> Followed:
    with state.transaction():
        return state.add_folder(
            follow=uuid4(),
            view=ViewId(uuid4()),
            root=NodeId(uuid4()),
            whole_view=False,
            remote="/Home/studies",
            local=Path(local),
            cursor=Cursor("begin"),
        )


# ---- opening ---------------------------------------------------------------------------------------------


def test_a_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    StateDatabase(path).close()
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version={FORMAT + 1}")
    path.with_name("state.db-sum").unlink()
    before = path.read_bytes()
    with pytest.raises(LocalProblem, match="newer version"):
        StateDatabase(path)
    assert path.read_bytes() == before


def test_what_was_done_before_there_were_authors_is_still_told(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with closing(StateDatabase(path)) as state, state.transaction():
        state.note_activity(1, [Note("added", "down", "a.dcm", 1)])
    with closing(sqlite3.connect(path)) as database:
        database.executescript("ALTER TABLE activity DROP COLUMN author; PRAGMA user_version=3")
    path.with_name("state.db-sum").unlink()
    with closing(StateDatabase(path)) as state:
        assert [note for _, _, note in state.activity(5)] == [Note("added", "down", "a.dcm", 1, "")]


def test_a_database_whose_making_was_cut_short_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("BEGIN")
        database.execute("CREATE TABLE meta (key TEXT)")
    with closing(StateDatabase(path)) as state:
        state.set_fact("account", "ada")
    with closing(StateDatabase(path)) as state:
        assert state.fact("account") == "ada"


def test_a_folder_comes_back_as_it_was_saved(state: StateDatabase) -> None:
    folder = a_folder(state)
    folder.cursor, folder.at_head, folder.generation = Cursor("later"), True, 7
    with state.transaction():
        state.save_folder(folder)
    assert state.folders() == [folder]


# ---- all or nothing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("lasting", [True, False])
def test_what_breaks_off_leaves_nothing_and_keeps_what_was_before(
    state: StateDatabase, *, lasting: bool
) -> None:
    with state.transaction(lasting=False):
        state.set_fact("seen", "yes")
    with suppress(Broken), state.transaction(lasting=lasting):
        state.set_fact("half", "done")
        with state.transaction():
            state.set_fact("inner", "done")
        raise Broken
    assert not state.in_transaction
    assert (state.fact("seen"), state.fact("half"), state.fact("inner")) == ("yes", "", "")


def test_what_need_not_last_lasts_with_the_next_that_must(tmp_path: Path) -> None:
    path = tmp_path / "state.db"

    def what_a_power_cut_leaves() -> list[str]:
        with closing(sqlite3.connect(path)) as other:
            keys = [key for (key,) in other.execute("SELECT key FROM meta ORDER BY key")]
            return [
                key for key in keys if key not in ("batch_number", "opened")
            ]  # a new database begins with them

    with closing(StateDatabase(path)) as state:
        with state.transaction(lasting=False):
            state.set_fact("observed", "1")
        assert what_a_power_cut_leaves() == []
        with state.transaction(lasting=False), state.transaction(lasting=True):
            state.set_fact("sure", "1")
        assert what_a_power_cut_leaves() == ["observed", "sure"]
        with state.transaction(lasting=False):
            state.set_fact("observed later", "1")
    assert what_a_power_cut_leaves() == ["observed", "observed later", "sure"]  # closing keeps all


# ---- folders -------------------------------------------------------------------------------------------


def test_a_folder_that_is_left_leaves_nothing_of_its_own(state: StateDatabase) -> None:
    left, kept = a_folder(state), a_folder(state, "/data/more")
    for folder in (left, kept):
        with state.transaction():
            state.write_intents(folder.id, [(NodeId(uuid4()), ("a", "b"))])
            state.note_activity(folder.id, [Note("added", "up", "a.dcm", 1)])
        state.write_batch(folder.id, state.next_batch_number(), b"body")
    state.remove_folder(left)
    assert [folder.id for folder in state.folders()] == [kept.id]
    assert state.batches(left.id) == []
    assert [note[1] for note in state.activity(10)] == [kept.id]
    assert len(state.batches(kept.id)) == 1


# ---- single things ---------------------------------------------------------------------------------------


def test_manifests_and_records_are_found_by_their_digest(state: StateDatabase) -> None:
    manifest = Manifest(3_000_000, b"a" * 32 + b"b" * 32, [2_000_000, 1_000_000], indirect=True)
    state.keep_manifest(b"d" * 32, manifest)
    state.keep_manifest(b"d" * 32, Manifest())  # the first one stays: a digest names one manifest
    state.keep_records(b"d" * 32, b"records")
    assert state.manifest(b"d" * 32) == manifest
    assert state.records(b"d" * 32) == b"records"
    assert state.manifest(b"e" * 32) is None
    assert state.records(b"e" * 32) is None


def test_an_intent_is_told_until_it_is_dropped(state: StateDatabase) -> None:
    node = NodeId(uuid4())
    state.write_intents(1, [(node, ("studies", "été.dcm"))])
    assert state.intent(1, node) == ("studies", "été.dcm")
    assert state.intent(2, node) is None
    state.drop_intents(1)
    assert state.intent(1, node) is None


def test_only_so_much_activity_is_remembered_and_the_newest_comes_first(state: StateDatabase) -> None:
    for start in range(0, 2_500, 500):
        with state.transaction():
            state.note_activity(1, [Note("added", "up", str(start + number), 1) for number in range(500)])
    notes = state.activity(5_000)
    assert len(notes) == ACTIVITY_KEPT
    assert [note.path for _, _, note in notes[:2]] == ["2499", "2498"]


# ---- batch numbers ---------------------------------------------------------------------------------------

SENDER = """
import sys
from pathlib import Path
from sync_client.engine.database import StateDatabase
state = StateDatabase(Path(sys.argv[1]))
while True:
    number = state.next_batch_number()
    state.write_batch(1, number, b"body")
    print(number, flush=True)  # from here on the server may have seen it
    with state.transaction(lasting=False):
        state.drop_batch(number)
"""


def test_a_batch_number_never_comes_twice_though_the_program_is_killed(tmp_path: Path) -> None:
    sent: list[int] = []
    dice = random.Random(11)
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", SENDER, tmp_path / "state.db"], stdout=subprocess.PIPE, text=True
        ) as program:
            assert program.stdout is not None
            sent += [int(program.stdout.readline()) for _ in range(2)]
            time.sleep(dice.uniform(0.0, 0.05))
            program.send_signal(signal.SIGKILL)
            sent += [int(line) for line in program.stdout.read().splitlines()]
    assert len(sent) > 4
    assert sorted(set(sent)) == sent
    with closing(StateDatabase(tmp_path / "state.db")) as state:
        assert state.next_batch_number() > sent[-1]
        waiting = {number for number, _ in state.batches(1)}
        assert len(waiting - {*sent}) <= 4  # killed before it could tell


def test_a_batch_that_was_not_written_down_uses_up_no_number(state: StateDatabase) -> None:
    number = state.next_batch_number()
    with suppress(Broken), state.transaction():
        state.write_batch(1, number, b"body")
        raise Broken
    assert state.next_batch_number() == number
    assert state.batches(1) == []
