"""What every operation works with: the store, the repositories, the driver, the journal and the locks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from app.api import SR, VM, Failure, Host, Message, MessageClass, Pool, Ref
from app.api.failure import not_allowed, storage_failure
from app.hypervisor.driver import Driver
from app.log import get
from app.storage.file_repository import FileRepository
from app.storage.iso_repository import IsoRepository
from app.storage.journal import Entry, Journal
from app.store import Store, Transaction

Clock = Callable[[], datetime]
Recovery = Callable[["Context", Entry], Awaitable[None]]
"""Completes or undoes an interrupted change from its journal entry, and ends the entry. Safe to repeat."""
MESSAGES_KEPT = 10_000
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
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict)

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
    async def alone_with(self, vm: str) -> AsyncIterator[None]:
        """One change of a VM's disks or process at a time; the others wait their turn.

        :raise Failure: an earlier change could not be completed or undone, and still cannot.
        """
        lock = self._locks.setdefault(vm, asyncio.Lock())
        async with lock:
            for entry in self.unsettled.pop(vm, []):
                await self.settle(vm, entry)
            if vm in self.unsettled:
                raise not_allowed("An earlier operation on this VM is still unsettled; see the log")
            yield

    async def settle(self, vm: str, entry: Entry) -> None:
        """Complete or undo an interrupted change now, or remember that it has to be before the next one.

        Never raises: whatever keeps it from settling, the next change of this VM must not begin before it.
        """
        try:
            await self.recoveries[entry.op](self, entry)
        except Failure as failure:
            log.error("an interrupted change cannot be settled yet", op=entry.op, vm=vm, error=str(failure))
            self.unsettled.setdefault(vm, []).append(entry)
        except Exception:
            log.exception("an interrupted change cannot be settled yet", op=entry.op, vm=vm)
            self.unsettled.setdefault(vm, []).append(entry)

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
        return tx.create(message)

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
