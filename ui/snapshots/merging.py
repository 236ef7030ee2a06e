"""What becomes of the images of snapshots that are deleted: freed at once, merged later, or needed still."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.api import VDI, VM, is_null
from app.client import ObjectCache
from ui.models.chain import PARENT_KEY, disks_of


@dataclass(frozen=True, slots=True)
class Freed:
    """In bytes. ``at_once``: nothing builds on these images. ``merged``: one other image builds on each, and takes over
    what it needs of it, in the background. ``kept``: several do, so they stay as base copies."""

    at_once: int = 0
    merged: int = 0
    kept: int = 0


def freed_by(cache: ObjectCache, snapshots: Iterable[str]) -> Freed:
    """What deleting these snapshots, with their disks, does to their images."""
    records = [record for ref in snapshots if (record := cache.get(VM, ref)) is not None]
    going = {(disk.SR, disk.location): disk for record in records for disk in disks_of(cache, record)}
    above = _children(cache)
    hidden = {(disk.SR, disk.location): disk for disk in cache.all(VDI).values() if not disk.managed}
    at_once = sum(_memory(cache, record) for record in records)
    while leaves := [image for image in going if not above.get(image)]:
        for image in leaves:
            disk = going.pop(image)
            at_once += max(0, disk.physical_utilisation)
            below = (disk.SR, disk.sm_config.get(PARENT_KEY, ""))
            above.get(below, set()).discard(image[1])
            if (base := hidden.get(below)) is not None:
                going[below] = base
    sizes = {image: max(0, disk.physical_utilisation) for image, disk in going.items() if disk.managed}
    merged = sum(octets for image, octets in sizes.items() if len(above[image]) == 1)
    return Freed(at_once, merged, sum(sizes.values()) - merged)


def _children(cache: ObjectCache) -> dict[tuple[str, str], set[str]]:
    """The images that build on each, by repository and location."""
    found: dict[tuple[str, str], set[str]] = {}
    for disk in cache.all(VDI).values():
        parent = disk.sm_config.get(PARENT_KEY, "")
        if parent:
            found.setdefault((disk.SR, parent), set()).add(disk.location)
    return found


def _memory(cache: ObjectCache, record: VM) -> int:
    image = None if is_null(record.suspend_VDI) else cache.get(VDI, record.suspend_VDI)
    return max(0, image.physical_utilisation) if image is not None else 0
