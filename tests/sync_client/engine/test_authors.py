"""Who changed what is told of what comes, and of nothing else."""

from __future__ import annotations

from uuid import uuid4

from protocol.ids import NodeId
from protocol.messages import NodeState, Revision
from sync_client.engine import authors
from sync_client.engine.authors import Author, Authors, author_of
from tests.support.one_engine import Setting
from tests.sync_client.engine.test_names_on_disk import another_computer


def a_state(changed_by: str) -> NodeState:
    once = Revision(1, 1)
    return NodeState(
        node=uuid4(),
        parent=uuid4(),
        name="a",
        place_revision=once,
        content_revision=once,
        place_operation=uuid4(),
        content_operation=uuid4(),
        changed_by=changed_by,
    )


def test_an_author_is_taken_apart_and_oneself_is_known_on_every_device() -> None:
    assert author_of("ben on lab-2", own="ana") == Author("ben", "lab-2")
    assert author_of("ana on the big one on top", own="ana") == Author(
        "ana", "the big one on top", is_own=True
    )
    assert author_of("Ana on Sea on laptop", own="Ana on Sea") == Author("Ana on Sea", "laptop", is_own=True)
    assert author_of("anatol on laptop", own="ana") == Author("anatol", "laptop")
    assert author_of("", own="ana") is None
    assert author_of("ben on lab-2", own="") == Author("ben", "lab-2")


def test_only_so_many_are_remembered_and_the_last_word_counts() -> None:
    book = Authors()
    states = [a_state(f"ben on {number}") for number in range(authors.MOST_NODES + 5)]
    for start in range(0, len(states), 5_000):
        book.take(states[start : start + 5_000])
    assert [book.of(NodeId(state.node)) for state in states[:5]] == [""] * 5
    assert book.of(NodeId(states[5].node)) == "ben on 5"
    book.take([NodeState(**{name: getattr(states[5], name) for name in NodeState.__struct_fields__})])
    assert book.of(NodeId(states[5].node)) == "ben on 5"
    nobody = a_state("")
    book.take([nobody])
    assert book.of(NodeId(nobody.node)) == ""
    book.forget()
    assert book.of(NodeId(states[-1].node)) == ""


async def test_what_comes_has_an_author_also_what_lay_in_a_folder_that_was_deleted(setting: Setting) -> None:
    async with setting.engine() as here, another_computer(setting) as there:
        folder = await setting.follow(here, "study")
        await there.add_folder("/Home/study", setting.base / "b", create=False)
        (folder / "series").mkdir()
        for name in ("series/a.dcm", "series/b.dcm", "notes.txt"):
            (folder / name).write_bytes(name.encode())
        assert await here.once()
        assert await there.once()
        come = [one for one in there.activity(50) if one["direction"] == "down"]
        assert {(one["user"], one["device"], one["you"]) for one in come} == {
            ("ada", here.account.device_name, True)
        }
        assert all("user" not in one for one in here.activity(50)), "what one did here oneself needs no name"

        for name in ("a.dcm", "b.dcm"):
            (folder / "series" / name).unlink()
        (folder / "series").rmdir()
        (folder / "notes.txt").write_bytes(b"another")
        assert await here.once()
        assert await there.once()
        latest = there.activity(4)
        assert {one["action"] for one in latest} == {"deleted", "changed"}
        assert {one["user"] for one in latest} == {"ada"}
