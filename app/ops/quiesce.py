"""Holding a guest's file systems while its disks are switched, by the agent inside it; and letting go, always.

A Linux guest that is frozen writes nothing, hangs before long, and never lets go by itself. So the intention is in the
journal before the guest is told, a timer lets go when the budget is used up whatever else hangs, and where the agent
does not answer it is told again and again: by this engine, by the next one, for as long as the guest lives.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from app import crash_points
from app.api import VM, Failure, VMGuestMetrics
from app.hypervisor.driver import DriverError, FreezeFacts
from app.log import get
from app.ops.context import Context
from app.ops.task import current
from app.ops.translate import failures
from app.storage.journal import Entry

log = get(__name__)

FREEZE: Final = "vm_freeze"
BUDGET_SECONDS: Final = 5.0
"""How long a guest may be kept from writing; half of what Windows grants."""
THAW_SECONDS: Final = 5.0
"""How long an operation waits for the agent to let go; then it is told again in the background."""
RECOVERY_SECONDS: Final = 2.0
"""The same for an engine that starts."""
RETRY_SECONDS: Final = 3.0

CONSISTENCY: Final = "stillframe.consistency"
REASON: Final = "stillframe.consistency-reason"
FREEZE_TIME: Final = "stillframe.freeze-ms"
CRASH: Final = "crash-consistent"
FILE_SYSTEM: Final = "file-system-consistent"
INTERRUPTED: Final = "It is not certain that the guest's file systems were held while the disks switched."


FEATURE: Final = "feature-quiesce"
"""In VM_guest_metrics.other, as XenServer's guest tools once had it: the agent can hold file systems."""


def is_possible(context: Context, vm: VM) -> bool:
    """Whether an agent is there that has answered, and that can hold file systems."""
    told = context.store.find(VMGuestMetrics, vm.guest_metrics)
    return context.driver.has_agent(vm.uuid) and told is not None and told.live and FEATURE in told.other


def crash_consistent(reason: str = "") -> dict[str, str]:
    """The figures of a snapshot that shows what a power cut would have left."""
    return {CONSISTENCY: CRASH, **({REASON: reason} if reason else {})}


@asynccontextmanager
async def file_systems_held(context: Context, plan: dict[str, Any]) -> AsyncIterator[None]:
    """For the block, in which the disks switch. What came of it is then in plan["figures"].

    A guest that cannot be frozen in time is snapshotted all the same, crash-consistent, and the reason kept.

    :raise Failure: the journal cannot be written; the guest was not told anything.
    """
    if not plan["quiesce"]:
        yield
        return
    vm = str(plan["vm"])
    with failures(vm):
        entry = await asyncio.to_thread(context.journal.begin, FREEZE, vm=vm)
    freeze = _Freeze(context, vm, entry)
    try:
        crash_points.reach("vm_freeze.journaled")
        await freeze.begin()
        crash_points.reach("vm_freeze.frozen")
        yield
        freeze.switched = True
    finally:
        await freeze.end()
    crash_points.reach("vm_freeze.thawed")
    plan["figures"] = freeze.figures()


class _Freeze:
    """One freeze of one guest.

    :ivar reason: why the disks do not show held file systems; "" while all is well.
    :ivar told: the guest may have been told to freeze.
    :ivar switched: the disks have switched: letting go no longer changes what they show.
    """

    def __init__(self, context: Context, vm: str, entry: Entry) -> None:
        self.reason = ""
        self.told = True
        self.switched = False
        self._context = context
        self._vm = vm
        self._uuid = context.store.get(VM, vm).uuid
        self._entry = entry
        self._facts: FreezeFacts | None = None
        self._seconds = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._thawing: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Freeze. Never raises because of the guest: `reason` says what it did not do.

        :raise Failure: TASK_CANCELLED.
        """
        self._context.freezing.add(self._uuid)
        try:
            self._facts = await current().unless_cancelled(self._context.driver.freeze(self._uuid, BUDGET_SECONDS))
        except DriverError as error:
            self.reason = error.message
            self.told = error.cause != "state"
            # It may have frozen all the same, or be about to: it should go on before the disks switch.
            await self._let_go()
            return
        if self._facts.file_systems == 0:
            self.reason = "The guest has no file system that can be held."
        left = BUDGET_SECONDS - (time.monotonic() - self._facts.since)
        self._timer = asyncio.get_running_loop().call_later(max(left, 0.0), self._overrun)

    def _overrun(self) -> None:
        log.warning("a guest was frozen for too long and is let go", vm=self._uuid)
        if not self.switched:
            self.reason = f"The disks had not switched within {BUDGET_SECONDS:g} s, so the guest was let go first."
        self._start_thaw()

    async def end(self) -> None:
        """Let go, if that was not done before. Never raises because of the guest."""
        if self._timer is not None:
            self._timer.cancel()
        await self._let_go()

    async def _let_go(self) -> None:
        # Shielded: it goes on when we are cancelled.
        await asyncio.shield(self._start_thaw())

    def _start_thaw(self) -> asyncio.Task[None]:
        if self._thawing is None:
            self._thawing = asyncio.ensure_future(self._thaw())
            self._context.in_background(self._thawing)
        return self._thawing

    async def _thaw(self) -> None:
        try:
            count = await self._context.driver.thaw(self._uuid, THAW_SECONDS) if self.told else 0
        except DriverError as error:
            self.reason = self.reason or f"Whether the file systems had been held is not known: {error.message}"
            start_thawing(self._context, self._vm, self._entry, error.message)
            return
        if self._facts is not None:
            self._seconds = time.monotonic() - self._facts.since
            if count == 0:
                self.reason = self.reason or "The guest had let go of its file systems before the disks switched."
        self._context.freezing.discard(self._uuid)
        self._entry.end()

    def figures(self) -> dict[str, str]:
        """What a snapshot keeps of it."""
        if self._facts is None:
            return crash_consistent(self.reason)
        spent = {FREEZE_TIME: f"{self._seconds * 1000:.1f}"} if self._seconds else {}
        if self.reason:
            return {**crash_consistent(self.reason), **spent}
        held = self._facts.file_systems
        what = "its file system" if held == 1 else f"its {held} file systems"
        return {CONSISTENCY: FILE_SYSTEM, REASON: f"The guest's agent held {what} while the disks switched.", **spent}


def start_thawing(context: Context, vm: str, entry: Entry, why: str) -> None:
    """Tell a guest to let go until it does, in the background; people are told that it may hang."""
    log.warning("a guest may still be frozen", vm=vm, why=why)
    context.in_background(asyncio.ensure_future(_keep_thawing(context, vm, entry)))


async def _keep_thawing(context: Context, vm: str, entry: Entry) -> None:
    uuid = context.store.get(VM, vm).uuid
    told = False
    while not await _thawed(context, vm):
        if not told:
            told = _tell(context, vm)
        await asyncio.sleep(RETRY_SECONDS)
    context.freezing.discard(uuid)
    entry.end()


async def _thawed(context: Context, vm: str) -> bool:
    """Whether nothing is frozen any more, after one more try."""
    record = context.store.find(VM, vm)
    if record is None or context.driver.state(record.uuid) == "absent":
        return True
    if context.driver.state(record.uuid) != "running" or not context.driver.has_agent(record.uuid):
        return False
    try:
        await context.driver.thaw(record.uuid, THAW_SECONDS)
    except DriverError as error:
        log.info("a guest may still be frozen", vm=vm, error=error.message)
        return False
    return True


def _tell(context: Context, vm: str) -> bool:
    body = f"The file systems of '{context.store.get(VM, vm).name_label}' may still be held: its agent does not answer."
    try:
        with context.store.transaction() as tx:
            context.post(tx, "VM_STILL_FROZEN", 2, vm, f"{body} If the guest hangs, restart it.")
    except Failure as failure:
        log.warning("a message could not be left", error=str(failure))
    return True


async def recover(context: Context, entry: Entry) -> None:
    """Let go of a guest that an engine left frozen. Safe to repeat; waits only shortly for an agent."""
    vm = str(entry.facts["vm"])
    record = context.store.find(VM, vm)
    if record is not None and context.driver.state(record.uuid) != "absent":
        try:
            await context.driver.thaw(record.uuid, RECOVERY_SECONDS)
        except DriverError as error:
            start_thawing(context, vm, entry, error.message)
            return
        log.info("a guest was let go that an earlier engine had frozen", vm=vm)
    entry.end()


async def thaw_leftover(context: Context, uuid: str) -> None:
    """Let go of a guest that was frozen when its memory was saved, or by whoever used its agent before.

    :raise DriverError: its agent does not answer, or cannot freeze at all.
    """
    if uuid not in context.freezing and await context.driver.is_frozen(uuid) and uuid not in context.freezing:
        log.warning("a guest was found frozen and is let go", vm=uuid)
        await context.driver.thaw(uuid, THAW_SECONDS)
