"""Memory images: every suspended VM and every checkpoint has one of its own, though two may share their bytes.

An image is never changed, so a second one of the same memory is a link to the first, and each can go by itself.
"""

from __future__ import annotations

from typing import Final

import msgspec

from app.api import SR, VDI, VM, Ref, VDIType
from app.api.types import new_ref
from app.hypervisor.driver import Compression, SavedFacts
from app.ops.context import Context
from app.store import Transaction

NAME: Final = "Suspend image"
"""XenServer's name for the VDI."""
COMPRESSION: Final = "memory-compression"
"""In the VDI's sm_config: how the file is compressed."""


def record_memory_image(
    context: Context,
    tx: Transaction,
    vm: str,
    sr: Ref[SR],
    image: str,
    saved: SavedFacts,
    compression: Compression = "none",
) -> None:
    """Make the VDI of a memory image and hang it on the VM, with what a restore must be given again."""
    ref: Ref[VDI] = new_ref()
    tx.create(
        VDI(
            name_label=NAME,
            SR=sr,
            type=VDIType.suspend,
            location=image,
            virtual_size=saved.size,
            physical_utilisation=context.files(sr).memory_utilisation(image),
            sm_config={
                "machine": saved.machine,
                "cpu": saved.cpu,
                "accelerator": saved.accelerator,
                "qemu": saved.version,
                COMPRESSION: compression,
            },
        ),
        ref,
    )
    tx.update(VM, vm, suspend_VDI=ref)


def record_shared_image(tx: Transaction, vm: str, source: VDI, image: str) -> None:
    """Hang another image of the memory in `source` on the VM."""
    ref: Ref[VDI] = tx.create(msgspec.structs.replace(source, uuid="", location=image, current_operations={}))
    tx.update(VM, vm, suspend_VDI=ref)
