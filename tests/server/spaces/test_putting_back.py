"""After a restore from a backup, clients put back what the server lost, under the revisions it once gave."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from uuid import UUID, uuid4

from protocol.messages import (
    AnyOp,
    Commit,
    Content,
    Delete,
    DeleteTree,
    Kind,
    Make,
    NodeState,
    OpResult,
    Put,
    PutBack,
    Reset,
    ResetCause,
    Revision,
    Status,
)
from server.database.tables import MetaRow
from server.upkeep.check import check
from tests.support.spaces import FOLDER, Client, Space, a_file, a_space


def back(
    node: UUID,
    parent: UUID,
    name: str,
    content: Content = FOLDER,
    *,
    place: tuple[int, int] = (1, 1),
    filled: tuple[int, int] = (1, 1),
    elsewhere: bool = False,
) -> PutBack:
    return PutBack(
        node=node,
        parent=parent,
        name=name,
        place_revision=Revision(*place),
        content_revision=Revision(*filled),
        content=content,
        elsewhere=elsewhere,
    )


def begin_epoch(space: Space, epoch: int) -> None:
    with space.store.database.writing() as session:
        session.merge(MetaRow(key="epoch", value=str(epoch)))


def is_sound(space: Space) -> bool:
    store = space.store
    return check(store.database, store.packs, store.keys, deep=True) == []


async def tree(client: Client) -> dict[str, NodeState]:
    return {state.name: state for state in (await client.all_changes())[0] if not state.deleted}


async def one(client: Client, op: AnyOp) -> OpResult:
    [result] = await client.commit(op)
    return result


def versions(space: Space, node: UUID) -> list[tuple[int, int, int]]:
    sql = "SELECT epoch, number, size FROM versions WHERE node = ? ORDER BY epoch, number"
    with space.store.database.reading() as session:
        return [tuple(row) for row in session.connection().exec_driver_sql(sql, (node.bytes,))]


async def test_a_node_that_the_backup_did_not_know_is_made_again_with_its_id_and_revisions(
    tmp_path: Path,
) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        begin_epoch(space, 2)
        await ada.upload(b"text")
        folder, file = uuid4(), uuid4()
        results = await ada.commit(
            back(folder, ada.root, "study"),
            back(file, folder, "a.dcm", a_file(b"text"), place=(1, 3), filled=(1, 7)),
        )
        assert [result.status for result in results] == [Status.DONE, Status.DONE]
        told = (await tree(ada))["a.dcm"]
        assert (told.node, told.parent, told.content) == (file, folder, a_file(b"text"))
        assert (told.place_revision, told.content_revision) == (Revision(1, 3), Revision(1, 7))
        assert is_sound(space)


async def test_the_highest_revision_is_current_and_the_others_are_versions_in_every_order(
    tmp_path: Path,
) -> None:
    outcomes = set()
    for index, order in enumerate(permutations([3, 4, 6])):
        async with a_space(tmp_path / str(index)) as space:
            ada = await space.client("ada")
            await ada.upload(*[b"x" * number for number in range(2, 7)])
            file = await ada.put_new("a", a_file(b"xx"))  # all the backup knows
            begin_epoch(space, 2)
            for number in order:
                op = back(file, ada.root, "a", a_file(b"x" * number), filled=(1, number))
                assert (await one(ada, op)).status is Status.DONE
            state = (await tree(ada))["a"]
            assert state.content_revision == Revision(1, 6)
            assert state.content == a_file(b"x" * 6)
            outcomes.add(tuple(versions(space, file)))
            assert is_sound(space)
    assert outcomes == {((1, 1, 2), (1, 3, 3), (1, 4, 4), (1, 6, 6))}


async def test_what_is_put_back_twice_is_there_once(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        await ada.upload(b"1", b"2", b"3")
        file = await ada.put_new("a", a_file(b"1"))
        await ada.commit(Put(node=file, content_revision=Revision(1, 1), content=a_file(b"3")))
        begin_epoch(space, 2)
        await ada.commit(Put(node=file, content_revision=Revision(1, 2), content=a_file(b"1")))
        older = back(file, ada.root, "a", a_file(b"2"), filled=(1, 3))
        for batch in ([older, older], [older]):
            assert {result.status for result in await ada.commit(*batch)} == {Status.OVERTAKEN}
        assert versions(space, file) == [(1, 1, 1), (1, 2, 1), (1, 3, 1), (2, 3, 1)]
        assert (await tree(ada))["a"].content == a_file(b"1"), "an edit of the new epoch stays current"
        assert is_sound(space)


async def test_a_content_that_the_current_one_was_given_without_knowing_is_told_as_overtaken(
    tmp_path: Path,
) -> None:
    """Neither came from the other, so whoever puts it back keeps both; one that was made from it is none of these."""
    async with a_space(tmp_path) as space:
        ada, other = await space.client("ada"), await space.client("ada", "other")
        for client in (ada, other):
            await client.upload(b"1", b"2", b"3")
        file = await ada.put_new("a", a_file(b"1"))
        begin_epoch(space, 2)
        await ada.commit(Put(node=file, content_revision=Revision(1, 1), content=a_file(b"3")))
        late = await one(other, back(file, ada.root, "a", a_file(b"2"), filled=(1, 2)))
        assert (late.status, late.content_revision) == (Status.OVERTAKEN, Revision(2, 2))
        again = await one(other, back(file, ada.root, "a", a_file(b"2"), filled=(1, 2)))
        assert again == late, "it is told to whoever died before it could note the first answer"
        same = await one(ada, back(file, ada.root, "a", a_file(b"2"), filled=(1, 2)))
        assert same.status is Status.DONE, "one copy is enough: another computer made it"
        assert versions(space, file) == [(1, 1, 1), (1, 2, 1), (2, 2, 1)]

        second = await ada.put_new("b", a_file(b"1"))
        begin_epoch(space, 3)
        known = back(second, ada.root, "b", a_file(b"2"), place=(2, 1), filled=(2, 2))
        assert (await one(ada, known)).status is Status.DONE
        await ada.commit(Put(node=second, content_revision=Revision(2, 2), content=a_file(b"3")))
        assert (await one(other, known)).status is Status.DONE
        assert is_sound(space)


async def test_an_edit_that_was_deleted_by_who_never_saw_it_stays_with_its_holder(tmp_path: Path) -> None:
    """An edit beats a delete, also one that a computer brings which slept while the backup was taken."""
    async with a_space(tmp_path) as space:
        ada, other = await space.client("ada"), await space.client("ada", "other")
        for client in (ada, other):
            await client.upload(b"1", b"2")
        file, folder, inside = await ada.put_new("a", a_file(b"1")), uuid4(), uuid4()
        made = Make(node=folder, parent=ada.root, name="f", content=FOLDER)
        await ada.commit(made, Make(node=inside, parent=folder, name="b", content=a_file(b"1")))
        begin_epoch(space, 2)
        await other.commit(
            Delete(node=file, place_revision=Revision(1, 1), content_revision=Revision(1, 1)),
            DeleteTree(node=folder, place_revision=Revision(1, 1), cursor=await other.head()),
        )
        edits = [
            back(file, ada.root, "a", a_file(b"2"), filled=(1, 2)),
            back(inside, folder, "b", a_file(b"2"), filled=(1, 2)),
        ]
        for _ in range(2):  # told again to whoever died before it could note the first answer
            assert [result.status for result in await ada.commit(*edits)] == [Status.OVERTAKEN] * 2
        known = back(file, ada.root, "a", a_file(b"1"), filled=(1, 1))
        assert (await one(ada, known)).status is Status.DONE, "what the deleter saw is deleted"
        assert await tree(ada) == {}
        assert is_sound(space)


async def test_equal_revisions_are_adopted_and_need_no_upload(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada, other = await space.client("ada"), await space.client("ada", "other")
        await ada.upload(b"1")
        file = await ada.put_new("a", a_file(b"1"))
        begin_epoch(space, 2)
        head = await ada.head()
        assert (await one(other, back(file, ada.root, "a", a_file(b"1")))).status is Status.DONE
        assert (await ada.all_changes(head))[0] == []
        lie = back(file, ada.root, "a", a_file(), filled=(1, 1))
        assert (await one(other, lie)).status is Status.STALE


async def test_bytes_that_nobody_uploaded_are_not_named(tmp_path: Path) -> None:
    async with a_space(tmp_path, "ada", "ben") as space:
        ada, ben = await space.client("ada"), await space.client("ben")
        await ben.upload(b"ben's")
        begin_epoch(space, 2)
        op = back(uuid4(), ada.root, "a", a_file(b"ben's"))
        assert (await one(ada, op)).status is Status.MISSING_CHUNKS
        assert await tree(ada) == {}


async def test_a_newer_place_wins_and_an_older_one_changes_nothing(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        folder = await ada.put_new("folder")
        file = await ada.put_new("a", a_file())
        begin_epoch(space, 2)
        [moved] = await ada.commit(back(file, folder, "b", a_file(), place=(1, 4)))
        assert moved.place_revision == Revision(1, 4)
        await ada.commit(back(file, ada.root, "c", a_file(), place=(1, 3)))
        state = (await tree(ada))["b"]
        assert (state.parent, state.place_revision) == (folder, Revision(1, 4))
        assert is_sound(space)


async def test_what_was_deleted_before_its_last_place_comes_back_with_all_below_it(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        await ada.upload(b"1")
        folder = await ada.put_new("folder")
        await ada.put_new("a", a_file(b"1"), parent=folder)
        await ada.commit(DeleteTree(node=folder, place_revision=Revision(1, 1), cursor=await ada.head()))
        begin_epoch(space, 2)
        head = await ada.head()
        assert (await one(ada, back(folder, ada.root, "folder", place=(1, 3)))).status is Status.DONE
        assert {state.name for state in (await ada.all_changes(head))[0]} == {"folder", "a"}
        assert set(await tree(ada)) == {"folder", "a"}
        assert is_sound(space)


async def test_a_name_taken_by_now_is_told_and_it_may_stand_elsewhere(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        begin_epoch(space, 2)
        await ada.put_new("a", a_file())
        file = uuid4()
        assert (await one(ada, back(file, ada.root, "A", a_file()))).status is Status.NAME_TAKEN
        op = back(file, ada.root, "A (conflict)", a_file(), place=(1, 4), elsewhere=True)
        result = await one(ada, op)
        assert result.place_revision == Revision(2, 5), "the acknowledged revision names another place"
        assert result.content_revision == Revision(1, 1)
        assert is_sound(space)


async def test_without_its_folder_nothing_is_put_back(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        begin_epoch(space, 2)
        assert (await one(ada, back(uuid4(), uuid4(), "a", a_file()))).status is Status.PARENT_GONE


async def test_only_the_past_can_be_put_back(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        for revision in ((1, 1), (1, 0), (1, 2**60)):
            op = back(uuid4(), ada.root, "a", a_file(), filled=revision)
            assert (await one(ada, op)).status is Status.STALE
        begin_epoch(space, 2)
        assert (await one(ada, back(uuid4(), ada.root, "b", a_file(), place=(2, 1)))).status is Status.STALE
        assert (
            await one(ada, back(uuid4(), ada.root, "b", a_file(), filled=(1, 2**60)))
        ).status is Status.STALE
        assert (await one(ada, back(ada.root, ada.root, "b"))).status is Status.DENIED
        file = await ada.put_new("a", a_file())
        link = Content(kind=Kind.LINK, mtime_ns=1)
        assert (await one(ada, back(file, ada.root, "a", link))).status is Status.CONTENT_REFUSED


async def test_a_batch_with_a_cursor_of_an_earlier_epoch_does_nothing(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        cursor = await ada.head()
        begin_epoch(space, 2)
        make = Make(node=uuid4(), parent=ada.root, name="a", content=FOLDER)
        answer = await ada.send(Commit(operation=uuid4(), number=1, ops=[make], cursor=cursor))
        assert isinstance(answer, Reset)
        assert answer.cause is ResetCause.RESTORED
        assert await tree(ada) == {}
