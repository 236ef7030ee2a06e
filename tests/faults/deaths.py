"""What must hold after QEMU died under an operation, whichever it was: nothing that was frozen or flushed is lost."""

from __future__ import annotations

from app.api import VM, Message, VMPowerState
from tests.engine.vm.guests import counter, go_on
from tests.faults.scenarios import Facts
from tests.faults.world import contents
from tests.support.engine import Bench

_TOLD = {"VM_CRASHED", "VM_SHUTDOWN", "VM_SNAPSHOT_REVERTED"}


async def check_after_death(bench: Bench, facts: Facts) -> None:
    """The guest is known to be gone, its disks hold what it flushed, its snapshots are of one instant, it starts."""
    vm = facts["vm"]
    if bench.store.find(VM, vm) is None:
        return
    record = bench.vm(vm)
    assert record.power_state in (VMPowerState.Halted, VMPowerState.Suspended)
    if record.is_a_template:
        return  # died before there was anything of it
    messages = {m.name for m in bench.store.all(Message).values() if m.obj_uuid == record.uuid}
    if "counter" in facts:
        ended_by_itself = record.power_state is VMPowerState.Halted
        assert not ended_by_itself or messages & _TOLD, f"nobody says that the guest is gone: {messages}"
        reverted = "VM_SNAPSHOT_REVERTED" in messages
        if reverted:
            assert contents(bench, vm) == facts["frozen"][facts["root"]]
        else:
            assert counter(bench, vm) >= facts["counter"]
    before = {snap: contents(bench, snap) for snap in record.snapshots}
    for snap in record.snapshots - facts["frozen"].keys():
        first, second = counter(bench, snap, "0"), counter(bench, snap, "1")
        assert first - second in (0, 1)
        assert facts["counter"] <= first <= counter(bench, vm)
    ticked = await go_on(bench, vm)
    assert ticked.counter >= facts.get("counter", 0) or "VM_SNAPSHOT_REVERTED" in messages
    assert {snap: contents(bench, snap) for snap in record.snapshots} == before
