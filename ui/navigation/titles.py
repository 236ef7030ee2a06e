"""An object in one line: its icon, its name, and where and how it is. Over its page, and wherever it is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.api import SR, VM, VMSS, Host, Pool, Task, VMOperation, VMPowerState
from app.client import ObjectCache
from ui.base.sizes_and_dates import count, percent, size
from ui.models.orphans import orphans
from ui.navigation.placement import ORPHANS, Key, accelerator, home_of_sr, host_icon, row_of, sr_icon, vm_icon

_DOING: Final[Mapping[VMOperation, str]] = {
    VMOperation.snapshot: "taking a snapshot",
    VMOperation.snapshot_with_quiesce: "taking a snapshot",
    VMOperation.checkpoint: "taking a snapshot with memory",
    VMOperation.revert: "reverting",
    VMOperation.reverting: "reverting",
    VMOperation.start: "starting",
    VMOperation.start_on: "starting",
    VMOperation.clean_shutdown: "shutting down",
    VMOperation.hard_shutdown: "shutting down",
    VMOperation.shutdown: "shutting down",
    VMOperation.clean_reboot: "rebooting",
    VMOperation.hard_reboot: "rebooting",
    VMOperation.suspend: "suspending",
    VMOperation.resume: "resuming",
    VMOperation.resume_on: "resuming",
    VMOperation.pause: "pausing",
    VMOperation.unpause: "unpausing",
    VMOperation.clone: "being cloned",
    VMOperation.copy: "being copied",
    VMOperation.export: "being exported",
    VMOperation.import_: "being imported",
    VMOperation.provision: "being set up",
    VMOperation.destroy: "being deleted",
}


@dataclass(frozen=True, slots=True)
class Title:
    """What stands over an object's page."""

    icon: str
    name: str
    where: str


def title_of(cache: ObjectCache, key: Key) -> Title | None:
    """The object in one line; None if it is gone."""
    cls, ref = key
    if cls == "VM" and (vm_rec := cache.get(VM, ref)) is not None:
        return Title(vm_icon(vm_rec), vm_rec.name_label, where_vm(cache, vm_rec))
    row = row_of(cache, key, default_templates=True)
    if row is None:
        return None
    return Title(row.icon, row.name, _where(cache, key))


def where_vm(cache: ObjectCache, vm_rec: VM) -> str:
    """``Running on workstation · taking a snapshot, 40 % · protected by “Nightly”``."""
    if vm_rec.is_a_snapshot:
        of = cache.get(VM, vm_rec.snapshot_of)
        return f"Snapshot of {of.name_label}" if of else "Snapshot of a VM that is gone"
    if vm_rec.is_a_template:
        return "Built-in template" if vm_rec.is_default_template else "Template"
    parts = [state_words(cache, vm_rec), *doing(cache, vm_rec)]
    schedule = cache.get(VMSS, vm_rec.snapshot_schedule)
    if schedule is not None:
        parts.append(f"protected by “{schedule.name_label}”" if schedule.enabled else "its schedule is disabled")
    return " · ".join(parts)


def state_words(cache: ObjectCache, vm_rec: VM) -> str:
    """``Running on workstation``, ``Halted``."""
    host = cache.get(Host, vm_rec.resident_on)
    if host is None or vm_rec.power_state not in (VMPowerState.Running, VMPowerState.Paused):
        return vm_rec.power_state.value
    return f"{vm_rec.power_state.value} on {host.name_label}"


def doing(cache: ObjectCache, vm_rec: VM) -> list[str]:
    """What is being done with a VM now, each with how far it is."""
    said: list[str] = []
    for task, operation in sorted(vm_rec.current_operations.items()):
        words = _DOING.get(operation, "busy")
        record = cache.get(Task, task)
        far = f", {percent(record.progress, 1)}" if record is not None and 0 < record.progress < 1 else ""
        said.append(f"{words}{far}")
    return said


def _where(cache: ObjectCache, key: Key) -> str:
    cls, ref = key
    if key == ORPHANS:
        return f"{count(len(orphans(cache)), 'snapshot')} of VMs that are gone"
    if cls == "SR" and (sr_rec := cache.get(SR, ref)) is not None:
        return _where_sr(cache, sr_rec)
    if cls == "host" and (host_rec := cache.get(Host, ref)) is not None:
        return _where_host(cache, ref, host_rec)
    return _where_pool(cache)


def _where_sr(cache: ObjectCache, sr_rec: SR) -> str:
    parts = []
    host = cache.get(Host, home_of_sr(cache, sr_rec))
    if sr_icon(cache, sr_rec) == "sr-broken":
        parts.append("Not connected to any host")
    else:
        parts.append(f"On {host.name_label}" if host is not None else "Shared storage")
    if sr_rec.physical_size > 0 and sr_rec.physical_utilisation >= 0 and sr_rec.content_type != "iso":
        free = max(0, sr_rec.physical_size - sr_rec.physical_utilisation)
        parts.append(f"{size(free)} free of {size(sr_rec.physical_size)}")
    return " · ".join(parts)


def _where_host(cache: ObjectCache, host: str, host_rec: Host) -> str:
    icon = host_icon(cache, host_rec)
    parts = [] if icon == "host" else ["Does not answer" if icon == "host-disconnected" else "Takes no VMs now"]
    running = sum(1 for record in cache.all(VM).values() if record.resident_on == host)
    parts.append(f"{count(running, 'VM')} running" if running else "No VM running")
    used = accelerator(host_rec)
    if used:
        parts.append("guests cannot run" if used == "none" else f"accelerator {used}")
    return " · ".join(parts)


def _where_pool(cache: ObjectCache) -> str:
    machines = [r for r in cache.all(VM).values() if not r.is_a_template and not r.is_control_domain]
    running = sum(1 for r in machines if r.power_state is VMPowerState.Running)
    hosts = count(len(cache.all(Host)), "host")
    return f"{hosts} · {count(len(machines), 'VM')}, {running} running" if machines else f"{hosts} · no VMs yet"


def pool_name(cache: ObjectCache) -> str:
    """The pool's name, or its first host's."""
    pool = cache.one(Pool)
    row = None if pool is None else row_of(cache, ("pool", pool[0]), default_templates=False)
    return row.name if row is not None else ""
