"""The background merging: finds what is due, does it one at a time, and tells what waits for what.

A few seconds after something changed it looks for hidden images with one child left, and merges them, the longest
chains first. A merge that fails is tried again after a minute; one that a client cancelled waits for SR.coalesce or the
next start.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from app.api import SR, VM, Failure, Ref, SRCalls, Task
from app.api.failure import internal_error, task_cancelled
from app.api.types import StringMap
from app.log import get
from app.ops.coalesce import Merge
from app.ops.context import Context, Operations
from app.ops.merge_run import GaveWay, Waits, follow, run, shown
from app.ops.merge_survey import survey, vm_of
from app.ops.merging import Running, words
from app.ops.task import current
from app.storage.file_repository import FileRepository
from app.storage.journal import Entry

log = get(__name__)

TASK: Final = "SR.coalesce"
DELAY_SECONDS: Final = 5.0
"""From a change until merging begins, so that whoever deletes ten snapshots is not met by a merge at the second."""
RETRY_SECONDS: Final = 60.0
GAVE_WAY_SECONDS: Final = 0.1
GAVE_WAY_TURNS: Final = 300
"""So often, at this distance, SR.coalesce looks whether what a merge gave way to has ended."""
GAVE_WAY: Final = "It gave way to another operation on the VM and goes on soon."


class Coalescer:
    """The merges of one engine."""

    def __init__(self, context: Context, delay: float | None = DELAY_SECONDS) -> None:
        """Nothing is merged by itself with no `delay` (seconds), only by SR.coalesce."""
        self._context = context
        self._delay = delay
        self._changed = asyncio.Event()
        self._turn = asyncio.Lock()
        self._reasons: dict[str, str] = {}
        self._not_before: dict[str, float] = {}
        self._closed = False

    def start(self) -> None:
        """Begin to merge in the background, and follow what guests went on with."""
        left, self._context.merging.left = self._context.merging.left, []
        for entry in left:
            self._adopt(entry)
        if self._delay is not None:
            self._context.store.on_change(self._changed.set)
            self._changed.set()
            self._context.in_background(asyncio.ensure_future(self._work(self._delay)))

    async def close(self) -> None:
        """Stop, and begin nothing more."""
        self._closed = True
        for running in list(self._context.merging.running):
            running.leave = True
            running.give_way.set()
            await running.stopped.wait()

    async def _work(self, delay: float) -> None:
        while not self._closed:
            patience = RETRY_SECONDS if self._not_before or self._context.merging.stuck else None
            try:
                async with asyncio.timeout(patience):
                    await self._changed.wait()
            except TimeoutError:
                pass
            await asyncio.sleep(delay)
            self._changed.clear()
            try:
                await self._round()
            except Exception:
                log.exception("merging goes on later")

    async def _round(self) -> None:
        """Merge what can be, one after the other; each time the most pressing."""
        for entry in list(self._context.merging.stuck):
            with contextlib.suppress(Failure):
                async with self._context.alone_with_all(words(entry, "vms")):
                    log.info("a merge is settled", entry=entry.id)
        for sr, repository in list(self._context.repositories.items()):
            if isinstance(repository, FileRepository):
                while (merge := next(iter(await self._ready(sr)), None)) is not None:
                    try:
                        await self._merge(merge)
                    except Failure as failure:
                        log.info("a merge waits", vdi=merge.vdi, error=str(failure))

    async def _ready(self, sr: str) -> list[Merge]:
        now = asyncio.get_running_loop().time()
        due = await survey(self._context, sr)
        known = {merge.vdi for merge in due}
        self._reasons = {vdi: reason for vdi, reason in self._reasons.items() if vdi in known}
        self._not_before = {vdi: time for vdi, time in self._not_before.items() if vdi in known}
        return [merge for merge in due if not merge.blocked and self._not_before.get(merge.vdi, 0) <= now]

    async def _merge(self, merge: Merge) -> None:
        """Do one merge as a task and wait for its end. :raise Failure: why it did not happen."""
        async with self._turn:
            running = Running(merge.sr, merge.vdi, merge.images, merge.vms)
            await self._as_task(running, lambda: run(self._context, merge, running))

    def _adopt(self, entry: Entry) -> None:
        """Follow a merge that its guest went on with while there was no engine."""
        sr, vdi = str(entry.facts["sr"]), str(entry.facts["base_vdi"])
        running = Running(sr, vdi, frozenset(words(entry, "images")), frozenset(words(entry, "vms")))
        self._context.merging.running.add(running)

        async def work() -> None:
            with contextlib.suppress(Failure):
                await self._as_task(running, lambda: follow(self._context, entry, running))

        self._context.in_background(asyncio.ensure_future(work()))

    async def _as_task(self, running: Running, work: Callable[[], Awaitable[None]]) -> None:
        if self._closed or self._context.start_task is None:
            raise task_cancelled("")
        outcome: asyncio.Future[Failure | None] = asyncio.get_running_loop().create_future()
        self._context.merging.running.add(running)
        vm = vm_of(self._context, running.vms)
        record = self._context.store.find(VM, vm)
        self._context.start_task(
            TASK,
            lambda: self._work_on(running, work, outcome),
            description=f"Merging disk images of “{record.name_label}”" if record else "Merging disk images",
            other_config={"vm": vm, "vdi": running.vdi, "sr": running.sr},
        )
        try:
            failure = await asyncio.shield(outcome)
        except asyncio.CancelledError:
            running.give_way.set()
            await running.stopped.wait()
            raise
        if failure is not None:
            raise failure

    async def _work_on(
        self, running: Running, work: Callable[[], Awaitable[None]], outcome: asyncio.Future[Failure | None]
    ) -> None:
        running.task = current().ref
        failure: Failure | None = None
        try:
            with shown(self._context, running.vdi, running.task):
                await self._noting(running, work)
        except BaseException as error:
            failure = error if isinstance(error, Failure) else internal_error(str(error))
            raise
        finally:
            self._context.merging.running.discard(running)
            running.stopped.set()
            outcome.set_result(failure)

    async def _noting(self, running: Running, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work, and remember why it did not happen and when to try again."""
        try:
            await work()
        except GaveWay:
            self._postpone(running.vdi, GAVE_WAY, self._delay or 0)
            raise task_cancelled(running.task) from None
        except Waits as reason:
            self._postpone(running.vdi, str(reason), RETRY_SECONDS)
            raise task_cancelled(running.task) from None
        except Failure as failure:
            cancelled = failure.code == "TASK_CANCELLED"
            self._postpone(running.vdi, "It was cancelled." if cancelled else self._cause(failure), RETRY_SECONDS)
            if cancelled:
                self._not_before[running.vdi] = float("inf")
            raise
        self._reasons.pop(running.vdi, None)
        self._not_before.pop(running.vdi, None)

    def _cause(self, failure: Failure) -> str:
        """Why it did not happen; behind a merge that is stuck, why that one is."""
        if failure.code == "OPERATION_NOT_ALLOWED" and self._context.merging.stuck:
            return f"An earlier merge cannot be finished: {self._context.merging.why_stuck}"
        return _sentence(failure)

    def _postpone(self, vdi: str, reason: str, seconds: float) -> None:
        self._reasons[vdi] = reason
        self._not_before[vdi] = asyncio.get_running_loop().time() + seconds

    async def coalesce(self, sr: str) -> None:
        """Merge all that can be in a repository. :raise Failure: that of the first merge that could not be done."""
        failure: Failure | None = None
        tried: set[str] = set()
        gave_way: set[str] = set()
        turns = GAVE_WAY_TURNS
        while True:
            current().check()
            known = await survey(self._context, sr)
            ready = [merge for merge in known if not merge.blocked and merge.vdi not in tried]
            if not ready and turns and any(merge.vdi in gave_way for merge in known):
                # What it gave way to is still under way.
                turns -= 1
                await asyncio.sleep(GAVE_WAY_SECONDS)
                continue
            if not ready:
                break
            current().describe(f"{len(ready)} to merge")
            try:
                await current().unless_cancelled(self._merge(ready[0]))
            except Failure as error:
                current().check()
                # One that gave way is taken up again as soon as the VM is free.
                if self._reasons.get(ready[0].vdi) == GAVE_WAY:
                    gave_way.add(ready[0].vdi)
                else:
                    tried.add(ready[0].vdi)
                    # Those after it may only have met what the first one left unsettled.
                    failure = failure or (None if error.code == "TASK_CANCELLED" else error)
        if failure is not None:
            raise failure

    async def pending(self, sr: str) -> dict[str, StringMap]:
        """What waits to be merged in a repository, and for what; see SR.get_pending_merges."""
        running = {r.vdi: r for r in self._context.merging.running}
        return {merge.vdi: self._state(merge, running.get(merge.vdi)) for merge in await survey(self._context, sr)}

    def _state(self, merge: Merge, running: Running | None) -> StringMap:
        about = {"vm": vm_of(self._context, merge.vms), "size": str(merge.size)}
        if running is not None:
            task = self._context.store.find(Task, running.task)
            progress = f"{task.progress:.2f}" if task is not None else "0.00"
            return {**about, "state": "running", "reason": "", "task": running.task, "progress": progress}
        if merge.blocked:
            return {**about, "state": "blocked", "reason": merge.blocked}
        reason = self._reasons.get(merge.vdi, "It begins in a few seconds.")
        return {**about, "state": "waiting", "reason": reason}


def _sentence(failure: Failure) -> str:
    said = [part for part in failure.params if part and " " in part]
    return ": ".join(said[:2]) or failure.code


class CoalesceOps(Operations, SRCalls):
    """SR.coalesce and SR.get_pending_merges."""

    def __init__(self, context: Context, coalescer: Coalescer) -> None:
        super().__init__(context)
        self._coalescer = coalescer

    async def coalesce(self, sr: Ref[SR]) -> None:
        self.context.files(sr)
        await self._coalescer.coalesce(sr)

    async def get_pending_merges(self, sr: Ref[SR]) -> Mapping[str, StringMap]:
        self.context.files(sr)
        return await self._coalescer.pending(sr)
