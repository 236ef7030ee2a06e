"""The messages of schedules: VMSS.*, and VM.set_snapshot_schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from app.api import (
    EPOCH,
    VM,
    VMSS,
    Failure,
    Message,
    MessageClass,
    Ref,
    VMCalls,
    VMOperation,
    VMSSCalls,
    VMSSFrequency,
    VMSSRun,
    VMSSRunStatus,
    VMSSType,
)
from app.api.failure import duplicate_key, invalid_value
from app.api.types import is_null
from app.engine.schedule_runs import add_line
from app.engine.schedule_state import Ledger, members_of, runs_of, schedule_of
from app.engine.schedules import Schedules
from app.ops.context import Context, Operations
from app.ops.locking import refresh_vm
from app.ops.records import check_name, from_client
from app.schedule.fields import check_retained, checked_entries, definition, with_defaults
from app.schedule.plan import Run, preview

MOST_PREVIEWED: Final = 100


class VMSSOps(Operations, VMSSCalls):
    """Schedules. What a XenServer toolstack answered to each message is in tests/data/vmss.jsonl."""

    def __init__(self, context: Context, schedules: Schedules) -> None:
        super().__init__(context)
        self._schedules = schedules
        self._removed: dict[tuple[str, str], str] = {}

    async def create(self, record: Mapping[str, Any]) -> Ref[VMSS]:
        vmss = _complete(from_client(self.store, VMSS, record, required=("name_label", "type", "frequency")))
        with self.store.transaction() as tx:
            ref = tx.create(vmss)
            add_line(self.context, tx, ref, VMSSRunStatus.noted, "enabled", self.context.now())
        self._schedules.ring()
        return ref

    async def destroy(self, vmss: Ref[VMSS]) -> None:
        record = self.store.get(VMSS, vmss)
        if record.VMs:
            raise Failure("VMSS_HAS_VM")
        messages = [
            ref
            for ref, message in self.store.all(Message).items()
            if message.cls is MessageClass.VMSS and message.obj_uuid == record.uuid
        ]
        with self.store.transaction() as tx:
            tx.delete_all(Message, messages)
            tx.delete_all(VMSSRun, runs_of(self.context, vmss))
            tx.delete(VMSS, vmss)

    async def set_enabled(self, vmss: Ref[VMSS], value: bool) -> None:
        turned_on = value and not self.store.get(VMSS, vmss).enabled
        with self.store.transaction() as tx:
            tx.update(VMSS, vmss, enabled=value)
            if turned_on:
                add_line(self.context, tx, vmss, VMSSRunStatus.noted, "enabled", self.context.now())
        self._schedules.ring()

    async def set_type(self, vmss: Ref[VMSS], value: VMSSType) -> None:
        record = self.store.get(VMSS, vmss)
        if value is VMSSType.snapshot_with_quiesce:
            for vm in sorted(record.VMs):
                if VMOperation.snapshot_with_quiesce not in self.store.get(VM, vm).allowed_operations:
                    raise Failure("VM_SNAPSHOT_WITH_QUIESCE_NOT_SUPPORTED", vm)
        self._update(vmss, type=value)

    async def set_frequency(self, vmss: Ref[VMSS], value: VMSSFrequency) -> None:
        entries = self.store.get(VMSS, vmss).schedule
        self._update_slots(vmss, frequency=value, schedule=with_defaults(entries, value))

    async def set_schedule(self, vmss: Ref[VMSS], value: Mapping[str, str]) -> None:
        entries = self.store.get(VMSS, vmss).schedule
        self._update_slots(vmss, schedule={**entries, **checked_entries(value)})

    async def add_to_schedule(self, vmss: Ref[VMSS], key: str, value: str) -> None:
        entries = self.store.get(VMSS, vmss).schedule
        if key in entries:
            raise duplicate_key("VMSS", "schedule", vmss, key)
        before = self._removed.pop((vmss, key), None)
        try:
            added = checked_entries({key: value})
        except Failure:
            if before is not None:
                self._update_slots(vmss, schedule={**entries, key: before})
            raise
        self._update_slots(vmss, schedule={**entries, **added})

    async def remove_from_schedule(self, vmss: Ref[VMSS], key: str) -> None:
        entries = dict(self.store.get(VMSS, vmss).schedule)
        if key in entries:
            # xe changes a key by removing and adding it: a refused value must not leave the default behind.
            self._removed[vmss, key] = entries.pop(key)
            self._update_slots(vmss, schedule=entries)

    async def set_retained_snapshots(self, vmss: Ref[VMSS], value: int) -> None:
        self.store.get(VMSS, vmss)
        self._update(vmss, retained_snapshots=check_retained(value))

    async def set_last_run_time(self, vmss: Ref[VMSS], value: datetime) -> None:
        self._update(vmss, last_run_time=value)

    async def snapshot_now(self, vmss: Ref[VMSS]) -> str:
        self.store.get(VMSS, vmss)
        status = await self._schedules.run_now(vmss)
        return str(status is VMSSRunStatus.success)

    async def get_preview(self, record: Mapping[str, Any], vms: Sequence[Ref[VM]], count: int) -> list[dict[str, str]]:
        if not 0 < count <= MOST_PREVIEWED:
            raise invalid_value("count", count)
        for vm in vms:
            self.store.get(VM, vm)
        uuid = record.get("uuid", "")
        known = self.store.by_uuid(VMSS, uuid) if isinstance(uuid, str) and uuid else None
        rest = {key: value for key, value in record.items() if key != "uuid"}
        vmss = _complete(from_client(self.store, VMSS, rest, required=("type", "frequency")))
        vmss = msgspec.structs.replace(vmss, uuid=str(uuid))
        schedule = schedule_of(known or "", vmss)
        done = Ledger(self.context).dealt_with(known) if known is not None else EPOCH
        runs = preview(schedule, members_of(self.context, vmss, vms), done, self.context.now(), count)
        return [_previewed(run, schedule.zone.key, run.slot.astimezone(schedule.zone)) for run in runs]

    def _update_slots(self, vmss: Ref[VMSS], **fields: Any) -> None:
        """Change when it runs: slots of the new rule that are past already are not made up for."""
        record = msgspec.structs.replace(self.store.get(VMSS, vmss), **fields)
        definition(record.frequency, record.schedule, record.retained_snapshots)
        with self.store.transaction() as tx:
            tx.update(VMSS, vmss, **fields)
            add_line(self.context, tx, vmss, VMSSRunStatus.noted, "changed", self.context.now())
        self._schedules.ring()

    def _update(self, vmss: Ref[VMSS], **fields: Any) -> None:
        with self.store.transaction() as tx:
            tx.update(VMSS, vmss, **fields)
        self._schedules.ring()


def _complete(vmss: VMSS) -> VMSS:
    """The record with checked entries and defaults. :raise Failure: INVALID_VALUE."""
    check_name(vmss.name_label)
    check_retained(vmss.retained_snapshots)
    entries = with_defaults(checked_entries(vmss.schedule, vmss.frequency), vmss.frequency)
    definition(vmss.frequency, entries, vmss.retained_snapshots)
    return msgspec.structs.replace(vmss, schedule=entries, last_run_time=EPOCH)


def _previewed(run: Run, zone: str, local: datetime) -> dict[str, str]:
    visits = [
        {"vm": visit.vm, "name": visit.snapshot_name, "skip": visit.skip, "deletes": list(visit.deletes)}
        for visit in run.visits
    ]
    return {
        "slot": run.slot.astimezone(UTC).isoformat(),
        "local": local.isoformat(),
        "zone": zone,
        "visits": msgspec.json.encode(visits).decode(),
    }


class VMScheduleOps(Operations, VMCalls):
    """Which schedule protects a VM."""

    def __init__(self, context: Context, schedules: Schedules) -> None:
        super().__init__(context)
        self._schedules = schedules

    async def set_snapshot_schedule(self, vm: Ref[VM], value: Ref[VMSS]) -> None:
        record = self.store.get(VM, vm)
        if not is_null(value) and self.store.find(VMSS, value) is None:
            raise Failure("INVALID_VALUE", value)
        if record.is_control_domain:
            raise Failure("INVALID_VALUE", vm)
        if record.is_a_template or record.is_a_snapshot:
            raise Failure("VM_IS_TEMPLATE", vm)
        with self.store.transaction() as tx:
            tx.update(VM, vm, snapshot_schedule=value)
        refresh_vm(self.context, vm)
        self._schedules.ring()
