"""Pools to look at and to test with: an empty one, one of a few VMs, one of thousands."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from app.api import (
    PBD,
    SR,
    VBD,
    VDI,
    VM,
    Event,
    EventBatch,
    EventOperation,
    Failure,
    Host,
    HostMetrics,
    Message,
    MessageClass,
    Pool,
    Record,
    Ref,
    Task,
    TaskStatus,
    VBDMode,
    VBDType,
    VDIType,
    VMOperation,
    VMPowerState,
    class_of,
    classes,
)
from app.api.enums import SROperation, VBDOperation, VDIOperation
from tests.support.fake_session import FakeEngine

GIB = 1024**3
LONG = "A virtual machine whose name is sixty letters long, no fewer"
CHINESE = "生产环境数据库服务器"
NOW = datetime.now(UTC)

POOL, HOST, SR_DISKS, SR_ISO = "OpaqueRef:pool", "OpaqueRef:host", "OpaqueRef:sr", "OpaqueRef:iso"
DB, WEB, BUILD, WIN, BASE = (f"OpaqueRef:{name}" for name in ("db", "web", "build", "win", "base"))

CAN = {
    VMPowerState.Running: {"clean_shutdown", "clean_reboot", "hard_shutdown", "hard_reboot", "suspend", "pause"},
    VMPowerState.Paused: {"unpause", "hard_shutdown"},
    VMPowerState.Suspended: {"resume", "hard_shutdown"},
    VMPowerState.Halted: {"start", "destroy", "clone", "export"},
}


def machine(name: str, state: VMPowerState = VMPowerState.Halted, **fields: object) -> VM:
    """A VM with the operations that its state allows."""
    allowed = frozenset(VMOperation(op) for op in CAN[state] | {"snapshot", "checkpoint"})
    runs = state in (VMPowerState.Running, VMPowerState.Paused)
    given = {
        "name_label": name,
        "power_state": state,
        "allowed_operations": allowed,
        "resident_on": Ref(HOST) if runs else Ref("OpaqueRef:NULL"),
        "memory_static_max": 2 * GIB,
        "memory_dynamic_max": 2 * GIB,
        "VCPUs_max": 2,
        "VCPUs_at_startup": 2,
        **fields,
    }
    return VM(**given)  # type: ignore[arg-type]


def empty_pool(engine: FakeEngine) -> None:
    """One host, storage, built-in templates, and no VM."""
    put = engine.put
    put(HostMetrics(memory_total=32 * GIB, memory_free=21 * GIB), "OpaqueRef:metrics")
    put(
        Host(
            name_label="workstation",
            hostname="workstation",
            metrics=Ref("OpaqueRef:metrics"),
            software_version={
                "product_version": "0.1.0",
                "qemu": "7.2.19",
                "accelerator": "tcg",
                "accelerators-tried": "kvm: there is no /dev/kvm, tcg: works",
            },
            cpu_info={"cpu_count": "8", "modelname": "AMD Ryzen 7 5800X 8-Core Processor"},
            other_config={"data-dir": "/home/you/.local/share/stillframe"},
        ),
        HOST,
    )
    put(Pool(name_label="Local pool", master=Ref(HOST), default_SR=Ref(SR_DISKS)), POOL)
    for sr, kind in ((SR_DISKS, "user"), (SR_ISO, "iso")):
        pbd = put(PBD(host=Ref(HOST), SR=Ref(sr), currently_attached=True, device_config={"location": f"/srv/{kind}"}))
        put(
            SR(
                name_label="Local storage" if kind == "user" else "ISO library",
                type="file" if kind == "user" else "iso",
                content_type=kind,
                PBDs=frozenset({pbd}),
                physical_size=1024 * GIB,
                physical_utilisation=612 * GIB,
                virtual_allocation=1400 * GIB,
                allowed_operations=frozenset({SROperation.scan, SROperation.update, SROperation.vdi_create}),
            ),
            sr,
        )
    for name in ("Other install media", "Sample guest"):
        put(VM(name_label=name, is_a_template=True, is_default_template=True))
    for name in ("debian-13.1.0-amd64-netinst.iso", "virtio-win-0.1.271.iso"):
        put(VDI(name_label=name, SR=Ref(SR_ISO), virtual_size=658 << 20, read_only=True, location=name))


def disk(engine: FakeEngine, vm: str, number: int, name: str, size: int, used: int) -> str:
    """A disk of a VM on the local storage."""
    location = f"image-{name}"
    vdi = engine.put(
        VDI(name_label=name, SR=Ref(SR_DISKS), virtual_size=size, physical_utilisation=used, location=location)
    )
    vbd = engine.put(
        VBD(VM=Ref(vm), VDI=vdi, userdevice=str(number), device=f"vd{'abcdef'[number]}", bootable=number == 0)
    )
    engine.change(VDI, vdi, VBDs=frozenset({vbd}))
    record = engine.cache.get(VM, vm)
    assert record is not None
    engine.change(VM, vm, VBDs=record.VBDs | {vbd})
    return vdi


def drive(engine: FakeEngine, vm: str, iso: str = "") -> str:
    """A drive of a VM, empty or with an ISO in it."""
    operations = frozenset({VBDOperation.eject if iso else VBDOperation.insert})
    vbd = engine.put(
        VBD(
            VM=Ref(vm),
            VDI=Ref(iso or "OpaqueRef:NULL"),
            userdevice="3",
            device="sr0",
            type=VBDType.CD,
            mode=VBDMode.RO,
            empty=not iso,
            allowed_operations=operations,
        )
    )
    record = engine.cache.get(VM, vm)
    assert record is not None
    engine.change(VM, vm, VBDs=record.VBDs | {vbd})
    return vbd


def iso(engine: FakeEngine, name: str) -> str:
    """The ISO of that name."""
    return next(ref for ref, vdi in engine.cache.all(VDI).items() if vdi.name_label.startswith(name))


def small_pool(engine: FakeEngine) -> None:
    """The pool of the drafts: a few VMs in each state, a template, a snapshot, disks, messages."""
    empty_pool(engine)
    engine.put(machine("billing-db", VMPowerState.Running, name_description="The ledger; ask Ada first"), DB)
    engine.put(machine("web-01", VMPowerState.Running), WEB)
    engine.put(machine("build-agent", VMPowerState.Paused), BUILD)
    engine.put(machine("test-win11"), WIN)
    engine.put(VM(name_label="Debian 13 base", is_a_template=True, name_description="With our keys"), BASE)
    disk(engine, DB, 0, "billing-db system", 20 * GIB, 3 * GIB)
    data = disk(engine, DB, 1, "billing-db data", 200 * GIB, 48 * GIB)
    disk(engine, WEB, 0, "web-01", 20 * GIB, 2 * GIB)
    disk(engine, WIN, 0, "test-win11", 64 * GIB, 19 * GIB)
    drive(engine, DB)
    drive(engine, WIN, iso(engine, "virtio"))
    _snapshot(engine, data)
    engine.put(
        VDI(name_label="base copy", SR=Ref(SR_DISKS), managed=False, virtual_size=20 * GIB, physical_utilisation=GIB)
    )
    engine.put(
        VDI(
            name_label="memory of build-agent",
            SR=Ref(SR_DISKS),
            type=VDIType.suspend,
            virtual_size=2 * GIB,
            physical_utilisation=GIB,
        )
    )


def _snapshot(engine: FakeEngine, data: str) -> None:
    """A snapshot of billing-db with one of its disks."""
    snapshot = engine.put(
        VM(
            name_label="Before upgrade 16",
            is_a_template=True,
            is_a_snapshot=True,
            snapshot_of=Ref(DB),
            snapshot_time=NOW - timedelta(days=2),
        )
    )
    frozen = engine.put(
        VDI(
            name_label="billing-db data",
            SR=Ref(SR_DISKS),
            virtual_size=200 * GIB,
            physical_utilisation=31 * GIB,
            is_a_snapshot=True,
            snapshot_of=Ref(data),
            snapshot_time=NOW - timedelta(days=2),
            location="image-frozen",
        )
    )
    held = engine.put(VBD(VM=snapshot, VDI=frozen, userdevice="1"))
    engine.change(VDI, frozen, VBDs=frozenset({held}))
    engine.change(VM, snapshot, VBDs=frozenset({held}))
    engine.change(VM, DB, snapshots=frozenset({snapshot}))


def chains(engine: FakeEngine) -> None:
    """What the engine answers of the chains of the storage, with merges in each state."""

    def family(depth: int, snapshots: int, own: int, **more: int) -> dict[str, str]:
        told = {"depth": depth, "depth-limit": 30, "snapshots": snapshots, "snapshots-size": own, "exclusive": 2 * own}
        return {key.replace("_", "-"): str(value) for key, value in (told | {"missing": 0} | more).items()}

    whole = {"base_copies": 3, "base_copies_size": 4 * GIB, "space_free": 412 * GIB, "pending_merges": 3}
    engine.answer(
        "SR.get_chain_health",
        {
            SR_DISKS: family(27, 44, 31 * GIB, **whole),
            DB: family(27, 26, 22 * GIB, pending_merges=1),
            WEB: family(12, 11, 6 * GIB, pending_merges=2),
            BUILD: family(17, 6, 2 * GIB),
            WIN: family(3, 2, GIB),
            BASE: family(1, 0, 0),
            "OpaqueRef:gone-old-ledger": family(2, 2, 3 * GIB),
        },
    )
    task = engine.put(Task(name_label="Merging", progress=0.62, status=TaskStatus.pending), "OpaqueRef:merging")
    running = {"state": "running", "vm": WEB, "size": str(2 * GIB), "task": task, "progress": "0.6", "reason": ""}
    waits = "web-01 is being reverted; it begins afterwards."
    blocked = "The file below it is open in build-agent. Shut build-agent down, and it begins."
    engine.answer(
        "SR.get_pending_merges",
        {
            "OpaqueRef:base1": running,
            "OpaqueRef:base2": {"state": "waiting", "vm": WEB, "size": str(GIB), "reason": waits},
            "OpaqueRef:base3": {"state": "blocked", "vm": DB, "size": str(9 * GIB), "reason": blocked},
        },
    )


def leftovers(engine: FakeEngine) -> None:
    """Snapshots whose VM is gone, and disks that no VM has."""
    for number, (name, gone) in enumerate(
        (("Before the move", "old-ledger"), ("Nightly", "old-ledger"), (LONG, CHINESE))
    ):
        snapshot = engine.put(
            VM(
                name_label=name,
                is_a_template=True,
                is_a_snapshot=True,
                snapshot_of=Ref(f"OpaqueRef:gone-{gone}"),
                snapshot_metadata=f'{{"name_label": "{gone}"}}',
                snapshot_time=NOW - timedelta(days=40 + number),
                power_state=VMPowerState.Suspended if number == 1 else VMPowerState.Halted,
                allowed_operations=frozenset({VMOperation.revert, VMOperation.clone, VMOperation.destroy}),
            )
        )
        disk(engine, snapshot, 0, f"{gone} system", 20 * GIB, (number + 1) * GIB)
    for name, used, frozen in (("web-00", 7 * GIB, False), ("web-00 data", 31 * GIB, True)):
        engine.put(
            VDI(
                name_label=name,
                SR=Ref(SR_DISKS),
                virtual_size=64 * GIB,
                physical_utilisation=used,
                is_a_snapshot=frozen,
                snapshot_time=NOW - timedelta(days=90),
                allowed_operations=frozenset({VDIOperation.destroy}),
            )
        )


def messages(engine: FakeEngine) -> None:
    """Two alerts and some news."""

    def uuid(record: type[VM] | type[SR], ref: str) -> str:
        found = engine.cache.get(record, ref)
        assert found is not None
        return str(found.uuid)

    for name, priority, hours, body, cls, of in (
        ("VM_CRASHED", 2, 1, "QEMU ended with signal 9.", MessageClass.VM, uuid(VM, WEB)),
        ("SR_ALMOST_FULL", 3, 5, "Less than 5 % of the storage is free.", MessageClass.SR, uuid(SR, SR_DISKS)),
        ("VM_SNAPSHOTTED", 5, 26, "Before upgrade 16", MessageClass.VM, uuid(VM, DB)),
    ):
        when = NOW - timedelta(hours=hours)
        engine.put(Message(name=name, priority=priority, cls=cls, obj_uuid=of, timestamp=when, body=body))


def put_all(engine: FakeEngine, records: Iterable[tuple[str, Record]]) -> None:
    """Many objects in one batch of events."""
    events = tuple(
        Event(
            id=str(number),
            timestamp="0",
            cls=class_of(type(record)).name,
            operation=EventOperation.add,
            ref=ref,
            snapshot=record,
        )
        for number, (ref, record) in enumerate(records)
    )
    engine.cache.apply(EventBatch(events=events, valid_ref_counts={}, token="1,0"))


def large_pool(engine: FakeEngine, machines: int = 3000) -> None:
    """A pool with thousands of VMs on one host."""
    empty_pool(engine)
    states = (VMPowerState.Running, VMPowerState.Halted, VMPowerState.Halted, VMPowerState.Suspended)
    put_all(engine, ((f"OpaqueRef:vm{n}", machine(f"vm-{n}", states[n % 4])) for n in range(machines)))


def nothing() -> EventBatch:
    """A batch without events: as a complete one it says that everything is gone."""
    return EventBatch(events=(), valid_ref_counts={}, token="1,0")


def everything(engine: FakeEngine) -> EventBatch:
    """All objects of an engine, as a client hears of them first."""
    events = tuple(
        Event(id="1", timestamp="0", cls=name, operation=EventOperation.add, ref=ref, snapshot=record)
        for name, declared in classes().items()
        for ref, record in engine.cache.all(declared.record).items()
    )
    return EventBatch(events=events, valid_ref_counts={}, token="1,0")


async def settled() -> None:
    """Wait until the calls that were begun have been answered; the fake engine takes one turn of the loop for each."""
    for _ in range(10):
        await asyncio.sleep(0)


def ref(word: str) -> Ref[Any]:
    """A plain reference as one of any class."""
    return Ref(word)


def refused() -> Failure:
    """An engine's refusal."""
    return Failure("OPERATION_NOT_ALLOWED", "Not today.")
