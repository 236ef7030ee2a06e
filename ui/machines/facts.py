"""What is worth saying about a VM, as facts for its General tab. Pure functions over the cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from app.api import (
    EPOCH,
    PBD,
    SR,
    VBD,
    VDI,
    VIF,
    VM,
    VMSS,
    Host,
    Network,
    Pool,
    VBDType,
    VMGuestMetrics,
    VMMetrics,
    VMPowerState,
    VMSSFrequency,
)
from app.client import ObjectCache
from ui.base.sizes_and_dates import age, count, date_and_time, duration, exact, size
from ui.models.looking import Looking
from ui.models.protection import protector
from ui.models.states import doing
from ui.widgets.facts import Fact

_BOOT_DEVICES: Final = {"c": "hard disk", "d": "CD", "n": "network"}
_BUSES: Final = {"virtio": "virtio", "sata": "SATA", "ide": "IDE"}
_FREQUENCIES: Final = {
    VMSSFrequency.hourly: "every hour",
    VMSSFrequency.daily: "every day",
    VMSSFrequency.weekly: "every week",
}


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk or drive of a VM; sizes in bytes."""

    name: str
    device: str
    storage: str
    virtual_size: int
    used: int
    is_cd: bool


def state_facts(look: Looking, vm: VM, now: datetime | None = None) -> list[Fact]:
    """Power, since when, and where."""
    metrics = look.get(VMMetrics, vm.metrics)
    host = look.get(Host, vm.resident_on)
    since = metrics.start_time if metrics is not None else EPOCH
    up = vm.power_state in (VMPowerState.Running, VMPowerState.Paused) and since > EPOCH
    passed = max((now or datetime.now(UTC)) - since, timedelta(0))
    guest = look.get(VMGuestMetrics, vm.guest_metrics)
    system = guest.os_version.get("name", "") if guest is not None else ""
    return [
        ("Now", doing(vm).capitalize()),
        ("Up for", _coarse(passed) if up else ""),
        ("Started", date_and_time(since) if up else "", exact(since) if up else ""),
        ("Runs on", (host.name_label if host is not None else "") if up else ""),
        ("System", system),
        ("Guest agent", "Answers" if guest is not None and guest.live else "Not seen" if up else ""),
    ]


def _coarse(passed: timedelta) -> str:
    """A time that stands on the screen changes once a minute at most."""
    minutes = int(passed.total_seconds() // 60)
    return "less than a minute" if minutes < 1 else duration(timedelta(minutes=minutes))


def hardware_facts(look: Looking, vm: VM) -> list[Fact]:
    """Processors, memory, and how it boots."""
    cpus = count(vm.VCPUs_at_startup, "virtual CPU")
    if vm.VCPUs_max > vm.VCPUs_at_startup:
        cpus += f", at most {vm.VCPUs_max}"
    host = look.get(Host, vm.resident_on)
    accelerator = host.software_version.get("accelerator", "") if host is not None else ""
    order = [_BOOT_DEVICES[letter] for letter in vm.HVM_boot_params.get("order", "") if letter in _BOOT_DEVICES]
    firmware = vm.HVM_boot_params.get("firmware", "bios").lower()
    bus = vm.platform.get("disk-bus", "")
    return [
        ("Processors", cpus),
        ("Memory", size(vm.memory_static_max)),
        ("Accelerator", accelerator.upper()),
        ("Boots from", ", then ".join(order)),
        ("Firmware", {"bios": "BIOS", "uefi": "UEFI"}.get(firmware, firmware)),
        ("Disk bus", _BUSES.get(bus, bus)),
    ]


def disks(look: Looking, vm: VM) -> list[Disk]:
    """The disks and drives in the order of their device numbers."""
    found = [vbd for ref in vm.VBDs if (vbd := look.get(VBD, ref)) is not None]
    found.sort(key=lambda vbd: (len(vbd.userdevice), vbd.userdevice))
    return [_disk(look, vbd) for vbd in found]


def _disk(look: Looking, vbd: VBD) -> Disk:
    is_cd = vbd.type is VBDType.CD
    vdi = None if vbd.empty else look.get(VDI, vbd.VDI)
    device = f"{'CD drive' if is_cd else 'Disk'} {vbd.userdevice}"
    if vdi is None:
        return Disk("Empty" if is_cd else "Missing", device, "", 0, 0, is_cd)
    sr = look.get(SR, vdi.SR)
    storage = sr.name_label if sr is not None else ""
    return Disk(vdi.name_label, device, storage, vdi.virtual_size, max(0, vdi.physical_utilisation), is_cd)


def disk_facts(found: Sequence[Disk]) -> list[Fact]:
    """Each disk on a line, and the sum where there are several."""
    facts: list[Fact] = []
    for disk in found:
        if disk.is_cd:
            facts.append((disk.device, disk.name, disk.storage))
        else:
            facts.append((disk.device, f"{size(disk.virtual_size)} · {disk.name}", f"On {disk.storage}"))
    real = [disk for disk in found if not disk.is_cd]
    if real:
        total = f"{size(sum(d.used for d in real))} of {size(sum(d.virtual_size for d in real))}"
        facts.append(("Space used", total, "Snapshots not counted"))
    return facts


def network_facts(look: Looking, vm: VM) -> list[Fact]:
    """Each interface: the network it joins, its hardware address, and the addresses that the guest reports."""
    guest = look.get(VMGuestMetrics, vm.guest_metrics)
    found = [vif for ref in vm.VIFs if (vif := look.get(VIF, ref)) is not None]
    facts: list[Fact] = []
    for vif in sorted(found, key=lambda vif: (len(vif.device), vif.device)):
        network = look.get(Network, vif.network)
        facts.append((f"Interface {vif.device}", network.name_label if network is not None else "No network"))
        facts.append((f"MAC address {vif.device}" if len(found) > 1 else "MAC address", vif.MAC))
        address = guest.networks.get(f"{vif.device}/ip", "") if guest is not None else ""
        facts.append((f"Address {vif.device}" if len(found) > 1 else "Address", address))
    return facts


def snapshot_facts(look: Looking, vm: VM, now: datetime | None = None) -> list[Fact]:
    """How many, how old, and whether a schedule takes more."""
    found = [snapshot for ref in vm.snapshots if (snapshot := look.get(VM, ref)) is not None]
    newest = max(found, key=lambda snapshot: snapshot.snapshot_time, default=None)
    oldest = min(found, key=lambda snapshot: snapshot.snapshot_time, default=None)
    memory = sum(snapshot.power_state is VMPowerState.Suspended for snapshot in found)
    by = protector(look, vm)
    vmss = look.get(VMSS, by) if by is not None else None
    facts: list[Fact] = [
        ("Snapshots", (f"{len(found)}, {memory} with memory" if memory else str(len(found))) if found else "None yet")
    ]
    for what, snapshot in (("Newest", newest), ("Oldest", oldest if len(found) > 1 else None)):
        if snapshot is None:
            facts.append((what, ""))
        else:
            said = f"{age(snapshot.snapshot_time, now)} · {snapshot.name_label}"
            facts.append((what, said, exact(snapshot.snapshot_time)))
    facts.append(("Protection", _protection(vmss)))
    return facts


def health_facts(told: Mapping[str, str] | None) -> list[Fact]:
    """How the VM's chains are, as VM.get_chain_health tells; nothing where it does not."""
    if not told or not (depth := _number(told, "depth")):
        return [("Chain", ""), ("Merges", ""), ("Missing", ""), ("Blocked", "")]
    limit, room = _number(told, "depth-limit"), _number(told, "head-room")
    merges, missing = _number(told, "pending-merges"), _number(told, "missing")
    fits = f", {count(room, 'more snapshot')} {'fits' if room == 1 else 'fit'}" if "head-room" in told else ""
    return [
        ("Chain", f"{depth} of {limit}{fits}", "Images in a row of the deepest disk, and how many more may follow"),
        ("Merges", f"{count(merges, 'merge')} pending" if merges else ""),
        ("Missing", f"{count(missing, 'disk')} with an image that is gone" if missing else ""),
        ("Blocked", told.get("blocked", ""), told.get("blocked", "")),
    ]


def _number(told: Mapping[str, str], key: str) -> int:
    try:
        return int(told.get(key, 0))
    except ValueError:
        return 0


def memory_facts(look: Looking, vm: VM) -> list[Fact]:
    """The memory image of a suspended VM, and where it is."""
    vdi = look.get(VDI, vm.suspend_VDI) if vm.power_state is VMPowerState.Suspended else None
    if vdi is None:
        return [("Memory image", "")]
    sr = look.get(SR, vdi.SR)
    octets = size(vdi.physical_utilisation) if vdi.physical_utilisation > 0 else size(max(0, vdi.virtual_size))
    return [("Memory image", f"{octets} on {sr.name_label}" if sr is not None else octets, "Resuming goes on from it")]


def _protection(vmss: VMSS | None) -> str:
    if vmss is None:
        return "No schedule"
    said = f"“{vmss.name_label}”, {_FREQUENCIES[vmss.frequency]}, keeps {vmss.retained_snapshots}"
    return said if vmss.enabled else f"{said} (switched off)"


def about_facts(look: Looking, ref: str, vm: VM) -> list[Fact]:
    """What kind of thing it is, and what other programs know it by."""
    origin = look.get(VM, vm.snapshot_of) if vm.is_a_snapshot else None
    kind = "Built-in template" if vm.is_default_template else "Snapshot" if vm.is_a_snapshot else "Template"
    return [
        ("Kind", kind if vm.is_a_template else ""),
        ("Tags", ", ".join(sorted(vm.tags))),
        ("Snapshot of", origin.name_label if origin is not None else ""),
        ("Made from", vm.reference_label),
        ("UUID", vm.uuid, f"Reference {ref}"),
    ]


def iso_folder(cache: ObjectCache, sr: str) -> str:
    """The folder behind a repository, "" where it is not known."""
    found = (pbd for pbd in cache.all(PBD).values() if str(pbd.SR) == sr)
    return next((pbd.device_config.get("location", "") for pbd in found), "")


def the_host(cache: ObjectCache) -> Host | None:
    """The pool's first host: the one that answers."""
    pool = cache.one(Pool)
    host = cache.get(Host, pool[1].master) if pool is not None else None
    if host is not None:
        return host
    first = cache.one(Host)
    return first[1] if first is not None else None
