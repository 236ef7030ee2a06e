"""Whatever is done to VMs in whatever order, and whoever dies on the way: every disk shows what was written to it."""

from __future__ import annotations

import os
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from app.api import NULL, VM, Ref, VMCalls
from tests.property.estate import DEVICES, SIZE, Estate, Machine, Model, Workbench, workbench

EXAMPLES = int(os.environ.get("STILLFRAME_PROPERTY_EXAMPLES", "6"))
"""How many sequences of operations; the same ones each time unless it is set."""
MOST_SNAPSHOTS = 12
MOST_MACHINES = 4

SECTOR = 512
spots = st.sampled_from([0, 512, 4096, 60 * 1024, 128 * 1024 - 512, 128 * 1024, 777 * SECTOR, SIZE - 4096])
lengths = st.sampled_from([512, 4096, 8192, 65536, 131072])


class Disks(RuleBasedStateMachine):
    """One engine, some VMs, and a model that is nothing but bytes."""

    workbench: ClassVar[Workbench]

    def __init__(self) -> None:
        super().__init__()
        self.estate = Estate(self.workbench)
        self.model = Model({"one": Machine(self.workbench.vm, {device: bytes(SIZE) for device in DEVICES})})
        self.names = 0

    # Choosing

    def some(self, data: st.DataObject, *kinds: str, states: tuple[str, ...] = ()) -> str:
        """The name of a machine; whether there is one is for preconditions to say."""
        return data.draw(st.sampled_from(self.all(*kinds, states=states)))

    def all(self, *kinds: str, states: tuple[str, ...] = ()) -> list[str]:
        return [n for n, m in self.model.machines.items() if m.kind in kinds and (not states or m.state in states)]

    def new_name(self) -> str:
        self.names += 1
        return f"m{self.names}"

    def has_room(self) -> bool:
        return len(self.all("vm", "template")) < MOST_MACHINES

    # Guests

    @precondition(lambda self: self.all("vm", states=("Halted", "Running")))
    @rule(data=st.data(), device=st.sampled_from(DEVICES), offset=spots, length=lengths, value=st.integers(0, 255))
    def write(self, data: st.DataObject, device: str, offset: int, length: int, value: int) -> None:
        machine = self.model.machines[self.some(data, "vm", states=("Halted", "Running"))]
        written = bytes([value]) * min(length, SIZE - offset)
        self.estate.write(machine.ref, device, offset, written)
        before = machine.disks[device]
        machine.disks[device] = before[:offset] + written + before[offset + len(written) :]

    @precondition(lambda self: self.all("vm", states=("Halted",)))
    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        machine = self.model.machines[self.some(data, "vm", states=("Halted",))]
        self.estate.send(VMCalls.start, machine.ref)
        machine.state = "Running"

    @precondition(lambda self: self.all("vm", states=("Running",)))
    @rule(data=st.data(), message=st.sampled_from(["suspend", "hard_shutdown"]))
    def stop(self, data: st.DataObject, message: str) -> None:
        self.stop_one(self.some(data, "vm", states=("Running",)), message)

    def stop_one(self, name: str, message: str) -> None:
        machine = self.model.machines[name]
        self.estate.send(getattr(VMCalls, message), machine.ref)
        machine.state = "Suspended" if message == "suspend" else "Halted"

    @precondition(lambda self: self.all("vm", states=("Suspended",)))
    @rule(data=st.data(), message=st.sampled_from(["resume", "hard_shutdown"]))
    def wake(self, data: st.DataObject, message: str) -> None:
        machine = self.model.machines[self.some(data, "vm", states=("Suspended",))]
        self.estate.send(getattr(VMCalls, message), machine.ref)
        machine.state = "Running" if message == "resume" else "Halted"

    # Snapshots

    @precondition(lambda self: len(self.all("snapshot", "checkpoint")) < MOST_SNAPSHOTS and self.all("vm"))
    @rule(data=st.data())
    def snapshot(self, data: st.DataObject) -> None:
        self.take(data, self.some(data, "vm"), "snapshot")

    @precondition(lambda self: len(self.all("snapshot", "checkpoint")) < MOST_SNAPSHOTS)
    @precondition(lambda self: self.all("vm", states=("Running", "Suspended")))
    @rule(data=st.data())
    def checkpoint(self, data: st.DataObject) -> None:
        self.take(data, self.some(data, "vm", states=("Running", "Suspended")), "checkpoint")

    def take(self, data: st.DataObject, vm: str, kind: str) -> None:
        name, machine = self.new_name(), self.model.machines[vm]
        arguments: tuple[Any, ...] = (name, []) if kind == "snapshot" else (name,)
        ref = self.estate.send(getattr(VMCalls, kind), machine.ref, *arguments)
        self.model.machines[name] = Machine(ref, dict(machine.disks), kind, of=vm)

    @precondition(lambda self: self.all("snapshot", "checkpoint"))
    @rule(data=st.data())
    def revert(self, data: st.DataObject) -> None:
        snapshot = self.model.machines[self.some(data, "snapshot", "checkpoint")]
        self.estate.send(VMCalls.revert, snapshot.ref)
        self.reverted(snapshot)

    def reverted(self, snapshot: Machine) -> None:
        vm = self.model.machines[snapshot.of]
        vm.disks = dict(snapshot.disks)
        vm.state = "Suspended" if snapshot.kind == "checkpoint" else "Halted"

    @precondition(lambda self: self.all("snapshot", "checkpoint"))
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        name = self.some(data, "snapshot", "checkpoint")
        self.estate.send(VMCalls.uninstall, self.model.machines.pop(name).ref, False)

    # Copies

    @precondition(lambda self: self.has_room() and self.all("snapshot", "template"))
    @rule(data=st.data(), message=st.sampled_from(["clone", "copy"]))
    def copy_of_frozen(self, data: st.DataObject, message: str) -> None:
        self.duplicate(self.some(data, "snapshot", "template"), message)

    @precondition(lambda self: self.has_room() and self.all("vm", states=("Halted",)))
    @rule(data=st.data(), message=st.sampled_from(["clone", "copy"]))
    def copy_of_vm(self, data: st.DataObject, message: str) -> None:
        self.duplicate(self.some(data, "vm", states=("Halted",)), message)

    def duplicate(self, source: str, message: str) -> None:
        name, machine = self.new_name(), self.model.machines[source]
        arguments: tuple[Any, ...] = (name, NULL) if message == "copy" else (name,)
        ref = self.estate.send(getattr(VMCalls, message), machine.ref, *arguments)
        self.model.machines[name] = self.duplicated(machine, ref)

    def duplicated(self, source: Machine, ref: str) -> Machine:
        return Machine(ref, dict(source.disks), "vm" if source.kind == "vm" else "template")

    @precondition(lambda self: self.all("template"))
    @rule(data=st.data())
    def template_to_vm(self, data: st.DataObject) -> None:
        machine = self.model.machines[self.some(data, "template")]
        self.estate.run(self.estate.bench.session.VM.set_is_a_template(Ref[VM](machine.ref), False))
        machine.kind = "vm"

    @precondition(lambda self: len(self.all("vm", "template")) > 1)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        name = self.some(data, "vm", "template")
        self.estate.send(VMCalls.uninstall, self.model.machines.pop(name).ref, True)
        for snapshot in self.model.snapshots_of(name):
            del self.model.machines[snapshot]

    # The engine

    @precondition(lambda self: not self.all("vm", states=("Running",)))
    @rule()
    def merge(self) -> None:
        self.estate.merge()

    @rule()
    def restart(self) -> None:
        self.estate.close()
        self.estate.open()
        self.estate.assert_tidy()

    @rule(data=st.data(), what=st.sampled_from(["snapshot", "revert", "uninstall", "clone", "copy", "coalesce"]))
    def die(self, data: st.DataObject, what: str) -> None:
        """The engine is killed within an operation, and all guests with it."""
        name, arguments, target = self.planned(data, what)
        if target is None:
            return
        self.estate.die(what, arguments, data.draw(st.integers(0, 25), "countdown"))
        for machine in self.model.machines.values():
            machine.state = "Halted" if machine.state == "Running" else machine.state
        self.found(what, name, target)
        self.estate.assert_tidy()

    def planned(self, data: st.DataObject, what: str) -> tuple[str, list[Any], str | None]:
        """The name of what will be made, the arguments, and the machine it is about; None if there is none to take."""
        kinds = {"snapshot": ("vm",), "clone": ("snapshot", "template"), "copy": ("snapshot", "template")}
        possible = self.all(*kinds.get(what, ("snapshot", "checkpoint")))
        if what == "coalesce":
            return "", [], "one"
        full = len(self.model.machines) >= MOST_MACHINES + MOST_SNAPSHOTS and what in kinds
        if not possible or full:
            return "", [], None
        target, name = data.draw(st.sampled_from(possible)), self.new_name()
        more: dict[str, list[Any]] = {
            "snapshot": [name, []],
            "clone": [name],
            "copy": [name, NULL],
            "uninstall": [False],
        }
        return name, [self.model.machines[target].ref, *more.get(what, [])], target

    def found(self, what: str, name: str, target: str) -> None:
        """Take over into the model whether it happened."""
        machine = self.model.machines.get(target)
        made = self.estate.named(name)
        if what == "snapshot" and made is not None and machine is not None:
            self.model.machines[name] = Machine(made, dict(machine.disks), "snapshot", of=target)
        elif what in ("clone", "copy") and made is not None and machine is not None:
            self.model.machines[name] = self.duplicated(machine, made)
        elif what == "uninstall" and machine is not None and self.estate.bench.store.find(VM, machine.ref) is None:
            del self.model.machines[target]
        elif what == "revert" and machine is not None:
            self.found_reverted(machine)

    def found_reverted(self, snapshot: Machine) -> None:
        """All of its disks went back, or none did."""
        vm = self.model.machines[snapshot.of]
        possible = {vm.state, "Suspended" if snapshot.kind == "checkpoint" else "Halted"}
        if self.estate.shows(vm.ref, snapshot.disks):
            vm.disks = dict(snapshot.disks)
        vm.state = self.estate.state(vm.ref)
        assert vm.state in possible

    # Always

    @invariant()
    def every_disk_shows_what_was_written(self) -> None:
        self.estate.assert_right(self.model)

    def teardown(self) -> None:
        try:
            # A simulated guest cannot merge the disks it has open.
            for name in self.all("vm", states=("Running",)):
                self.stop_one(name, "hard_shutdown")
            self.estate.merge()
            self.estate.assert_right(self.model)
            self.estate.assert_tidy()
        finally:
            self.estate.leave()


@pytest.mark.timeout(max(300, 60 * EXAMPLES))
def test_disks_show_what_was_written_to_them() -> None:
    chosen = settings(
        max_examples=EXAMPLES,
        stateful_step_count=25,
        derandomize="STILLFRAME_PROPERTY_EXAMPLES" not in os.environ,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    with workbench() as Disks.workbench:
        run_state_machine_as_test(Disks, settings=chosen)
