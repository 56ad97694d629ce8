"""What people ask of a running engine: its state, its files, what it did, what is in conflict.

Owns: the seven states and when each is true; the shape of the answers (JSON-ready).
May import: protocol, the rest of the engine.  Changes nothing.

"synced" is shown only when it is true: both sides were looked at, nothing is left to do, nothing is in error, and
the server can be heard.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from protocol.errors import BadRequest, DeviceCloned, LocalProblem
from protocol.messages import Kind
from protocol.names import unportable
from sync_client.engine import notices
from sync_client.engine.authors import author_of, who_deleted
from sync_client.engine.guards import Mass
from sync_client.engine.ignoring import IGNORE_FILE, MAX_BYTES, Ignoring, shown_file, words
from sync_client.engine.rebuilding import told
from sync_client.engine.trash_care import KEEP_DAYS, SHARE
from sync_client.engine.trees import Content, Row, Side

if TYPE_CHECKING:
    from protocol.ids import NodeId
    from sync_client.engine.engine import Engine
    from sync_client.engine.round import FolderSync

Answer = dict[str, Any]

WORDS = {
    "starting": "Looking at your files",
    "synced": "All synced",
    "syncing": "Syncing",
    "paused": "Paused",
    "offline": "The server cannot be reached",
    "attention": "Some items need your attention",
    "error": "Not syncing",
}
RETENTION = (
    f"Deleted and replaced files stay in the local trash for {KEEP_DAYS} days,"
    f" or a day where they are more than {SHARE:.0%} of the folder: mb-sync trash."
)
LARGE_FOLDER = "large-folder"
MAX_UNSETTLED = 200  # of one folder are told one by one
_WORST_FIRST = ("error", "offline", "paused", "starting", "syncing", "attention", "synced")
_WATCH_NOTES = {
    "overflow": "Changes came faster than they could be watched; the folder is scanned.",
    "limit": "The system allows no more watches: changes are found by scanning, {every}.",
    "gone": "The folder was moved or unmounted.",
    "failed": "The folder cannot be watched: changes are found by scanning, {every}.",
}
_NETWORK_NOTE = (
    "The folder lies on a network file system: what other computers change there is found by scanning,"
    " {every}."
)


def status(engine: Engine) -> Answer:
    folders = [_folder(engine, sync) for sync in engine.syncs.values()]
    state = _overall(engine, [folder["state"] for folder in folders])
    if isinstance(engine.signed_out, DeviceCloned):
        words = str(engine.signed_out)
    elif engine.signed_out is not None:
        words = "The sign-in of this computer has ended. Sign in again with `mb-sync login`."
    elif state == "attention":
        count = sum(len(folder["problems"]) for folder in folders)
        words = f"{count} item{'s' if count != 1 else ''} need{'s' if count == 1 else ''} your attention"
    else:
        words = WORDS[state]
    return {
        "state": state,
        "words": words,
        "server": engine.account.server,
        "user": engine.account.user,
        "device": engine.account.device_name,
        "folders": folders,
        "notices": [notices.answer(one) for one in engine.heard.notices],
        "conflicts": sum(1 for sync in engine.syncs.values() for _ in open_conflicts(sync)),
        "traffic": {"sent_bytes": engine.api.bytes_sent, "received_bytes": engine.api.bytes_received},
        "progress": _progress(engine),
        "notes": [
            *filter(None, [told(engine.state)]),
            *(note for sync in engine.syncs.values() for note in _notes(engine, sync)),
        ],
        "retention": f"{RETENTION}{_kept_by_the_server(engine)}",
        "limits": msgspec.to_builtins(engine.limits),
        "paused_until": engine.paused_until() if engine.paused else None,
    }


def _kept_by_the_server(engine: Engine) -> str:
    found = engine.server_retention
    if found is None:
        return ""
    trash = "for ever" if found.trash_days is None else f"for {found.trash_days} days"
    return f"\nThe server keeps what was deleted {trash}, and of older versions: {found.versions}."


def _overall(engine: Engine, states: list[str]) -> str:
    if engine.signed_out is not None:
        return "error"
    if engine.paused:
        return "paused"
    if engine.offline is not None:
        return "offline"
    return min(states, key=_WORST_FIRST.index, default="synced")


def folder_state(engine: Engine, sync: FolderSync) -> str:
    if engine.signed_out is not None or sync.stopped is not None:
        return "error"
    if engine.paused or not sync.resumed.is_set():
        return "paused"
    if engine.offline is not None:
        return "offline"
    if not sync.is_at_rest:
        return "syncing" if sync.rounds_ended else "starting"
    return "attention" if sync.has_problems else "synced"


def _folder(engine: Engine, sync: FolderSync) -> Answer:
    state = folder_state(engine, sync)
    files, size = engine.state.totals(sync.folder.id)
    return {
        "remote": sync.folder.remote,
        "local": str(sync.folder.local),
        "state": state,
        "words": str(sync.stopped) if sync.stopped is not None else WORDS[state],
        "files": files,
        "bytes": size,
        "waiting": 0 if state == "synced" else sync.trees.count_dirty(),
        "read_only": sync.read_only,
        "own_files": sync.trees.count_own() if sync.read_only else 0,
        "problems": problems(sync),
        "not_portable": _not_portable(engine, sync),
        "paused_until": None if sync.resumed.is_set() else engine.paused_until(sync),
        "quota": _quota(sync),
        "scan": _scan(sync),
    }


def _scan(sync: FolderSync) -> Answer:
    """How often all of it is looked at.  wished: as a person said, None: as usual."""
    times = sync.looker.times
    return {
        "every_seconds": round(times.seconds),
        "wished_seconds": times.wished,
        "on_network": sync.on_network,
    }


def _quota(sync: FolderSync) -> Answer | None:
    """None: there is no limit, or it is not ours to know."""
    quota = sync.room.quota
    if quota is None:
        return None
    return {
        "quota_bytes": quota.quota_bytes,
        "used_bytes": quota.used_bytes,
        "free_bytes": quota.free_bytes,
    }


def _not_portable(engine: Engine, sync: FolderSync) -> list[Answer]:
    """Names given on this computer that others cannot hold as they are."""
    found: list[Answer] = []
    for node in engine.state.unportable(sync.folder.id):
        row, path = sync.trees.row(node), sync.trees.path(Side.REMOTE, node)
        why = None if row is None or row.remote is None else unportable(row.remote.place.name)
        if why is not None and path is not None:
            found.append({"path": "/".join(path), "reason": why})
    return sorted(found, key=lambda one: str(one["path"]))


def problems(sync: FolderSync) -> list[Answer]:
    if sync.stopped is not None:
        return [{"path": "", "code": sync.stopped.code, "message": str(sync.stopped)}]
    now = time.monotonic()
    found: list[Answer] = [
        {
            "path": trouble.path,
            "code": trouble.code,
            "message": trouble.message,
            "tries": trouble.tries,
            "next_try_seconds": max(0, round(trouble.due_at - now)),
        }
        for trouble in sync.troubles.shown()
    ]
    found += [{"path": "", "code": "guard", "message": message} for message in sync.guard.messages()]
    found += _large_folders(sync)
    for odd in sync.looker.odd.values():
        found += [
            {"path": _text("/".join(one.parts)), "code": one.code, "message": one.message} for one in odd
        ]
    found += [
        {"path": name, "code": "refused-here", "message": f"The server's entry was left out: {why}."}
        for name, why in sync.looker.refused.shown()
    ]
    return sorted(found, key=lambda problem: problem["path"])


def _large_folders(sync: FolderSync) -> list[Answer]:
    """What is new on the server or has grown there, and waits.  grown: some of it is here."""
    found: list[Answer] = []
    for path, large in sync.large.names(sync.looker.window):
        size = f"{_files(large.files)}, {_megabytes(large.size)}"
        what = (
            f"It came while it was small and is large by now ({size}): what is here stays, and the rest waits for you."
            if large.grown
            else f"It is new and large ({size}), and waits for you."
        )
        words = f"{what} Have it here with `mb-sync exclude PATH --remove`, or keep it off with `mb-sync exclude PATH`."
        found.append({"path": path, "code": LARGE_FOLDER, "message": words, "grown": large.grown})
    return found


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"


def _megabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"


def _text(path: str) -> str:
    """A name of the disk that is not text cannot stand in JSON as it is."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _notes(engine: Engine, sync: FolderSync) -> list[str]:
    notes = list(dict.fromkeys(sync.looker.notes))
    ignored = sum(len(those) for those in sync.looker.ignored.values())
    if ignored:
        one = ignored == 1
        notes.append(
            f"{ignored:,} item{'' if one else 's'} that {'was' if one else 'were'} synced {'is' if one else 'are'}"
            " ignored now: nothing is deleted, changes stay where they are made."
        )
    names = _not_portable(engine, sync)
    if names:
        first = names[0]["path"].rpartition("/")[2]
        others = f" (and {len(names) - 1} more: mb-sync status --json)" if len(names) > 1 else ""
        notes.append(f"{first}{others}: {names[0]['reason']}; on such a computer the name looks different.")
    note = _WATCH_NOTES.get(sync.watch_note, _WATCH_NOTES["failed"]) if sync.watch_note else ""
    if not note and sync.on_network:
        note = _NETWORK_NOTE
    if note:
        notes.append(note.format(every=_every(sync.looker.times.seconds)))
    return notes


def _every(seconds: float) -> str:
    for unit, word in ((3_600, "h"), (60, "min")):
        if seconds >= unit:
            return f"every {seconds / unit:.3g} {word}"
    return f"every {seconds:.0f} s"


def _progress(engine: Engine) -> Answer | None:
    running = [sync.progress for sync in engine.syncs.values() if sync.progress is not None]
    if not running:
        return None
    done_bytes = sum(progress.done_bytes for progress in running)
    seconds = max(0.001, time.monotonic() - min(progress.began_at for progress in running))
    return {
        "done_files": sum(progress.done_files for progress in running),
        "total_files": sum(progress.total_files for progress in running),
        "done_bytes": done_bytes,
        "total_bytes": max(done_bytes, sum(progress.total_bytes for progress in running)),
        "bytes_per_second": int(done_bytes / seconds),
    }


# ---- files -----------------------------------------------------------------------------------------------


def sync_at(engine: Engine, path: Path) -> FolderSync:
    """The followed folder that this path is, or lies in."""
    for sync in engine.syncs.values():
        if path == sync.folder.local or sync.folder.local in path.parents:
            return sync
    raise LocalProblem(f"{path} is in no followed folder", hint="`mb-sync status` lists them.")


def followed_at(engine: Engine, path: Path) -> FolderSync:
    """The followed folder with just this path."""
    for sync in engine.syncs.values():
        if path == sync.folder.local:
            return sync
    raise LocalProblem(f"{path} is not a followed folder", hint="`mb-sync status` lists them.")


def file_status(engine: Engine, paths: Sequence[Path]) -> list[Answer]:
    """Of many paths at once: what is asked of a folder as a whole is looked up once."""
    seen: dict[int, _Seen] = {}
    return [_file_status(engine, path, seen) for path in paths]


class _Seen:
    """One followed folder at one moment, as the state of each file in it is told from it."""

    def __init__(self, engine: Engine, sync: FolderSync) -> None:
        self.state = folder_state(engine, sync)
        self.problems: dict[str, str] = {}  # path → message; of a folder the first that lies in it
        for problem in problems(sync):
            if problem["path"] and problem["code"] != LARGE_FOLDER:  # that is not here
                for path in _with_parents(problem["path"]):
                    self.problems.setdefault(path, problem["message"])
        self.busy = unsettled(sync)

    def is_busy(self, sync: FolderSync, shown: str, node: NodeId, *, is_folder: bool) -> bool:
        if self.busy is None:  # too many to know each
            return sync.trees.is_dirty(node) or (is_folder and not sync.is_quiet)
        return shown in self.busy


def unsettled(sync: FolderSync) -> frozenset[str] | None:
    """The paths of what is on its way, each with the folders above it; None: too many for that."""
    found: set[str] = set()
    dirty = sync.trees.dirty_slice(0, MAX_UNSETTLED + 1)
    if len(dirty) > MAX_UNSETTLED:
        return None
    for _, node in dirty:
        path = sync.trees.path(Side.LOCAL, node) or sync.trees.path(Side.REMOTE, node)
        if path:
            found.update(_with_parents("/".join(path)))
    return frozenset(found)


def _with_parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]


def _file_status(engine: Engine, path: Path, known: dict[int, _Seen]) -> Answer:
    try:
        sync = sync_at(engine, path)
    except LocalProblem as error:
        return {"path": str(path), "state": "unknown", "reason": str(error)}
    seen = known.get(sync.folder.id) or known.setdefault(sync.folder.id, _Seen(engine, sync))
    parts = sync.parts_of(path)
    shown = "/".join(parts)
    if shown in seen.problems:
        return {"path": str(path), "state": "error", "reason": seen.problems[shown]}
    if parts and sync.looker.ignoring.ignores(parts, folder=path.is_dir()):
        return {
            "path": str(path),
            "state": "excluded",
            "reason": f"It is ignored. Which rule: mb-sync ignore test {shown}",
        }
    if not parts:
        return {"path": str(path), "state": seen.state, "reason": ""}
    node = sync.trees.at_path(Side.LOCAL, parts)
    if node is None and _is_excluded(engine, sync, parts):
        return {"path": str(path), "state": "excluded", "reason": "It is excluded from this computer."}
    if node is None:
        return {"path": str(path), "state": "unknown", "reason": "It was not seen there yet."}
    if seen.state in ("error", "paused", "offline"):
        return {"path": str(path), "state": seen.state, "reason": WORDS[seen.state]}
    row = sync.trees.row(node)
    is_folder = bool(row and row.local and row.local.content and row.local.content.kind is Kind.FOLDER)
    busy = seen.is_busy(sync, shown, node, is_folder=is_folder)
    return {"path": str(path), "state": "syncing" if busy else "synced", "reason": ""}


def _is_excluded(engine: Engine, sync: FolderSync, parts: Sequence[str]) -> bool:
    tops = (sync.looker.window.path_of(node) for node in engine.state.excluded(sync.folder.id))
    return any(top is not None and tuple(parts[: len(top)]) == top for top in tops)


def activity(engine: Engine, limit: int) -> list[Answer]:
    local = {sync.folder.id: sync.folder.local for sync in engine.syncs.values()}
    return [
        {
            "at": at_ms,
            "action": note.action,
            "direction": note.direction,
            "path": _text(str(local[folder] / note.path)) if folder in local else _text(note.path),
            "bytes": note.size,
            **_author(engine, note.author),
        }
        for at_ms, folder, note in engine.state.activity(limit)
    ]


def _author(engine: Engine, text: str) -> Answer:
    """As the server names them; nothing where it names nobody."""
    found = author_of(text, own=engine.account.user)
    return {} if found is None else {"user": found.user, "device": found.device, "you": found.is_own}


def ignore_test(engine: Engine, path: Path) -> Answer:
    """Which line decides about this path, from the rules as they stand on the disk now."""
    sync = sync_at(engine, path)
    parts = path.relative_to(sync.folder.local).parts
    ignoring = Ignoring()
    for depth in range(len(parts)):
        rules = sync.folder.local.joinpath(*parts[:depth], IGNORE_FILE)
        if rules.is_file() and not rules.is_symlink():
            with rules.open("rb") as file:
                ignoring.take(parts[:depth], file.read(MAX_BYTES))
    found = ignoring.explain(parts, folder=path.is_dir())
    is_rule = found is not None and found.folder is not None and found.rule is not None
    return {
        "path": str(path),
        "ignored": found is not None and found.ignores,
        "file": str(sync.folder.local / shown_file(found.folder))
        if found and found.folder is not None
        else None,
        "line": found.rule.line if found and is_rule and found.rule else None,
        "rule": found.rule.text if found and is_rule and found.rule else None,
        "words": words(found),
    }


# ---- guards ----------------------------------------------------------------------------------------------


def guards(engine: Engine) -> list[Answer]:
    """What waits for a decision, folder by folder."""
    return [
        {
            "folder": str(sync.folder.local),
            "remote": sync.folder.remote,
            "what": waiting.mass.value,
            "count": waiting.held.count,
            "total": waiting.held.total,
            "share": round(waiting.held.count / waiting.held.total, 3) if waiting.held.total else None,
            "since": waiting.held.since_ms,
            "sample": [_text(path) for path in waiting.sample],
            "message": waiting.message,
        }
        for sync in engine.syncs.values()
        for waiting in sync.guard.waiting()
    ]


def guard_list(engine: Engine, folder: Path | None, what: str, after: int) -> Answer:
    """A part of all that one of them holds; `next` is where to go on, None: there is no more."""
    try:
        mass = Mass(what)
    except ValueError as error:
        raise BadRequest(f"{what!r} is no mass change", hint="See `mb-sync guard --json`.") from error
    sync = guarded_at(engine, folder)
    found, following = sync.guard.listed(mass, after)
    return {
        "folder": str(sync.folder.local),
        "items": [
            {
                "path": _text(path),
                "size": content.size if content.kind is not Kind.FOLDER else None,
                **_author(engine, _who_did(sync, mass, row)),
            }
            for path, row in found
            if (content := _last_content(row)) is not None
        ],
        "next": following,
    }


def _last_content(row: Row) -> Content | None:
    """As it was before the mass change."""
    return row.agreed.content if row.agreed is not None else None


def _who_did(sync: FolderSync, mass: Mass, row: Row) -> str:
    """Of what was done there."""
    if mass is Mass.DELETED_THERE:
        return who_deleted(sync.trees, sync.looker.authors, row.node)
    return sync.looker.authors.of(row.node) if mass is Mass.REWRITTEN_THERE else ""


def guarded_at(engine: Engine, path: Path | None) -> FolderSync:
    """The followed folder with this path, in which something waits; None: the only one in which it does."""
    waiting = [sync for sync in engine.syncs.values() if sync.guard.held]
    if path is not None:
        sync = followed_at(engine, path)
        if sync in waiting:
            return sync
        raise LocalProblem(f"Nothing waits for a decision in {path}", hint="`mb-sync guard` lists what does.")
    if not waiting:
        raise LocalProblem("Nothing waits for a decision", hint="`mb-sync status` says how things are.")
    if len(waiting) > 1:
        raise LocalProblem(
            f"Decisions are waited for in {len(waiting)} folders",
            hint="Name the folder: `mb-sync guard` lists them.",
        )
    return waiting[0]


# ---- conflicts -------------------------------------------------------------------------------------------


def open_conflicts(sync: FolderSync) -> list[Answer]:
    """Conflict copies whose original is still there, and that nobody decided on."""
    found = []
    for node in sync.trees.conflict_copies():
        row = sync.trees.row(node)
        if row is None or row.remote is None or row.remote.conflict_of is None:
            continue
        original = sync.trees.row(row.remote.conflict_of)
        path = sync.trees.path(Side.REMOTE, node)
        beside = sync.trees.path(Side.REMOTE, row.remote.conflict_of)
        if original is None or original.remote is None or path is None or beside is None:
            continue
        copy, kept = row.remote.content, original.remote.content
        found.append(
            {
                "id": node.hex[-8:],
                "path": str(sync.path_of(path)),
                "original": str(sync.path_of(beside)),
                "device": _device_in(path[-1]),
                "mine": _version(node, copy),
                "theirs": _version(original.node, kept),
            }
        )
    return found


def _version(node: NodeId, content: Content) -> Answer:
    return {
        "node": node,
        "folder": content.kind is Kind.FOLDER,
        "size": content.size,
        "mtime": content.mtime_ns // 1_000_000,
    }


def _device_in(name: str) -> str:
    """The device that a conflict name tells (protocol.names.conflict_name)."""
    words = name.rpartition("(conflict ")[2].rpartition(")")[0].split(" ")
    return " ".join(words[:-2]) if len(words) > 2 else ""
