"""VM.checkpoint: a snapshot with memory, all disks and the memory of one instant.

Order: journal, overlays written and synced; the guest stopped, all disks switched at once, its memory written out while
it runs on, as far as the host allows; the memory image synced and named; one store transaction, journal end. Until the
transaction nothing is promised: what a kill, a failure or a cancellation leaves then is a VM that goes on with its
overlays on hidden base copies, and no snapshot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from app import crash_points
from app.api import VDI, VM, Ref, VMCalls, VMOperation, VMPowerState
from app.hypervisor.driver import CheckpointFacts, Compression, SaveMethod
from app.ops.base_copies import keep_base_copies
from app.ops.context import Context, Operations
from app.ops.disks import disks
from app.ops.locking import operation
from app.ops.memory_images import COMPRESSION, record_memory_image, record_shared_image
from app.ops.readiness import readiness
from app.ops.screenshots import keep_screenshot
from app.ops.task import current
from app.ops.translate import failures
from app.ops.vm_power import suspend_sr
from app.ops.vm_snapshot import (
    WITH_GUEST,
    has_switched,
    new_plan,
    prepare,
    record,
    refresh,
    start_freezing,
    start_picture,
    switches,
    undo,
)
from app.storage.journal import Entry
from app.store import Transaction

CHECKPOINT: Final = "vm_checkpoint"
DURATION: Final = "stillframe.duration-ms"
MEMORY_SIZE: Final = "stillframe.memory-bytes"
METHOD: Final = "stillframe.memory-method"
COMPRESSED: Final = "stillframe.compression"
COPIED: Final = "copied"
"""The method where no guest runs: the suspended VM's image is the checkpoint's too."""

_ANNOUNCED: Final[Mapping[SaveMethod, str]] = {
    "background": "Writing the guest's memory; the guest goes on meanwhile",
    "stop": "Writing the guest's memory; the guest stands still meanwhile",
}
_COMPRESSION: Final[Mapping[SaveMethod, Compression]] = {
    "background": "zstd",
    "stop": "none",  # the guest would wait for it
}


class VMCheckpointOps(Operations, VMCalls):
    """VM.checkpoint."""

    async def checkpoint(self, vm: Ref[VM], new_name: str) -> Ref[VM]:
        self.store.get(VM, vm)
        async with operation(self.context, (vm, VMOperation.checkpoint)), self.context.alone_with(vm):
            return await take(self.context, vm, new_name)


async def take(context: Context, vm: str, name: str) -> Ref[VM]:
    """Take the checkpoint; the caller holds the VM. :raise Failure: the VM goes on, and there is no checkpoint."""
    (await readiness(context, vm, VMOperation.checkpoint, claimed=True)).require()
    plan = _plan(context, vm, name)
    entry = await prepare(context, plan, CHECKPOINT)
    keeper = _Keeper(context, plan)
    try:
        await (keeper.save() if plan["with_guest"] else keeper.share())
        crash_points.reach("vm_checkpoint.memory_kept")
        current().point_of_no_return()
        keeper.commit()
        crash_points.reach("vm_checkpoint.committed")
        await start_freezing(context, plan)
        entry.end()
    except BaseException:
        # What QEMU did is asked, not assumed.
        await context.settle(vm, entry)
        if context.store.find(VM, plan["snapshot"]) is None:
            keeper.drop_picture()
            raise
    snapshot: Ref[VM] = Ref(plan["snapshot"])
    if keeper.picture is not None:
        keep_screenshot(context, snapshot, keeper.picture)
    return snapshot


def _plan(context: Context, vm: str, name: str) -> dict[str, Any]:
    before = context.store.get(VM, vm)
    image = context.store.find(VDI, before.suspend_VDI)
    sr = suspend_sr(context, before) if image is None else image.SR
    return {
        **new_plan(context, name, disks(context.store, vm), frozenset()),
        "vm": vm,
        "with_guest": before.power_state in WITH_GUEST,
        "running": before.power_state is VMPowerState.Running,
        "memory": {"sr": sr, "image": context.files(sr).new_id(), "source": before.suspend_VDI},
    }


class _Keeper:
    """Keeps the memory of one checkpoint, and what there is to know about it."""

    def __init__(self, context: Context, plan: dict[str, Any]) -> None:
        self.context = context
        self.plan = plan
        self.picture: asyncio.Task[bytes] | None = None
        self._files = context.files(plan["memory"]["sr"])
        self._image: str = plan["memory"]["image"]
        self._facts: CheckpointFacts | None = None
        self._method: SaveMethod = "stop"

    async def save(self) -> None:
        """Have the guest's memory written, and the disks switched."""
        vm: str = self.plan["vm"]
        uuid = self.context.store.get(VM, vm).uuid
        with failures(vm):
            self._method = await self.context.driver.save_method(uuid)
            current().describe(_ANNOUNCED[self._method])
            saving = self.context.driver.checkpoint(
                uuid,
                switches(self.context, self.plan),
                self._files.memory_part_path(self._image),
                self._progress,
                method=self._method,
                compression=_COMPRESSION[self._method],
            )
            self._facts = await current().unless_cancelled(saving)
            await asyncio.to_thread(self._files.publish_memory, self._image)
        self._take_picture()

    async def share(self) -> None:
        """The image of a suspended VM becomes the checkpoint's too."""
        with failures(self.plan["vm"]):
            source = self.context.store.get(VDI, self.plan["memory"]["source"])
            await asyncio.to_thread(self._files.share_memory, source.location, self._image)

    def _progress(self, fraction: float) -> None:
        current().progress(0.1 + 0.7 * fraction)
        if self._method == "background":
            self._take_picture()  # the guest runs again, and may draw something else before its memory is written

    def _take_picture(self) -> None:
        if self.picture is None:
            self.picture = start_picture(self.context, self.plan["vm"])

    def drop_picture(self) -> None:
        """There will be no snapshot to keep it with."""
        if self.picture is not None:
            self.picture.cancel()

    def commit(self) -> None:
        """Record the checkpoint."""
        plan, context = self.plan, self.context
        vm: Ref[VM] = Ref(plan["vm"])
        with context.store.transaction() as tx:
            before = tx.get(VM, vm)
            figures, pause = self._figures(tx)
            record(context, tx, {**plan, "figures": {**plan.get("figures", {}), **figures}, "stall": pause})
            self._record_memory(tx)
            tx.update(VM, plan["snapshot"], power_state=VMPowerState.Suspended)
            body = f"VM '{before.name_label}' (uuid: {before.uuid}) checkpointed, snapshot name: {plan['name']}"
            context.post(tx, "VM_CHECKPOINTED", 5, vm, body)
        refresh(context, plan)

    def _record_memory(self, tx: Transaction) -> None:
        memory = self.plan["memory"]
        if self._facts is None:
            record_shared_image(tx, self.plan["snapshot"], tx.get(VDI, memory["source"]), self._image)
            return
        with failures():
            record_memory_image(
                self.context, tx, self.plan["snapshot"], memory["sr"], self._image, self._facts.saved,
                self._facts.compression,
            )  # fmt: skip

    def _figures(self, tx: Transaction) -> tuple[dict[str, str], float]:
        """What is noted on the snapshot, and the seconds the guest stood still."""
        if self._facts is None:
            source = tx.get(VDI, self.plan["memory"]["source"])
            compression = source.sm_config.get(COMPRESSION, "none")
            return {MEMORY_SIZE: str(source.virtual_size), METHOD: COPIED, COMPRESSED: compression}, 0.0
        return {
            DURATION: f"{self._facts.duration * 1000:.0f}",
            MEMORY_SIZE: str(self._facts.saved.size),
            METHOD: self._method,
            COMPRESSED: self._facts.compression,
        }, self._facts.saved.pause


async def recover(context: Context, entry: Entry) -> None:
    """Complete a checkpoint that is recorded, else let the VM go on without it. Safe to repeat.

    :raise Failure: QEMU does not answer.
    """
    plan: dict[str, Any] = dict(entry.facts)
    if context.store.find(VM, plan["snapshot"]) is not None:
        await start_freezing(context, plan)
    else:
        await _go_on_without(context, plan)
    entry.end()


async def _go_on_without(context: Context, plan: Mapping[str, Any]) -> None:
    vm = context.store.find(VM, plan["vm"])
    if vm is not None and plan["with_guest"] and context.driver.state(vm.uuid) != "absent":
        with failures(plan["vm"]):
            await context.driver.end_save(vm.uuid, running=bool(plan["running"]))
    if vm is not None and await has_switched(context, vm, plan):
        keep_base_copies(context, plan)
        await start_freezing(context, plan)
    else:
        undo(context, plan)
    files = context.files(plan["memory"]["sr"])
    image = plan["memory"]["image"]
    with failures():
        files.remove_memory_part(image)
        files.discard([image])
