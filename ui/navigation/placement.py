"""Where each object stands in the tree, and how it looks there. Pure functions of the object cache.

pool > hosts > VMs and local storage; below the pool also VMs without a home, shared storage, and templates.
Snapshots never stand in the tree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from app.api import PBD, SR, VBD, VDI, VM, Host, HostMetrics, Pool, Record, VBDType, VMPowerState, is_null
from app.client import Delta, ObjectCache
from ui.base.sizes_and_dates import number, size
from ui.models.natural_order import natural_key
from ui.models.orphans import orphans

Key: TypeAlias = tuple[str, str]
"""The class and the reference of an object."""

BUILT_IN: Final = "Built-in template"
ORPHANS: Final = ("orphans", "orphans")
"""The key of the one row that stands for all snapshots whose VM is gone. It is there only where there are some."""
_HOST, _VM, _SR, _TEMPLATE, _DEFAULT_TEMPLATE, _ORPHANS = range(6)  # their order on one level

#: fields on which the home of other objects depends; they hardly ever change
_HOMES: Final[Mapping[str, tuple[tuple[type[Record], str], ...]]] = {
    "SR": ((SR, "shared"), (SR, "PBDs")),
    "PBD": ((PBD, "host"), (PBD, "SR")),
    "VDI": ((VDI, "SR"),),
}

_ORPHANED: Final = ("snapshot_of", "is_a_snapshot")

_STATE_ICONS: Final = {
    VMPowerState.Halted: "vm-halted",
    VMPowerState.Paused: "vm-paused",
    VMPowerState.Running: "vm-running",
    VMPowerState.Suspended: "vm-suspended",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One object in the tree. ``what`` says what it is, for tooltips and screen readers; ``found_by`` is searched."""

    key: Key
    parent: Key | None
    order: Any
    name: str
    what: str
    icon: str
    secondary: str = ""
    description: str = ""

    def found_by(self, words: list[str]) -> bool:
        """Whether one of the words (in small letters) is in the name or the description."""
        text = f"{self.name}\n{self.description}".casefold()
        return any(word in text for word in words)


def keys(cache: ObjectCache) -> Iterator[Key]:
    """Every object that might stand in the tree."""
    for cls, record in (("pool", Pool), ("host", Host), ("VM", VM), ("SR", SR)):
        yield from ((cls, ref) for ref in cache.all(record))
    yield ORPHANS


def row_of(cache: ObjectCache, key: Key, *, default_templates: bool) -> Row | None:
    """The object's row; None if it is gone or does not stand in the tree."""
    cls, ref = key
    if cls == "VM":
        vm_rec = cache.get(VM, ref)
        return None if vm_rec is None else _vm(cache, key, vm_rec, default_templates=default_templates)
    if cls == "SR":
        sr_rec = cache.get(SR, ref)
        return None if sr_rec is None else _sr(cache, key, sr_rec)
    if cls == "host":
        host_rec = cache.get(Host, ref)
        return None if host_rec is None else _host(cache, key, host_rec)
    if key == ORPHANS:
        return _orphans(cache)
    pool_rec = cache.get(Pool, ref) if cls == "pool" else None
    return None if pool_rec is None else _pool(cache, key, pool_rec)


def vm_icon(vm_rec: VM) -> str:
    """The icon of a VM or template, by its state."""
    if vm_rec.is_a_template:
        return "template"
    return "vm-busy" if vm_rec.current_operations else _STATE_ICONS[vm_rec.power_state]


def sr_icon(cache: ObjectCache, sr_rec: SR) -> str:
    """The icon of a storage repository, by its kind and whether a host reaches it."""
    pbds = [pbd for ref in sr_rec.PBDs if (pbd := cache.get(PBD, ref)) is not None]
    if not any(pbd.currently_attached for pbd in pbds):
        return "sr-broken"
    if sr_rec.content_type == "iso":
        return "sr-iso"
    return "sr-remote" if sr_rec.shared else "sr-local"


def host_icon(cache: ObjectCache, host_rec: Host) -> str:
    """The icon of a host, by whether it answers and takes VMs."""
    metrics = cache.get(HostMetrics, host_rec.metrics)
    if metrics is not None and not metrics.live:
        return "host-disconnected"
    return "host" if host_rec.enabled else "host-maintenance"


def accelerator(host_rec: Host) -> str:
    """What runs the guests of a host, as ``kvm``; ``none`` where nothing can, "" where it does not say."""
    return host_rec.software_version.get("accelerator", "")


def free_space(sr_rec: SR) -> str:
    """``412 GiB free``, or "" where the size is not known."""
    if sr_rec.physical_size <= 0 or sr_rec.physical_utilisation < 0 or sr_rec.content_type == "iso":
        return ""
    return f"{size(max(0, sr_rec.physical_size - sr_rec.physical_utilisation))} free"


def home_of_vm(cache: ObjectCache, vm_rec: VM) -> str:
    """The host a VM belongs to: where it runs, else where a disk of it lives, else the one it prefers; "" for none."""
    hosts = cache.all(Host)
    if vm_rec.resident_on in hosts:
        return vm_rec.resident_on
    if len(hosts) == 1:
        return next(iter(hosts))
    for ref in _disk_hosts(cache, vm_rec):
        return ref
    return vm_rec.affinity if vm_rec.affinity in hosts else ""


def home_of_sr(cache: ObjectCache, sr_rec: SR) -> str:
    """The only host that reaches a storage repository; "" for a shared one, or one that no host reaches."""
    if sr_rec.shared:
        return ""
    pbds = (cache.get(PBD, ref) for ref in sr_rec.PBDs)
    hosts = {pbd.host for pbd in pbds if pbd is not None and cache.get(Host, pbd.host) is not None}
    return next(iter(hosts)) if len(hosts) == 1 else ""


def affected(cache: ObjectCache, delta: Delta) -> set[Key] | None:
    """The objects whose rows a delta may have changed; None: all of them, since something they stand on changed."""
    found: set[Key] = set()
    for cls, ref in delta.added | delta.removed | delta.changed:
        came_or_went = (cls, ref) in delta.added or (cls, ref) in delta.removed  # maybe changed in the same batch
        if cls in ("pool", "host", "SR", "PBD") and came_or_went:
            return None
        if any(_differs(cache, delta, cls, ref, record, name) for record, name in _HOMES.get(cls, ())):
            return None
        if cls in ("pool", "host", "SR", "VM"):
            found.add((cls, ref))
        if cls == "VM" and (came_or_went or any(_differs(cache, delta, cls, ref, VM, f) for f in _ORPHANED)):
            found.add(ORPHANS)
        if cls == "pool":
            found |= {("host", host) for host in cache.all(Host)}  # the coordinator stands first
        elif cls == "host_metrics":
            found |= {("host", host) for host, record in cache.all(Host).items() if record.metrics == ref}
        elif cls == "PBD":
            found |= {("SR", sr) for sr, record in cache.all(SR).items() if ref in record.PBDs}
        elif cls == "VBD":
            found |= {("VM", vbd.VM) for vbd in _now_and_before(cache, delta, ref)}
    return found


def _differs(cache: ObjectCache, delta: Delta, cls: str, ref: str, record: type[Record], name: str) -> bool:
    before, now = delta.before.get((cls, ref)), cache.get(record, ref)
    return before is not None and now is not None and getattr(before, name) != getattr(now, name)


def _now_and_before(cache: ObjectCache, delta: Delta, ref: str) -> list[VBD]:
    records: list[Record | None] = [cache.get(VBD, ref), delta.before.get(("VBD", ref))]
    return [record for record in records if isinstance(record, VBD)]


def _under(cache: ObjectCache, host: str) -> Key | None:
    """The host's key, else the pool's; None before there is a pool."""
    if host:
        return ("host", host)
    pool = cache.one(Pool)
    return None if pool is None else ("pool", pool[0])


def _pool(cache: ObjectCache, key: Key, record: Pool) -> Row:
    master = cache.get(Host, record.master)
    name = record.name_label or (master.name_label if master else "") or "Pool"
    return Row(key, None, (0, natural_key(name), key[1]), name, "Pool", "pool", "", record.name_description)


def _host(cache: ObjectCache, key: Key, record: Host) -> Row:
    pool = cache.one(Pool)
    icon = host_icon(cache, record)
    first = pool is not None and pool[1].master == key[1]
    rank = 0 if first else 2 if icon == "host-disconnected" else 1
    name = record.name_label or record.hostname or "Host"
    what = {"host": "Host", "host-disconnected": "Host, does not answer"}.get(icon, "Host, takes no VMs now")
    order = (_HOST, rank, natural_key(name), key[1])
    used = accelerator(record)
    secondary = "no QEMU" if used == "none" else used
    return Row(key, _under(cache, ""), order, name, what, icon, secondary, record.name_description)


def _vm(cache: ObjectCache, key: Key, record: VM, *, default_templates: bool) -> Row | None:
    if record.is_a_snapshot or record.is_control_domain:
        return None
    name = record.name_label or "Unnamed"
    if not record.is_a_template:
        busy = ", busy" if record.current_operations else ""
        what = f"VM, {record.power_state.value.lower()}{busy}"
        order = (_VM, 0, natural_key(name), key[1])
        parent = _under(cache, home_of_vm(cache, record))
        return Row(key, parent, order, name, what, vm_icon(record), "", record.name_description)
    if record.is_default_template and not default_templates:
        return None
    rank = _DEFAULT_TEMPLATE if record.is_default_template else _TEMPLATE
    what = BUILT_IN if record.is_default_template else "Template"
    order = (rank, 0, natural_key(name), key[1])
    return Row(key, _under(cache, ""), order, name, what, "template", "", record.name_description)


def _sr(cache: ObjectCache, key: Key, record: SR) -> Row | None:
    if record.is_tools_sr:
        return None
    name = record.name_label or "Storage"
    icon = sr_icon(cache, record)
    what = "Storage, not connected" if icon == "sr-broken" else "ISO library" if icon == "sr-iso" else "Storage"
    order = (_SR, 0, natural_key(name), key[1])
    parent = _under(cache, home_of_sr(cache, record))
    return Row(key, parent, order, name, what, icon, free_space(record), record.name_description)


def _orphans(cache: ObjectCache) -> Row | None:
    many = len(orphans(cache))
    if not many:
        return None
    what = "Snapshots whose VM is gone"
    return Row(ORPHANS, _under(cache, ""), (_ORPHANS,), "Orphaned snapshots", what, "snapshot", number(many))


def _disk_hosts(cache: ObjectCache, vm_rec: VM) -> Iterator[str]:
    for ref in sorted(vm_rec.VBDs):
        vbd = cache.get(VBD, ref)
        if vbd is None or vbd.type is not VBDType.Disk or is_null(vbd.VDI):
            continue
        vdi = cache.get(VDI, vbd.VDI)
        sr_rec = None if vdi is None else cache.get(SR, vdi.SR)
        home = "" if sr_rec is None else home_of_sr(cache, sr_rec)
        if home:
            yield home
