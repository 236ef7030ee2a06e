"""Carrying out a run of a schedule: claim its slot, snapshot each VM, let go of what the plan said, log it all.

The slot is claimed in the log before anything is done, so that no slot runs twice whatever is killed. A snapshot is
deleted only after the new one of the same VM is there, and only if it still is what the plan took it for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from app import crash_points
from app.api import VM, VMSS, Failure, Message, MessageClass, Ref, VMSSRun, VMSSRunStatus
from app.api.run_errors import line_of
from app.engine.schedule_state import RUN_KEY, SCHEDULE_KEY, is_made_by, runs_of
from app.engine.tasks import Tasks
from app.log import get
from app.ops.context import Context
from app.ops.locks import is_locked
from app.ops.readiness_words import sentence
from app.schedule.plan import Kind, Run, Visit
from app.store import Transaction

log = get(__name__)

AT_ONCE: Final = 8
"""VMs of all schedules that are snapshotted at the same time (a host's disks gain nothing from more)."""
LINES_KEPT: Final = 500
"""Lines of the log that are kept of each schedule."""
GOES_ON_FOR: Final = timedelta(hours=2)
"""A run that was interrupted goes on when the engine is back within this time."""
SUCCEEDED: Final = "VMSS_SNAPSHOT_SUCCEEDED"
FAILED: Final = "VMSS_SNAPSHOT_FAILED"
RECOVERED: Final = "VMSS_SNAPSHOT_RECOVERED"
"""Ours: the first run without a failure after one with."""


_BAD: Final = (VMSSRunStatus.failure, VMSSRunStatus.partial, VMSSRunStatus.interrupted)

Implementation = Callable[[str], Callable[..., Awaitable[Any]]]
"""From a message's name to what implements it. :raise Failure: MESSAGE_METHOD_UNKNOWN."""


class Planned(msgspec.Struct, frozen=True):
    """What a run was to do with a VM, as the log keeps it."""

    vm: str
    vm_name: str
    name: str
    skip: str
    deletes: tuple[str, ...]
    delete_uuids: tuple[str, ...] = ()


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of it. `outcome` is `success`, `failure`, `skipped` or `interrupted`.

    `code` and `reason` say why not; `snapshot` is the new snapshot's uuid; `deleted` the uuids of those that went,
    `kept` by uuid why others did not; `seconds` how long it took.
    """

    outcome: str
    vm_name: str
    code: str = ""
    params: tuple[str, ...] = ()
    reason: str = ""
    snapshot: str = ""
    deleted: tuple[str, ...] = ()
    kept: dict[str, str] = {}
    seconds: float = 0.0


def pack(value: Planned | Result) -> str:
    """The text that the log keeps."""
    return msgspec.json.encode(value).decode()


def claim(context: Context, run: Run, trigger: str, missed: int = 0) -> Ref[VMSSRun]:
    """Write down that the slot is taken and what will be done. Durable when it returns."""
    plan = {context.store.get(VM, visit.vm).uuid: pack(_planned(context, visit)) for visit in run.visits}
    manual = trigger == "manual"
    with context.store.transaction() as tx:
        line = tx.create(
            VMSSRun(
                VMSS=Ref(run.schedule),
                status=VMSSRunStatus.running,
                trigger=trigger,
                slot=run.slot,
                # A run by hand takes no slot.
                dealt_with=VMSSRun().dealt_with if manual else run.slot,
                started=context.now(),
                missed=missed,
                plan=plan,
            )
        )
        _trim(context, tx, run.schedule)
    crash_points.reach("schedule.claimed")
    return line


def note(context: Context, ref: str, status: VMSSRunStatus, trigger: str, upto: datetime, missed: int = 0) -> None:
    """A line in the log without a run: slots that were missed, or that the schedule was turned on."""
    now = context.now()
    with context.store.transaction() as tx:
        add_line(context, tx, ref, status, trigger, upto, missed)
        if missed:
            vmss = tx.get(VMSS, ref)
            runs = f"{missed} runs" if missed > 1 else "A run"
            body = f"{runs} of '{vmss.name_label}' did not happen, up to {upto:%Y-%m-%d %H:%M} UTC."
            _post(context, tx, vmss, "VMSS_SNAPSHOT_MISSED_EVENT", 3, body, now)


def add_line(
    context: Context, tx: Transaction, ref: str, status: VMSSRunStatus, trigger: str, upto: datetime, missed: int = 0
) -> None:
    """As `note`, in a transaction that is open."""
    now = context.now()
    tx.create(
        VMSSRun(
            VMSS=Ref(ref), status=status, trigger=trigger, slot=upto, dealt_with=upto, started=now, finished=now,
            missed=missed,
        )
    )  # fmt: skip
    _trim(context, tx, ref)


def forget_future(context: Context, ref: str) -> datetime:
    """After a clock that was far ahead: slots from now on are not dealt with. Answer up to where they are."""
    now = context.now()
    with context.store.transaction() as tx:
        for line, known in runs_of(context, ref).items():
            if known.dealt_with > now:
                tx.update(VMSSRun, line, dealt_with=now)
        add_line(context, tx, ref, VMSSRunStatus.noted, "clock", now)
    log.warning("the clock was far ahead when this schedule ran", schedule=ref)
    return now


def _planned(context: Context, visit: Visit) -> Planned:
    uuids = tuple(context.store.get(VM, ref).uuid for ref in visit.deletes)
    return Planned(visit.vm, visit.vm_name, visit.snapshot_name, visit.skip, visit.deletes, uuids)


def _trim(context: Context, tx: Transaction, ref: str) -> None:
    """The oldest finished lines go, but never the one that knows the last slot."""
    lines = runs_of(context, ref)
    last = max(lines.values(), key=lambda line: line.dealt_with, default=None)
    excess = [line for line, record in lines.items() if record is not last and record.status != VMSSRunStatus.running]
    tx.delete_all(VMSSRun, excess[: max(0, len(lines) - LINES_KEPT)])


class _Job(msgspec.Struct, frozen=True):
    """What all VMs of a run need to know of it. Looked up once: a pool may have tens of thousands of snapshots.

    `planned` is by VM its uuid and what was to be done; `made` by VM the snapshots that are there from before a kill.
    """

    line: Ref[VMSSRun]
    vmss: VMSS
    kind: Kind
    run: str
    planned: Mapping[str, tuple[str, Planned]]
    made: Mapping[str, Ref[VM]]


class Runner:
    """Carries out runs; VMs of all of them share the limit."""

    def __init__(self, context: Context, tasks: Tasks, implementation: Implementation) -> None:
        self._context = context
        self._tasks = tasks
        self._implementation = implementation
        self._limit = asyncio.Semaphore(AT_ONCE)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Begin with no more VMs."""
        self._stopping.set()

    async def carry_out(self, line: Ref[VMSSRun], kind: Kind, visits: Sequence[Visit]) -> VMSSRunStatus:
        """Do what the claimed line says and finish it. Never raises for a VM's sake.

        When the engine is told to stop meanwhile, the line stays `running`: the next engine goes on with the rest.
        """
        job = self._job(line, kind)
        await asyncio.gather(*(self._visit(job, visit) for visit in visits))
        crash_points.reach("schedule.visited")
        if _without_result(self._context.store.get(VMSSRun, line)):
            return VMSSRunStatus.running
        return finish(self._context, line)

    def _job(self, line: Ref[VMSSRun], kind: Kind) -> _Job:
        run = self._context.store.get(VMSSRun, line)
        vmss = self._context.store.get(VMSS, run.VMSS)
        return _Job(line, vmss, kind, run.uuid, _planned_of(run), made_by_run(self._context, run.uuid))

    async def _visit(self, job: _Job, visit: Visit) -> None:
        line, (vm_uuid, planned) = job.line, job.planned[visit.vm]
        if visit.skip:
            record(self._context, line, vm_uuid, Result("skipped", visit.vm_name, reason=visit.skip))
            return
        async with self._limit:
            if self._stopping.is_set():
                return
            began = asyncio.get_running_loop().time()
            try:
                snapshot = await self._snapshot(job, visit)
            except Failure as failure:
                if self._stopping.is_set() and failure.code == "TASK_CANCELLED":
                    return
                result = Result(
                    "failure", visit.vm_name, code=failure.code,
                    params=tuple(str(param) for param in failure.params), reason=sentence(failure)[0],
                )  # fmt: skip
                record(self._context, line, vm_uuid, result)
                return
            crash_points.reach("schedule.snapshot_taken")
            going = dict(zip(planned.deletes, planned.delete_uuids, strict=True))
            deleted, kept = await self._let_go(job.vmss, going)
            uuid = self._context.store.get(VM, snapshot).uuid
            seconds = asyncio.get_running_loop().time() - began
            done = Result(
                "success", visit.vm_name, snapshot=uuid, deleted=tuple(deleted), kept=kept, seconds=round(seconds, 3)
            )
            record(self._context, line, vm_uuid, done)

    async def _snapshot(self, job: _Job, visit: Visit) -> Ref[VM]:
        vm = Ref[VM](visit.vm)
        made = job.made.get(vm)
        if made is not None:  # before a kill: it only has to be recorded
            return made
        handle = self._tasks.make(f"Async.VM.{job.kind}", f"Schedule {job.vmss.name_label}")
        handle.marks = {SCHEDULE_KEY: job.vmss.uuid, RUN_KEY: job.run}
        take = self._implementation(f"VM.{job.kind}")
        return Ref(await self._tasks.run(handle, lambda: take(vm, visit.snapshot_name)))

    async def _let_go(self, vmss: VMSS, going: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
        """Delete what the plan named, by reference its uuid, gone ones too. Each only if it is still a snapshot of this
        schedule and nobody locked it."""
        deleted: list[str] = []
        kept: dict[str, str] = {}
        for ref, uuid in going.items():
            known = self._context.store.find(VM, ref)
            if known is None:
                deleted.append(uuid)
            elif not is_made_by(known, vmss.uuid):
                kept[known.uuid] = "It is not this schedule's any more."
            elif is_locked(known, self._context.now()):
                kept[known.uuid] = "It was locked meanwhile."
            else:
                try:
                    await self._delete(vmss, Ref(ref), known.name_label)
                    deleted.append(known.uuid)
                except Failure as failure:
                    kept[known.uuid] = sentence(failure)[0]
        return deleted, kept

    async def _delete(self, vmss: VMSS, snapshot: Ref[VM], name: str) -> None:
        handle = self._tasks.make("Async.VM.uninstall", f"Schedule {vmss.name_label}: {name}")
        uninstall = self._implementation("VM.uninstall")
        await self._tasks.run(handle, lambda: uninstall(snapshot))


def record(context: Context, line: Ref[VMSSRun], uuid: str, result: Result) -> None:
    """Put the result of the VM with this uuid into the log.

    Synced with the run's end: should the power fail before, the snapshots themselves tell what was done.
    """
    with context.store.transaction(synced=False) as tx:
        tx.update(VMSSRun, line, results={**tx.get(VMSSRun, line).results, uuid: pack(result)})
    crash_points.reach("schedule.result_recorded")


def finish(context: Context, line: Ref[VMSSRun]) -> VMSSRunStatus:
    """End a line whose VMs all have a result, with the message that XenServer's clients look for."""
    run = context.store.get(VMSSRun, line)
    results = {uuid: msgspec.json.decode(text, type=Result) for uuid, text in run.results.items()}
    status = status_of([result.outcome for result in results.values()])
    with context.store.transaction() as tx:
        tx.update(VMSSRun, line, status=status, finished=context.now())
        vmss = context.store.find(VMSS, run.VMSS)
        if vmss is not None:
            tx.update(VMSS, run.VMSS, last_run_time=run.started)
            bad = {u: r for u, r in results.items() if r.outcome in ("failure", "interrupted")}
            name, priority = (FAILED, 3) if bad else (SUCCEEDED, 5)
            _post(context, tx, vmss, name, priority, _body(vmss, results, bad), context.now())
            if status is VMSSRunStatus.success and _went_wrong(context, line):
                _post(context, tx, vmss, RECOVERED, 5, f"'{vmss.name_label}' takes its snapshots again.", context.now())
    crash_points.reach("schedule.finished")
    return status


def _went_wrong(context: Context, line: Ref[VMSSRun]) -> bool:
    """Whether the run before this one, of those that did anything, failed in part or whole."""
    run = context.store.get(VMSSRun, line)
    before = [known.status for known in runs_of(context, run.VMSS).values() if known.started < run.started]
    told = [status for status in before if status in _BAD or status is VMSSRunStatus.success]
    return bool(told) and told[-1] in _BAD


def status_of(outcomes: Sequence[str]) -> VMSSRunStatus:
    """How a run went as a whole, from its VMs' outcomes."""
    if "interrupted" in outcomes:
        return VMSSRunStatus.interrupted
    good, bad = outcomes.count("success"), outcomes.count("failure")
    if bad:
        return VMSSRunStatus.partial if good else VMSSRunStatus.failure
    return VMSSRunStatus.success if good else VMSSRunStatus.skipped


def _body(vmss: VMSS, results: dict[str, Result], bad: dict[str, Result]) -> str:
    """In failures one line a VM, in the form that XenCenter reads."""
    if bad:
        return "\n".join(_error_line(uuid, result) for uuid, result in bad.items())
    taken = sum(result.outcome == "success" for result in results.values())
    return f"'{vmss.name_label}' took {taken} snapshot{'' if taken == 1 else 's'}."


def _error_line(uuid: str, result: Result) -> str:
    return line_of(result.vm_name, uuid, Failure(result.code or result.outcome.upper(), *result.params))


def _post(context: Context, tx: Transaction, vmss: VMSS, name: str, priority: int, body: str, now: datetime) -> None:
    message = Message(name=name, priority=priority, cls=MessageClass.VMSS, obj_uuid=vmss.uuid, timestamp=now, body=body)
    context.leave_message(tx, message)


def unfinished(context: Context) -> list[tuple[Ref[VMSSRun], list[Visit]]]:
    """After a kill or a hand-over: the runs to go on with, and what is left of them. Safe to repeat.

    What was done already is told by the snapshots themselves, so that no VM has its turn twice. A run that began too
    long ago is ended instead.
    """
    left: list[tuple[Ref[VMSSRun], list[Visit]]] = []
    for line, run in list(context.store.all(VMSSRun).items()):
        if run.status is not VMSSRunStatus.running:
            continue
        waiting = _without_result(run)
        if run.VMSS not in context.store.all(VMSS) or context.now() - run.started > GOES_ON_FOR:
            made = made_by_run(context, run.uuid)
            for uuid, planned in waiting.items():
                snapshot = context.store.find(VM, made.get(planned.vm, ""))
                record(context, line, uuid, _outcome_after_kill(planned, snapshot))
            waiting = {}
        if waiting:
            left.append((line, [Visit(p.vm, p.vm_name, p.name, p.skip, p.deletes) for p in waiting.values()]))
        else:
            finish(context, line)
    return left


def made_by_run(context: Context, uuid: str) -> dict[str, Ref[VM]]:
    """By VM the snapshots that the run with this uuid has made."""
    return {
        vm.snapshot_of: ref
        for ref, vm in context.store.all(VM).items()
        if vm.is_vmss_snapshot and vm.other_config.get(RUN_KEY) == uuid
    }


def _planned_of(run: VMSSRun) -> dict[str, tuple[str, Planned]]:
    """By VM its uuid and what the run was to do with it."""
    decoded = ((uuid, msgspec.json.decode(text, type=Planned)) for uuid, text in run.plan.items())
    return {planned.vm: (uuid, planned) for uuid, planned in decoded}


def _without_result(run: VMSSRun) -> dict[str, Planned]:
    """What of a run's plan has no result, by the VM's uuid."""
    left = ((uuid, text) for uuid, text in run.plan.items() if uuid not in run.results)
    return {uuid: msgspec.json.decode(text, type=Planned) for uuid, text in left}


def _outcome_after_kill(planned: Planned, snapshot: VM | None) -> Result:
    if planned.skip:
        return Result("skipped", planned.vm_name, reason=planned.skip)
    if snapshot is not None:
        return Result("success", planned.vm_name, snapshot=snapshot.uuid, reason="The engine was stopped just after.")
    return Result("interrupted", planned.vm_name, reason="The engine was stopped before its turn ended.")
