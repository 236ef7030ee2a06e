"""After a kill: what each journal entry began is completed or undone. Running it twice changes nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.api import VDI, Failure
from app.log import get
from app.ops import (
    merge_settle,
    quiesce,
    vm_checkpoint,
    vm_clone,
    vm_destroy,
    vm_group,
    vm_power,
    vm_revert,
    vm_snapshot,
)
from app.ops.context import Context, Recovery
from app.ops.images import DISCARD, discard_unheld
from app.storage.errors import StorageError
from app.storage.file_repository import FileRepository
from app.storage.journal import Entry

log = get(__name__)


async def _discard(context: Context, entry: Entry) -> None:
    discard_unheld(context, entry)


RECOVERIES: Final[Mapping[str, Recovery]] = {
    quiesce.FREEZE: quiesce.recover,
    vm_snapshot.SNAPSHOT: vm_snapshot.recover,
    vm_checkpoint.CHECKPOINT: vm_checkpoint.recover,
    vm_group.GROUP: vm_group.recover,
    vm_revert.REVERT: vm_revert.recover,
    vm_clone.CLONE: vm_clone.recover,
    vm_power.SUSPEND: vm_power.recover_suspend,
    vm_destroy.FORGET: vm_destroy.forget,
    merge_settle.MERGE: merge_settle.recover_at_start,
    DISCARD: _discard,
}


async def recover(context: Context) -> None:
    """Go through the journal, oldest first. An entry that cannot be settled now holds back only its own VM.

    A guest that is frozen hangs, so that comes before all else.
    """
    for entry in sorted(context.journal.pending(), key=lambda entry: entry.op != quiesce.FREEZE):
        log.info("recovering", op=entry.op, entry=entry.id)
        handler = context.recoveries.get(entry.op)
        if handler is None:
            log.error("a journal entry of a newer version is left alone", op=entry.op, entry=entry.id)
            continue
        try:
            await handler(context, entry)
        except Exception as error:
            # Also an entry that we misunderstand must not keep the others from being recovered.
            known = isinstance(error, Failure)
            log.error("cannot recover yet", op=entry.op, entry=entry.id, error=str(error), exc_info=not known)
            context.hold_back(entry)


def sweep_overlays(context: Context) -> None:
    """Remove overlays that a kill left without a journal entry: never written, held by nothing, built on by nothing."""
    held = {(vdi.SR, vdi.location) for vdi in context.store.all(VDI).values()}
    planned = str([dict(entry.facts) for entry in context.journal.pending()])
    for sr, repository in context.repositories.items():
        if not isinstance(repository, FileRepository):
            continue
        try:
            children = repository.children_map()
            for image in repository.image_ids():
                unknown = (sr, image) not in held and image not in planned and not children.get(image)
                if unknown and repository.is_unused_overlay(image):
                    log.info("removing an unused overlay", image=image)
                    repository.discard([image])
        except StorageError as error:
            log.warning("a repository could not be swept", sr=sr, error=error.message)
