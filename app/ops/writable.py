"""Images that a guest may write to: never one that is frozen, nor one that other images build on."""

from __future__ import annotations

from app import crash_points
from app.api import VDI, VBDMode
from app.ops.context import Context
from app.ops.disks import Disk, disks
from app.ops.images import base_copy_of, begin_making, finish_discard
from app.ops.translate import failures


def make_writable(context: Context, vm: str) -> None:
    """Before a guest runs: each disk whose image others build on gets an overlay; one that is only frozen is thawed.

    The caller holds the VM. Such are the disks of templates that were cloned, those that outlived a template, and those
    of a database that was put back from a backup older than the files.

    :raise Failure: SR_BACKEND_FAILURE_44, 46; no disk has lost anything then.
    """
    for disk, vdi in disks(context.store, vm):
        if disk.vbd.mode is VBDMode.RO:
            continue
        files = context.files(vdi.SR)
        with failures(vm):
            if files.children_map().get(vdi.location):
                _move_to_overlay(context, disk, vdi)
            elif files.is_frozen(vdi.location):
                files.thaw(vdi.location)


def _move_to_overlay(context: Context, disk: Disk, vdi: VDI) -> None:
    files = context.files(vdi.SR)
    overlay = files.new_id()
    entry = begin_making(context, [(vdi.SR, overlay)])
    try:
        files.create_overlay(overlay, vdi.location)
        crash_points.reach("vm_make_writable.overlay_written")
        with context.store.transaction() as tx:
            tx.create(base_copy_of(vdi))
            tx.update(
                VDI,
                disk.vdi_ref,
                location=overlay,
                physical_utilisation=files.physical_utilisation(overlay),
                sm_config={**vdi.sm_config, "vhd-parent": vdi.location},
            )
        if not files.is_frozen(vdi.location):
            files.freeze(vdi.location)
    finally:
        finish_discard(context, entry)
