"""Batches against a real database and chunk store."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID, uuid4

import pytest

from protocol.errors import DeviceCloned, NotFound
from protocol.ids import Cursor, ViewId
from protocol.manifests import write_records
from protocol.messages import (
    AnyOp,
    Changes,
    Commit,
    Committed,
    Content,
    Copy,
    Delete,
    DeleteTree,
    Kind,
    Make,
    Manifest,
    Move,
    NodeState,
    Put,
    Reset,
    ResetCause,
    Restore,
    Revision,
    Status,
)
from server.access.views import readable_view, views_of
from server.spaces.missing import to_upload
from tests.support.spaces import FOLDER, START, Client, a_file, a_space, counted
from tests.support.store import chunk_id


async def state(client: Client, node: UUID) -> NodeState:
    [found] = [told for told in (await client.all_changes())[0] if told.node == node]
    return found


async def test_a_batch_sent_again_gets_its_first_answer_and_changes_nothing(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        batch = Commit(
            operation=uuid4(), number=1, ops=[Make(node=uuid4(), parent=ada.root, name="a", content=FOLDER)]
        )
        first = await ada.send(batch)
        head = await ada.head()
        assert await ada.send(batch) == first
        assert (await ada.all_changes(head))[0] == []


async def test_who_stood_at_the_head_gets_the_place_behind_its_own_batch(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        cursor = await ada.head()
        # Of two equal names the second is refused.
        for number, names in enumerate((["a", "b"], ["c", "c"]), start=100):
            ops: list[AnyOp] = [
                Make(node=uuid4(), parent=ada.root, name=name, content=FOLDER) for name in names
            ]
            batch = Commit(operation=uuid4(), number=number, ops=ops, cursor=cursor)
            answer = await ada.send(batch)
            assert isinstance(answer, Committed)
            cursor = Cursor(answer.cursor)
            assert cursor
            assert (await ada.all_changes(cursor))[0] == []
            assert await ada.send(batch) == answer
        await ada.put_new("d")
        assert [told.name for told in (await ada.all_changes(cursor))[0]] == ["d"]


async def test_who_was_not_at_the_head_gets_no_place_and_is_told_everything(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada, other = await space.client("ada"), await space.client("ada", "other")
        behind = await ada.head()
        await other.put_new("theirs")
        for number, cursor in enumerate((behind, START), start=100):
            op = Make(node=uuid4(), parent=ada.root, name=f"mine {number}", content=FOLDER)
            answer = await ada.send(Commit(operation=uuid4(), number=number, ops=[op], cursor=cursor))
            assert isinstance(answer, Committed)
            assert answer.cursor == ""
        assert {told.name for told in (await ada.all_changes(behind))[0]} == {
            "theirs",
            "mine 100",
            "mine 101",
        }


async def test_what_a_restore_brings_back_is_told_to_who_asked_for_it(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        folder = await ada.put_new("folder")
        await ada.put_new("inside", parent=folder)
        cursor = await ada.head()
        [deleted] = await ada.commit(DeleteTree(node=folder, place_revision=Revision(1, 1), cursor=cursor))
        assert deleted.place_revision is not None
        op = Restore(node=folder, place_revision=deleted.place_revision)
        head = await ada.head()
        answer = await ada.send(Commit(operation=uuid4(), number=100, ops=[op], cursor=head))
        assert isinstance(answer, Committed)
        assert answer.cursor == ""
        assert {told.name for told in (await ada.all_changes(head))[0]} == {"folder", "inside"}


async def test_a_batch_number_with_other_contents_tells_of_a_cloned_device(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        ops: list[AnyOp] = [Make(node=uuid4(), parent=ada.root, name="a", content=FOLDER)]
        await ada.send(Commit(operation=uuid4(), number=1, ops=ops))
        with pytest.raises(DeviceCloned):
            await ada.send(Commit(operation=uuid4(), number=1, ops=ops))


async def test_one_refused_operation_does_not_hold_up_the_others(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        results = await ada.commit(
            Make(node=uuid4(), parent=ada.root, name="a", content=FOLDER),
            Make(node=uuid4(), parent=ada.root, name="A", content=FOLDER),
            Make(node=uuid4(), parent=ada.root, name="x/y", content=FOLDER),
            Make(node=uuid4(), parent=uuid4(), name="b", content=FOLDER),
            Make(node=uuid4(), parent=ada.root, name="c", content=FOLDER),
        )
        assert [result.status for result in results] == [
            Status.DONE,
            Status.NAME_TAKEN,
            Status.NAME_REFUSED,
            Status.PARENT_GONE,
            Status.DONE,
        ]


async def test_two_names_change_places_in_one_group(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        one, two = await ada.put_new("a"), await ada.put_new("b")
        revision = Revision(epoch=1, number=1)
        results = await ada.commit(
            Move(group=1, node=one, place_revision=revision, parent=ada.root, name="b"),
            Move(group=1, node=two, place_revision=revision, parent=ada.root, name="a"),
        )
        assert [result.status for result in results] == [Status.DONE, Status.DONE]
        assert ((await state(ada, one)).name, (await state(ada, two)).name) == ("b", "a")


async def test_a_group_is_done_whole_or_not_at_all(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        one = await ada.put_new("a")
        results = await ada.commit(
            Move(group=1, node=one, place_revision=Revision(epoch=1, number=1), parent=ada.root, name="b"),
            Move(
                group=1, node=uuid4(), place_revision=Revision(epoch=1, number=1), parent=ada.root, name="c"
            ),
        )
        assert [result.status for result in results] == [Status.GROUP_FAILED, Status.STALE]
        assert (await state(ada, one)).name == "a"


async def test_a_folder_cannot_move_below_itself(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        top = await ada.put_new("top")
        below = await ada.put_new("below", parent=top)
        [result] = await ada.commit(
            Move(node=top, place_revision=Revision(epoch=1, number=1), parent=below, name="top")
        )
        assert result.status is Status.CYCLE


async def test_parent_and_child_change_places_in_one_group_in_any_order(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        top = await ada.put_new("top")
        below = await ada.put_new("below", parent=top)
        first = Revision(epoch=1, number=1)
        results = await ada.commit(
            Move(group=1, node=top, place_revision=first, parent=below, name="top"),
            Move(group=1, node=below, place_revision=first, parent=ada.root, name="below"),
        )
        assert [result.status for result in results] == [Status.DONE, Status.DONE]


async def test_a_chunk_that_this_device_neither_uploaded_nor_may_read_is_missing(tmp_path: Path) -> None:
    async with a_space(tmp_path, "ada", "ben") as space:
        ada, ben = await space.client("ada"), await space.client("ben")
        await ben.upload(b"ben's")
        await ben.put_new("b", a_file(b"ben's"))
        make = Make(node=uuid4(), parent=ada.root, name="a", content=a_file(b"ben's"))
        [known] = await ada.commit(make)
        [unknown] = await ada.commit(
            Make(node=uuid4(), parent=ada.root, name="a", content=a_file(b"nobody's"))
        )
        assert known == unknown
        assert known.status is Status.MISSING_CHUNKS
        with space.store.database.reading() as session:
            wanted = to_upload(
                session,
                ada.principal,
                ada.view,
                [chunk_id(b"ben's"), chunk_id(b"nobody's")],
                now_ms=ada.now_ms,
            )
        assert wanted == [0, 1]
        await ada.upload(b"ben's")
        [done] = await ada.commit(make)
        assert done.status is Status.DONE


async def test_what_the_own_space_holds_needs_no_upload_even_from_the_trash(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        await ada.upload(b"data")
        node = await ada.put_new("a", a_file(b"data"))
        first = Revision(epoch=1, number=1)
        await ada.commit(Delete(node=node, place_revision=first, content_revision=first))
        other = await space.client("ada", "desktop")
        await other.put_new("b", a_file(b"data"))


async def test_a_length_that_is_not_the_chunks_own_is_refused(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        [chunk] = await ada.upload(b"data")
        for manifest in (
            Manifest(size=5, chunks=chunk, lengths=[5]),
            Manifest(size=5, chunks=chunk, lengths=[4]),
        ):
            [result] = await ada.commit(
                Make(
                    node=uuid4(),
                    parent=ada.root,
                    name="a",
                    content=Content(kind=Kind.FILE, manifest=manifest),
                )
            )
            assert result.status is Status.CONTENT_REFUSED


async def test_an_indirect_manifest_needs_its_leaves_as_well(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        records = write_records([(chunk_id(b"one"), 3), (chunk_id(b"two"), 3)])
        await ada.upload(records, b"one")
        content = Content(
            kind=Kind.FILE,
            manifest=Manifest(size=6, chunks=chunk_id(records), lengths=[len(records)], indirect=True),
        )
        make = Make(node=uuid4(), parent=ada.root, name="big", content=content)
        [result] = await ada.commit(make)
        assert result.status is Status.MISSING_CHUNKS
        await ada.upload(b"two")
        [result] = await ada.commit(make)
        assert result.status is Status.DONE


async def test_a_touch_alone_makes_no_version(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        await ada.upload(b"data")
        node = await ada.put_new("a", a_file(b"data"))
        first = Revision(epoch=1, number=1)
        [result] = await ada.commit(
            Put(node=node, content_revision=first, content=a_file(b"data", mtime_ns=5))
        )
        assert (result.status, result.content_revision) == (Status.DONE, first)


async def test_edit_and_move_do_not_disturb_each_other(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        here, there = await space.client("ada", "here"), await space.client("ada", "there")
        node = await here.put_new("a", a_file())
        first = Revision(epoch=1, number=1)
        await there.upload(b"new")
        [moved] = await here.commit(Move(node=node, place_revision=first, parent=here.root, name="b"))
        [put] = await there.commit(Put(node=node, content_revision=first, content=a_file(b"new")))
        assert (moved.status, put.status) == (Status.DONE, Status.DONE)
        [late] = await here.commit(Put(node=node, content_revision=first, content=a_file()))
        assert late.status is Status.STALE


async def test_a_spent_id_is_never_used_again(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        here, there = await space.client("ada", "here"), await space.client("ada", "there")
        node = await here.put_new("a", a_file())
        again = Make(node=node, parent=here.root, name="a", content=a_file())
        assert [result.status for result in await here.commit(again)] == [Status.DONE]
        assert [result.status for result in await there.commit(again)] == [Status.ID_TAKEN]
        first = Revision(epoch=1, number=1)
        await here.commit(Delete(node=node, place_revision=first, content_revision=first))
        assert [result.status for result in await here.commit(again)] == [Status.ID_TAKEN]


async def test_a_tree_with_something_newer_inside_is_not_deleted(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        here, there = await space.client("ada", "here"), await space.client("ada", "there")
        top = await here.put_new("top")
        middle = await here.put_new("middle", parent=top)
        cursor = await here.head()
        new = await there.put_new("new", a_file(), parent=middle)
        first = Revision(epoch=1, number=1)
        [refused] = await here.commit(DeleteTree(node=top, place_revision=first, cursor=cursor))
        assert (refused.status, refused.newer) == (Status.NEWER_INSIDE, [new])
        [plain] = await here.commit(Delete(node=top, place_revision=first, content_revision=first))
        assert plain.status is Status.NOT_EMPTY
        [done] = await here.commit(DeleteTree(node=top, place_revision=first, cursor=await here.head()))
        assert done.status is Status.DONE


async def test_what_was_taken_out_in_the_same_batch_does_not_hold_up_delete_tree(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        top = await ada.put_new("top")
        cursor = await ada.head()
        kept = await ada.put_new("kept", parent=top)
        first = Revision(epoch=1, number=1)
        results = await ada.commit(
            Move(node=kept, place_revision=first, parent=ada.root, name="kept"),
            DeleteTree(node=top, place_revision=first, cursor=cursor),
        )
        assert [result.status for result in results] == [Status.DONE, Status.DONE]


async def test_nothing_can_be_done_below_a_tombstone(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        top = await ada.put_new("top")
        inside = await ada.put_new("inside", a_file(), parent=top)
        first = Revision(epoch=1, number=1)
        await ada.commit(DeleteTree(node=top, place_revision=first, cursor=await ada.head()))
        results = await ada.commit(
            Put(node=inside, content_revision=first, content=a_file()),
            Move(node=inside, place_revision=first, parent=ada.root, name="x"),
            Make(node=uuid4(), parent=top, name="y", content=FOLDER),
        )
        assert [result.status for result in results] == [Status.STALE, Status.STALE, Status.PARENT_GONE]


async def test_a_restored_folder_comes_back_with_all_below_it(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        top = await ada.put_new("top")
        inside = await ada.put_new("inside", a_file(), parent=top)
        [deleted] = await ada.commit(
            DeleteTree(node=top, place_revision=Revision(epoch=1, number=1), cursor=await ada.head())
        )
        cursor = await ada.head()
        await ada.put_new("top")
        assert deleted.place_revision is not None
        [taken] = await ada.commit(Restore(node=top, place_revision=deleted.place_revision))
        assert taken.status is Status.NAME_TAKEN
        [back] = await ada.commit(Restore(node=top, place_revision=deleted.place_revision, name="again"))
        assert back.status is Status.DONE
        told = {node.node: node for node in (await ada.all_changes(cursor))[0]}
        assert told[top].name == "again"
        assert not told[inside].deleted


async def test_a_copy_needs_the_right_to_read_its_source(tmp_path: Path) -> None:
    async with a_space(tmp_path, "ada", "ben") as space:
        ada, ben = await space.client("ada"), await space.client("ben")
        await ben.upload(b"secret")
        source = await ben.put_new("b", a_file(b"secret"))
        first = Revision(epoch=1, number=1)

        def copy(client: Client) -> Copy:
            return Copy(
                node=uuid4(),
                parent=client.root,
                name="c",
                from_view=ben.view.id,
                from_node=source,
                from_revision=first,
            )

        [refused] = await ada.commit(copy(ada))
        [done] = await ben.commit(copy(ben))
        assert (refused.status, done.status) == (Status.STALE, Status.DONE)


async def test_another_users_view_is_not_found(tmp_path: Path) -> None:
    async with a_space(tmp_path, "ada", "ben") as space:
        ada, ben = await space.client("ada"), await space.client("ben")
        ada.view = ben.view
        with pytest.raises(NotFound):
            await ada.commit(Make(node=uuid4(), parent=ben.root, name="a", content=FOLDER))
        with space.store.database.reading() as session:
            for view in (ben.view.id, ViewId(uuid4())):
                with pytest.raises(NotFound, match="no such view"):
                    readable_view(session, ada.principal, view)


async def test_revisions_of_a_later_epoch_get_a_reset_and_nothing_is_done(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        node = await ada.put_new("a", a_file())
        batch = Commit(
            operation=uuid4(),
            number=9,
            ops=[
                Make(node=uuid4(), parent=ada.root, name="b", content=FOLDER),
                Put(node=node, content_revision=Revision(epoch=2, number=1), content=a_file()),
            ],
        )
        answer = await ada.send(batch)
        assert isinstance(answer, Reset)
        assert answer.cause is ResetCause.RESTORED
        page = await ada.page(START)
        assert isinstance(page, Changes)
        assert [told.name for told in page.nodes] == ["a"]


async def test_a_thousand_new_files_cost_no_more_statements_than_two(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        folder = await ada.put_new("folder")
        said: list[int] = []
        for count in (2, 1_000):
            datas = [f"{count} {index}".encode() for index in range(count)]
            await ada.upload(*datas)
            ops = [
                Make(node=uuid4(), parent=folder, name=data.decode(), content=a_file(data)) for data in datas
            ]
            with counted() as statements:
                results = await ada.commit(*ops)
            assert {result.status for result in results} == {Status.DONE}
            said.append(len(statements.said))
        assert said[0] <= 15
        assert said[1] <= said[0] + 2  # IN lists are cut into groups of 500


async def test_used_bytes_count_the_current_versions(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        await ada.upload(b"12345", b"123")
        node = await ada.put_new("a", a_file(b"12345"))
        await ada.commit(Put(node=node, content_revision=Revision(epoch=1, number=1), content=a_file(b"123")))
        answer = await ada.send(
            Commit(
                operation=uuid4(),
                number=50,
                ops=[Put(node=node, content_revision=Revision(epoch=1, number=1), content=a_file(b"12345"))],
            )
        )
        assert isinstance(answer, Committed)
        assert answer.results[0].status is Status.STALE
        with space.store.database.reading() as session:
            [view] = (views_of(session, ada.principal, space.cursors)).views
        assert view.used_bytes == 3
