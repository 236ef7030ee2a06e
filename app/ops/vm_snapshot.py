"""VM.snapshot: freeze all disks of a VM at one instant, whatever it is doing.

Order: journal, overlays written and synced, one switch of all disks in QEMU, old files made read-only, one store
transaction, journal end. After a kill in between, adopting the overlays is always right: an empty overlay shows what
its parent holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec

from app import crash_points
from app.api import (
    NULL,
    VDI,
    VIF,
    VM,
    Record,
    Ref,
    VBDType,
    VMCalls,
    VMGuestMetrics,
    VMMetrics,
    VMOperation,
    VMPowerState,
)
from app.api.types import is_null, new_ref, new_uuid
from app.hypervisor.driver import DiskSwitch
from app.log import get
from app.ops.context import Context, Operations
from app.ops.disks import Disk, all_drives, disks
from app.ops.locking import operation, refresh_vdi, refresh_vm
from app.ops.quiesce import CONSISTENCY, FILE_SYSTEM, INTERRUPTED, crash_consistent, file_systems_held
from app.ops.readiness import readiness
from app.ops.screenshots import keep_screenshot
from app.ops.snapshot_metadata import pack, without_figures
from app.ops.task import current
from app.ops.translate import failures
from app.storage.errors import StorageError
from app.storage.file_repository import FileRepository
from app.storage.journal import Entry
from app.store import Transaction

log = get(__name__)
R = TypeVar("R", bound=Record)

SNAPSHOT: Final = "vm_snapshot"
STALL_KEY: Final = "stillframe.stall-ms"
WITH_GUEST: Final = (VMPowerState.Running, VMPowerState.Paused)
CLEARED: Final[Mapping[str, Any]] = {
    "suspend_VDI": NULL,
    "resident_on": NULL,
    "scheduled_to_be_resident_on": NULL,
    "domid": -1,
    "domarch": "",
    "consoles": frozenset(),
    "blobs": {},
    "blocked_operations": {},
    "allowed_operations": frozenset(),
    "current_operations": {},
    "snapshot_schedule": NULL,
    "suspend_SR": NULL,
    "order": 0,
    "start_delay": 0,
    "shutdown_delay": 0,
    "version": 0,
    "VBDs": frozenset(),
    "VIFs": frozenset(),
    "snapshots": frozenset(),
    "children": frozenset(),
    "is_default_template": False,
}


class VMSnapshotOps(Operations, VMCalls):
    """VM.snapshot and VM.snapshot_with_quiesce."""

    async def snapshot_with_quiesce(self, vm: Ref[VM], new_name: str) -> Ref[VM]:
        self.store.get(VM, vm)
        async with operation(self.context, (vm, VMOperation.snapshot_with_quiesce)), self.context.alone_with(vm):
            return await take(self.context, vm, new_name, quiesce=True)

    async def snapshot(self, vm: Ref[VM], new_name: str, ignore_vdis: Sequence[Ref[VDI]] = ()) -> Ref[VM]:
        self.store.get(VM, vm)
        for vdi in ignore_vdis:
            self.store.get(VDI, vdi)
        async with operation(self.context, (vm, VMOperation.snapshot)), self.context.alone_with(vm):
            return await take(self.context, vm, new_name, frozenset(ignore_vdis))


async def take(
    context: Context, vm: str, name: str, ignored: frozenset[str] = frozenset(), *, quiesce: bool = False
) -> Ref[VM]:
    """Take the snapshot; the caller holds the VM. :raise Failure: nothing has changed then."""
    chosen = [(disk, vdi) for disk, vdi in disks(context.store, vm) if disk.vdi_ref not in ignored]
    op = VMOperation.snapshot_with_quiesce if quiesce else VMOperation.snapshot
    (await readiness(context, vm, op, ignored, claimed=True)).require()
    with_guest = context.store.get(VM, vm).power_state in WITH_GUEST
    plan = {**new_plan(context, name, chosen, ignored), "vm": vm, "with_guest": with_guest}
    plan |= {"quiesce": quiesce, "figures": crash_consistent(INTERRUPTED if quiesce else "") if with_guest else {}}
    entry = await prepare(context, plan)
    try:
        async with file_systems_held(context, plan):
            await _switch(context, vm, plan)
        # A guest has left the old files for good. Without one they are still in use if the commit fails.
        freezing = start_freezing(context, plan) if with_guest else None
        commit(context, plan)
        crash_points.reach("vm_snapshot.committed")
        await (freezing or start_freezing(context, plan))
        entry.end()
    except BaseException:
        # What QEMU did is asked, not assumed: it may have switched although its answer was lost.
        await context.settle(vm, entry)
        if context.store.find(VM, plan["snapshot"]) is None:
            raise
    snapshot: Ref[VM] = Ref(plan["snapshot"])
    # Not before: drawing the picture takes QEMU longer than the switch, and the guest's disks would wait for it.
    picture = start_picture(context, vm)
    if picture is not None:
        keep_screenshot(context, snapshot, picture)
    return snapshot


def new_plan(
    context: Context, name: str, chosen: Sequence[tuple[Disk, VDI]], ignored: frozenset[str]
) -> dict[str, Any]:
    """Everything that a recovery needs to complete or undo the snapshot, as JSON."""
    made = [
        {
            "vdi": disk.vdi_ref,
            "sr": vdi.SR,
            "device": disk.device,
            "image": vdi.location,
            "overlay": context.files(vdi.SR).new_id(),
            "snapshot_vdi": new_ref(),
        }
        for disk, vdi in chosen
    ]
    return {
        "snapshot": new_ref(),
        "uuid": new_uuid(),
        "name": name,
        "time": context.now().isoformat(),
        "ignored": sorted(ignored),
        "disks": made,
        "marks": dict(current().marks),
        "stall": 0.0,
    }


def start_picture(context: Context, vm: str) -> asyncio.Task[bytes] | None:
    record = context.store.get(VM, vm)
    if record.power_state not in WITH_GUEST:
        return None
    return asyncio.ensure_future(context.driver.screenshot(record.uuid))


async def prepare(context: Context, facts: Mapping[str, Any], op: str = SNAPSHOT) -> Entry:
    """Write the journal entry and the overlays, all at once so that the file system syncs them together.

    `facts` are the plan of one snapshot, or have the plans of several as `members`. An overlay whose entry was not
    written any more is empty, and swept at the next start.
    """
    plans: Sequence[Mapping[str, Any]] = facts.get("members", [facts])
    made = [disk for plan in plans for disk in plan["disks"]]
    writes = [asyncio.to_thread(context.journal.begin, op, **facts)]
    overlays = [asyncio.to_thread(context.files(d["sr"]).create_overlay, d["overlay"], d["image"]) for d in made]
    results = await asyncio.gather(*writes, *overlays, return_exceptions=True)
    failure = next((result for result in results if isinstance(result, BaseException)), None)
    entry = results[0]
    if failure is not None:
        for plan in plans:
            undo(context, plan)
        if isinstance(entry, Entry):
            entry.end()
        with failures(str(plans[0]["vm"])):
            raise failure
    assert isinstance(entry, Entry)
    crash_points.reach("vm_snapshot.overlays_written")
    return entry


async def _switch(context: Context, vm: str, plan: dict[str, Any]) -> None:
    record = context.store.get(VM, vm)
    current().progress(0.3)
    current().point_of_no_return()
    if record.power_state not in WITH_GUEST or not plan["disks"]:
        return
    with failures(vm):
        facts = await context.driver.switch_disks(record.uuid, switches(context, plan))
    plan["stall"] = facts.stall
    crash_points.reach("vm_snapshot.switched")
    current().progress(0.7)


def switches(context: Context, plan: Mapping[str, Any]) -> list[DiskSwitch]:
    """What the hypervisor is to do."""
    return [DiskSwitch(d["device"], context.files(d["sr"]).image_path(d["overlay"])) for d in plan["disks"]]


def _by_repository(plan: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    pairs: dict[str, list[tuple[str, str]]] = {}
    for disk in plan["disks"]:
        pairs.setdefault(disk["sr"], []).append((disk["overlay"], disk["image"]))
    return pairs


def start_freezing(context: Context, plan: Mapping[str, Any]) -> asyncio.Future[None]:
    """Make the old files read-only, all at once and from now on: threads do not wait for the event loop's next turn."""
    loop = asyncio.get_running_loop()
    started = [loop.run_in_executor(None, _freeze, context.files(d["sr"]), d["image"]) for d in plan["disks"]]

    async def finish() -> None:
        await asyncio.gather(*started)
        crash_points.reach("vm_snapshot.frozen")

    return asyncio.ensure_future(finish())


def _freeze(files: FileRepository, image: str) -> None:
    """The snapshot is good without it, so a failure is only noted."""
    try:
        files.freeze(image)
    except StorageError as error:
        log.warning("a snapshot's image could not be made read-only", image=image, error=error.message)


def undo(context: Context, plan: Mapping[str, Any]) -> None:
    """Remove overlays that no guest uses. Called when the switch did not happen."""
    with failures():
        for sr, pairs in _by_repository(plan).items():
            context.files(sr).discard(overlay for overlay, _ in pairs)


def commit(context: Context, plan: Mapping[str, Any]) -> None:
    """Record the snapshot. Does nothing if that was done already."""
    store = context.store
    if store.find(VM, plan["snapshot"]) is not None:
        return
    with store.transaction() as tx:
        record(context, tx, plan)
        tell(context, tx, plan)
    refresh(context, plan)


def tell(context: Context, tx: Transaction, plan: Mapping[str, Any]) -> None:
    """Leave a message about the snapshot, in the transaction that records it."""
    vm = tx.get(VM, plan["vm"])
    body = f"VM '{vm.name_label}' (uuid: {vm.uuid}) snapshotted as '{plan['name']}' (uuid: {plan['uuid']})"
    context.post(tx, "VM_SNAPSHOTTED", 5, plan["vm"], body)


def record(context: Context, tx: Transaction, plan: Mapping[str, Any]) -> None:
    """Make the records of the snapshot, Halted, and move the VM's disks to the overlays."""
    vm: Ref[VM] = Ref(plan["vm"])
    before = tx.get(VM, vm)
    snapshot = _create_snapshot(context, tx, vm, before, plan)
    disks_of = {d["vdi"]: _snapshot_disk(context, tx, d, plan) for d in plan["disks"]}
    for drive in all_drives(tx, vm):
        if drive.vdi_ref not in plan["ignored"]:
            _copy_vbd(tx, drive, snapshot, disks_of)
    for vif in before.VIFs:
        tx.create(copy_record(tx.get(VIF, vif), VM=snapshot))
    tx.update(VM, vm, parent=snapshot)


def refresh(context: Context, plan: Mapping[str, Any]) -> None:
    """Publish what is possible on the VM, the snapshot and its disks."""
    refresh_vm(context, plan["vm"])
    refresh_vm(context, plan["snapshot"])
    for disk in plan["disks"]:
        refresh_vdi(context, disk["snapshot_vdi"])


def copy_record(record: R, **fields: Any) -> R:
    """A copy with a uuid of its own, and these fields changed."""
    return msgspec.structs.replace(record, **{"uuid": "", **fields})


def _copy_of(tx: Transaction, record: type[R], ref: Ref[R]) -> Ref[R]:
    return ref if is_null(ref) else tx.create(copy_record(tx.get(record, ref)))


def _create_snapshot(context: Context, tx: Transaction, vm: Ref[VM], before: VM, plan: Mapping[str, Any]) -> Ref[VM]:
    other_config = without_figures(before.other_config)
    for key in ("default_template", "xensource_internal"):
        other_config.pop(key, None)
    figures: Mapping[str, str] = plan.get("figures", {})  # an older version's journal has none
    other_config |= figures
    if before.power_state in WITH_GUEST:
        other_config[STALL_KEY] = f"{plan['stall'] * 1000:.1f}"
    fields = {
        **CLEARED,
        "uuid": plan["uuid"],
        "name_label": plan["name"],
        "power_state": VMPowerState.Halted,
        "is_a_template": True,
        "is_a_snapshot": True,
        "is_vmss_snapshot": bool(plan["marks"]),
        "snapshot_of": vm,
        "snapshot_time": datetime.fromisoformat(plan["time"]),
        "snapshot_info": {
            "power-state-at-snapshot": before.power_state.value,
            "disk-snapshot-type": "quiesced" if figures.get(CONSISTENCY) == FILE_SYSTEM else "crash_consistent",
        },
        "snapshot_metadata": pack(before),
        "other_config": {**other_config, **plan["marks"]},
        "metrics": _copy_of(tx, VMMetrics, before.metrics),
        "guest_metrics": _copy_of(tx, VMGuestMetrics, before.guest_metrics),
    }
    return tx.create(copy_record(before, **fields), Ref(plan["snapshot"]))


def _snapshot_disk(context: Context, tx: Transaction, disk: Mapping[str, Any], plan: Mapping[str, Any]) -> str:
    """The frozen image becomes the snapshot's disk; the VM's disk moves to the overlay and keeps its identity."""
    vdi = tx.get(VDI, disk["vdi"])
    files = context.files(disk["sr"])
    with failures():
        frozen_size = files.physical_utilisation(disk["image"])
        overlay_size = files.physical_utilisation(disk["overlay"])
    tx.create(
        copy_record(
            vdi,
            VBDs=frozenset(),
            snapshots=frozenset(),
            current_operations={},
            is_a_snapshot=True,
            snapshot_of=disk["vdi"],
            snapshot_time=datetime.fromisoformat(plan["time"]),
            physical_utilisation=frozen_size,
            location=disk["image"],
        ),
        Ref(disk["snapshot_vdi"]),
    )
    tx.update(
        VDI,
        disk["vdi"],
        location=disk["overlay"],
        physical_utilisation=overlay_size,
        sm_config={**vdi.sm_config, "vhd-parent": disk["image"]},
    )
    return str(disk["snapshot_vdi"])


def _copy_vbd(tx: Transaction, drive: Disk, snapshot: Ref[VM], disks_of: Mapping[str, str]) -> None:
    is_disk = drive.vbd.type is VBDType.Disk
    vdi = disks_of.get(drive.vdi_ref, NULL) if is_disk else drive.vbd.VDI
    other_config = {**drive.vbd.other_config, "owner": ""} if is_disk else drive.vbd.other_config
    copied = copy_record(
        drive.vbd, VM=snapshot, VDI=vdi, other_config=other_config, currently_attached=False,
        allowed_operations=frozenset(), current_operations={},
    )  # fmt: skip
    tx.create(copied)


async def recover(context: Context, entry: Entry) -> None:
    """Complete or undo a snapshot that was interrupted. Safe to repeat. :raise Failure: QEMU does not answer."""
    plan: dict[str, Any] = dict(entry.facts)
    if await _must_adopt(context, plan):
        await start_freezing(context, plan)
        commit(context, plan)
    else:
        undo(context, plan)
    entry.end()


async def _must_adopt(context: Context, plan: Mapping[str, Any]) -> bool:
    vm = context.store.find(VM, plan["vm"])
    if vm is None:
        return False
    if context.store.find(VM, plan["snapshot"]) is not None:
        return True
    return await has_switched(context, vm, plan)


async def has_switched(context: Context, vm: VM, plan: Mapping[str, Any]) -> bool:
    """Whether the VM's guest uses the overlays, or did before it ended. :raise Failure: QEMU does not answer."""
    overlays = {context.files(d["sr"]).image_path(d["overlay"]) for d in plan["disks"]}
    if not all(path.exists() for path in overlays):
        return False
    if context.driver.state(vm.uuid) == "absent":
        # Nobody can say whether a guest that died had switched. The overlays show what their parents hold, or more.
        # The record does not help: it may have been marked Halted when the guest died.
        return bool(plan["with_guest"]) and bool(overlays)
    with failures(plan["vm"]):
        active = await context.driver.active_disks(vm.uuid)
    return bool(overlays & set(active.values()))
