"""VM power operations: start, shut down, reboot, pause, suspend, resume."""

from __future__ import annotations

import asyncio

from app import crash_points
from app.api import NULL, SR, VDI, VM, Failure, Host, Ref, VMCalls, VMOperation, VMPowerState
from app.api.failure import not_allowed
from app.api.types import is_null
from app.ops.context import Context, Operations
from app.ops.disks import disks, guest_spec, image_path
from app.ops.images import discarding
from app.ops.locking import operation, refresh_vm
from app.ops.memory_images import record_memory_image
from app.ops.power_state import drop_memory_image, mark_down, mark_running, state_of_guest
from app.ops.rules import CUT_SHORT
from app.ops.task import current
from app.ops.translate import failures
from app.ops.writable import make_writable
from app.storage.journal import Entry

CLEAN_SHUTDOWN_SECONDS = 120.0
"""How long a guest may take to switch itself off before VM_SHUTDOWN_TIMEOUT."""
FORCED_AFTER_SECONDS = 30.0
"""How long VM.shutdown waits before it cuts the power."""
SUSPEND = "vm_suspend"


class VMPowerOps(Operations, VMCalls):
    """Power operations over the driver; every one leaves the record agreeing with the guest, or raises."""

    async def start(self, vm: Ref[VM], start_paused: bool = False, force: bool = False) -> None:
        async with operation(self.context, (vm, VMOperation.start)), self.context.alone_with(vm):
            await start_guest(self.context, vm, paused=start_paused)

    async def start_on(self, vm: Ref[VM], host: Ref[Host], start_paused: bool = False, force: bool = False) -> None:
        self.store.get(Host, host)
        await self.start(vm, start_paused, force)

    async def pause(self, vm: Ref[VM]) -> None:
        async with operation(self.context, (vm, VMOperation.pause)), self.context.alone_with(vm):
            with failures(vm):
                await self.context.driver.pause(self._uuid(vm))
            self._set_state(vm, VMPowerState.Paused)

    async def unpause(self, vm: Ref[VM]) -> None:
        async with operation(self.context, (vm, VMOperation.unpause)), self.context.alone_with(vm):
            with failures(vm):
                await self.context.driver.unpause(self._uuid(vm))
            self._set_state(vm, state_of_guest(self.context, vm))

    async def clean_shutdown(self, vm: Ref[VM]) -> None:
        async with operation(self.context, (vm, VMOperation.clean_shutdown)):
            await self._press_power_button(vm, CLEAN_SHUTDOWN_SECONDS)

    async def clean_reboot(self, vm: Ref[VM]) -> None:
        async with operation(self.context, (vm, VMOperation.clean_reboot)):
            await self._press_power_button(vm, CLEAN_SHUTDOWN_SECONDS)
            async with self.context.alone_with(vm):
                await start_guest(self.context, vm)

    async def shutdown(self, vm: Ref[VM]) -> None:
        if self.store.get(VM, vm).power_state is VMPowerState.Running:
            try:
                async with operation(self.context, (vm, VMOperation.clean_shutdown)):
                    await self._press_power_button(vm, FORCED_AFTER_SECONDS)
                return
            except Failure as failure:
                if failure.code != "VM_SHUTDOWN_TIMEOUT":
                    raise
        await self.hard_shutdown(vm)

    async def hard_shutdown(self, vm: Ref[VM]) -> None:
        async with operation(self.context, (vm, VMOperation.hard_shutdown)):
            self._cut_short(vm)
            async with self.context.alone_with(vm, to_end=True):
                await end_guest(self.context, vm)

    def _cut_short(self, vm: Ref[VM]) -> None:
        """Cancel what would keep the guest's memory for minutes; past its point of no return it is waited for."""
        for task, op in self.store.get(VM, vm).current_operations.items():
            if op in CUT_SHORT and self.context.cancel_task is not None:
                self.context.cancel_task(task)

    async def hard_reboot(self, vm: Ref[VM]) -> None:
        async with operation(self.context, (vm, VMOperation.hard_reboot)), self.context.alone_with(vm):
            with failures(vm):
                await self.context.driver.reset(self._uuid(vm))
                if self.store.get(VM, vm).power_state is VMPowerState.Paused:
                    await self.context.driver.unpause(self._uuid(vm))
            with self.store.transaction() as tx:
                mark_running(self.context, tx, vm, paused=state_of_guest(self.context, vm) is VMPowerState.Paused)

    async def suspend(self, vm: Ref[VM]) -> None:
        async with operation(self.context, (vm, VMOperation.suspend)), self.context.alone_with(vm):
            await _suspend(self.context, vm)

    async def resume(self, vm: Ref[VM], start_paused: bool = False, force: bool = False) -> None:
        async with operation(self.context, (vm, VMOperation.resume)), self.context.alone_with(vm):
            await _resume(self.context, vm, paused=start_paused)

    async def power_state_reset(self, vm: Ref[VM]) -> None:
        if self.store.get(VM, vm).is_control_domain:
            raise not_allowed("This operation is not allowed on a control domain")
        async with (
            operation(self.context, (vm, VMOperation.power_state_reset)),
            self.context.alone_with(vm, to_end=True),
        ):
            await end_guest(self.context, vm)

    async def _press_power_button(self, vm: Ref[VM], patience: float) -> None:
        driver, uuid = self.context.driver, self._uuid(vm)
        current().describe("Waiting for the guest to switch itself off")
        with failures(vm):
            await driver.powerdown(uuid)
            gone = await current().unless_cancelled(driver.wait_gone(uuid, patience))
        if not gone:
            raise Failure("VM_SHUTDOWN_TIMEOUT", vm, int(patience))
        with self.store.transaction() as tx:
            mark_down(self.context, tx, vm)
        refresh_vm(self.context, vm)

    def _set_state(self, vm: Ref[VM], state: VMPowerState) -> None:
        with self.store.transaction() as tx:
            tx.update(VM, vm, power_state=state)

    def _uuid(self, vm: Ref[VM]) -> str:
        return self.store.get(VM, vm).uuid


async def start_guest(context: Context, vm: str, *, paused: bool = False) -> None:
    """Start a Halted VM's guest and record it. :raise Failure: a disk cannot be used, or QEMU's own words."""
    await verify_disks(context, vm)
    make_writable(context, vm)
    with failures(vm):
        await context.driver.start(guest_spec(context, vm), paused=paused)
    try:
        crash_points.reach("vm_start.guest_started")
        with context.store.transaction() as tx:
            mark_running(context, tx, vm, paused=paused or state_of_guest(context, vm) is VMPowerState.Paused)
    except BaseException:
        await stop_guest(context, vm)
        raise


async def stop_guest(context: Context, vm: str) -> None:
    """End a VM's guest if there is one; the record is the caller's to change. :raise Failure: it cannot be ended."""
    record = context.store.get(VM, vm)
    context.expected_stops.add(record.uuid)
    try:
        with failures(vm):
            await context.driver.kill(record.uuid)
    finally:
        context.expected_stops.discard(record.uuid)


async def end_guest(context: Context, vm: str) -> None:
    """End a VM's guest if there is one, drop its memory image if it has one, and record it as Halted."""
    await stop_guest(context, vm)
    with discarding(context) as discard, context.store.transaction() as tx:
        discard.begin(drop_memory_image(context, tx, vm))
        mark_down(context, tx, vm)


async def verify_disks(context: Context, vm: str) -> None:
    """Look at every image that the VM would open. :raise Failure: SR_BACKEND_FAILURE_46 naming the file."""
    with failures(vm):
        for _, vdi in disks(context.store, vm):
            files = context.files(vdi.SR)
            await asyncio.to_thread(files.verify, vdi.location)


async def _suspend(context: Context, vm: str) -> None:
    """Save the memory, record it, end QEMU: in this order a kill anywhere leaves a guest or a complete image."""
    record = context.store.get(VM, vm)
    sr = suspend_sr(context, record)
    files = context.files(sr)
    image = files.new_id()
    with failures(vm):
        files.require_free(record.memory_dynamic_max)
        entry = context.journal.begin(SUSPEND, vm=vm, sr=sr, image=image)
    try:
        with failures(vm):
            part = files.memory_part_path(image)
            saved = await current().unless_cancelled(context.driver.save(record.uuid, part, current().progress))
            await asyncio.to_thread(files.publish_memory, image)
        current().point_of_no_return()
        crash_points.reach("vm_suspend.memory_saved")
        with context.store.transaction() as tx:
            record_memory_image(context, tx, vm, sr, image, saved)
            mark_down(context, tx, vm, VMPowerState.Suspended)
        crash_points.reach("vm_suspend.recorded")
        await stop_guest(context, vm)
        entry.end()
    except BaseException:
        # Recorded: the guest's process only has to go. Not recorded: the guest runs on and the image goes.
        await context.settle(vm, entry)
        if context.store.get(VM, vm).power_state is not VMPowerState.Suspended:
            raise


async def undo_suspend(context: Context, vm: str, image: str, sr: str) -> None:
    """Let the guest run on and remove what there is of the memory image."""
    record = context.store.find(VM, vm)
    if record is not None and context.driver.state(record.uuid) != "absent":
        await context.driver.end_save(record.uuid, running=True)
    files = context.files(sr)
    files.discard([image])
    files.remove_memory_part(image)


async def _resume(context: Context, vm: str, *, paused: bool) -> None:
    record = context.store.get(VM, vm)
    image = context.store.find(VDI, record.suspend_VDI)
    if image is None:
        raise Failure("VM_HAS_NO_SUSPEND_VDI", vm)
    await verify_disks(context, vm)
    spec = guest_spec(context, vm, machine=image.sm_config.get("machine"), cpu=image.sm_config.get("cpu"))
    path = image_path(context, image)
    with failures(vm):
        # Its first instruction makes the image worthless, so that must be recorded before.
        await context.driver.start(spec, paused=True, restore=path)
    with discarding(context) as discard:
        try:
            crash_points.reach("vm_resume.guest_started")
            with context.store.transaction() as tx:
                discard.begin(drop_memory_image(context, tx, vm))
                mark_running(context, tx, vm, paused=True, booted=False)
        except BaseException:
            await stop_guest(context, vm)
            raise
        crash_points.reach("vm_resume.recorded")
        if not paused:
            with failures(vm):
                await context.driver.unpause(record.uuid)
            with context.store.transaction() as tx:
                tx.update(VM, vm, power_state=state_of_guest(context, vm))


def suspend_sr(context: Context, record: VM) -> Ref[SR]:
    """Where a VM's memory goes. :raise Failure: VM_NO_SUSPEND_SR."""
    candidates = (record.suspend_SR, context.store.get(Host, context.host).suspend_image_sr)
    for sr in candidates:
        if not is_null(sr) and sr in context.repositories:
            return sr
    try:
        return context.default_sr()
    except Failure:
        raise Failure("VM_NO_SUSPEND_SR", NULL) from None


async def recover_suspend(context: Context, entry: Entry) -> None:
    """Complete the record of a suspend, or let the guest run on without its image. Safe to repeat."""
    vm, sr, image = (str(entry.facts[name]) for name in ("vm", "sr", "image"))
    held = any(vdi.location == image for vdi in context.store.all(VDI).values())
    if held:
        record = context.store.find(VM, vm)
        if record is not None and record.power_state is VMPowerState.Suspended:
            await stop_guest(context, vm)
    else:
        with failures(vm):
            await undo_suspend(context, vm, image, sr)
    entry.end()
