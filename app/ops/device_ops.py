"""VBD and VIF messages: what hangs on a VM."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec

from app.api import (
    NULL,
    SR,
    VBD,
    VDI,
    VIF,
    VM,
    Failure,
    Network,
    Ref,
    VBDCalls,
    VBDMode,
    VBDType,
    VIFCalls,
    VMOperation,
    VMPowerState,
)
from app.api.failure import bad_power_state, invalid_value, not_allowed, other_operation
from app.api.types import is_null
from app.ops.context import Context, Operations
from app.ops.disks import image_path
from app.ops.locking import refresh_vm
from app.ops.records import from_client
from app.ops.translate import failures
from app.ops.vm_clone import device_name, random_mac
from app.ops.vm_create import DEVICES, free_devices

_MAC: Final = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
_WITH_GUEST: Final = (VMPowerState.Running, VMPowerState.Paused)


class VBDOps(Operations, VBDCalls):
    """Disks and drives of VMs."""

    async def create(self, record: Mapping[str, Any]) -> Ref[VBD]:
        vbd = from_client(self.store, VBD, record, required=("VM", "userdevice"))
        async with halted(self.context, vbd.VM) as vm:
            device = self._free_device(vbd.VM, vbd.userdevice)
            _check_medium(self.context, vbd, vm)
            made = msgspec.structs.replace(
                vbd, uuid="", userdevice=device, device=device_name(device), empty=is_null(vbd.VDI),
                mode=VBDMode.RO if vbd.type is VBDType.CD else vbd.mode, unpluggable=vbd.type is VBDType.CD,
                currently_attached=False,
            )  # fmt: skip
            with self.store.transaction() as tx:
                ref = tx.create(made)
        refresh_vm(self.context, vbd.VM)
        return ref

    async def destroy(self, vbd: Ref[VBD]) -> None:
        record = self.store.get(VBD, vbd)
        async with halted(self.context, record.VM):
            with self.store.transaction() as tx:
                tx.delete(VBD, vbd)
        refresh_vm(self.context, record.VM)

    async def set_userdevice(self, vbd: Ref[VBD], value: str) -> None:
        record = self.store.get(VBD, vbd)
        async with halted(self.context, record.VM):
            if value != record.userdevice:
                device = self._free_device(record.VM, value)
                self._update(vbd, userdevice=device, device=device_name(device))

    async def set_type(self, vbd: Ref[VBD], value: VBDType) -> None:
        record = self.store.get(VBD, vbd)
        async with halted(self.context, record.VM) as vm:
            if value is not record.type:
                changed = msgspec.structs.replace(record, type=value)
                _check_medium(self.context, changed, vm)
                self._update(vbd, type=value, unpluggable=value is VBDType.CD)

    def _update(self, vbd: Ref[VBD], **fields: Any) -> None:
        with self.store.transaction() as tx:
            record = tx.update(VBD, vbd, **fields)
        refresh_vm(self.context, record.VM)

    async def insert(self, vbd: Ref[VBD], vdi: Ref[VDI]) -> None:
        medium = self.store.get(VDI, vdi)
        self._require_drive(vbd)
        if self.store.get(SR, medium.SR).type != "iso":
            raise not_allowed("Only an ISO can be put into a drive")
        await self._change_medium(vbd, vdi)

    async def eject(self, vbd: Ref[VBD]) -> None:
        await self._change_medium(vbd, NULL)

    async def _change_medium(self, ref: Ref[VBD], vdi: Ref[VDI]) -> None:
        async with self.context.alone_with(self._require_drive(ref).VM):
            # Only now: what was done while we waited may have changed the drive, or suspended the VM.
            vbd = self._require_drive(ref)
            if vbd.empty is is_null(vdi):
                raise Failure("VBD_IS_EMPTY" if vbd.empty else "VBD_NOT_EMPTY", ref)
            vm = self.store.get(VM, vbd.VM)
            path = None if is_null(vdi) else image_path(self.context, self.store.get(VDI, vdi))
            if vm.power_state in _WITH_GUEST:
                with failures(vbd.VM):
                    await self.context.driver.change_medium(vm.uuid, f"cd{vbd.userdevice}", path)
            with self.store.transaction() as tx:
                tx.update(VBD, ref, VDI=vdi, empty=is_null(vdi))
            refresh_vm(self.context, vbd.VM)

    def _require_drive(self, ref: Ref[VBD]) -> VBD:
        record = self.store.get(VBD, ref)
        if record.type is not VBDType.CD:
            raise Failure("VBD_NOT_REMOVABLE_MEDIA", ref)
        vm = self.store.get(VM, record.VM)
        if vm.is_a_snapshot:
            raise Failure("VM_IS_SNAPSHOT", record.VM, "changing its devices")
        if vm.power_state is VMPowerState.Suspended:
            # The memory image expects the drive as it was.
            raise bad_power_state(record.VM, "halted, paused, running", vm.power_state.value)
        return record

    def _free_device(self, vm: Ref[VM], wanted: str) -> str:
        free = free_devices(self.context, vm)
        if wanted == "autodetect":
            if not free:
                raise not_allowed(f"A VM has at most {DEVICES} block devices")
            return free[0]
        if not wanted.isascii() or not wanted.isdigit() or len(wanted) > 4 or int(wanted) >= DEVICES:
            raise invalid_value("userdevice", wanted)
        device = str(int(wanted))
        if device not in free:
            raise Failure("DEVICE_ALREADY_EXISTS", device)
        return device


def _check_medium(context: Context, vbd: VBD, vm: VM) -> None:
    if vbd.type is VBDType.Floppy:
        raise not_allowed("There are no floppy drives")
    if is_null(vbd.VDI):
        if vbd.type is not VBDType.CD:
            raise invalid_value("VDI", vbd.VDI)
        return
    vdi = context.store.get(VDI, vbd.VDI)
    is_iso = context.store.get(SR, vdi.SR).type == "iso"
    if is_iso != (vbd.type is VBDType.CD):
        raise not_allowed("An ISO belongs into a drive, and a disk does not")
    if not vdi.managed:
        raise Failure("VDI_NOT_MANAGED", vbd.VDI)
    if not is_iso and vdi.is_a_snapshot and not vm.is_a_snapshot:
        raise not_allowed("This is a snapshot's disk; make a VM or template from the snapshot instead")
    others = vdi.VBDs - {ref for ref, held in context.store.all(VBD).items() if held.uuid == vbd.uuid}
    if not is_iso and others and not vdi.sharable:
        raise Failure("VDI_IN_USE", vbd.VDI, "attach")


class VIFOps(Operations, VIFCalls):
    """Network interfaces of VMs."""

    async def create(self, record: Mapping[str, Any]) -> Ref[VIF]:
        vif = from_client(self.store, VIF, record, required=("VM", "network", "device"))
        async with halted(self.context, vif.VM) as vm:
            return self._create(vif, vm)

    def _create(self, vif: VIF, vm: VM) -> Ref[VIF]:
        self.store.get(Network, vif.network)
        taken = {self.store.get(VIF, other).device for other in vm.VIFs}
        if not vif.device.isascii() or not vif.device.isdigit() or int(vif.device) > 7:
            raise invalid_value("device", vif.device)
        if vif.device in taken:
            raise Failure("DEVICE_ALREADY_EXISTS", vif.device)
        if vif.MAC and (not _MAC.fullmatch(vif.MAC) or int(vif.MAC[:2], 16) & 1):
            raise Failure("MAC_INVALID", vif.MAC)
        made = msgspec.structs.replace(
            vif, uuid="", MAC=vif.MAC.lower() or random_mac(), MAC_autogenerated=not vif.MAC, currently_attached=False
        )
        with self.store.transaction() as tx:
            return tx.create(made)

    async def destroy(self, vif: Ref[VIF]) -> None:
        async with halted(self.context, self.store.get(VIF, vif).VM):
            with self.store.transaction() as tx:
                tx.delete(VIF, vif)


@asynccontextmanager
async def halted(context: Context, vm: Ref[VM]) -> AsyncIterator[VM]:
    """The record of a VM whose hardware changes in the block, while no operation is at work on its disks.

    :raise Failure: as `require_halted`; OTHER_OPERATION_IN_PROGRESS while its disks are copied, which takes long.
    """
    require_halted(context, vm)
    async with context.alone_with(vm):
        record = require_halted(context, vm)
        for task, op in record.current_operations.items():
            if op is VMOperation.copy:
                raise other_operation("VM", vm, op.value, task)
        yield record


def require_halted(context: Context, vm: Ref[VM]) -> VM:
    """The record of a VM whose hardware may change. :raise Failure: VM_BAD_POWER_STATE, or it is a snapshot."""
    record = context.store.get(VM, vm)
    if record.is_a_snapshot:
        raise Failure("VM_IS_SNAPSHOT", vm, "changing its devices")
    if record.power_state is not VMPowerState.Halted:
        raise bad_power_state(vm, "halted", record.power_state.value)
    return record
