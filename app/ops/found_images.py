"""Images that lie in a repository without a record: after an old backup of the database was put back, for one.

They are introduced, never removed: the top of a chain as a disk that can be attached or deleted, what is below it as
base copies. What is being made has a journal entry, or an operation at work, and is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.api import SR, VDI, VM, Ref
from app.log import get
from app.ops.context import Context
from app.ops.images import base_copy_of
from app.storage.errors import StorageError
from app.storage.file_repository import FileRepository
from app.store import Transaction

log = get(__name__)

FOUND_KEY: Final = "stillframe.found"
"""In the other_config of a disk that was introduced: when."""


def introduce(context: Context, tx: Transaction, sr: Ref[SR], children: Mapping[str, frozenset[str]]) -> list[Ref[VDI]]:
    """Record the images among `children` that no record knows, and answer the new disks' references."""
    if any(vm.current_operations for vm in context.store.all(VM).values()):
        return []  # it may not have written down yet what it makes; the next scan looks again
    files = context.files(sr)
    known = {vdi.location for vdi in context.store.all(VDI).values() if sr == vdi.SR}
    planned = str([dict(entry.facts) for entry in context.journal.pending()])
    made = []
    for image, above in children.items():
        if image not in known and image not in planned and files.exists(image):
            vdi = _record(context, files, sr, image)
            if vdi is not None:
                log.warning("an image without a record was introduced", sr=sr, image=image)
                made.append(tx.create(base_copy_of(vdi) if above else vdi))
    return made


def _record(context: Context, files: FileRepository, sr: Ref[SR], image: str) -> VDI | None:
    try:
        parent = files.parent(image)
        return VDI(
            name_label="Found disk",
            name_description=f"The file {image}.qcow2 was in the storage without a record",
            SR=sr,
            virtual_size=files.virtual_size(image),
            physical_utilisation=files.physical_utilisation(image),
            location=image,
            other_config={FOUND_KEY: context.now().isoformat()},
            sm_config={} if parent is None else {"vhd-parent": parent},
        )
    except StorageError as error:
        log.warning("a file that is no disk image of ours is left alone", sr=sr, image=image, error=error.message)
        return None
