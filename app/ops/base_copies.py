"""Disks that moved on to overlays without a snapshot: the images they leave become hidden base copies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from app.api import VDI
from app.api.types import new_ref
from app.ops.context import Context
from app.ops.images import base_copy_of
from app.ops.locking import refresh_vdi
from app.ops.translate import failures


def keep_base_copies(context: Context, plan: Mapping[str, Any]) -> None:
    """Record that the VM's disks are the overlays of a plan; what they were stays as the hidden images below.

    Does nothing if that was done already.
    """
    moved = [d for d in plan["disks"] if context.store.get(VDI, d["vdi"]).location == d["image"]]
    if not moved:
        return
    with context.store.transaction() as tx:
        for disk in moved:
            vdi = tx.get(VDI, disk["vdi"])
            files = context.files(disk["sr"])
            with failures():
                base_size = files.physical_utilisation(disk["image"])
                overlay_size = files.physical_utilisation(disk["overlay"])
            tx.create(msgspec.structs.replace(base_copy_of(vdi), physical_utilisation=base_size), new_ref())
            tx.update(
                VDI,
                disk["vdi"],
                location=disk["overlay"],
                physical_utilisation=overlay_size,
                sm_config={**vdi.sm_config, "vhd-parent": disk["image"]},
            )
    for disk in moved:
        refresh_vdi(context, disk["vdi"])
