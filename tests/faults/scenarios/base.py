"""What scenarios are made of.

`prepare` runs untouched and answers facts (JSON), `act` is the operation that is killed somewhere, `check` looks at
what a new engine makes of the folder.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.engine.vm.guests import DATA, counter, disks_of, go_on, snapshot, some_ticks
from tests.faults.world import contents
from tests.support.engine import Bench
from tests.support.guest_disk import read_counter, write_bytes

Facts = dict[str, Any]
Step = Callable[[Bench, Facts], Awaitable[None]]
MIB = 1 << 20


def nothing_missing() -> str | None:
    """All that most scenarios need is there."""
    return None


@dataclass(frozen=True)
class Scenario:
    """One operation to interrupt.

    :ivar missing: says why it cannot be on this machine, None if it can.
    :ivar after_death: what must hold after QEMU died, where that is not what holds for the sample guest.
    """

    prepare: Callable[[Bench, Path], Awaitable[Facts]]
    act: Step
    check: Step
    missing: Callable[[], str | None] = nothing_missing
    after_death: Step | None = None


def mark(bench: Bench, vm: str, text: str) -> None:
    """Known bytes on every disk of a Halted VM."""
    for device in disks_of(bench, vm):
        write_bytes(bench.image(vm, device), DATA, f"{text} {device}".encode())


async def halted(bench: Bench, _folder: Path) -> Facts:
    vm = await bench.sample_vm(disks=2, size=2 * MIB, nic=True)
    mark(bench, vm, "one")
    return {"vm": vm, "vm_content": contents(bench, vm), "frozen": {}}


async def with_snapshots(bench: Bench, folder: Path) -> Facts:
    """A Halted VM with the snapshots root and top, and a content of its own."""
    facts = await halted(bench, folder)
    vm = facts["vm"]
    for name in ("root", "top"):
        mark(bench, vm, name)
        facts[name] = await snapshot(bench, vm, name)
        facts["frozen"][facts[name]] = contents(bench, facts[name])
    mark(bench, vm, "current")
    facts["vm_content"] = contents(bench, vm)
    return facts


async def running(bench: Bench, folder: Path) -> Facts:
    facts = await halted(bench, folder)
    await bench.session.VM.start(facts["vm"])
    ticked = await some_ticks(bench, facts["vm"])
    return {**facts, "counter": ticked.counter, "since_boot": ticked.since_boot}


async def running_with_a_snapshot(bench: Bench, folder: Path) -> Facts:
    facts = await running(bench, folder)
    facts["root"] = await snapshot(bench, facts["vm"], "root")
    facts["frozen"][facts["root"]] = contents(bench, facts["root"])
    ticked = await some_ticks(bench, facts["vm"])
    return {**facts, "counter": ticked.counter, "since_boot": ticked.since_boot}


async def suspended(bench: Bench, folder: Path) -> Facts:
    facts = await running_with_a_snapshot(bench, folder)
    await bench.session.VM.suspend(facts["vm"])
    return {**facts, "counter": counter(bench, facts["vm"])}


def message(function: Callable[..., Awaitable[Any]], fact: str, *args: Any) -> Step:
    """Send a message about the object that the facts name."""

    async def act(bench: Bench, facts: Facts) -> None:
        await bench.run(function, facts[fact], *args)

    return act


async def same_content(bench: Bench, facts: Facts) -> None:
    """The VM shows what it showed."""
    assert contents(bench, facts["vm"]) == facts["vm_content"]


async def goes_on(bench: Bench, facts: Facts) -> None:
    """The guest still runs, or can go on where it was: it was not restarted, and no tick is lost."""
    vm = facts["vm"]
    assert counter(bench, vm) >= facts["counter"]
    ticked = await go_on(bench, vm)
    assert ticked.counter > facts["counter"]
    assert ticked.since_boot > facts["since_boot"]
    assert read_counter(bench.image(vm)).boot == 1
