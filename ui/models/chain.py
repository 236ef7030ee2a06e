"""Sizes and chains, from the records: what a snapshot's disks take by themselves, and what they build on.

A disk is an image in its repository (`VDI.location`); `sm_config["vhd-parent"]` names the image it builds on. The
engine keeps every frozen image as a disk of a snapshot or as a hidden base copy, so records alone tell a chain.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from app.api import SR, VBD, VDI, VM, VBDType, is_null
from app.client import Delta, ObjectCache

#: how deep a chain may become; the engine refuses more, as XenServer does
CHAIN_LIMIT: Final = 30
#: from here on it is worth a word
CHAIN_WARNING: Final = 24
PARENT_KEY: Final = "vhd-parent"

_Image = tuple[str, str]


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """Of the disks of a VM or a snapshot: bytes of their own, bytes of the images they build on, and the deepest
    chain, counted in images. ``broken`` counts disks with an image that is gone."""

    disks: int = 0
    own: int = 0
    shared: int = 0
    depth: int = 0
    broken: int = 0


@dataclass(frozen=True, slots=True)
class _Below:
    """What an image stands on, itself included."""

    depth: int
    octets: int
    broken: bool


class Chains:
    """Facts about chains, kept in step with the cache by `update`."""

    def __init__(self, cache: ObjectCache) -> None:
        self._cache = cache
        self._images: dict[_Image, str] = {}
        self._below: dict[_Image, _Below] = {}
        for ref, vdi in cache.all(VDI).items():
            self._images[vdi.SR, vdi.location] = ref

    def update(self, delta: Delta) -> bool:
        """Take in what changed; True if any disk did."""
        touched = [key for key in delta.added | delta.changed | delta.removed if key[0] == "VDI"]
        for key in touched:
            before = delta.before.get(key)
            if isinstance(before, VDI) and self._images.get((before.SR, before.location)) == key[1]:
                del self._images[before.SR, before.location]
        for _, ref in touched:
            vdi = self._cache.get(VDI, ref)
            if vdi is not None:
                self._images[vdi.SR, vdi.location] = ref
        if touched:
            self._below.clear()
        return bool(touched) or delta.touches(VBD)

    def of(self, vm: VM) -> ChainFacts:
        """The facts about a VM or snapshot: all its disks, and the memory image that a checkpoint has."""
        disks = disks_of(self._cache, vm)
        own = sum(max(0, disk.physical_utilisation) for disk in disks)
        below = [self._what_is_below((disk.SR, disk.location)) for disk in disks]
        shared = sum(b.octets for b in below) - own
        if not is_null(vm.suspend_VDI) and (memory := self._cache.get(VDI, vm.suspend_VDI)) is not None:
            own += max(0, memory.physical_utilisation)
        return ChainFacts(
            disks=len(disks),
            own=own,
            shared=max(0, shared),
            depth=max((b.depth for b in below), default=0),
            broken=sum(b.broken for b in below),
        )

    def of_disk(self, disk: VDI) -> ChainFacts:
        """The facts about one disk."""
        below, own = self._what_is_below((disk.SR, disk.location)), max(0, disk.physical_utilisation)
        return ChainFacts(1, own, max(0, below.octets - own), below.depth, int(below.broken))

    def _what_is_below(self, image: _Image) -> _Below:
        trail: list[tuple[_Image, VDI]] = []
        seen: set[_Image] = set()
        found = _Below(0, 0, broken=False)
        while image not in self._below:
            vdi = self._cache.get(VDI, self._images.get(image, ""))
            if vdi is None or image in seen:
                found = _Below(0, 0, broken=True)
                break
            seen.add(image)
            trail.append((image, vdi))
            parent = vdi.sm_config.get(PARENT_KEY, "")
            if not parent:
                break
            image = (vdi.SR, parent)
        else:
            found = self._below[image]
        for passed, vdi in reversed(trail):
            octets = found.octets + max(0, vdi.physical_utilisation)
            found = _Below(found.depth + 1, octets, found.broken or vdi.missing)
            self._below[passed] = found
        return found


def disks_of(cache: ObjectCache, vm: VM) -> list[VDI]:
    """The disks that a VM or a snapshot holds, not its drives, by device number."""
    devices = [device for ref in vm.VBDs if (device := cache.get(VBD, ref)) is not None]
    devices.sort(key=lambda vbd: (len(vbd.userdevice), vbd.userdevice))
    held = (cache.get(VDI, vbd.VDI) for vbd in devices if vbd.type is VBDType.Disk and not is_null(vbd.VDI))
    return [vdi for vdi in held if vdi is not None]


def free_space(cache: ObjectCache, vm: VM) -> tuple[str, int] | None:
    """Name and free bytes of the fullest repository of the VM's disks; None if it has none or nobody knows."""
    rooms = {disk.SR: cache.get(SR, disk.SR) for disk in disks_of(cache, vm)}
    known = [sr for sr in rooms.values() if sr is not None and sr.physical_size > 0 and sr.physical_utilisation >= 0]
    fullest = min(known, key=_free, default=None)
    return None if fullest is None else (fullest.name_label, _free(fullest))


def _free(sr: SR) -> int:
    return max(0, sr.physical_size - sr.physical_utilisation)


def unmatched_disks(cache: ObjectCache, vm: VM, snapshot: VM) -> list[VDI]:
    """The VM's disks that the snapshot has no state of; a revert takes them from the VM and keeps them."""
    kept = {disk.snapshot_of for disk in disks_of(cache, snapshot)}
    refs = [vbd.VDI for ref in vm.VBDs if (vbd := cache.get(VBD, ref)) and vbd.type is VBDType.Disk]
    found = [cache.get(VDI, ref) for ref in refs if not is_null(ref) and ref not in kept]
    return [vdi for vdi in found if vdi is not None]


def total(facts: Iterable[ChainFacts]) -> int:
    """What snapshots take by themselves, in bytes."""
    return sum(fact.own for fact in facts)
