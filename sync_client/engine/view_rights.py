"""What this account may do in the views that its folders follow, and how much room they have.

Owns: asking for it, and when it is asked for again.  May import: protocol, engine.round.

A share may end or change at any time.  That a view is not there any more is told by its feed; here it is learned
whether one may still read and write.
"""

from __future__ import annotations

from collections.abc import Collection

from protocol.errors import AccessDenied, MedicalBlocksError
from protocol.http import ServerApi
from protocol.ids import Cursor, ViewId
from sync_client.engine.round import FolderSync


class ViewRights:
    """Of one account.  generation: of the list of views, as it was when it was asked for last."""

    def __init__(self, api: ServerApi) -> None:
        self.generation = ""
        self._api = api
        self._seen: dict[ViewId, Cursor] = {}  # how far the views had come when it was asked for

    async def learn(self, syncs: Collection[FolderSync]) -> None:
        """Ask anew, and let each folder know."""
        answer = await self._api.views()
        views = {view.view: view for view in answer.views}
        for sync in syncs:
            if sync.folder.view in views:
                sync.learn_view(views[sync.folder.view])
        self.generation = answer.generation
        self._seen = {sync.folder.view: sync.folder.cursor for sync in syncs}

    def may_have_changed(self, syncs: Collection[FolderSync]) -> bool:
        """Whether there may be more room, or less: asked for only where a quota matters."""
        return any(
            sync.room.is_short
            or (sync.room.quota is not None and self._seen.get(sync.folder.view) != sync.folder.cursor)
            for sync in syncs
        )

    async def explains(
        self, error: MedicalBlocksError | OSError, sync: FolderSync, syncs: Collection[FolderSync]
    ) -> bool:
        """Whether this refusal only says that a right of ours changed: now the folder knows, and may go on."""
        if not isinstance(error, AccessDenied):
            return False
        before = _known(sync)
        await self.learn(syncs)
        sync.looker.knows_rights = True
        return _known(sync) != before


def _known(sync: FolderSync) -> tuple[bool, bool, bool]:
    return sync.may_read, sync.read_only, sync.looker.knows_rights
