"""What every operation works with: the store, the repositories, the driver, the journal and the locks."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from app.api import SR, VM, Failure, Host, Message, MessageClass, Pool, Ref
from app.api.failure import not_allowed, storage_failure
from app.hypervisor.driver import Driver
from app.log import get
from app.ops.merging import Merging
from app.ops.task import TaskHandle
from app.storage.file_repository import FileRepository
from app.storage.iso_repository import IsoRepository
from app.storage.journal import Entry, Journal
from app.store import Store, Transaction

Clock = Callable[[], datetime]
Recovery = Callable[["Context", Entry], Awaitable[None]]
"""Completes or undoes an interrupted change from its journal entry, and ends the entry. Safe to repeat."""
MESSAGES_KEPT = 10_000


class StartTask(Protocol):
    """Does work as a task of its own, which clients see; see `app.engine.tasks`."""

    def __call__(
        self, label: str, work: Callable[[], Awaitable[Any]], *, description: str, other_config: Mapping[str, str]
    ) -> TaskHandle: ...


log = get(__name__)


def utc_now() -> datetime:
    """The clock, UTC."""
    return datetime.now(UTC)


@dataclass
class Context:
    """Handed to every class of operations when the engine starts."""

    store: Store
    driver: Driver
    journal: Journal
    pool: Ref[Pool]
    host: Ref[Host]
    resources: Path
    screenshots: Path
    now: Clock = utc_now
    repositories: dict[str, FileRepository | IsoRepository] = field(default_factory=dict)
    recoveries: dict[str, Recovery] = field(default_factory=dict)
    unsettled: dict[str, list[Entry]] = field(default_factory=dict)
    expected_stops: set[str] = field(default_factory=set)
    freezing: set[str] = field(default_factory=set)
    """Uuids of VMs whose file systems an operation of ours holds, or is about to."""
    background: set[asyncio.Task[None]] = field(default_factory=set)
    merging: Merging = field(default_factory=Merging)
    start_task: StartTask | None = None
    cancel_task: Callable[[str], None] | None = None
    on_message: Callable[[Ref[Message], Message], None] | None = None
    """Told of each message that is left, before its transaction has ended."""
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict)
    _users: Counter[str] = field(default_factory=Counter)

    def files(self, sr: str) -> FileRepository:
        """The repository of disk images behind an SR. :raise Failure: the SR holds no disk images."""
        repository = self.repositories.get(sr)
        if isinstance(repository, FileRepository):
            return repository
        self.store.get(SR, sr)
        raise Failure("SR_OPERATION_NOT_SUPPORTED", sr)

    def isos(self, sr: str) -> IsoRepository:
        """The folder of ISO files behind an SR. :raise Failure: the SR is none."""
        repository = self.repositories.get(sr)
        if isinstance(repository, IsoRepository):
            return repository
        self.store.get(SR, sr)
        raise Failure("SR_OPERATION_NOT_SUPPORTED", sr)

    @asynccontextmanager
    async def alone_with(self, vm: str, *, to_end: bool = False) -> AsyncIterator[None]:
        """One change of a VM's disks or process at a time; the others wait their turn.

        :param to_end: only to end the guest. That must be possible whatever is unsettled: a QEMU that does not answer
            may be the reason.
        :raise Failure: an earlier change could not be completed or undone, and still cannot.
        """
        async with self._lock(vm):
            await self.merging.give_way(self.store, vm)
            try:
                await self._settle_all(vm)
            except Failure:
                if not to_end:
                    raise
            yield

    @asynccontextmanager
    async def alone_with_all(self, vms: Iterable[str]) -> AsyncIterator[None]:
        """As `alone_with` for several VMs, for a merge: it stops no merge, and holds none of them while it waits.

        :raise Failure: as `alone_with`.
        """
        wanted = sorted(set(vms))
        while busy := next((vm for vm in wanted if self._users[vm]), None):
            async with self._lock(busy):
                pass
        async with AsyncExitStack() as stack:
            for vm in wanted:
                await stack.enter_async_context(self._lock(vm))  # at once: nobody has it or waits for it
            for vm in wanted:
                await self._settle_all(vm)
            yield

    @asynccontextmanager
    async def _lock(self, vm: str) -> AsyncIterator[None]:
        self._users[vm] += 1
        try:
            async with self._locks.setdefault(vm, asyncio.Lock()):
                yield
        finally:
            self._users[vm] -= 1

    async def _settle_all(self, vm: str) -> None:
        for entry in self.unsettled.pop(vm, []):
            await self.settle(vm, entry)
        for entry in self.merging.stuck_with(self.store, vm):
            await self.recoveries[entry.op](self, entry)
        if vm in self.unsettled or self.merging.stuck_with(self.store, vm):
            raise not_allowed("An earlier operation on this VM is still unsettled; see the log")

    async def settle(self, vm: str, entry: Entry) -> None:
        """Complete or undo an interrupted change now, or remember that it has to be before the next one.

        Never raises: whatever keeps it from settling, the next change of this VM must not begin before it.
        """
        async with self._locks.setdefault(entry.id, asyncio.Lock()):
            # One at a time: several VMs may wait for one entry.
            try:
                await self.recoveries[entry.op](self, entry)
            except Failure as failure:
                log.error("an interrupted change cannot be settled yet", op=entry.op, vm=vm, error=str(failure))
                self.hold_back(entry, vm)
            except Exception:
                log.exception("an interrupted change cannot be settled yet", op=entry.op, vm=vm)
                self.hold_back(entry, vm)
            else:
                self._locks.pop(entry.id, None)
                self._forget(entry)

    def hold_back(self, entry: Entry, vm: str = "") -> None:
        """Remember that an entry has to be settled before anything else is done to the VMs it is about."""
        named = entry.facts.get("vms", [entry.facts.get("vm", vm)])
        for ref in named if isinstance(named, list) else []:
            if isinstance(ref, str) and ref and entry not in self.unsettled.setdefault(ref, []):
                self.unsettled[ref].append(entry)

    def _forget(self, entry: Entry) -> None:
        """It is settled: the other VMs that it is about need not ask again."""
        for vm in [vm for vm, entries in self.unsettled.items() if entry in entries]:
            self.unsettled[vm].remove(entry)
            if not self.unsettled[vm]:
                del self.unsettled[vm]

    def post(
        self, tx: Transaction, name: str, priority: int, vm: str, body: str, cls: MessageClass = MessageClass.VM
    ) -> None:
        """Leave a message about a VM, as part of the transaction that makes it true."""
        uuid = tx.get(VM, vm).uuid
        self.leave_message(
            tx, Message(name=name, priority=priority, cls=cls, obj_uuid=uuid, timestamp=self.now(), body=body)
        )

    def leave_message(self, tx: Transaction, message: Message) -> Ref[Message]:
        """Keep a message; when there are too many, the oldest go."""
        known = self.store.all(Message)
        if len(known) >= MESSAGES_KEPT:
            # Some at once, so that not every message has to look for the oldest.
            oldest = sorted(known, key=lambda ref: known[ref].timestamp)
            tx.delete_all(Message, oldest[: len(known) - MESSAGES_KEPT + MESSAGES_KEPT // 100 + 1])
        ref = tx.create(message)
        if self.on_message is not None:
            self.on_message(ref, message)
        return ref

    def in_background(self, work: asyncio.Task[None]) -> None:
        """Keep a task alive that nobody waits for; the engine ends it when it closes."""
        self.background.add(work)
        work.add_done_callback(self.background.discard)

    def default_sr(self) -> Ref[SR]:
        """Where new disks go. :raise Failure: DEFAULT_SR_NOT_FOUND."""
        sr = self.store.get(Pool, self.pool).default_SR
        if self.store.find(SR, sr) is None:
            raise Failure("DEFAULT_SR_NOT_FOUND", sr)
        return sr


class Operations:
    """Base of the classes that implement messages."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.store = context.store


def no_space(detail: str) -> Failure:
    """The storage is full."""
    return storage_failure(44, "There is insufficient space", detail)
