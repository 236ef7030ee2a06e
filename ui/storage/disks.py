"""Disks and drives as rows: those of a VM, and those of a storage repository. Pure functions of the cache."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from app.api import EPOCH, SR, VBD, VDI, VM, Record, Ref, VBDMode, VBDType, VDIType, is_null
from app.client import Delta, ObjectCache
from ui.base.sizes_and_dates import size
from ui.models.looking import Looking
from ui.models.orphans import name_of_gone

Kind = Literal["disk", "snapshot", "memory", "base", "iso", "other"]

#: icon and words of each kind of disk
KINDS: Final[Mapping[Kind, tuple[str, str]]] = {
    "disk": ("disk", "Disk"),
    "snapshot": ("snapshot", "Snapshot"),
    "memory": ("memory", "Memory image"),
    "base": ("base", "Base copy"),
    "iso": ("cd", "ISO"),
    "other": ("disk", "Other"),
}


@dataclass(frozen=True, slots=True)
class Device:
    """A block device of a VM. Sizes in bytes, None where there is no disk."""

    position: str
    name: str
    description: str
    storage: str
    virtual_size: int | None
    used: int | None
    is_drive: bool
    empty: bool
    bootable: bool
    read_only: bool
    attached: bool
    missing: bool

    @property
    def icon(self) -> str:
        """A disc or a disk."""
        return "cd" if self.is_drive else "disk"

    @property
    def what(self) -> str:
        """Its kind in words."""
        return "CD drive" if self.is_drive else "Disk"


@dataclass(frozen=True, slots=True)
class Volume:
    """A disk of a storage repository. ``holders`` names the VMs or snapshots that have it."""

    name: str
    description: str
    kind: Kind
    holders: str
    holder: str
    virtual_size: int
    used: int
    frozen: datetime | None
    location: str
    missing: bool
    orphan: bool

    @property
    def words(self) -> str:
        """Its kind in words."""
        return f"{KINDS[self.kind][1]}, file missing" if self.missing else KINDS[self.kind][1]

    @property
    def state(self) -> str:
        """Who needs it where no VM has it, in words; "" where that goes without saying."""
        if self.kind == "base":
            return "Others build on it"
        if self.orphan:
            return "Left by a snapshot" if self.kind == "snapshot" else "No VM has it"
        return ""


def size_or_dash(octets: int | None) -> str:
    """A size, or a dash where there is none."""
    return "–" if octets is None or octets < 0 else size(octets)


def devices(look: Looking, vm: str) -> dict[str, Device]:
    """The block devices of a VM by reference."""
    record = look.get(VM, vm)
    if record is None:
        return {}
    found = {str(ref): look.get(VBD, ref) for ref in record.VBDs}
    return {ref: _device(look, vbd) for ref, vbd in found.items() if vbd is not None}


def _device(look: Looking, vbd: VBD) -> Device:
    vdi = None if vbd.empty or is_null(vbd.VDI) else look.get(VDI, vbd.VDI)
    storage = None if vdi is None else look.get(SR, vdi.SR)
    drive = vbd.type is VBDType.CD
    return Device(
        position=vbd.userdevice,
        name=vdi.name_label or "Unnamed" if vdi is not None else "Empty" if drive else "No disk",
        description=vdi.name_description if vdi is not None else "",
        storage=storage.name_label if storage is not None else "",
        virtual_size=vdi.virtual_size if vdi is not None else None,
        used=vdi.physical_utilisation if vdi is not None and not drive else None,
        is_drive=drive,
        empty=vdi is None,
        bootable=vbd.bootable,
        read_only=vbd.mode is VBDMode.RO or drive,
        attached=vbd.currently_attached,
        missing=vdi is not None and vdi.missing,
    )


def volumes(cache: ObjectCache, sr: str, only: Collection[str] | None = None) -> dict[str, Volume]:
    """The disks of a storage repository by reference; ``only`` looks at no others."""
    record = cache.get(SR, sr)
    iso = record is not None and record.content_type == "iso"
    memories = {vm.suspend_VDI: ref for ref, vm in cache.all(VM).items() if not is_null(vm.suspend_VDI)}
    every = cache.all(VDI)
    asked = every if only is None else [Ref(ref) for ref in only]
    found = {ref: every[ref] for ref in asked if ref in every and sr == every[ref].SR}
    return {ref: _volume(cache, ref, vdi, memories, iso=iso) for ref, vdi in found.items()}


def touched_volumes(cache: ObjectCache, delta: Delta) -> set[str]:
    """The disks whose rows a delta may have changed: themselves, or who has them and what that is called."""
    found: set[str] = set()
    for key in delta.added | delta.changed | delta.removed:
        cls, ref = key
        if cls == "VDI":
            found.add(ref)
        elif cls == "VBD":
            records = (cache.get(VBD, ref), delta.before.get(key))
            found |= {record.VDI for record in records if isinstance(record, VBD)}
        elif cls == "VM":
            now, before = cache.get(VM, ref), delta.before.get(key)
            if now is None or not isinstance(before, VM) or _facts(now) != _facts(before):
                found |= _disks_of(cache, now) | _disks_of(cache, before)
    return found


def _facts(record: VM) -> tuple[object, ...]:
    return record.name_label, record.suspend_VDI, record.VBDs


def _disks_of(cache: ObjectCache, record: Record | None) -> set[str]:
    """The disks of a VM and of its snapshots, whose rows name it."""
    if not isinstance(record, VM):
        return set()
    found: set[str] = {record.suspend_VDI}
    snapshots = (cache.get(VM, ref) for ref in record.snapshots)
    for machine in (record, *(snapshot for snapshot in snapshots if snapshot is not None)):
        held = (cache.get(VBD, ref) for ref in machine.VBDs)
        found |= {vbd.VDI for vbd in held if vbd is not None}
    return found


def _volume(cache: ObjectCache, ref: Ref[VDI], vdi: VDI, memories: Mapping[Ref[VDI], Ref[VM]], *, iso: bool) -> Volume:
    holding = [vbd.VM for held in sorted(vdi.VBDs) if (vbd := cache.get(VBD, held)) is not None]
    if ref in memories:
        holding.append(memories[ref])
    names = [(name, vm) for vm in holding if (name := _holder(cache, vm))]
    frozen = vdi.snapshot_time if vdi.is_a_snapshot and vdi.snapshot_time > EPOCH else None
    return Volume(
        name=vdi.name_label or ("Base copy" if not vdi.managed else "Unnamed"),
        description=vdi.name_description,
        kind=_kind(vdi, iso=iso),
        holders=", ".join(name for name, _ in names),
        holder=names[0][1] if names else "",
        virtual_size=vdi.virtual_size,
        used=vdi.physical_utilisation,
        frozen=frozen,
        location=vdi.location,
        missing=vdi.missing,
        orphan=not (iso or names) and vdi.managed,
    )


def _holder(cache: ObjectCache, vm: str) -> str:
    record = cache.get(VM, vm)
    if record is None:
        return ""
    if not record.is_a_snapshot:
        return record.name_label
    of = cache.get(VM, record.snapshot_of)
    owner = of.name_label if of is not None else name_of_gone(record) or "a VM that is gone"
    return f"{owner} › {record.name_label}"


def _kind(vdi: VDI, *, iso: bool) -> Kind:
    if iso:
        return "iso"
    if not vdi.managed:
        return "base"
    if vdi.type is VDIType.suspend:
        return "memory"
    if vdi.is_a_snapshot:
        return "snapshot"
    return "disk" if vdi.type in (VDIType.user, VDIType.system, VDIType.ephemeral) else "other"


def isos(look: Looking) -> list[tuple[str, str]]:
    """(reference, name) of every ISO there is, by name."""
    libraries = {ref for ref, sr in look.all(SR).items() if sr.content_type == "iso"}
    found = [
        (str(ref), vdi.name_label) for ref, vdi in look.all(VDI).items() if vdi.SR in libraries and not vdi.missing
    ]
    return sorted(found, key=lambda pair: pair[1].casefold())
