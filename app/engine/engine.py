"""The engine: opens a data folder, recovers it, and answers messages until it is closed."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from functools import partial
from pathlib import Path
from typing import IO

from app.api import VM, Blob, Console, Failure, Host, HostMetrics
from app.api.enums import ConsoleProtocol
from app.api.failure import handle_invalid
from app.api.types import Calls
from app.config import Config
from app.engine.agents import watch_agents
from app.engine.bootstrap import ensure_objects, memory_free, open_repositories
from app.engine.control_ops import MessageOps, TaskOps
from app.engine.dispatch import Dispatcher
from app.engine.event_ops import EventOps
from app.engine.guests import on_event, reconcile
from app.engine.handlers import Handlers
from app.engine.mail_ops import PoolMailOps
from app.engine.mailer import Mailer
from app.engine.pool_ops import HostOps, PoolOps, SessionOps
from app.engine.recovery import RECOVERIES, recover, sweep_overlays
from app.engine.schedules import Schedules
from app.engine.sessions import Sessions
from app.engine.tasks import Tasks
from app.engine.vmss_ops import VMScheduleOps, VMSSOps
from app.hypervisor.driver import Driver, DriverError
from app.hypervisor.qemu import QemuDriver
from app.log import get
from app.ops.coalescer import DELAY_SECONDS, CoalesceOps, Coalescer
from app.ops.context import Clock, Context, utc_now
from app.ops.device_ops import VBDOps, VIFOps
from app.ops.health_ops import SRHealthOps, VMHealthOps
from app.ops.locking import refresh, refresh_all
from app.ops.readiness import VMReadinessOps
from app.ops.screenshots import blob_path, sweep
from app.ops.storage_ops import SROps, VDIOps, refresh_sizes, scan
from app.ops.translate import failures
from app.ops.vdi_copy import VDICopyOps
from app.ops.vm_checkpoint import VMCheckpointOps
from app.ops.vm_clone import VMCloneOps
from app.ops.vm_copy import VMCopyOps
from app.ops.vm_create import VMCreateOps
from app.ops.vm_destroy import VMDestroyOps
from app.ops.vm_group import VMGroupOps
from app.ops.vm_lock import VMLockOps, lift_expired
from app.ops.vm_power import VMPowerOps
from app.ops.vm_questions import VMQuestionOps
from app.ops.vm_recreate import VMRecreateOps
from app.ops.vm_snapshot import VMSnapshotOps
from app.storage.errors import StorageError
from app.storage.file_repository import FileRepository
from app.storage.journal import Journal
from app.store import Store, StoreDamaged

log = get(__name__)
HOUSEKEEPING_SECONDS = 15.0
RESOURCES = Path(__file__).resolve().parents[2] / "resources"


class CannotOpen(Exception):
    """The data folder cannot be opened, and nothing in it was changed. `advice` says what to do."""

    def __init__(self, message: str, advice: str = "See to the cause and start again.") -> None:
        super().__init__(message)
        self.advice = advice


class DataFolderInUse(CannotOpen):
    """Another engine owns the data folder."""


class Engine:
    """One engine over one data folder. `open`, then `dispatcher.call` and `handlers`, then `close`; all in one loop."""

    def __init__(
        self,
        config: Config,
        driver: Driver | None = None,
        now: Clock = utc_now,
        *,
        merge_delay: float | None = DELAY_SECONDS,
    ) -> None:
        """`merge_delay`: seconds from a deletion until its images are merged; None: only by SR.coalesce."""
        self._config = config
        self._now = now
        self._merge_delay = merge_delay
        self._driver: Driver = driver or QemuDriver(config.data_dir, config.run_dir)
        self._lock: IO[str] | None = None
        self._store: Store | None = None
        self._background: set[asyncio.Task[None]] = set()
        self.context: Context
        self.dispatcher: Dispatcher
        self.handlers: Handlers
        self.schedules: Schedules
        self.mailer: Mailer
        self._tasks: Tasks

    async def open(self) -> None:
        """Take the folder, recover what a kill interrupted, attach to guests that are alive.

        :raise DataFolderInUse: another engine owns the folder.
        :raise CannotOpen: the database or a folder cannot be used.
        """
        self._lock = _take_lock(self._config)
        try:
            await self._open()
        except BaseException as error:
            await self._let_go()
            if isinstance(error, StoreDamaged):
                raise CannotOpen(
                    str(error), "Put back a backup of the database, or ask for help with the file."
                ) from error
            if isinstance(error, StorageError | OSError | Failure):
                raise CannotOpen(str(error)) from error
            raise

    async def close(self) -> None:
        """Finish or cancel what is under way and let go of the guests, which run on."""
        self.schedules.stop()
        await self._coalescer.close()
        await self._tasks.close()
        await self.schedules.idle()
        await self._let_go()

    async def _let_go(self) -> None:
        for task in list(self._background):
            task.cancel()
        if self._background:
            await asyncio.wait(self._background)
        await self._driver.close()
        if self._store is not None:
            self._store.close()
        self._release()

    async def read_blob(self, blob: str) -> bytes:
        """The content of a blob. :raise Failure: HANDLE_INVALID."""
        self.context.store.get(Blob, blob)
        try:
            return await asyncio.to_thread(blob_path(self.context, blob).read_bytes)
        except OSError as error:
            raise handle_invalid("blob", blob) from error

    async def screenshot(self, console: str) -> bytes:
        """The picture on a console now, PNG. :raise Failure: HANDLE_INVALID, VM_HYPERVISOR_FAILURE."""
        vm = self.context.store.get(Console, console).VM
        with failures(vm):
            return await self._driver.screenshot(self.context.store.get(VM, vm).uuid)

    def console_socket(self, console: str) -> Path:
        """The unix socket of a console: RFB for the screen, plain bytes for the serial line.

        :raise Failure: HANDLE_INVALID, VM_HYPERVISOR_FAILURE.
        """
        record = self.context.store.get(Console, console)
        uuid = self.context.store.get(VM, record.VM).uuid
        with failures(record.VM):
            if record.protocol is ConsoleProtocol.vt100:
                return self._driver.serial_socket(uuid)
            return self._driver.console_socket(uuid)

    async def _open(self) -> None:
        config = self._config
        self._store = store = Store(config.database, config.backup_dir)
        pool, host = ensure_objects(store, config)
        self.context = context = Context(
            store=store,
            driver=self._driver,
            journal=Journal(config.journal_dir),
            pool=pool,
            host=host,
            resources=RESOURCES,
            screenshots=config.screenshots_dir,
            repositories=open_repositories(store, config),
            recoveries=dict(RECOVERIES),
            background=self._background,
            now=self._now,
        )
        self._tasks = Tasks(context)
        self.schedules = Schedules(context, self._tasks, lambda name: self.dispatcher.implementation(name))
        context.start_task, context.cancel_task = self._tasks.begin, self._tasks.cancel
        self._coalescer = Coalescer(context, self._merge_delay)
        self.mailer = Mailer(context)
        self.dispatcher = _dispatcher(context, self._tasks, self.schedules, self._coalescer, self.mailer)
        self.handlers = Handlers(context, self._tasks, self.dispatcher.check_session)
        await self._driver.open(lambda event: on_event(context, event))
        states = await self._driver.attach_all()
        await recover(context)
        await reconcile(context)
        sweep(context)
        sweep_overlays(context)
        self._empty_trash()
        for sr in list(context.repositories):
            with contextlib.suppress(Failure):
                await scan(context, sr)
        refresh_all(context)
        self._start()
        log.info("the engine is open", folder=str(config.data_dir), guests=len(states))

    def _start(self) -> None:
        """Begin what goes on beside the messages."""
        self.mailer.open()
        self.schedules.open()
        for work in (self._find_facts(), _housekeeping(self.context), watch_agents(self.context)):
            self.context.in_background(asyncio.ensure_future(work))
        self._coalescer.start()

    def _empty_trash(self) -> None:
        for repository in self.context.repositories.values():
            if isinstance(repository, FileRepository):
                with contextlib.suppress(Failure), failures():
                    repository.empty_trash()

    async def _find_facts(self) -> None:
        """Try the accelerators; the window is up meanwhile, and a start waits for the same answer."""
        host = self.context.host
        try:
            facts = await self._driver.facts()
        except DriverError as error:
            log.error("no usable QEMU", error=error.message)
            found = {"accelerator": "none", "hypervisor-error": error.message}
            enabled = False
        else:
            tried = ", ".join(f"{name}: {result}" for name, result in facts.tried.items())
            found = {"qemu": facts.version, "accelerator": facts.accelerator, "accelerators-tried": tried}
            enabled = True
        with self.context.store.transaction() as tx:
            known = tx.get(Host, host)
            tx.update(Host, host, software_version={**known.software_version, **found}, enabled=enabled)

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


async def _housekeeping(context: Context) -> None:
    metrics = context.store.get(Host, context.host).metrics
    while True:
        # In steps of 64 MiB: clients need not hear of every page.
        context.store.publish(HostMetrics, metrics, memory_free=memory_free() >> 26 << 26)
        with contextlib.suppress(Failure):
            lift_expired(context)
        await asyncio.sleep(HOUSEKEEPING_SECONDS)
        refresh_sizes(context)
        context.store.reserve.restore()


def _take_lock(config: Config) -> IO[str]:
    descriptor = os.open(config.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    lock = os.fdopen(descriptor, "r+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = lock.read().strip()
        lock.close()
        raise DataFolderInUse(
            f"{config.data_dir} is in use by another Stillframe (process {owner or 'unknown'})",
            "Go to the window that is open already, or start with another --data-dir.",
        ) from error
    lock.seek(0)
    lock.truncate()
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def _dispatcher(
    context: Context, tasks: Tasks, schedules: Schedules, coalescer: Coalescer, mailer: Mailer
) -> Dispatcher:
    families = (
        VMPowerOps,
        VMSnapshotOps,
        VMCheckpointOps,
        VMRecreateOps,
        VMDestroyOps,
        VMCloneOps,
        VMCopyOps,
        VMCreateOps,
        VMQuestionOps,
        VMLockOps,
        VMGroupOps,
        VMReadinessOps,
        VMHealthOps,
        SRHealthOps,
        VDIOps,
        VDICopyOps,
        SROps,
        VBDOps,
        VIFOps,
        PoolOps,
        HostOps,
        SessionOps,
        MessageOps,
        EventOps,
    )
    operations = [family(context) for family in families]
    more: list[Calls] = [
        TaskOps(context, tasks),
        VMSSOps(context, schedules),
        VMScheduleOps(context, schedules),
        CoalesceOps(context, coalescer),
        PoolMailOps(context, mailer),
    ]
    return Dispatcher(context.store, tasks, Sessions(context), [*operations, *more], partial(refresh, context))
