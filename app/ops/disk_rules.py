"""Which operations are possible on disks, repositories and devices now, and the error for each that is not.

Pure functions over records, as `app.ops.rules` for VMs. Only what this engine implements is ever offered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from app.api import VBD, VDI, VM, Failure, VBDType, VDIOperation, VDIType, VMOperation, VMPowerState
from app.api.enums import SROperation, VBDOperation, VIFOperation
from app.api.failure import not_allowed, other_operation, storage_failure

IMPLEMENTED: Final = (VDIOperation.clone, VDIOperation.copy, VDIOperation.destroy)
"""The operations on a disk that this engine has, in the order of the advisory list."""
_READING: Final = (VDIOperation.clone, VDIOperation.copy)
_COMPANY: Final = (VMOperation.clone, VMOperation.copy, VMOperation.export)


@dataclass(frozen=True)
class Holder:
    """A VM, template or snapshot that a disk hangs on, and whether it uses it now."""

    attached: bool = False
    operations: Mapping[str, VMOperation] = field(default_factory=dict)
    suspended: bool = False


def holder_of(vbd: VBD, vm: VM | None) -> Holder:
    """The holder behind a VBD."""
    if vm is None:
        return Holder(vbd.currently_attached)
    suspended = vm.power_state is VMPowerState.Suspended and not vm.is_a_snapshot
    return Holder(vbd.currently_attached, vm.current_operations, suspended)


def why_not_disk(
    ref: str, vdi: VDI, op: VDIOperation, holders: Sequence[Holder] = (), *, is_iso: bool = False
) -> Failure | None:
    """The error that `op` on this disk would meet now, or None if it may go ahead."""
    if op not in IMPLEMENTED:
        return not_allowed(f"{op.value} is not implemented by this engine")
    if is_iso:
        return Failure("SR_OPERATION_NOT_SUPPORTED", vdi.SR)
    if not vdi.managed:
        return Failure("VDI_NOT_MANAGED", ref)
    for task, running in vdi.current_operations.items():
        if not (op in _READING and running in _READING):
            return other_operation("VDI", ref, running.value, task)
    for holder in holders:
        # A suspended guest's memory expects the disk as it is, and it may be resumed at any time.
        if holder.attached or (holder.suspended and op is not VDIOperation.destroy):
            return Failure("VDI_IN_USE", ref, op.value)
        for task, at_work in holder.operations.items():
            if not (op in _READING and at_work in _COMPANY):
                return other_operation("VDI", ref, at_work.value, task)
    if vdi.type is VDIType.suspend:
        return not_allowed("A memory image goes with its VM or snapshot")
    return raw_refused(vdi) if op in _READING else None


def raw_refused(vdi: VDI) -> Failure | None:
    """The error for a disk whose image cannot have snapshots: XenServer's for LVM volumes of `type=raw`."""
    if vdi.sm_config.get("type") != "raw":
        return None
    return storage_failure(38, f"“{vdi.name_label}” is raw, and raw disks have no snapshots.", "type=raw")


def vdi_operations(vdi: VDI, holders: Sequence[Holder] = (), *, is_iso: bool = False) -> frozenset[VDIOperation]:
    """The advisory list of a disk."""
    return frozenset(op for op in IMPLEMENTED if why_not_disk("", vdi, op, holders, is_iso=is_iso) is None)


def sr_operations(is_iso: bool) -> frozenset[SROperation]:
    """The advisory list of a storage repository."""
    if is_iso:
        return frozenset({SROperation.scan})
    return frozenset(
        {
            SROperation.scan,
            SROperation.update,
            SROperation.vdi_create,
            SROperation.vdi_destroy,
            SROperation.vdi_snapshot,
            SROperation.vdi_clone,
        }
    )


def vbd_operations(vbd: VBD, state: VMPowerState, *, of_snapshot: bool = False) -> frozenset[VBDOperation]:
    """The advisory list of a block device of a VM in this power state, or of a snapshot."""
    if vbd.type is not VBDType.CD or state is VMPowerState.Suspended or of_snapshot:
        return frozenset()
    return frozenset({VBDOperation.insert if vbd.empty else VBDOperation.eject})


def vif_operations() -> frozenset[VIFOperation]:
    """The advisory list of a network interface: networks cannot be changed on a running VM yet."""
    return frozenset()
