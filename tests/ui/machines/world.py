"""A small pool for tests and pictures of the machines' widgets: a host, two repositories, templates, a few VMs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from app.api import (
    PBD,
    SR,
    VBD,
    VDI,
    VIF,
    VM,
    VMSS,
    Host,
    HostMetrics,
    Network,
    Pool,
    Ref,
    VBDType,
    VMMetrics,
    VMOperation,
    VMPowerState,
)
from app.ops.rules import allowed_operations
from tests.support.fake_session import FakeEngine
from ui.base.settings import Settings
from ui.base.workspace import Workspace

GIB = 1024**3
MIB = 1024**2
NOW = datetime.now(UTC)
LONG_NAME = "A virtual machine with a very long name that has sixty chars"
CHINESE_NAME = "数据库服务器（生产环境）"


@dataclass
class World:
    """The engine behind it, and the references tests ask for."""

    engine: FakeEngine
    workspace: Workspace
    host: Ref[Host]
    sr: Ref[SR]
    iso_sr: Ref[SR]
    network: Ref[Network]
    sample: Ref[VM]
    other: Ref[VM]
    isos: tuple[Ref[VDI], Ref[VDI]]

    def add_vm(self, name: str, state: VMPowerState = VMPowerState.Running, **fields: Any) -> Ref[VM]:
        """A VM in this state, with the operations that the engine's own rules allow."""
        vm = VM(name_label=name, power_state=state, **fields)
        ref: Ref[VM] = self.engine.put(vm)
        self.allow(ref)
        return ref

    def vm(self, ref: Ref[VM]) -> VM:
        found = self.engine.cache.get(VM, ref)
        assert found is not None
        return found

    def allow(self, ref: Ref[VM]) -> None:
        """Publish what is allowed now."""
        self.engine.change(VM, ref, allowed_operations=allowed_operations(ref, self.vm(ref)))

    def set(self, ref: Ref[VM], **fields: Any) -> None:
        """Change the VM, and what is allowed with it."""
        self.engine.change(VM, ref, **fields)
        self.allow(ref)

    def busy(self, ref: Ref[VM], operation: VMOperation) -> None:
        """An operation is under way."""
        self.set(ref, current_operations={"OpaqueRef:task": operation})

    def add_disk(self, vm: Ref[VM], name: str, virtual_size: int, used: int, *, owned: bool = True) -> Ref[VDI]:
        """A disk in the next place."""
        number = str(len(self.vm(vm).VBDs))
        vdi: Ref[VDI] = self.engine.put(
            VDI(name_label=name, SR=self.sr, virtual_size=virtual_size, physical_utilisation=used)
        )
        config = {"owner": ""} if owned else {}
        vbd: Ref[VBD] = self.engine.put(VBD(VM=vm, VDI=vdi, userdevice=number, other_config=config))
        self.engine.change(VDI, vdi, VBDs=frozenset({vbd}))
        self.engine.change(VM, vm, VBDs=self.vm(vm).VBDs | {vbd})
        return vdi

    def add_drive(self, vm: Ref[VM]) -> Ref[VBD]:
        """An empty CD drive."""
        number = str(len(self.vm(vm).VBDs))
        vbd: Ref[VBD] = self.engine.put(VBD(VM=vm, type=VBDType.CD, empty=True, userdevice=number))
        self.engine.change(VM, vm, VBDs=self.vm(vm).VBDs | {vbd})
        return vbd

    def add_snapshot(self, vm: Ref[VM], name: str, taken: datetime, *, memory: bool = False) -> Ref[VM]:
        """A snapshot of it."""
        state = VMPowerState.Suspended if memory else VMPowerState.Halted
        snapshot = VM(
            name_label=name,
            is_a_snapshot=True,
            is_a_template=True,
            snapshot_of=vm,
            snapshot_time=taken,
            power_state=state,
        )
        ref: Ref[VM] = self.engine.put(snapshot)
        self.engine.change(VM, vm, snapshots=self.vm(vm).snapshots | {ref})
        self.allow(ref)
        return ref

    def add_orphan(
        self, name: str, of: str = "old-db", *, memory: bool = False, gone: str = "OpaqueRef:gone"
    ) -> Ref[VM]:
        """A snapshot, with a disk, of a VM that is gone."""
        ref = self.add_vm(
            name,
            VMPowerState.Suspended if memory else VMPowerState.Halted,
            is_a_snapshot=True,
            is_a_template=True,
            snapshot_of=Ref(gone),
            snapshot_time=NOW - timedelta(days=9),
            snapshot_metadata=f'{{"name_label": "{of}"}}',
        )
        self.add_disk(ref, f"{of} system", 20 * GIB, 2 * GIB)
        return ref

    def add_template(self, name: str, **fields: Any) -> Ref[VM]:
        """A template that somebody made."""
        return self.add_vm(name, VMPowerState.Halted, is_a_template=True, **fields)


def make_world(folder: Path) -> World:
    """The pool; settings go into `folder`."""
    engine = FakeEngine()
    put = engine.put
    metrics: Ref[HostMetrics] = put(HostMetrics(memory_total=16 * GIB, memory_free=9 * GIB))
    host: Ref[Host] = put(
        Host(
            name_label="workstation",
            cpu_info={"cpu_count": "8"},
            metrics=metrics,
            software_version={"accelerator": "kvm"},
        )
    )
    sr: Ref[SR] = put(
        SR(name_label="Local storage", type="file", physical_size=500 * GIB, physical_utilisation=88 * GIB)
    )
    iso_sr: Ref[SR] = put(SR(name_label="ISO library", type="iso", content_type="iso"))
    put(PBD(host=host, SR=sr, device_config={"location": "/srv/stillframe/disks"}, currently_attached=True))
    put(PBD(host=host, SR=iso_sr, device_config={"location": "/srv/stillframe/isos"}, currently_attached=True))
    put(Pool(name_label="Local pool", master=host, default_SR=sr))
    debian: Ref[VDI] = put(
        VDI(name_label="debian-13.2.0-amd64-netinst.iso", location="debian.iso", SR=iso_sr, virtual_size=790 * MIB)
    )
    tiny: Ref[VDI] = put(
        VDI(name_label="alpine-virt-3.22.iso", location="alpine.iso", SR=iso_sr, virtual_size=66 * MIB)
    )
    engine.change(SR, iso_sr, VDIs=frozenset({debian, tiny}))
    network: Ref[Network] = put(Network(name_label="NAT", other_config={"stillframe.nat": "true"}))
    sample: Ref[VM] = put(_template("Sample guest", memory=32 * MIB, platform={"disk-bus": "virtio"}))
    other: Ref[VM] = put(_template("Other install media", memory=2 * GIB))
    workspace = Workspace(engine.session(), engine.cache, Settings(folder / "settings.ini"))
    return World(engine, workspace, host, sr, iso_sr, network, sample, other, (debian, tiny))


def _template(name: str, memory: int, platform: dict[str, str] | None = None) -> VM:
    return VM(
        name_label=name,
        is_a_template=True,
        is_default_template=True,
        memory_static_max=memory,
        memory_dynamic_max=memory,
        memory_dynamic_min=memory,
        memory_static_min=memory,
        HVM_boot_params={"order": "cd", "firmware": "bios"},
        platform=platform or {},
        allowed_operations=frozenset({VMOperation.clone}),
    )


def billing_db(world: World, name: str = "billing-db") -> Ref[VM]:
    """A VM with two disks, a drive, a network, three snapshots and a schedule; running for a while."""
    metrics: Ref[VMMetrics] = world.engine.put(VMMetrics(start_time=NOW - timedelta(days=2, hours=4, minutes=12)))
    vmss: Ref[VMSS] = world.engine.put(VMSS(name_label="Nightly"))
    ref = world.add_vm(
        name,
        name_description="PostgreSQL 16 for the billing system. Ask Ana before a restart.",
        metrics=metrics,
        resident_on=world.host,
        memory_static_min=512 * MIB,
        memory_static_max=4 * GIB,
        VCPUs_max=4,
        VCPUs_at_startup=2,
        snapshot_schedule=vmss,
        HVM_boot_params={"order": "cdn", "firmware": "bios"},
        platform={"disk-bus": "virtio"},
        reference_label="other-install-media",
        tags=frozenset({"production", "postgres"}),
    )
    world.add_disk(ref, "billing-db system", 20 * GIB, 6 * GIB)
    world.add_disk(ref, "billing-db data", 200 * GIB, 88 * GIB)
    world.add_drive(ref)
    vif: Ref[VIF] = world.engine.put(VIF(VM=ref, network=world.network, device="0", MAC="52:54:00:3a:7c:11"))
    world.engine.change(VM, ref, VIFs=frozenset({vif}))
    world.add_snapshot(ref, "Installed", NOW - timedelta(weeks=3))
    world.add_snapshot(ref, "Before upgrade 16", NOW - timedelta(days=2), memory=True)
    world.add_snapshot(ref, "Nightly 2026-11-22", NOW - timedelta(hours=8))
    return ref
