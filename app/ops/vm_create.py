"""Making VMs and changing what they are made of: VM.create, template flag, memory, CPUs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from app.api import NULL, VBD, VM, Failure, Ref, VMCalls, VMMetrics, VMOperation, VMPowerState
from app.api.failure import invalid_value
from app.api.types import new_uuid
from app.ops.context import Context, Operations
from app.ops.locking import operation, refresh_vm, refusal
from app.ops.records import check_name, from_client
from app.ops.writable import make_writable

MIB: Final = 1 << 20
LEAST_MEMORY: Final = 4 * MIB
MOST_MEMORY: Final = 4096 * 1024 * MIB
MOST_VCPUS: Final = 255
DEVICES: Final = 16


class VMCreateOps(Operations, VMCalls):
    """Records of VMs."""

    async def create(self, record: Mapping[str, Any]) -> Ref[VM]:
        vm = from_client(self.store, VM, record, required=("name_label",))
        check_name(vm.name_label)
        if vm.power_state is not VMPowerState.Halted:
            raise invalid_value("power_state", vm.power_state.value)
        check_memory(vm.memory_static_min, vm.memory_static_max, vm.memory_dynamic_min, vm.memory_dynamic_max)
        check_vcpus(vm.VCPUs_max, "VCPUs_max")
        check_vcpus(vm.VCPUs_at_startup, "VCPUs_at_startup", vm.VCPUs_max)
        with self.store.transaction() as tx:
            metrics = tx.create(VMMetrics())
            other_config = {"mac_seed": new_uuid(), **vm.other_config}
            fields = {"metrics": metrics, "other_config": other_config, "suspend_VDI": NULL}
            ref = tx.create(msgspec.structs.replace(vm, **fields))
        refresh_vm(self.context, ref)
        return ref

    async def set_is_a_template(self, vm: Ref[VM], value: bool) -> None:
        record = self.store.get(VM, vm)
        if value and not record.is_a_template:
            async with operation(self.context, (vm, VMOperation.make_into_template)):
                self._update(vm, is_a_template=True)
        elif not value and record.is_a_template:
            async with self.context.alone_with(vm):
                if not record.is_a_snapshot:
                    make_writable(self.context, vm)
                self._update(vm, is_a_template=False)

    async def set_memory_limits(
        self, vm: Ref[VM], static_min: int, static_max: int, dynamic_min: int, dynamic_max: int
    ) -> None:
        self.store.get(VM, vm)
        check_memory(static_min, static_max, dynamic_min, dynamic_max)
        async with operation(self.context, (vm, VMOperation.changing_static_range)):
            self._update(
                vm,
                memory_static_min=static_min,
                memory_static_max=static_max,
                memory_dynamic_min=dynamic_min,
                memory_dynamic_max=dynamic_max,
            )

    async def set_memory(self, vm: Ref[VM], value: int) -> None:
        least = min(self.store.get(VM, vm).memory_static_min, value)
        await self.set_memory_limits(vm, least, value, value, value)

    async def set_memory_dynamic_range(self, vm: Ref[VM], min: int, max: int) -> None:
        record = self.store.get(VM, vm)
        await self.set_memory_limits(vm, record.memory_static_min, record.memory_static_max, min, max)

    async def set_VCPUs_max(self, vm: Ref[VM], value: int) -> None:
        at_startup = self.store.get(VM, vm).VCPUs_at_startup
        check_vcpus(value, "VCPUs_max")
        if value < at_startup:
            raise invalid_value("VCPUs_max", value)
        async with operation(self.context, (vm, VMOperation.changing_VCPUs)):
            self._update(vm, VCPUs_max=value)

    async def set_VCPUs_at_startup(self, vm: Ref[VM], value: int) -> None:
        check_vcpus(value, "VCPUs_at_startup", self.store.get(VM, vm).VCPUs_max)
        async with operation(self.context, (vm, VMOperation.changing_VCPUs)):
            self._update(vm, VCPUs_at_startup=value)

    async def update_allowed_operations(self, vm: Ref[VM]) -> None:
        self.store.get(VM, vm)
        refresh_vm(self.context, vm)

    async def assert_operation_valid(self, vm: Ref[VM], op: VMOperation) -> None:
        failure = refusal(self.context, vm, op)
        if failure is not None:
            raise failure

    async def get_allowed_VBD_devices(self, vm: Ref[VM]) -> Sequence[str]:
        return free_devices(self.context, vm)

    def _update(self, vm: Ref[VM], **fields: Any) -> None:
        with self.store.transaction() as tx:
            tx.update(VM, vm, **fields)
        refresh_vm(self.context, vm)


def free_devices(context: Context, vm: Ref[VM]) -> list[str]:
    """The device numbers that no VBD of the VM uses."""
    taken = {context.store.get(VBD, vbd).userdevice for vbd in context.store.get(VM, vm).VBDs}
    return [str(n) for n in range(DEVICES) if str(n) not in taken]


def check_memory(static_min: int, static_max: int, dynamic_min: int, dynamic_max: int) -> None:
    """:raise Failure: MEMORY_CONSTRAINT_VIOLATION_ORDER, or INVALID_VALUE: outside what QEMU can give."""
    if not static_min <= dynamic_min <= dynamic_max <= static_max:
        raise Failure("MEMORY_CONSTRAINT_VIOLATION_ORDER")
    if not LEAST_MEMORY <= dynamic_max <= MOST_MEMORY or dynamic_max % MIB:
        raise invalid_value("memory_dynamic_max", dynamic_max)


def check_vcpus(value: int, field: str, most: int = MOST_VCPUS) -> None:
    """:raise Failure: INVALID_VALUE."""
    if not 1 <= value <= min(most, MOST_VCPUS):
        raise invalid_value(field, value)
