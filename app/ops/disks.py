"""The disks of a VM as operations need them, and the guest that QEMU is to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

from app.api import SR, VBD, VDI, VIF, VM, Failure, Record, Ref, VBDMode, VBDType, VDIType
from app.api.failure import invalid_value, storage_failure
from app.api.types import is_null
from app.hypervisor.driver import DiskBus, DiskSpec, GuestSpec, NicSpec
from app.ops.context import Context
from app.ops.disk_rules import raw_refused
from app.ops.translate import failures

R = TypeVar("R", bound=Record)

CHAIN_LIMIT: Final = 30
"""XenServer's limit too; deeper chains cost every read (measured: 11 µs at 30, 90 µs at 100)."""
BUSES: Final[Mapping[str, DiskBus]] = {"virtio": "virtio", "sata": "sata", "ide": "ide"}


class Reader(Protocol):
    """A store or an open transaction."""

    def get(self, record: type[R], ref: str) -> R: ...


@dataclass(frozen=True)
class Disk:
    """One disk or drive of a VM; `vdi` is None for an empty drive."""

    vbd_ref: Ref[VBD]
    vbd: VBD
    vdi_ref: Ref[VDI]
    vdi: VDI | None

    @property
    def device(self) -> str:
        """The id that the hypervisor knows it by."""
        return f"{'cd' if self.vbd.type is VBDType.CD else 'disk'}{self.vbd.userdevice}"


def all_drives(reader: Reader, vm: str) -> list[Disk]:
    """All block devices of a VM, by device number."""
    found = []
    for vbd_ref in reader.get(VM, vm).VBDs:
        vbd = reader.get(VBD, vbd_ref)
        vdi = None if is_null(vbd.VDI) or vbd.empty else reader.get(VDI, vbd.VDI)
        found.append(Disk(vbd_ref, vbd, vbd.VDI, vdi))
    return sorted(found, key=lambda disk: (int(disk.vbd.userdevice or 0), disk.vbd_ref))


def disks(reader: Reader, vm: str) -> list[tuple[Disk, VDI]]:
    """The hard disks of a VM with their records, by device number; drives for discs are left out."""
    return [(d, d.vdi) for d in all_drives(reader, vm) if d.vbd.type is VBDType.Disk and d.vdi is not None]


def image_path(context: Context, vdi: VDI) -> Path:
    """The file behind a disk, ISO or memory image. :raise Failure: SR_BACKEND_FAILURE_46."""
    sr = context.store.get(SR, vdi.SR)
    with failures():
        if sr.type == "iso":
            return context.isos(vdi.SR).path(vdi.location)
        files = context.files(vdi.SR)
        if vdi.type is VDIType.suspend:
            return files.memory_path(vdi.location)
        return files.image_path(vdi.location)


def guest_spec(context: Context, vm: str, *, machine: str | None = None, cpu: str | None = None) -> GuestSpec:
    """What QEMU is to run for this VM, from its records. :raise Failure: a disk or setting cannot be used."""
    record = context.store.get(VM, vm)
    bus = disk_bus(record)
    drives = tuple(_disk_spec(context, disk, bus) for disk in all_drives(context.store, vm))
    return GuestSpec(
        uuid=record.uuid,
        name=_process_name(record.name_label),
        memory=record.memory_dynamic_max,
        vcpus=record.VCPUs_at_startup,
        disks=drives,
        nics=tuple(_nic_spec(context, vif) for vif in sorted(record.VIFs)),
        boot_order=record.HVM_boot_params.get("order", "cdn"),
        machine=machine,
        cpu=cpu,
    )


def _process_name(name: str) -> str:
    """The VM's name as a process may have it, for people who look at lists of processes."""
    return "".join(character if character.isprintable() else " " for character in name[:64])


def disk_bus(record: VM) -> DiskBus:
    """How disks are attached, from `platform:disk-bus`. :raise Failure: INVALID_VALUE."""
    wanted = record.platform.get("disk-bus", "virtio")
    if wanted not in BUSES:
        raise invalid_value("platform:disk-bus", wanted)
    return BUSES[wanted]


def _disk_spec(context: Context, disk: Disk, bus: DiskBus) -> DiskSpec:
    is_cd = disk.vbd.type is VBDType.CD
    path = None if disk.vdi is None else image_path(context, disk.vdi)
    return DiskSpec(
        device=disk.device,
        kind="cd" if is_cd else "disk",
        path=path,
        format="raw" if is_cd else "qcow2",
        read_only=is_cd or disk.vbd.mode is VBDMode.RO,
        # virtio has no drives for discs.
        bus=("ide" if bus == "virtio" else bus) if is_cd else bus,
        boot_index=int(disk.vbd.userdevice) if disk.vbd.bootable else None,
    )


def _nic_spec(context: Context, ref: str) -> NicSpec:
    vif = context.store.get(VIF, ref)
    return NicSpec(device=f"net{vif.device}", mac=vif.MAC)


def check_depth(context: Context, vdi: VDI) -> int:
    """The chain's length, if one more overlay fits. :raise Failure: SR_BACKEND_FAILURE_109 with what to do."""
    files = context.files(vdi.SR)
    with failures():
        depth = files.depth(vdi.location)
        pending = _hidden_in(context, vdi) if depth >= CHAIN_LIMIT else 0
    if depth >= CHAIN_LIMIT:
        fact = f"“{vdi.name_label}” has {depth} images in a row and {CHAIN_LIMIT} is the limit."
        if pending:
            are = "a merge is" if pending == 1 else f"{pending} merges are"
            advice = f"Wait a little: {are} pending and will make it shorter. Or delete snapshots of it."
        else:
            advice = "Delete snapshots that you do not need any more; what they leave behind is merged by itself."
        raise storage_failure(109, "The snapshot chain is too long", f"{fact} {advice}")
    return depth


def _hidden_in(context: Context, vdi: VDI) -> int:
    """How many images of the chain can be merged away."""
    files = context.files(vdi.SR)
    children = files.children_map()
    hidden = {other.location for other in context.store.all(VDI).values() if other.SR == vdi.SR and not other.managed}
    return sum(image in hidden and len(children.get(image, ())) == 1 for image in files.chain(vdi.location))


def require_disk(context: Context, vdi: VDI, ref: str) -> None:
    """:raise Failure: VDI_NOT_MANAGED, SR_OPERATION_NOT_SUPPORTED, SR_BACKEND_FAILURE_38: no image that can freeze."""
    if not vdi.managed:
        raise Failure("VDI_NOT_MANAGED", ref)
    context.files(vdi.SR)
    raw = raw_refused(vdi)
    if raw is not None:
        raise raw
