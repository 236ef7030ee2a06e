"""The General tabs of the pool and of a host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from app.api import EPOCH, PBD, SR, VM, Host, HostMetrics, Pool
from app.client import ObjectCache
from ui.base.sizes_and_dates import count, date_and_time, size
from ui.base.workspace import Workspace
from ui.models.looking import Looking
from ui.navigation.general_page import ABOUT, GeneralPage
from ui.navigation.placement import accelerator, home_of_sr, home_of_vm
from ui.pools.overview import MachinesCard, StorageCard
from ui.widgets.cards import Card
from ui.widgets.facts import Fact
from ui.widgets.progress import CapacityBar

_ACCELERATORS: Final[Mapping[str, str]] = {
    "kvm": "kvm: the processor runs guests itself",
    "hvf": "hvf: the processor runs guests itself",
    "whpx": "whpx: the processor runs guests itself",
    "tcg": "tcg: software runs guests, slowly",
    "none": "none: guests cannot run",
}


class PoolGeneralTab(GeneralPage):
    """The pool: what it is called, and an overview of all that is in it."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace, Pool, pool_facts, ((ABOUT,), ()))
        self.machines, self.storage = MachinesCard(workspace), StorageCard(workspace)
        self.add_card(self.machines, 0)
        self.add_card(self.storage, 1)

    def refresh(self, look: Looking) -> None:
        self.machines.show_machines(
            [r for r in look.all(VM).values() if not (r.is_a_template or r.is_a_snapshot or r.is_control_domain)]
        )
        self.storage.show_storage(look.all(SR))


class HostGeneralTab(GeneralPage):
    """A host: what it runs guests with, its memory and processors, and what is on it."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace, Host, host_facts, ((ABOUT, "Guests run with", "Processors and memory"), ()))
        self.memory = CapacityBar("Memory")
        memory = Card("Memory")
        memory.content.addWidget(self.memory)
        self.machines, self.storage = MachinesCard(workspace), StorageCard(workspace)
        for card in (memory, self.machines, self.storage):
            self.add_card(card, 1)
        self._memory_card = memory

    def refresh(self, look: Looking) -> None:
        cache = self.workspace.cache
        record = look.get(Host, self.ref)
        metrics = None if record is None else look.get(HostMetrics, record.metrics)
        known = metrics is not None and metrics.memory_free > 0 and metrics.memory_total > 0
        self._memory_card.setVisible(known)
        if metrics is not None and known:
            free = min(metrics.memory_free, metrics.memory_total)
            self.memory.set_values(metrics.memory_total - free, metrics.memory_total)
        self.machines.show_machines(_machines_on(cache, look, self.ref))
        self.storage.show_storage(
            {ref: record for ref, record in look.all(SR).items() if home_of_sr(cache, record) in ("", self.ref)}
        )


def pool_facts(look: Looking, ref: str) -> Mapping[str, Sequence[Fact]]:
    """Coordinator, hosts, where new disks go."""
    record = look.get(Pool, ref)
    if record is None:
        return {}
    master, default = look.get(Host, record.master), look.get(SR, record.default_SR)
    return {
        ABOUT: [
            ("Hosts", count(len(look.all(Host)), "host")),
            ("Coordinator", master.name_label if master else ""),
            ("New disks go to", default.name_label if default else "no default storage is set"),
            ("UUID", record.uuid),
        ]
    }


def host_facts(look: Looking, ref: str) -> Mapping[str, Sequence[Fact]]:
    """Address, accelerator and what was tried, QEMU, processors, folders."""
    record = look.get(Host, ref)
    if record is None:
        return {}
    said, version = record.cpu_info, record.software_version
    metrics = look.get(HostMetrics, record.metrics)
    used = accelerator(record)
    synced = record.last_software_update
    return {
        ABOUT: [
            ("Address", record.address or record.hostname),
            ("Takes VMs", "yes" if record.enabled else "not now"),
            ("Time zone", record.timezone),
            ("Updated", date_and_time(synced) if synced > EPOCH else ""),
            ("Data folder", record.other_config.get("data-dir", version.get("data-dir", ""))),
            ("Disks in", _folders(look, ref)),
            ("UUID", record.uuid),
        ],
        "Guests run with": [
            ("Accelerator", _ACCELERATORS.get(used, used)),
            ("Tried", version.get("accelerators-tried", ""), _tried(version)),
            ("QEMU", version.get("qemu", "")),
            ("Problem", version.get("hypervisor-error", "")),
            ("Stillframe", version.get("product_version", "")),
        ],
        "Processors and memory": [
            ("Processors", said.get("cpu_count", "")),
            ("Model", " ".join(said.get("modelname", "").split())),
            ("Kind", said.get("vendor", "")),
            ("Memory", size(metrics.memory_total) if metrics is not None and metrics.memory_total > 0 else ""),
        ],
    }


def _tried(version: Mapping[str, str]) -> str:
    """What each accelerator answered, a line each."""
    return version.get("accelerators-tried", "").replace(", ", "\n")


def _folders(look: Looking, host: str) -> str:
    """The folders of the host's disks."""
    found = []
    for pbd in look.all(PBD).values():
        sr_rec = look.get(SR, pbd.SR)
        if pbd.host == host and sr_rec is not None and sr_rec.content_type != "iso":
            found.append(pbd.device_config.get("location", ""))
    return ", ".join(sorted(filter(None, found)))


def _machines_on(cache: ObjectCache, look: Looking, host: str) -> list[VM]:
    real = (r for r in look.all(VM).values() if not (r.is_a_template or r.is_a_snapshot or r.is_control_domain))
    return [record for record in real if home_of_vm(cache, record) == host]
