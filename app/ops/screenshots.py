"""The picture of a guest's screen, kept with its snapshot as a blob."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Final

from app.api import VM, Blob, Failure, Ref
from app.api.types import new_ref
from app.hypervisor.driver import DriverError
from app.log import get
from app.ops.context import Context
from app.store import Transaction

SCREENSHOT: Final = "stillframe.screenshot"
"""The key in VM.blobs."""
log = get(__name__)


def keep_screenshot(context: Context, snapshot: Ref[VM], picture: asyncio.Task[bytes]) -> None:
    """Store the picture when it is there; nobody waits for it, and a snapshot without one is still good."""

    async def keep() -> None:
        try:
            store_blob(context, snapshot, await picture)
        except (DriverError, Failure, OSError) as error:
            log.warning("no picture for the snapshot", snapshot=snapshot, error=str(error))

    context.in_background(asyncio.ensure_future(keep()))


def store_blob(context: Context, vm: Ref[VM], data: bytes) -> None:
    """Write the file first, then the record that names it. :raise OSError, Failure: nothing is left then."""
    if context.store.find(VM, vm) is None:
        return
    ref: Ref[Blob] = new_ref()
    path = blob_path(context, ref)
    blob = Blob(name_label=SCREENSHOT, size=len(data), mime_type="image/png", last_updated=context.now())
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        # Not synced: many snapshots at once would wait for their pictures' sake, and are good without them.
        with context.store.transaction(synced=False) as tx:
            tx.create(blob, ref)
            tx.update(VM, vm, blobs={**tx.get(VM, vm).blobs, SCREENSHOT: ref})
    except BaseException:
        remove_files([path])
        raise


def blob_path(context: Context, blob: str) -> Path:
    """The file of a blob."""
    return context.screenshots / f"{blob.removeprefix('OpaqueRef:')}.png"


def drop_blobs(context: Context, tx: Transaction, vm: VM) -> list[Path]:
    """Remove the records of a VM's blobs; answer the files to remove after the commit."""
    refs = list(vm.blobs.values())
    tx.delete_all(Blob, refs)
    return [blob_path(context, ref) for ref in refs]


def remove_files(paths: list[Path]) -> None:
    """Remove pictures that nothing names any more."""
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def sweep(context: Context) -> None:
    """Remove pictures that a kill left without a record."""
    known = {blob_path(context, ref) for ref in context.store.all(Blob)}
    remove_files([path for path in context.screenshots.glob("*.png") if path not in known])
