"""Pages of the feed, one rule at a time; test_histories.py tries them together."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import update

from protocol.errors import BadRequest
from protocol.ids import Cursor
from protocol.messages import (
    Changes,
    DeleteTree,
    Make,
    Move,
    Reset,
    ResetCause,
    Resolve,
    Restore,
    Revision,
    Status,
)
from server.database.tables import MetaRow, SpaceRow
from tests.support.spaces import FOLDER, a_file, a_space, counted

FIRST = Revision(epoch=1, number=1)


async def test_a_page_brings_the_folders_above_what_it_tells(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        top = await ada.put_new("top")
        inside = await ada.put_new("inside", a_file(), parent=top)
        await ada.commit(Move(node=top, place_revision=FIRST, parent=ada.root, name="renamed"))
        page = await ada.page(limit=1)
        assert isinstance(page, Changes)
        assert [told.node for told in page.nodes] == [top, inside]
        assert page.more


async def test_a_first_listing_tells_nothing_of_what_was_deleted_before(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        top = await ada.put_new("top")
        await ada.put_new("inside", a_file(), parent=top)
        await ada.commit(DeleteTree(node=top, place_revision=FIRST, cursor=await ada.head()))
        assert (await ada.all_changes())[0] == []


async def test_who_listed_an_empty_space_is_told_what_was_deleted_since(tmp_path: Path) -> None:
    """Its own work is not told to a client: it may know a node that no page ever brought."""
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        known = (await ada.all_changes())[1]
        top = await ada.put_new("top")
        await ada.commit(DeleteTree(node=top, place_revision=FIRST, cursor=await ada.head()))
        assert [(state.node, state.deleted) for state in (await ada.all_changes(known))[0]] == [(top, True)]


async def test_what_was_moved_into_a_folder_that_was_then_deleted_is_told_as_deleted(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        top = await ada.put_new("top")
        node = await ada.put_new("a", a_file())
        known = await ada.head()
        await ada.commit(Move(node=node, place_revision=FIRST, parent=top, name="a"))
        await ada.commit(DeleteTree(node=top, place_revision=FIRST, cursor=await ada.head()))
        told = {state.node: state.deleted for state in (await ada.all_changes(known))[0]}
        assert told == {node: True, top: True}


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_a_folder_that_comes_back_is_followed_by_all_below_it_on_pages_of_any_size(
    tmp_path: Path, limit: int
) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        top = await ada.put_new("top")
        inside = {await ada.put_new(name, a_file(), parent=top) for name in "abcde"}
        [gone] = await ada.commit(DeleteTree(node=top, place_revision=FIRST, cursor=await ada.head()))
        known = await ada.head()
        assert gone.place_revision is not None
        [back] = await ada.commit(Restore(node=top, place_revision=gone.place_revision))
        assert back.status is Status.DONE
        after = await ada.put_new("after", a_file())
        told = (await ada.all_changes(known, limit))[0]
        assert {state.node for state in told if not state.deleted} == {top, after} | inside


async def test_at_the_head_a_page_is_empty_and_says_so(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        await ada.put_new("a", a_file())
        page = await ada.page(await ada.head())
        assert isinstance(page, Changes)
        assert (page.nodes, page.gone, page.more) == ([], [], False)


async def test_a_state_names_who_made_it_and_by_which_batch(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada", "microscope")
        conflict_of = uuid4()
        make = Make(node=uuid4(), parent=ada.root, name="CON", content=FOLDER, conflict_of=conflict_of)
        await ada.commit(make)
        [told] = (await ada.all_changes())[0]
        assert told.changed_by == "ada on microscope"
        assert (told.conflict_of, told.conflict_device) == (conflict_of, "microscope")
        assert told.not_portable
        assert told.place_operation == told.content_operation


async def test_a_decided_conflict_is_told_as_an_ordinary_node_of_the_same_revisions(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada", "microscope")
        make = Make(node=uuid4(), parent=ada.root, name="b", content=FOLDER, conflict_of=uuid4())
        [made] = await ada.commit(make)
        known = await ada.head()
        [done] = await ada.commit(Resolve(node=make.node))
        assert (done.status, done.place_revision) == (Status.DONE, made.place_revision)
        [told] = (await ada.all_changes(known))[0]
        assert (told.node, told.conflict_of, told.conflict_device) == (make.node, None, "")
        assert (told.place_revision, told.content_revision) == (made.place_revision, made.content_revision)
        known = await ada.head()
        [again] = await ada.commit(Resolve(node=make.node))
        [absent] = await ada.commit(Resolve(node=uuid4()))
        assert (again.status, absent.status) == (Status.DONE, Status.STALE)
        assert (await ada.all_changes(known))[0] == []


async def test_a_cursor_of_an_older_epoch_is_answered_restored(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        await ada.put_new("a")
        known = await ada.head()
        with space.store.database.writing() as session:
            session.merge(MetaRow(key="epoch", value="2"))
        answer = await ada.page(known)
        assert isinstance(answer, Reset)
        assert answer.cause is ResetCause.RESTORED
        page = await ada.page(Cursor(answer.cursor))
        assert isinstance(page, Changes)
        assert [told.name for told in page.nodes] == ["a"]


async def test_a_cursor_older_than_the_emptied_trash_is_answered_purged(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        await ada.put_new("a")
        known = await ada.head()
        await ada.put_new("b")
        fresh = await ada.head()
        with space.store.database.writing() as session:
            session.execute(update(SpaceRow).values(purged_stamp=2))
        answer = await ada.page(known)
        assert isinstance(answer, Reset)
        assert answer.cause is ResetCause.PURGED
        assert isinstance(await ada.page(fresh), Changes)


async def test_a_cursor_of_another_view_is_a_bad_request(tmp_path: Path) -> None:
    async with a_space(tmp_path, "ada", "ben") as space:
        ada, ben = await space.client("ada"), await space.client("ben")
        with pytest.raises(BadRequest):
            await ben.page(await ada.head())


async def test_a_large_page_costs_no_more_statements_than_a_small_one(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        top = await ada.put_new("top")
        said = []
        for count in (1, 500):
            await ada.commit(
                *(
                    Make(node=uuid4(), parent=top, name=f"{count}-{index}", content=a_file())
                    for index in range(count)
                )
            )
            with counted() as statements:
                await ada.page()
            said.append(len(statements.said))
        assert said[0] == said[1] <= 8
