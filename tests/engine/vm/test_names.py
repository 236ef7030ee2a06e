"""Names that people give: each VM starts, and its snapshots can be taken and reverted to."""

from __future__ import annotations

from app.api import VM, VMCalls
from tests.engine.vm.guests import snapshot, some_ticks
from tests.support.engine import Bench

NAMES = (
    "",
    "naïve “name” 😀",
    "a,b=c,,d",
    "two\nlines",
    "nothing\0more",
    "x" * 5000,
    '{"json": 1}',
    "-device",
    "%s $HOME",
)


async def test_no_name_keeps_a_vm_from_running(bench: Bench) -> None:
    vm = await bench.sample_vm()
    for name in NAMES:
        await bench.session.set(VM, vm, name_label=name)
        await bench.session.VM.start(vm)
        await some_ticks(bench, vm, 1)
        snap = await snapshot(bench, vm, name)
        assert (bench.vm(vm).name_label, bench.vm(snap).name_label) == (name, name)
        await bench.run(VMCalls.revert, snap)
