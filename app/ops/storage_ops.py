"""SR and VDI messages: scan, create, destroy, inspect and import of disk images."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from app import crash_points
from app.api import SR, VBD, VDI, VM, Failure, Ref, SRCalls, VBDType, VDICalls, VDIOperation, VDIType, VMPowerState
from app.api.failure import invalid_value, storage_failure
from app.ops.context import Context, Operations
from app.ops.found_images import introduce
from app.ops.images import begin_making, discarding, finish_discard, release, release_all
from app.ops.locking import refresh_vdi, require_disk_operation
from app.ops.locks import why_locked
from app.ops.records import check_name, from_client
from app.ops.task import current
from app.ops.translate import failures
from app.storage.inspection import inspect
from app.storage.qcow2 import MAX_VIRTUAL_SIZE

SECTOR: Final = 512
LEAST_SIZE: Final = 1 << 20


class SROps(Operations, SRCalls):
    """Storage repositories."""

    async def scan(self, sr: Ref[SR]) -> None:
        await scan(self.context, sr)

    async def update(self, sr: Ref[SR]) -> None:
        self.store.get(SR, sr)
        update_space(self.context, sr)


class VDIOps(Operations, VDICalls):
    """Disks."""

    async def create(self, record: Mapping[str, Any]) -> Ref[VDI]:
        vdi = from_client(self.store, VDI, record, required=("SR", "virtual_size"))
        check_name(vdi.name_label)
        files = self.context.files(vdi.SR)
        if vdi.type not in (VDIType.user, VDIType.system):
            raise invalid_value("type", vdi.type.value)
        if not 0 < vdi.virtual_size <= MAX_VIRTUAL_SIZE:
            raise storage_failure(79, "The size is not one that a disk can have", str(vdi.virtual_size))
        size = -(-max(vdi.virtual_size, LEAST_SIZE) // SECTOR) * SECTOR
        image = files.new_id()
        with failures():
            entry = begin_making(self.context, [(vdi.SR, image)])
            try:
                files.create(image, size)
                crash_points.reach("vdi_create.image_written")
                ref = record_disk(self.context, vdi, image, size)
            finally:
                finish_discard(self.context, entry)
        return ref

    async def destroy(self, vdi: Ref[VDI]) -> None:
        record = require_free(self.context, vdi)
        await self.context.merging.leave_alone(record.SR)
        record = require_free(self.context, vdi)
        with discarding(self.context) as discard:
            with self.store.transaction() as tx:
                tx.delete_all(VBD, record.VBDs)
                discard.begin(release(self.context, tx, vdi))
            crash_points.reach("vdi_destroy.recorded")
        update_space(self.context, record.SR)

    async def inspect_file(self, path: str) -> Mapping[str, str]:
        with failures():
            facts = await asyncio.to_thread(inspect, _absolute(path))
        return {
            "format": facts.format,
            "virtual_size": str(facts.virtual_size),
            "file_size": str(facts.file_size),
        }

    async def import_file(self, sr: Ref[SR], path: str, new_name: str) -> Ref[VDI]:
        files, source = self.context.files(sr), _absolute(path)
        check_name(new_name)
        image = files.new_id()
        task = current()
        with failures():
            facts = await asyncio.to_thread(inspect, source)
            entry = begin_making(self.context, [(sr, image)])
            try:
                work = files.import_image(source, facts.format, image, progress=task.progress)
                await task.unless_cancelled(work)
                crash_points.reach("vdi_import.image_written")
                task.point_of_no_return()
                vdi = VDI(name_label=new_name, SR=sr, name_description=f"Imported from {source.name}")
                ref = record_disk(self.context, vdi, image, files.virtual_size(image))
            finally:
                finish_discard(self.context, entry)
        return ref


def record_disk(context: Context, vdi: VDI, image: str, size: int) -> Ref[VDI]:
    """Record a new disk whose image is written."""
    used = context.files(vdi.SR).physical_utilisation(image)
    with context.store.transaction() as tx:
        ref = tx.create(VDI(
            name_label=vdi.name_label, name_description=vdi.name_description, SR=vdi.SR, virtual_size=size,
            physical_utilisation=used, type=vdi.type, sharable=vdi.sharable, read_only=vdi.read_only,
            other_config=vdi.other_config, xenstore_data=vdi.xenstore_data, sm_config=vdi.sm_config, tags=vdi.tags,
            location=image,
        ))  # fmt: skip
    refresh_vdi(context, ref)
    update_space(context, vdi.SR)
    return ref


def require_free(context: Context, ref: Ref[VDI]) -> VDI:
    """The record of a disk that can be destroyed. :raise Failure: it is held, locked with its snapshot, or no disk."""
    vdi = context.store.get(VDI, ref)
    for vbd in (context.store.get(VBD, held_by) for held_by in vdi.VBDs):
        holder = context.store.find(VM, vbd.VM)
        reason = why_locked(holder, context.now()) if holder is not None and holder.is_a_snapshot else None
        if reason is not None:
            raise Failure("OPERATION_BLOCKED", vbd.VM, reason)
    return require_disk_operation(context, ref, VDIOperation.destroy)


async def scan(context: Context, sr: str) -> None:
    """Bring the records of a repository in step with its files. :raise Failure: the folder cannot be read."""
    record = context.store.get(SR, sr)
    if record.type == "iso":
        await _scan_isos(context, Ref(sr))
    else:
        await _scan_disks(context, Ref(sr))
    update_space(context, sr)


async def _scan_isos(context: Context, sr: Ref[SR]) -> None:
    with failures():
        found = {iso.location: iso for iso in await asyncio.to_thread(context.isos(sr).list_images)}
    known = {vdi.location: ref for ref, vdi in context.store.all(VDI).items() if sr == vdi.SR}
    with context.store.transaction() as tx:
        for location, iso in found.items():
            facts: dict[str, Any] = {"virtual_size": iso.size, "physical_utilisation": iso.size, "missing": False}
            if location in known:
                tx.update(VDI, known[location], **facts)
            else:
                tx.create(VDI(name_label=location, location=location, SR=sr, read_only=True, **facts))
        for location, ref in known.items():
            if location not in found:
                # In a drive it stays, marked, so that the VM's record still tells what it wants.
                if context.store.get(VDI, ref).VBDs:
                    tx.update(VDI, ref, missing=True)
                else:
                    tx.delete(VDI, ref)


async def _scan_disks(context: Context, sr: Ref[SR]) -> None:
    files = context.files(sr)
    with failures():
        children = await asyncio.to_thread(files.children_map)
    # Not before: a merge may have moved disks meanwhile.
    mine = {ref: vdi for ref, vdi in context.store.all(VDI).items() if sr == vdi.SR and vdi.type is not VDIType.suspend}
    with discarding(context) as discard, context.store.transaction() as tx:
        for ref, vdi in mine.items():
            exists = files.exists(vdi.location)
            used = files.physical_utilisation(vdi.location) if exists else 0
            tx.update(VDI, ref, missing=not exists, physical_utilisation=used)
        # What a missing image built on is known from its header alone, so base copies may be left over.
        unused = [ref for ref, vdi in mine.items() if not vdi.managed and not children.get(vdi.location)]
        discard.begin(release_all(context, tx, unused))
        found = introduce(context, tx, sr, children)
    for ref in found:
        refresh_vdi(context, ref)


def update_space(context: Context, sr: str) -> None:
    """Refresh the space figures of a repository; a folder that cannot be read leaves them at -1."""
    if context.store.find(SR, sr) is None or sr not in context.repositories:
        return
    mine = [vdi for vdi in context.store.all(VDI).values() if sr == vdi.SR]
    figures: dict[str, int] = {"virtual_allocation": sum(vdi.virtual_size for vdi in mine if vdi.managed)}
    if context.store.get(SR, sr).type != "iso":
        try:
            with failures():
                usage = context.files(sr).usage()
            # What root keeps for itself counts as used: clients subtract the one from the other.
            figures |= {"physical_size": usage.physical_size, "physical_utilisation": usage.physical_size - usage.free}
        except Failure:
            figures |= {"physical_size": -1, "physical_utilisation": -1}
    else:
        used = sum(vdi.physical_utilisation for vdi in mine)
        figures |= {"physical_size": used, "physical_utilisation": used}
    context.store.publish(SR, sr, **figures)


def _absolute(path: str) -> Path:
    if not path or "\0" in path or not Path(path).is_absolute():
        raise invalid_value("path", path)
    return Path(path)


def refresh_sizes(context: Context) -> None:
    """Refresh how much the disks of running VMs take, and the space of their repositories."""
    store = context.store
    active = {
        vbd.VDI
        for vm in store.all(VM).values()
        if vm.power_state is VMPowerState.Running
        for ref in vm.VBDs
        if (vbd := store.find(VBD, ref)) is not None and vbd.type is VBDType.Disk
    }
    for ref in active:
        vdi = store.find(VDI, ref)
        if vdi is not None and vdi.SR in context.repositories:
            with contextlib.suppress(Failure), failures():
                size = context.files(vdi.SR).physical_utilisation(vdi.location)
                store.publish(VDI, ref, physical_utilisation=size)
    for sr in context.repositories:
        update_space(context, sr)
