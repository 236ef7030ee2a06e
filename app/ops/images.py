"""Freeing disks: an image that nothing builds on goes; one that others build on stays, hidden, as their base copy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from typing import Any, Final

import msgspec

from app.api import NULL, VDI, Failure, VDIType
from app.api.types import EPOCH
from app.log import get
from app.ops.context import Context
from app.ops.translate import failures
from app.storage.errors import StorageError
from app.storage.journal import Entry
from app.store import Transaction

log = get(__name__)

BASE_COPY = "base copy"
DISCARD = "discard_images"


def release(context: Context, tx: Transaction, vdi_ref: str, also_gone: Iterable[str] = ()) -> list[tuple[str, str]]:
    """Take a disk's record out of the store; answer the (SR, image) pairs to `discard` after the commit.

    An image with others built on it becomes a base copy. Freeing a leaf also frees the base copies it alone held up.
    `also_gone` are images of the repository that go in the same transaction.
    """
    vdi = tx.get(VDI, vdi_ref)
    if vdi.type is VDIType.suspend:
        tx.delete(VDI, vdi_ref)
        return [(vdi.SR, vdi.location)]
    files = context.files(vdi.SR)
    gone = frozenset(also_gone)
    if _is_known_parent(context, vdi, gone):
        _keep_as_base_copy(tx, vdi_ref)
        return []
    with failures():
        children = files.children_map().get(vdi.location, frozenset())
    if children - gone:
        _keep_as_base_copy(tx, vdi_ref)
        return []
    tx.delete(VDI, vdi_ref)
    return leaf_and_bases(context, tx, vdi.SR, vdi.location, gone)


def _is_known_parent(context: Context, vdi: VDI, gone: Set[str]) -> bool:
    """Whether an image that stays is built on the disk's, going by the records and the headers of those they name.

    True is certain. False is not: then all files have to be looked at, which stops everything else for a while where
    there are tens of thousands. A schedule deletes a snapshot of each VM with every run.
    """
    files = context.files(vdi.SR)
    for other in context.store.all(VDI).values():
        if other.sm_config.get("vhd-parent") == vdi.location and other.SR == vdi.SR and other.location not in gone:
            with suppress(StorageError):
                if files.known_parent(other.location) == vdi.location:
                    return True
    return False


def leaf_and_bases(
    context: Context, tx: Transaction, sr: str, image: str, also_gone: Iterable[str] = ()
) -> list[tuple[str, str]]:
    """The (SR, image) pairs to free with a leaf: itself, and the base copies that it alone held up."""
    files = context.files(sr)
    if not files.exists(image):
        return [(sr, image)]
    gone = {*also_gone, image}
    freed = [(sr, image)]
    with failures():
        children = files.children_map()
        for parent in files.chain(image)[1:]:
            base = _base_copy(context, tx, sr, parent)
            if base is None or children.get(parent, frozenset()) - gone:
                break
            tx.delete(VDI, base)
            freed.append((sr, parent))
            gone.add(parent)
    return freed


def release_all(context: Context, tx: Transaction, refs: Iterable[str]) -> list[tuple[str, str]]:
    """`release` for several disks, leaves first, so that a whole chain goes at once."""
    known = {ref: tx.get(VDI, ref) for ref in refs}
    freed: list[tuple[str, str]] = []
    for ref in sorted(known, key=lambda r: -_depth(context, known[r])):
        gone = [image for sr, image in freed if sr == known[ref].SR]
        freed += release(context, tx, ref, gone)
    return freed


def begin_discard(context: Context, images: Iterable[tuple[str, str]]) -> Entry | None:
    """Write down what will be freed, before the transaction that lets go of it.

    On a full disk the reserve makes this possible: freeing is what is needed then.
    """
    by_sr = _by_sr(images)
    if not by_sr:
        return None
    with failures():
        try:
            return context.journal.begin(DISCARD, images=by_sr)
        except StorageError as error:
            if error.cause != "no_space" or not context.store.reserve.release():
                raise
            return context.journal.begin(DISCARD, images=by_sr)


class Discard:
    """What a transaction is about to let go of; see `discarding`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.entry: Entry | None = None

    def begin(self, images: Iterable[tuple[str, str]]) -> None:
        """Write down what will be freed; once, in the transaction. :raise Failure: it cannot be written."""
        self.entry = begin_discard(self._context, images)


@contextmanager
def discarding(context: Context) -> Iterator[Discard]:
    """Around a transaction that lets go of images: they are freed after it, or kept if it fails."""
    discard = Discard(context)
    try:
        yield discard
    finally:
        finish_discard(context, discard.entry)


def begin_making(context: Context, images: Iterable[tuple[str, str]]) -> Entry | None:
    """Write down images about to be made: what of them the store does not hold in the end, `finish_discard` frees."""
    by_sr = _by_sr(images)
    if not by_sr:
        return None
    with failures():
        return context.journal.begin(DISCARD, images=by_sr)


def _by_sr(images: Iterable[tuple[str, str]]) -> dict[str, Any]:
    by_sr: dict[str, Any] = {}
    for sr, image in images:
        by_sr.setdefault(sr, []).append(image)
    return by_sr


def finish_discard(context: Context, entry: Entry | None) -> None:
    """Free what the entry names and nothing in the store holds; then the entry ends. Safe to repeat.

    Failing to is not the caller's failure, whose work is done: the entry stays, and the next start frees it.
    """
    if entry is None:
        return
    try:
        discard_unheld(context, entry)
    except Failure as failure:
        log.warning("images will be freed at the next start", entry=entry.id, error=str(failure))


def discard_unheld(context: Context, entry: Entry) -> None:
    """As `finish_discard`. :raise Failure: not all could be freed; the entry stays."""
    images: Mapping[str, list[str]] = entry.facts["images"]  # type: ignore[assignment]
    held = {(vdi.SR, vdi.location) for vdi in context.store.all(VDI).values()}
    with failures():
        for sr, ids in images.items():
            if sr not in context.repositories:
                continue
            doomed = {image for image in ids if (sr, image) not in held}
            if not doomed:
                continue
            files = context.files(sr)
            children = files.children_map()
            # What something else was built on meanwhile stays.
            kept = {image for image in doomed if children.get(image, frozenset()) - doomed}
            files.discard(doomed - kept)
        entry.end()


def _depth(context: Context, vdi: VDI) -> int:
    if vdi.type is VDIType.suspend or not context.files(vdi.SR).exists(vdi.location):
        return 0
    with failures():
        return context.files(vdi.SR).depth(vdi.location)


_HIDDEN: Final[Mapping[str, Any]] = {
    "name_label": BASE_COPY,
    "name_description": "",
    "managed": False,
    "read_only": True,
    "is_a_snapshot": False,
    "snapshot_of": NULL,
    "snapshot_time": EPOCH,
}


def base_copy_of(vdi: VDI) -> VDI:
    """The record of the hidden image that a disk leaves behind when it moves on to an overlay."""
    return msgspec.structs.replace(
        vdi, **{**_HIDDEN, "uuid": "", "VBDs": frozenset(), "snapshots": frozenset(), "current_operations": {}}
    )


def _keep_as_base_copy(tx: Transaction, ref: str) -> None:
    tx.update(VDI, ref, **_HIDDEN)


def _base_copy(context: Context, tx: Transaction, sr: str, image: str) -> str | None:
    for ref, vdi in context.store.all(VDI).items():
        if sr == vdi.SR and vdi.location == image:
            now = tx.changed.get(("VDI", ref), vdi)
            return ref if isinstance(now, VDI) and not now.managed else None
    return None
