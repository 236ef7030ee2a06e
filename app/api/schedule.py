"""VMSS: a snapshot schedule, and the log of its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from app.api.enums import VMSSFrequency, VMSSRunStatus, VMSSType
from app.api.types import EPOCH, NO_REFS, NULL, Calls, Record, Ref, StringMap, message, rc, reverse, ro, rw, xen_class

if TYPE_CHECKING:
    from app.api.vm import VM


class VMSSCalls(Calls):
    """The messages of a schedule.

    The map `schedule` has XenAPI's keys `min` (0, 15, 30, 45), `hour` (0 to 23) and `days` (full English names, commas
    between), as the frequency needs, and on this engine also:

    `stillframe.cron`: five cron fields, in place of the three; `stillframe.times`: several times of day, `09:00,17:30`,
    in place of hour and min; `stillframe.zone`: whose clock counts, the server's if absent; `stillframe.window`: only
    between these times, `22:00-06:00`; `stillframe.keep`: beside the newest, `hourly=24,daily=7,weekly=4,monthly=12`;
    `stillframe.max-age-days`: nothing older; `stillframe.missed`: `run-once` (default) or `skip`; `stillframe.tags`:
    also VMs with one of these tags; `stillframe.only-running`: `true` leaves other VMs out.
    """

    @message(errors=("INVALID_VALUE", "FIELD_TYPE_ERROR"))
    async def create(self, record: Mapping[str, Any]) -> Ref["VMSS"]:
        """Make a schedule from `name_label`, `type`, `frequency` and other settable fields."""

    @message(errors=("VMSS_HAS_VM",))
    async def destroy(self, vmss: Ref["VMSS"]) -> None:
        """Remove a schedule that protects no VM, with its messages and its log. Snapshots stay."""

    @message()
    async def set_enabled(self, vmss: Ref["VMSS"], value: bool) -> None:
        """Turn the schedule on or off. What it missed while off is not made up for."""

    @message(errors=("VM_SNAPSHOT_WITH_QUIESCE_NOT_SUPPORTED",))
    async def set_type(self, vmss: Ref["VMSS"], value: VMSSType) -> None:
        """Change what it takes."""

    @message()
    async def set_frequency(self, vmss: Ref["VMSS"], value: VMSSFrequency) -> None:
        """Change how often it runs; keys that do not belong to it go, missing ones get their defaults."""

    @message(errors=("INVALID_VALUE",))
    async def set_schedule(self, vmss: Ref["VMSS"], value: StringMap) -> None:
        """Merge these keys into the map."""

    @message(errors=("INVALID_VALUE", "MAP_DUPLICATE_KEY"))
    async def add_to_schedule(self, vmss: Ref["VMSS"], key: str, value: str) -> None:
        """Add a key. Where the value is refused and the key was removed just before, its old value is back."""

    @message()
    async def remove_from_schedule(self, vmss: Ref["VMSS"], key: str) -> None:
        """Remove a key; its default holds."""

    @message(errors=("INVALID_VALUE",))
    async def set_retained_snapshots(self, vmss: Ref["VMSS"], value: int) -> None:
        """Change how many newest snapshots of each VM are kept, 1 to 10."""

    @message()
    async def set_last_run_time(self, vmss: Ref["VMSS"], value: datetime) -> None:
        """Set when it last ran; for tools that run schedules themselves."""

    @message(errors=("OPERATION_NOT_ALLOWED",))
    async def snapshot_now(self, vmss: Ref["VMSS"]) -> str:
        """Run it now, and answer `True` when every VM was snapshotted, `False` otherwise."""

    @message(errors=("INVALID_VALUE", "FIELD_TYPE_ERROR"), read_only=True, extension=True)
    async def get_preview(self, record: Mapping[str, Any], vms: Sequence[Ref["VM"]], count: int) -> Sequence[StringMap]:
        """The next runs, at most 100, of a schedule with these fields over these VMs, as they will be carried out.

        `uuid` in the record names the schedule whose snapshots count. Each run has `slot` (UTC) and `local` (ISO),
        `zone`, and `visits`: JSON, a list of objects with `vm`, `name`, `skip` (why nothing is taken) and `deletes`
        (refs, those of snapshots still to come beginning with `new:`).
        """


@xen_class("VMSS", VMSSCalls)
class VMSS(Record, frozen=True, kw_only=True):
    """A snapshot schedule of the pool."""

    name_label: Annotated[str, rw("name")] = ""
    name_description: Annotated[str, rw("description")] = ""
    enabled: Annotated[bool, rc("it runs")] = True
    type: Annotated[VMSSType, rc("what it takes")] = VMSSType.snapshot
    retained_snapshots: Annotated[int, rc("how many to keep of each VM, 1 to 10")] = 7
    frequency: Annotated[VMSSFrequency, rc("how often")] = VMSSFrequency.daily
    schedule: Annotated[StringMap, rc("`min`, `hour`, `days` as the frequency needs")] = {}
    last_run_time: Annotated[datetime, ro("last run, UTC")] = EPOCH
    VMs: Annotated[frozenset[Ref["VM"]], reverse("VM.snapshot_schedule", "the VMs it protects")] = NO_REFS


@xen_class("VMSS_run")
class VMSSRun(Record, frozen=True, kw_only=True):
    """A line in the log of a schedule: a run with its outcome for each VM, or slots that were missed. Ours."""

    VMSS: Annotated[Ref["VMSS"], ro("the schedule")] = NULL
    status: Annotated[VMSSRunStatus, ro("how it ended")] = VMSSRunStatus.running
    trigger: Annotated[str, ro("`schedule`, `late` or `manual`; `missed` or `enabled` for a line without a run")] = ""
    slot: Annotated[datetime, ro("when it was due, UTC")] = EPOCH
    dealt_with: Annotated[datetime, ro("all slots up to this instant are dealt with, UTC")] = EPOCH
    started: Annotated[datetime, ro("when it began, UTC")] = EPOCH
    finished: Annotated[datetime, ro("when it ended, UTC")] = EPOCH
    missed: Annotated[int, ro("how many slots were missed before")] = 0
    plan: Annotated[StringMap, ro("by VM uuid, what was to be done, as JSON")] = {}
    results: Annotated[StringMap, ro("by VM uuid, what came of it, as JSON")] = {}
