"""The marker in a followed folder: proof that this is it, and not the empty place where it was mounted.

Owns: reading and writing `.mb-sync/marker.json` (docs/formats.md, version 1).
May import: msgspec, protocol, sync_client.engine.disk.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated
from uuid import UUID

import msgspec

from protocol.errors import LocalProblem
from sync_client.engine.disk import PRIVATE, FollowedRoot

FORMAT = 1
MAX_WHO = 500
_NAME = "marker.json"
MARKER = f"{PRIVATE}/{_NAME}"
_MAX_BYTES = 64 * 1024


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """follow: this followed folder in this client home.  generation: rises by one at each start.

    device, who: whose client that is, for another one that is asked to follow the folder (engine.claiming).
    """

    view: UUID
    node: UUID
    server: UUID
    follow: UUID
    generation: Annotated[int, msgspec.Meta(ge=0, lt=2**62)]
    device: UUID | None = None
    who: Annotated[str, msgspec.Meta(max_length=MAX_WHO)] = ""
    format: int = FORMAT


def read_marker(root: FollowedRoot) -> Marker | None:
    """None: there is no marker.  Raises LocalProblem: there is one that cannot be understood."""
    root.look_afresh()
    try:
        handle = root.open_file((PRIVATE, _NAME))
    except (FileNotFoundError, NotADirectoryError):
        return None
    with os.fdopen(handle, "rb") as file:
        data = file.read(_MAX_BYTES)
    hint = "Run `mb-sync remove`, then `mb-sync add … --take-over`; no file is deleted by that."
    try:
        marker = msgspec.json.decode(data, type=Marker)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LocalProblem("The marker of this folder is damaged", hint=hint) from error
    if marker.format != FORMAT:
        raise LocalProblem(
            f"The marker of this folder has format {marker.format}, this program knows {FORMAT}",
            hint="Install the newer program.",
        )
    return marker


def write_marker(root: FollowedRoot, marker: Marker) -> None:
    """The marker stands, whole and synced, when this returns; before that the old one does."""
    root.look_afresh()
    private = root.private()
    temporary = f"{_NAME}.new"
    handle = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode=0o600, dir_fd=private
    )
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.encode(marker) + b"\n")
        file.flush()
        os.fsync(handle)
    os.rename(temporary, _NAME, src_dir_fd=private, dst_dir_fd=private)
    os.fsync(private)
    os.fsync(root.folder_fd(()))


def remove_marker(path: Path, follow: UUID) -> None:
    """The folder is followed no more.  Trash and files stay; another client's marker is left alone."""
    try:
        with FollowedRoot(path) as root:
            found = read_marker(root)
            if found is not None and found.follow == follow:
                os.unlink(_NAME, dir_fd=root.private())
    except (OSError, LocalProblem):  # not there any more: nothing to remove
        return
