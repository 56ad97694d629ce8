"""A batch is written down, sent, and sent again until it is answered: a lost answer is no conflict with ourselves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from protocol.errors import BadRequest, Unavailable
from protocol.http import ServerApi
from protocol.messages import AnyOp, Committed, Content, Kind, Make, Put, Status
from protocol.patience import Patience
from sync_client.engine.batches import NO_FOLDER, commit, send, send_again
from sync_client.engine.database import StateDatabase
from tests.support.followed import a_node
from tests.support.service import a_service
from tests.support.uploads import IMPATIENT, Device, a_device, a_proxy

FOLDER = 1


@pytest.fixture
async def device(tmp_path: Path) -> AsyncIterator[Device]:
    async with (
        a_service(tmp_path / "server", users=("ada",)) as server,
        a_device(server, tmp_path / "followed") as device,
    ):
        yield device


def a_file(device: Device, name: str) -> Make:
    return Make(node=a_node(), parent=device.top, name=name, content=Content(kind=Kind.FILE))


async def names(device: Device) -> list[str]:
    return sorted(item.name for item in (await device.api.listing(device.view, "/")).items)


async def test_an_answer_that_was_lost_is_given_again_and_nothing_is_done_twice(
    device: Device, tmp_path: Path
) -> None:
    make = a_file(device, "a.dcm")
    with closing(StateDatabase(tmp_path / "state.db")) as state:
        async with (
            a_proxy(device.api.url, cut_after=[0]) as url,
            ServerApi(url, device.caller.token, patience=Patience(tries=1)) as api,
        ):
            with pytest.raises(Unavailable):
                await send(api, state, device.view, [make], folder=FOLDER, cursor="")
        assert await names(device) == ["a.dcm"]  # it was done
        [(number, _)] = state.batches(FOLDER)
    with closing(StateDatabase(tmp_path / "state.db")) as state:  # the client was killed and starts again
        cursor = await _head(device)
        learned: list[tuple[Sequence[AnyOp], Committed]] = []

        async def again() -> bool:
            return await send_again(
                device.api, state, device.view, folder=FOLDER, take=lambda *told: learned.append(told)
            )

        assert await again()
        assert state.batches(FOLDER) == []
        assert not await again()
        [(ops, told)] = learned
        assert list(ops) == [make]
        assert [result.status for result in told.results] == [Status.DONE]
        assert await _head(device) == cursor  # the feed stands where it stood
        assert await names(device) == ["a.dcm"]
        assert state.next_batch_number() == number + 1


async def test_a_batch_whose_answer_is_lost_gets_it_in_the_same_call_when_the_server_is_there(
    device: Device, tmp_path: Path
) -> None:
    make = a_file(device, "a.dcm")
    with closing(StateDatabase(tmp_path / "state.db")) as state:
        async with (
            a_proxy(device.api.url, cut_after=[0, 20]) as url,
            ServerApi(url, device.caller.token, patience=IMPATIENT) as api,
        ):
            answer = await send(api, state, device.view, [make], folder=FOLDER, cursor="")
        assert isinstance(answer, Committed)
        [result] = answer.results
        assert result.status is Status.DONE
        assert state.batches(FOLDER) == []
        assert result.content_revision is not None
        again = Put(node=make.node, content_revision=result.content_revision, content=Content(kind=Kind.FILE))
        [put] = await commit(device.api, state, device.view, [again])
        assert put.status is Status.DONE  # the revision that it told is the current one


async def test_what_a_person_asked_once_is_not_repeated_at_the_next_start(
    device: Device, tmp_path: Path
) -> None:
    with closing(StateDatabase(tmp_path / "state.db")) as state:
        async with ServerApi("http://127.0.0.1:1", "token", patience=Patience(tries=1)) as nowhere:
            with pytest.raises(Unavailable):
                await commit(nowhere, state, device.view, [a_file(device, "a.dcm")])
        assert state.batches(NO_FOLDER) == []
        assert await names(device) == []


async def test_a_batch_that_is_refused_as_a_whole_is_not_sent_for_ever(
    device: Device, tmp_path: Path
) -> None:
    with closing(StateDatabase(tmp_path / "state.db")) as state:
        with pytest.raises(BadRequest):
            await send(
                device.api, state, device.view, [a_file(device, "a")], folder=FOLDER, cursor="no cursor"
            )
        assert state.batches(FOLDER) == []


async def _head(device: Device) -> str:
    """How often the space was changed, as the stamps of its nodes tell."""
    assert device.caller.view is not None
    answer = await device.api.changes(device.view, device.caller.view.cursor)
    assert hasattr(answer, "nodes")
    return repr([(node.node, node.place_revision, node.content_revision) for node in answer.nodes])
