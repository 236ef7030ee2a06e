"""Objects in one line."""

from __future__ import annotations

import pytest

from app.api import NULL, SR, VM, VMSS, Host, Ref, Task
from app.api.enums import VMOperation, VMPowerState
from tests.support.fake_session import FakeEngine
from tests.ui.main_window import pools
from ui.navigation.placement import Key
from ui.navigation.titles import Title, title_of


def title(engine: FakeEngine, key: Key) -> Title:
    found = title_of(engine.cache, key)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("vm", "icon", "where"),
    [
        (pools.DB, "vm-running", "Running on workstation"),
        (pools.BUILD, "vm-paused", "Paused on workstation"),
        (pools.WIN, "vm-halted", "Halted"),
        (pools.BASE, "template", "Template"),
    ],
)
def test_a_vm_says_its_state_and_place(engine: FakeEngine, vm: str, icon: str, where: str) -> None:
    pools.small_pool(engine)
    found = title(engine, ("VM", vm))
    assert (found.icon, found.where) == (icon, where)


def test_a_vm_says_what_is_done_with_it_and_what_protects_it(engine: FakeEngine) -> None:
    pools.small_pool(engine)
    task = engine.put(Task(name_label="Async.VM.snapshot", progress=0.4))
    nightly = engine.put(VMSS(name_label="Nightly", enabled=True))
    engine.change(VM, pools.DB, current_operations={task: VMOperation.snapshot}, snapshot_schedule=nightly)
    found = title(engine, ("VM", pools.DB))
    assert found.icon == "vm-busy"
    assert found.where == "Running on workstation · taking a snapshot, 40\u00a0% · protected by “Nightly”"
    engine.change(VMSS, nightly, enabled=False)
    assert title(engine, ("VM", pools.DB)).where.endswith("its schedule is disabled")


def test_a_snapshot_says_what_it_is_of(engine: FakeEngine) -> None:
    pools.small_pool(engine)
    snapshot = next(ref for ref, record in engine.cache.all(VM).items() if record.is_a_snapshot)
    assert title(engine, ("VM", snapshot)).where == "Snapshot of billing-db"
    engine.change(VM, snapshot, snapshot_of=Ref("OpaqueRef:none"))
    assert title(engine, ("VM", snapshot)).where == "Snapshot of a VM that is gone"


def test_pool_host_and_storage_say_how_they_are(engine: FakeEngine) -> None:
    pools.small_pool(engine)
    assert title(engine, ("pool", pools.POOL)).where == "1 host · 4 VMs, 2 running"
    assert title(engine, ("host", pools.HOST)).where == "3 VMs running · accelerator tcg"
    assert title(engine, ("SR", pools.SR_DISKS)).where == "On workstation · 412\u00a0GiB free of 1\u00a0TiB"
    assert title(engine, ("SR", pools.SR_ISO)).where == "On workstation"
    engine.change(SR, pools.SR_DISKS, shared=True, physical_size=-1)
    assert title(engine, ("SR", pools.SR_DISKS)).where == "Shared storage"
    engine.change(Host, pools.HOST, enabled=False)
    assert title(engine, ("host", pools.HOST)).where.startswith("Takes no VMs now")


def test_an_empty_pool_and_what_is_gone(engine: FakeEngine) -> None:
    pools.empty_pool(engine)
    assert title(engine, ("pool", pools.POOL)).where == "1 host · no VMs yet"
    assert title_of(engine.cache, ("VM", "OpaqueRef:none")) is None
    assert title_of(engine.cache, ("host", NULL)) is None


def test_a_suspended_vm_runs_nowhere(engine: FakeEngine) -> None:
    pools.small_pool(engine)
    engine.change(VM, pools.WIN, power_state=VMPowerState.Suspended)
    assert title(engine, ("VM", pools.WIN)).where == "Suspended"
