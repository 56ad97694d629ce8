"""What leaves a shared folder leaves the remote tree with all below it, and may come back another than it went."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from protocol.ids import NodeId
from sync_client.engine.effects import take_remote
from tests.sync_client.engine.test_window import ROOT, TOP, Client, ModelView


class Following(Client):
    """As engine.looking takes a page at the head, in a view that has borders."""

    def page(self, view: ModelView, nodes: Sequence[NodeId], gone: Sequence[UUID] = ()) -> None:
        with self.trees.transaction(lasting=False):
            self.window.leave(gone)
            told = [view.state(node) for node in nodes]
            states = self.window.take(told, head=True)
            take_remote(self.trees, states, gone, head=True, alone=True)
            coming, leaving = self.window.judge(told)
            take_remote(self.trees, coming, leaving, alone=True)

    def paths(self, view: ModelView) -> set[str]:
        return {self._path(view, node) for node in self.sees()}

    def _path(self, view: ModelView, node: NodeId) -> str:
        row = self.trees.row(node)
        assert row is not None
        assert row.remote is not None
        above = row.remote.place.parent
        return (
            row.remote.place.name if above == ROOT else f"{self._path(view, above)}/{row.remote.place.name}"
        )


@pytest.fixture(params=["the whole view is followed", "a folder in it is followed"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Following]:
    following = Following(tmp_path / "state.db")
    if "whole" in request.param:
        following.folder.whole_view = True
        following.begin()
    with closing(following.state):
        yield following


def named(view: ModelView, parent: NodeId, name: str, *, folder: bool) -> NodeId:
    node = view.make(parent, folder=folder)
    view.change(node, name=name)
    return node


def test_a_folder_that_left_takes_along_what_lay_in_it_but_for_what_was_moved_out_before(
    client: Following,
) -> None:
    view = ModelView()
    series = named(view, ROOT, "series", folder=True)
    one, two = [named(view, series, name, folder=False) for name in ("1", "2")]
    client.page(view, [ROOT, series, one, two])
    assert client.paths(view) == {"series", "series/1", "series/2"}
    view.move(one, ROOT)
    client.page(view, [one], gone=[series])
    assert client.paths(view) == {"1"}


def test_what_left_and_came_back_in_one_page_is_what_the_page_says(client: Following) -> None:
    view = ModelView()
    series = named(view, ROOT, "series", folder=True)
    one, two = [named(view, series, name, folder=False) for name in ("1", "2")]
    client.page(view, [ROOT, series, one, two])
    view.move(two, TOP)  # while the folder was away: nobody tells of it
    client.page(view, [series, one], gone=[series])
    assert client.paths(view) == {"series", "series/1"}


def test_what_came_back_later_is_all_there_again(client: Following) -> None:
    view = ModelView()
    series = named(view, ROOT, "series", folder=True)
    deep = named(view, series, "deep", folder=True)
    one = named(view, deep, "1", folder=False)
    client.page(view, [ROOT, series, deep, one])
    client.page(view, [], gone=[series])
    assert client.paths(view) == set()
    client.page(view, [series, deep, one])
    assert client.paths(view) == {"series", "series/deep", "series/deep/1"}


def test_the_followed_folder_itself_may_leave(tmp_path: Path) -> None:
    view, client = ModelView(), Following(tmp_path / "state.db")
    with closing(client.state):
        client.page(view, [ROOT])
        assert not client.window.root_is_gone()
        client.page(view, [], gone=[ROOT])
        assert client.window.root_is_gone()
