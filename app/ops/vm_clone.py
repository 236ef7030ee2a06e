"""VM.clone and VM.provision: new VMs and templates that share frozen disks with their source."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from lxml import etree

from app import crash_points
from app.api import (
    NULL,
    SR,
    VBD,
    VDI,
    VIF,
    VM,
    Failure,
    Ref,
    VBDType,
    VDIType,
    VMCalls,
    VMMetrics,
    VMOperation,
    VMPowerState,
)
from app.api.types import EPOCH, new_ref, new_uuid
from app.ops.context import Context, Operations
from app.ops.disks import Disk, all_drives, check_depth, disks, require_disk
from app.ops.images import base_copy_of, begin_making, finish_discard
from app.ops.locking import operation, refresh_vm
from app.ops.snapshot_metadata import IMAGE_KEY, without_figures
from app.ops.task import current
from app.ops.translate import failures
from app.ops.vm_snapshot import CLEARED, copy_record
from app.storage.journal import Entry
from app.store import Transaction

CLONE: Final = "vm_clone"
PROVISION: Final = "vm_provision"
TEMPLATE_KEYS: Final = frozenset({"default_template", "xensource_internal"})
FRESH_DISK: Final[Mapping[str, Any]] = {
    "VBDs": frozenset(),
    "snapshots": frozenset(),
    "allowed_operations": frozenset(),
    "current_operations": {},
    "is_a_snapshot": False,
    "snapshot_of": NULL,
    "snapshot_time": EPOCH,
}
"""What a disk made of another does not take over from it."""


class VMCloneOps(Operations, VMCalls):
    """Clones and templates."""

    async def clone(self, vm: Ref[VM], new_name: str) -> Ref[VM]:
        record = self.store.get(VM, vm)
        owner = record.snapshot_of if record.is_a_snapshot else vm
        async with operation(self.context, (vm, VMOperation.clone)), self.context.alone_with(owner):
            return await clone(self.context, vm, new_name)

    async def provision(self, vm: Ref[VM]) -> None:
        async with operation(self.context, (vm, VMOperation.provision)), self.context.alone_with(vm):
            await provision(self.context, vm)


async def clone(context: Context, vm: Ref[VM], name: str) -> Ref[VM]:
    """Clone; the caller holds the VM. :raise Failure: nothing has changed then."""
    plan = _plan(context, vm, name)
    with failures(vm):
        entry = context.journal.begin(CLONE, **plan)
    crash_points.reach("vm_clone.journaled")
    try:
        with failures(vm):
            for sr, pairs in _overlays(plan).items():
                context.files(sr).create_overlays(pairs)
            for disk in plan["disks"]:
                context.files(disk["sr"]).freeze(disk["image"])
        crash_points.reach("vm_clone.overlays_written")
        current().point_of_no_return()
        commit(context, plan)
        crash_points.reach("vm_clone.committed")
        entry.end()
    except BaseException:
        await context.settle(vm, entry)
        if context.store.find(VM, plan["clone"]) is None:
            raise
    return Ref(plan["clone"])


def _plan(context: Context, vm: Ref[VM], name: str) -> dict[str, Any]:
    source = context.store.get(VM, vm)
    shares = source.is_a_template or source.is_a_snapshot
    made = []
    for disk, vdi in disks(context.store, vm):
        require_disk(context, vdi, disk.vdi_ref)
        check_depth(context, vdi)
        files = context.files(vdi.SR)
        made.append(
            {
                "vdi": disk.vdi_ref,
                "sr": vdi.SR,
                "image": vdi.location,
                "clone_vdi": new_ref(),
                "clone_overlay": files.new_id(),
                # A snapshot's or template's image is never written, so only a VM's own disk has to move on.
                "own_overlay": "" if shares else files.new_id(),
                "base": "" if shares else new_ref(),
            }
        )
    return {"vm": vm, "clone": new_ref(), "uuid": new_uuid(), "name": name, "disks": made}


def _overlays(plan: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    pairs: dict[str, list[tuple[str, str]]] = {}
    for disk in plan["disks"]:
        wanted = [overlay for overlay in (disk["clone_overlay"], disk["own_overlay"]) if overlay]
        pairs.setdefault(disk["sr"], []).extend((overlay, disk["image"]) for overlay in wanted)
    return pairs


def commit(context: Context, plan: Mapping[str, Any]) -> None:
    """Record the clone. Does nothing if that was done already."""
    if context.store.find(VM, plan["clone"]) is not None:
        return
    with context.store.transaction() as tx:
        disk_of = {d["vdi"]: _clone_disk(context, tx, d) for d in plan["disks"]}
        record_twin(tx, plan, disk_of)
    refresh_vm(context, plan["vm"])
    refresh_vm(context, plan["clone"])


def record_twin(tx: Transaction, plan: Mapping[str, Any], disk_of: Mapping[str, str]) -> None:
    """Record the VM `clone`, with the `uuid` and `name` of the plan, as the like of `vm` but for its disks and MACs.

    `disk_of` has the new disk for each of the source's; what has none becomes an empty place.
    """
    vm: Ref[VM] = Ref(plan["vm"])
    source = tx.get(VM, vm)
    made = _create_twin(tx, source, plan)
    for drive in all_drives(tx, vm):
        _copy_vbd(tx, drive, made, disk_of)
    for vif_ref in source.VIFs:
        vif = tx.get(VIF, vif_ref)
        tx.create(copy_record(vif, VM=made, MAC=random_mac(), MAC_autogenerated=True, currently_attached=False))


def _create_twin(tx: Transaction, source: VM, plan: Mapping[str, Any]) -> Ref[VM]:
    other_config = {k: v for k, v in without_figures(source.other_config).items() if k not in TEMPLATE_KEYS}
    fields: dict[str, Any] = {
        **CLEARED,
        "uuid": plan["uuid"],
        "name_label": plan["name"],
        "power_state": VMPowerState.Halted,
        "is_a_snapshot": False,
        "is_vmss_snapshot": False,
        "snapshot_of": NULL,
        "snapshot_time": EPOCH,
        "snapshot_info": {},
        "snapshot_metadata": "",
        "parent": NULL,
        "reference_label": source.reference_label or (source.name_label if source.is_default_template else ""),
        "other_config": {**other_config, "mac_seed": new_uuid()},
        "metrics": tx.create(VMMetrics()),
        "guest_metrics": NULL,
        "generation_id": "",
    }
    return tx.create(copy_record(source, **fields), Ref(plan["clone"]))


def _clone_disk(context: Context, tx: Transaction, disk: Mapping[str, Any]) -> str:
    vdi = tx.get(VDI, disk["vdi"])
    files = context.files(disk["sr"])
    with failures():
        size = files.physical_utilisation(disk["clone_overlay"])
        own_size = files.physical_utilisation(disk["image"])
    config = {**vdi.sm_config, "vhd-parent": disk["image"]}
    overlay = {"location": disk["clone_overlay"], "physical_utilisation": size, "sm_config": config}
    tx.create(copy_record(vdi, **FRESH_DISK, **overlay), Ref(disk["clone_vdi"]))
    if disk["own_overlay"]:
        tx.create(msgspec.structs.replace(base_copy_of(vdi), physical_utilisation=own_size), Ref(disk["base"]))
        tx.update(VDI, disk["vdi"], location=disk["own_overlay"], physical_utilisation=size, sm_config=config)
    return str(disk["clone_vdi"])


def _copy_vbd(tx: Transaction, drive: Disk, made: Ref[VM], disk_of: Mapping[str, str]) -> None:
    is_disk = drive.vbd.type is VBDType.Disk
    vdi = disk_of.get(drive.vdi_ref, NULL) if is_disk else drive.vbd.VDI
    other_config = {**drive.vbd.other_config, "owner": ""} if is_disk else drive.vbd.other_config
    tx.create(copy_record(drive.vbd, VM=made, VDI=vdi, other_config=other_config, currently_attached=False))


async def recover(context: Context, entry: Entry) -> None:
    """Remove the overlays of a clone that was not recorded. Safe to repeat."""
    plan: dict[str, Any] = dict(entry.facts)
    if context.store.find(VM, plan["clone"]) is None:
        with failures():
            for sr, pairs in _overlays(plan).items():
                context.files(sr).discard(overlay for overlay, _ in pairs)
            for disk in plan["disks"]:
                if disk["own_overlay"] and context.files(disk["sr"]).exists(disk["image"]):
                    context.files(disk["sr"]).thaw(disk["image"])
    entry.end()


def random_mac() -> str:
    """A locally administered unicast hardware address."""
    first = random.randrange(256) & 0b11111100 | 0b10
    return ":".join(f"{octet:02x}" for octet in (first, *(random.randrange(256) for _ in range(5))))


async def provision(context: Context, vm: Ref[VM]) -> None:
    """Make the disks that the template asks for, then a VM of it. :raise Failure: nothing has changed then."""
    record = context.store.get(VM, vm)
    wanted = [_Wanted(context, element) for element in _disk_elements(record)]
    images = [(disk.sr, context.files(disk.sr).new_id()) for disk in wanted]
    by_sr: dict[str, Any] = {}
    for sr, image in images:
        by_sr.setdefault(sr, []).append(image)
    with failures(vm):
        # Until the store holds them, the new images are rubbish: the same entry as for freed ones.
        entry = begin_making(context, images)
        try:
            for place, (disk, (_, image)) in enumerate(zip(wanted, images, strict=True)):
                await _make_image(context, record, disk, image, first=place == 0)
            crash_points.reach("vm_provision.images_written")
            current().point_of_no_return()
            _record_provision(context, vm, wanted, [image for _, image in images])
            crash_points.reach("vm_provision.committed")
        finally:
            finish_discard(context, entry)
    refresh_vm(context, vm)


class _Wanted:
    """One `disk` element of other_config:disks."""

    def __init__(self, context: Context, element: etree._Element) -> None:
        try:
            self.device = str(int(element.get("device", "0")))
            self.size = int(element.get("size", "0"))
        except ValueError as error:
            raise Failure("INVALID_VALUE", "other_config:disks", str(error)) from error
        self.bootable = element.get("bootable") == "true"
        self.type = VDIType.system if element.get("type") == "system" else VDIType.user
        uuid = element.get("sr", "")
        self.sr: Ref[SR] = context.store.by_uuid(SR, uuid) if uuid else context.default_sr()


def _disk_elements(record: VM) -> list[etree._Element]:
    text = record.other_config.get("disks", "")
    if not text:
        return []
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        return list(etree.fromstring(text.encode(), parser).iter("disk"))
    except etree.XMLSyntaxError as error:
        raise Failure("INVALID_VALUE", "other_config:disks", str(error)) from error


async def _make_image(context: Context, record: VM, disk: _Wanted, image: str, *, first: bool) -> None:
    files = context.files(disk.sr)
    built_in = record.other_config.get(IMAGE_KEY, "")
    if built_in and first:
        data = (context.resources / "sample_guest" / f"{built_in}.img").read_bytes()
        await current().unless_cancelled(files.write_raw(image, data, disk.size))
    else:
        files.create(image, disk.size)


def _record_provision(context: Context, vm: Ref[VM], wanted: list[_Wanted], images: list[str]) -> None:
    with context.store.transaction() as tx:
        record = tx.get(VM, vm)
        for disk, image in zip(wanted, images, strict=True):
            vdi = tx.create(
                VDI(
                    name_label=f"{record.name_label} {disk.device}",
                    SR=disk.sr,
                    virtual_size=disk.size,
                    physical_utilisation=context.files(disk.sr).physical_utilisation(image),
                    type=disk.type,
                    location=image,
                )
            )
            tx.create(
                VBD(
                    VM=vm,
                    VDI=vdi,
                    userdevice=disk.device,
                    device=device_name(disk.device),
                    bootable=disk.bootable,
                    other_config={"owner": ""},
                )
            )
        other_config = {k: v for k, v in record.other_config.items() if k not in ("disks", IMAGE_KEY)}
        tx.update(VM, vm, is_a_template=False, other_config=other_config)
        if record.metrics != NULL:
            tx.update(VMMetrics, record.metrics, install_time=context.now())


def device_name(userdevice: str) -> str:
    """The name a Linux guest is likely to give the device: vda, vdb, …"""
    number = int(userdevice)
    return f"vd{chr(ord('a') + number)}" if number < 26 else f"vd{number}"
