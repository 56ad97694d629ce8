"""The running service: every room opened, wired and closed in its order.

Owns: that order, the listening socket, signals, the watch for tokens that died.
May import: aiohttp, sqlalchemy, protocol, server.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

from aiohttp import web
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from protocol.errors import AccessDenied, LocalProblem, MedicalBlocksError, NotFound
from protocol.ids import DeviceId
from server.access.admission import Admissions
from server.access.code_use import CodeUse
from server.access.codes import dead_code_devices
from server.access.cursors import CURSOR_KEY_INFO, Cursors
from server.access.devices import dead_among
from server.access.passwords import Passwords
from server.access.throttle import forget_old_tries
from server.access.views import readable_view
from server.audit.chain import HEADS_KEY_INFO, Head
from server.audit.sealing import Heads, head_of, is_due, last_seal, seal
from server.catalog.counts import Remembered
from server.chunks.keys import open_keys, wrapped_store_key
from server.chunks.packs import FolderPacks
from server.chunks.possession import forget_old_leases
from server.chunks.store import ChunkStore
from server.config import Settings, listen_address, named, uses_tls
from server.data_folder import DataFolder
from server.database.facts import keep_store_key, kept_store_key, rights_number, server_id_of
from server.database.session import Database
from server.downloads import FOLDER as DOWNLOADS
from server.downloads import Downloads
from server.hooks.filling import Filling
from server.hooks.looking import Looking
from server.hooks.running import Hooks
from server.hooks.workshop import Policy
from server.http.connections import READ_BUFFER_BYTES, GuardedSite, connection_limit
from server.http.crowd import Crowd
from server.http.denials import Denials, write_denials
from server.http.middleware import around, mark
from server.http.open_requests import Needed, OpenRequests
from server.http.routes import add_routes, check_declared
from server.http.service import SERVICE, Service
from server.http.table import ROUTES
from server.quantities import parse_quota, parse_span
from server.retention import parse_trash, parse_versions, told
from server.spaces.commit import forget_old_batches
from server.spaces.uploads import Uploads
from server.spaces.wakeups import Wakeups
from server.tls import Tls, automatic, given, usual_names
from server.upkeep.background import Task, tend
from server.upkeep.gc import Collector
from server.upkeep.revocations import FILE as REVOKED
from server.upkeep.revocations import Revocations, revocations_of, write_revocations
from server.upkeep.scrub import RUN_SECONDS, scrub
from server.upkeep.thinning import Thinning
from server.web.link_page import PAGES

log = logging.getLogger(__name__)

TIDY_SECONDS = 3_600.0
CODE_USE_SECONDS = 1.0
REVOCATIONS_SECONDS = 1.0
SCRUB_EVERY_SECONDS = 3_600
GENTLE_SHARE, SCRUB_SHARE = 0.2, 0.05  # of a core
SEAL_SECONDS = 0.5
WATCH_SECONDS = 0.25  # how often we look whether someone else changed the database


def make_app(service: Service) -> web.Application:
    """Raises RuntimeError: a route without a declaration."""
    app = web.Application(middlewares=[around])
    app.on_response_prepare.append(mark)
    app[SERVICE] = service
    add_routes(app, (*ROUTES, *PAGES))
    check_declared(app)
    return app


def make_runner(service: Service, settings: Settings) -> web.AppRunner:
    """The app, and how its connections are treated; it is not set up yet."""
    return web.AppRunner(
        make_app(service),
        handler_cancellation=True,
        access_log=None,
        shutdown_timeout=settings.shutdown_seconds,
        auto_decompress=False,  # bodies are unpacked where their limit is known, see http.exchange
        read_bufsize=READ_BUFFER_BYTES,
    )


async def serve_until_told(folder: DataFolder, settings: Settings, *, ready: Callable[[str], None]) -> None:
    """Serve `folder` until SIGTERM or SIGINT.  ready: called once with the URL.

    Raises LocalProblem: the port is taken, or the data cannot be opened.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with (
        opened(folder, settings) as service,
        listening(service, settings) as url,
        sealed(service),
        watched(service),
        tended(folder, settings, service),
        worked(
            folder,
            service,
            at_once=settings.blocks_at_once or None,
            policy=Policy(sandbox=settings.blocks_sandbox, trusted=frozenset(named(settings.blocks_trusted))),
        ),
    ):
        ready(url)
        await stop.wait()


@asynccontextmanager
async def opened(folder: DataFolder, settings: Settings) -> AsyncIterator[Service]:
    """The parts of the server on the data in `folder`, which the caller has locked."""
    database = Database.open(folder.database, migrate=True)
    passwords = Passwords()
    closing = AsyncExitStack()
    try:
        keys = open_keys(folder.keys)
        server_id = await database.read(server_id_of)
        if await database.read(kept_store_key) is None:  # made by a version that did not keep it
            wrapped = wrapped_store_key(folder.keys)
            await database.write(partial(keep_store_key, wrapped=wrapped))
        store = ChunkStore(database, FolderPacks.open(folder.packs), keys, clock=now_ms)
        await _adopt(folder, store)
        cursors = Cursors(keys.subkey(CURSOR_KEY_INFO))
        looking = Looking(database, store, cursors, folder.scratch, subkey=keys.subkey, clock=now_ms)
        closing.push_async_callback(looking.close)
        default_quota = parse_quota(settings.default_quota)
        yield Service(
            database=database,
            store=store,
            uploads=Uploads(database, clock=now_ms, default_quota=default_quota),
            looking=looking,
            admissions=Admissions(database, now_ms),
            code_use=CodeUse(database),
            cursors=cursors,
            passwords=passwords,
            wakeups=Wakeups(database),
            open_requests=OpenRequests(),
            crowd=Crowd(),
            denials=Denials(),
            heads=Heads(folder.audit_heads, keys.subkey(HEADS_KEY_INFO)),
            clock=now_ms,
            server_id=server_id,
            version=version("medical-blocks"),
            behind_proxy=settings.behind_proxy,
            tls=tls_of(folder, settings),
            retention=told(settings.keep_versions, settings.keep_trash),
            default_quota=default_quota,
            downloads=Downloads(folder.root / DOWNLOADS),
            counted=Remembered(),
        )
    finally:
        await closing.aclose()
        passwords.close()
        database.close()


async def _adopt(folder: DataFolder, store: ChunkStore) -> None:
    try:
        with folder.tended():  # a gc beside us may have packs that it will name in a moment
            adopted = await store.adopt()
    except LocalProblem as error:
        log.warning("what a killed server left is taken in at the next start: %s", error.what)
        return
    if adopted:
        log.warning("adopted packs=%d that a killed server had written but not named", adopted)


def tls_of(folder: DataFolder, settings: Settings) -> Tls | None:
    """The certificate that the settings ask for.  Raises LocalProblem: it cannot be had."""
    if not uses_tls(settings):
        return None
    if settings.tls_certificate:
        return given(Path(settings.tls_certificate), Path(settings.tls_key))
    host, _ = listen_address(settings)
    names = named(settings.tls_names)
    return automatic(folder.keys, [*names, *usual_names(host)], now=datetime.now(UTC))


@asynccontextmanager
async def listening(service: Service, settings: Settings) -> AsyncIterator[str]:
    """The URL under which the service answers while the block runs."""
    host, port = listen_address(settings)
    runner = make_runner(service, settings)
    await runner.setup()
    try:
        try:
            context = service.tls.context if service.tls else None
            await GuardedSite(runner, host, port, context, limit=connection_limit()).start()
        except OSError as error:
            raise LocalProblem(
                f"{settings.listen} cannot be listened on: {error.strerror or error}",
                hint="Another program may have this port; choose another one with --listen.",
            ) from error
        bound = runner.addresses[0]
        yield f"{'https' if service.tls else 'http'}://{f'[{bound[0]}]' if ':' in bound[0] else bound[0]}:{bound[1]}"
    finally:
        service.open_requests.end_all()
        await runner.cleanup()


@asynccontextmanager
async def watched(service: Service) -> AsyncIterator[None]:
    """While the block runs, what other processes change is noticed, and what is old is forgotten."""
    async with service.wakeups.watching(), asyncio.TaskGroup() as group:
        tasks = (
            group.create_task(_end_what_is_revoked(service), name="watch for revoked tokens"),
            group.create_task(_forget_what_is_old(service), name="forget what is old"),
            group.create_task(_count_what_codes_read(service), name="count what codes read"),
        )
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


@asynccontextmanager
async def sealed(service: Service) -> AsyncIterator[None]:
    """While the block runs, what is written into the log is sealed within a second; all of it when it ends."""
    async with asyncio.TaskGroup() as group:
        sealing = group.create_task(_seal_again_and_again(service), name="seal the log")
        try:
            yield
        finally:
            sealing.cancel()
    try:
        await _seal(service, None, is_last=True)
    except (MedicalBlocksError, OSError, DatabaseError) as error:
        log.warning("what was written last is sealed at the next start: %s", error)


async def _seal_again_and_again(service: Service) -> None:
    seen, kept = -1, service.heads.last()
    while True:
        try:
            now = service.database.data_version()
            if now != seen or service.denials.are_waiting:
                kept = await _seal(service, kept)
                seen = now
        except (MedicalBlocksError, OSError, DatabaseError) as error:  # tried again
            log.error("the log cannot be sealed, see `mb-server audit verify`: %s", error)  # noqa: TRY400 - the trace says no more
        await asyncio.sleep(SEAL_SECONDS)


async def _seal(service: Service, kept: Head | None, *, is_last: bool = False) -> Head | None:
    """is_last: whatever is new is told outside the database too."""
    database, heads = service.database, service.heads
    if service.denials.are_waiting:
        taken = service.denials.take()
        await database.write(partial(write_denials, taken=taken, now_ms=service.clock()))
    while await database.read(is_due):
        await database.write(partial(seal, now_ms=service.clock()))
    kept = heads.last() if kept is None else kept
    found = await database.read(last_seal)
    is_news = is_last and (kept is None or found.number != kept.number) and found.number > 0
    if is_news or heads.is_due(found, kept, now_ms=service.clock()):
        head = await database.read(partial(head_of, now_ms=service.clock()))
        return await asyncio.to_thread(heads.keep, head)
    return kept


@asynccontextmanager
async def tended(folder: DataFolder, settings: Settings, service: Service) -> AsyncIterator[None]:
    """While the block runs, the data is looked after in the background."""

    def collect(pause: Callable[[], None]) -> None:
        with folder.tended():
            packs, keys = FolderPacks(folder.packs), open_keys(folder.keys)
            Collector(service.database, packs, keys, clock=service.clock, pause=pause).run()

    def thin(pause: Callable[[], None]) -> None:
        Thinning(
            service.database,
            service.store,
            steps=parse_versions(settings.keep_versions),
            trash_seconds=parse_trash(settings.keep_trash),
            clock=service.clock,
            pause=pause,
        ).run()

    every_seconds = parse_span(settings.gc_every)

    def prove(pause: Callable[[], None]) -> None:
        scrub(
            service.database, FolderPacks(folder.packs), clock=service.clock, seconds=RUN_SECONDS, pause=pause
        )

    tasks = {
        "thin": Task(every_seconds, GENTLE_SHARE, thin),
        "gc": Task(every_seconds, GENTLE_SHARE, collect),
        "scrub": Task(SCRUB_EVERY_SECONDS, SCRUB_SHARE, prove),
    }
    async with asyncio.TaskGroup() as group:
        tending = group.create_task(
            tend(service.database, tasks, clock=service.clock), name="look after the data"
        )
        keeping = group.create_task(_keep_revocations_again(folder, service), name="keep who is shut out")
        try:
            yield
        finally:
            tending.cancel()
            keeping.cancel()


@asynccontextmanager
async def worked(
    folder: DataFolder,
    service: Service,
    *,
    at_once: int | None = None,
    policy: Policy = Policy(),  # noqa: B008  # frozen: one for all is one for each
) -> AsyncIterator[None]:
    """While it is open, the rules' blocks work on what is new.  at_once: runs; None: one for each core."""
    hooks = Hooks(
        service.database,
        service.store,
        service.cursors,
        folder.scratch,
        subkey=open_keys(folder.keys).subkey,
        notify=service.wakeups.notify,
        clock=service.clock,
        default_quota=service.default_quota,
        at_once=at_once,
        policy=policy,
    )
    filling = Filling(
        service.database,
        service.store,
        service.cursors,
        notify=service.wakeups.notify,
        clock=service.clock,
        default_quota=service.default_quota,
    )
    tasks = (
        asyncio.create_task(hooks.run(), name="work on what is new"),
        asyncio.create_task(filling.run(), name="fill the cohorts"),
    )
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


async def _keep_revocations_again(folder: DataFolder, service: Service) -> None:
    """Beside the database, for a restore from a backup that does not know them yet."""
    kept, seen = Revocations(epoch=0), -1
    while True:
        try:
            if (now := service.database.data_version()) != seen:
                kept = await _keep_revocations(folder, service, kept)
                seen = now
        except (MedicalBlocksError, OSError) as error:  # looked at again
            log.warning("could not keep who is shut out: %s", error)
        await asyncio.sleep(REVOCATIONS_SECONDS)


async def _keep_revocations(folder: DataFolder, service: Service, kept: Revocations) -> Revocations:
    found = await service.database.read(revocations_of)
    if found != kept:
        await asyncio.to_thread(write_revocations, folder.root / REVOKED, found)
    return found


async def _end_what_is_revoked(service: Service) -> None:
    """A token may die, or a right end, by a command beside the server: end what goes on with it within a second."""
    seen, looked_at = service.database.data_version(), frozenset[DeviceId]()
    rights = await service.database.read(rights_number)
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        service.open_requests.end_expired(now_ms=service.clock())
        devices = service.open_requests.devices()
        try:
            now = service.database.data_version()
            if now == seen and devices <= looked_at:
                continue
            look = partial(_what_ended, devices=devices, now_ms=service.clock())
            dead, of_codes, number = await service.database.read(look)
            service.open_requests.end(dead)
            for device, why in of_codes.items():
                service.open_requests.end([device], why)
            if number != rights:
                lost = partial(_lost, needed=service.open_requests.needed())
                for needed, error in await service.database.read(lost):
                    service.open_requests.end_right(needed, error)
                rights = number
            seen, looked_at = now, frozenset(devices)
        except MedicalBlocksError as error:  # busy for a moment: `seen` stays, so we look again
            log.warning("could not look for revoked tokens code=%s", error.code)


def _what_ended(
    session: Session, devices: Collection[DeviceId], *, now_ms: int
) -> tuple[set[DeviceId], dict[DeviceId, MedicalBlocksError], int]:
    """Of these devices those that were signed out, and those whose codes are over; the number of the rights."""
    ended = dead_code_devices(session, devices, now_ms=now_ms)
    return dead_among(session, devices), ended, rights_number(session)


def _lost(session: Session, needed: Sequence[Needed]) -> list[tuple[Needed, MedicalBlocksError]]:
    """Those of these rights that are no more, and what is to be said of each."""
    lost: list[tuple[Needed, MedicalBlocksError]] = []
    for one in needed:
        principal, view, action = one
        try:
            readable_view(session, principal, view.id, action)
        except (NotFound, AccessDenied) as error:
            lost.append((one, error))
    return lost


async def _count_what_codes_read(service: Service) -> None:
    while True:
        await asyncio.sleep(CODE_USE_SECONDS)
        try:
            await service.code_use.write(now_ms=service.clock())
        except MedicalBlocksError as error:  # kept for the next time
            log.warning("could not count what sync codes read code=%s", error.code)


async def _forget_what_is_old(service: Service) -> None:
    """Answers of batches that nobody repeats any more, tries of passwords long ago, leases that ran out."""
    while True:
        try:
            await service.database.write(partial(forget_old_batches, now_ms=service.clock()))
            await service.database.write(partial(forget_old_tries, now_ms=service.clock()))
            while await service.database.write(partial(forget_old_leases, ended_before_ms=service.clock())):
                pass  # some thousand at a time: commits come in between
        except MedicalBlocksError as error:
            log.warning("could not forget what is old code=%s", error.code)
        if service.tls is not None:
            try:
                service.tls.refresh(datetime.now(UTC))
            except LocalProblem:
                log.error("the certificate could not be read again, it ends at=%s", service.tls.ends_at)  # noqa: TRY400 - the trace says no more
        await asyncio.sleep(TIDY_SECONDS)


def now_ms() -> int:
    return time.time_ns() // 1_000_000
