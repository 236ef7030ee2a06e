"""Schedules and their VMs as the plan needs them, from the store's records."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Final

from app.api import EPOCH, VM, VMSS, Ref, VMOperation, VMPowerState, VMSSFrequency, VMSSRun, VMSSRunStatus
from app.api.types import is_null
from app.ops.context import Context
from app.ops.locking import refusal
from app.ops.locks import is_locked
from app.schedule.fields import Definition, definition
from app.schedule.plan import Member, Schedule
from app.schedule.retention import Taken

SCHEDULE_KEY: Final = "stillframe.schedule"
"""In a snapshot's other_config: the uuid of the schedule that made it."""
RUN_KEY: Final = "stillframe.run"
"""In a snapshot's other_config: the uuid of the run that made it."""


def defined(record: VMSS) -> Definition:
    """What a schedule's fields mean. :raise Failure: INVALID_VALUE, for one that another program has damaged."""
    return _defined(record.frequency, tuple(sorted(record.schedule.items())), record.retained_snapshots)


@lru_cache(maxsize=4096)
def _defined(frequency: VMSSFrequency, entries: tuple[tuple[str, str], ...], retained: int) -> Definition:
    return definition(frequency, dict(entries), retained)


def schedule_of(ref: str, record: VMSS) -> Schedule:
    """The schedule for a plan. :raise Failure: as `defined`."""
    meant = defined(record)
    return Schedule(
        ref=ref,
        name=record.name_label,
        kind=record.type.value,
        rule=meant.rule,
        zone=meant.zone,
        retention=meant.retention,
        missed=meant.missed,
        enabled=record.enabled,
    )


def protected_by(context: Context, ref: str, record: VMSS) -> list[Ref[VM]]:
    """The VMs that the schedule protects: assigned to it, or tagged for it and assigned to no other."""
    found = [vm for vm in record.VMs if context.store.find(VM, vm) is not None]
    tags = defined(record).tags
    if tags:
        for vm, known in context.store.all(VM).items():
            if known.tags & tags and is_null(known.snapshot_schedule) and not known.is_a_template:
                found.append(vm)
    return found


def members_of(context: Context, record: VMSS, vms: Iterable[str]) -> list[Member]:
    """These VMs for a plan of the schedule. VMs that are gone are passed over."""
    only_running = defined(record).only_running
    return [
        _member(context, record, vm, known, only_running)
        for vm in vms
        if (known := context.store.find(VM, vm)) is not None
    ]


def _member(context: Context, record: VMSS, ref: str, vm: VM, only_running: bool) -> Member:
    obstacle = ""
    if only_running and vm.power_state is not VMPowerState.Running:
        obstacle = "It does not run, and this schedule takes running VMs only."
    return Member(
        vm=ref,
        name=vm.name_label,
        state=vm.power_state.value,
        taken=tuple(_taken(context, record.uuid, vm)),
        obstacle=obstacle or _obstacle(context, ref, VMOperation(record.type.value)),
    )


def _obstacle(context: Context, ref: str, op: VMOperation) -> str:
    """Why no snapshot may be taken, for reasons that waiting does not end."""
    failure = refusal(context, ref, op)
    if failure is None or failure.code in ("OTHER_OPERATION_IN_PROGRESS", "VM_BAD_POWER_STATE"):
        return ""
    if failure.code == "OPERATION_BLOCKED":
        return f"Someone has blocked this for it: {failure.params[1]}"
    return str(failure)


def _taken(context: Context, uuid: str, vm: VM) -> Iterable[Taken]:
    now = context.now()
    for ref in vm.snapshots:
        snapshot = context.store.find(VM, ref)
        if snapshot is not None and is_made_by(snapshot, uuid):
            yield Taken(ref, snapshot.snapshot_time, is_locked(snapshot, now))


def is_made_by(snapshot: VM, uuid: str) -> bool:
    """Whether the schedule with this uuid made the snapshot."""
    return snapshot.is_a_snapshot and snapshot.is_vmss_snapshot and snapshot.other_config.get(SCHEDULE_KEY) == uuid


def runs_of(context: Context, ref: str) -> dict[Ref[VMSSRun], VMSSRun]:
    """The log of a schedule, oldest first."""
    found = {run: record for run, record in context.store.all(VMSSRun).items() if ref == record.VMSS}
    return dict(sorted(found.items(), key=lambda item: _place(item[1])))


def _place(run: VMSSRun) -> tuple[datetime, bool, datetime]:
    return run.started, run.status is not VMSSRunStatus.noted, run.dealt_with


class Ledger:
    """What the logs of all schedules say, gathered once for a look at all of them."""

    def __init__(self, context: Context) -> None:
        self._dealt_with: dict[str, datetime] = {}
        self._under_way: set[str] = set()
        self._begun: dict[str, datetime] = {}
        for run in context.store.all(VMSSRun).values():
            ref = run.VMSS
            if run.dealt_with > self._dealt_with.get(ref, EPOCH):
                self._dealt_with[ref] = run.dealt_with
            if run.status is VMSSRunStatus.running:
                self._under_way.add(ref)
            if run.status is VMSSRunStatus.noted:
                self._begun[ref] = max(run.started, self._begun.get(ref, EPOCH))

    def dealt_with(self, ref: str) -> datetime:
        """The instant up to which all slots of a schedule are dealt with; the epoch for one without a log."""
        return self._dealt_with.get(ref, EPOCH)

    def is_under_way(self, ref: str) -> bool:
        """Whether a run of the schedule has not ended."""
        return ref in self._under_way

    def begun(self, ref: str) -> datetime:
        """Since when the schedule has been as it is: turned on, or changed."""
        return self._begun.get(ref, EPOCH)
