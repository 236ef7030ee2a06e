"""Disks that no VM has: which of a repository's can be deleted, and why the others cannot."""

from __future__ import annotations

from collections.abc import Iterable

from app.api import SR, VDI, VDIOperation
from app.client import ObjectCache
from ui.storage.disks import Volume, volumes


def why_not(volume: Volume, vdi: VDI) -> str:
    """Why this disk cannot be deleted here; "" where it can."""
    if volume.kind == "base":
        return "Other disks build on it. It goes by itself when none does any more."
    if volume.kind == "iso":
        return "An ISO is a file in the library's folder: delete it there."
    if not volume.orphan:
        return f"It belongs to {volume.holders}: delete it there."
    if vdi.current_operations:
        return "Something is being done with it."
    return "" if VDIOperation.destroy in vdi.allowed_operations else "The engine does not allow this now."


def by_repository(cache: ObjectCache, refs: Iterable[str]) -> dict[str, tuple[Volume, VDI]]:
    """The disks as the tables show them, by reference."""
    found: dict[str, tuple[Volume, VDI]] = {}
    for ref in refs:
        vdi = cache.get(VDI, ref)
        if vdi is not None and (volume := volumes(cache, vdi.SR, [ref]).get(ref)) is not None:
            found[ref] = (volume, vdi)
    return found


def deletable(cache: ObjectCache, refs: Iterable[str]) -> dict[str, Volume]:
    """Those of the disks that can be deleted now."""
    found = by_repository(cache, refs)
    return {ref: volume for ref, (volume, vdi) in found.items() if not why_not(volume, vdi)}


def orphaned(cache: ObjectCache, sr: str) -> dict[str, Volume]:
    """The disks of a repository that no VM has and that can be deleted."""
    record = cache.get(SR, sr)
    if record is None or record.content_type == "iso":
        return {}
    every = volumes(cache, sr)
    records = {ref: cache.get(VDI, ref) for ref, volume in every.items() if volume.orphan}
    return {ref: every[ref] for ref, vdi in records.items() if vdi is not None and not why_not(every[ref], vdi)}
