"""Starting, suspending, resuming."""

from __future__ import annotations

from collections.abc import Mapping

from app.api import NULL, VMCalls, VMPowerState
from tests.engine.vm.guests import counter, go_on
from tests.faults.scenarios.base import Facts, Scenario, goes_on, halted, message, running, suspended
from tests.support.engine import Bench
from tests.support.guest_disk import read_counter


async def suspended_or_not(bench: Bench, facts: Facts) -> None:
    assert bench.vm(facts["vm"]).power_state in (VMPowerState.Running, VMPowerState.Suspended)
    await goes_on(bench, facts)


async def resumed_or_not(bench: Bench, facts: Facts) -> None:
    assert bench.vm(facts["vm"]).power_state is not VMPowerState.Halted
    await goes_on(bench, facts)


async def started_or_not(bench: Bench, facts: Facts) -> None:
    vm = facts["vm"]
    assert bench.vm(vm).power_state in (VMPowerState.Halted, VMPowerState.Running)
    await go_on(bench, vm)
    assert read_counter(bench.image(vm)).boot == 1


async def memory_dropped_or_not(bench: Bench, facts: Facts) -> None:
    vm = facts["vm"]
    if bench.vm(vm).power_state is VMPowerState.Suspended:
        await goes_on(bench, facts)
    else:
        assert (bench.vm(vm).power_state, bench.vm(vm).suspend_VDI) == (VMPowerState.Halted, NULL)
        assert counter(bench, vm) == facts["counter"]


SCENARIOS: Mapping[str, Scenario] = {
    "start": Scenario(halted, message(VMCalls.start, "vm"), started_or_not),
    "suspend": Scenario(running, message(VMCalls.suspend, "vm"), suspended_or_not),
    "resume": Scenario(suspended, message(VMCalls.resume, "vm"), resumed_or_not),
    "drop_memory": Scenario(suspended, message(VMCalls.hard_shutdown, "vm"), memory_dropped_or_not),
}
