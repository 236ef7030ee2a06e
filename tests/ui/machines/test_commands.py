"""Commands on VMs: what is enabled and why not, what is asked first, what is sent, what is said afterwards."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QGuiApplication

from app.api import VDI, VM, VMSS, Failure, Ref, VMOperation, VMPowerState
from tests.ui.machines.windows import open_dialogs, opened, until
from tests.ui.machines.world import GIB, MIB, NOW, World, billing_db
from ui.base.commands import CommandState, Selection
from ui.base.dialogs import ConsequenceDialog, Dialog, ErrorDialog
from ui.machines.delete_vm import DeleteDialog, doomed
from ui.machines.properties import PropertiesDialog
from ui.widgets.outcomes import OutcomeDialog

State = VMPowerState


def of(*refs: str) -> Selection:
    return tuple(("VM", ref) for ref in refs)


def state(world: World, command: str, *refs: str) -> CommandState:
    return world.workspace.commands.state(command, of(*refs))


async def idle(world: World) -> None:
    await until(lambda: not world.workspace.commands.running)


POSSIBLE = {
    State.Halted: {"vm.start", "vm.delete"},
    State.Running: {
        "vm.shutdown",
        "vm.reboot",
        "vm.suspend",
        "vm.pause",
        "vm.force_shutdown",
        "vm.force_reboot",
    },
    State.Paused: {"vm.unpause", "vm.force_shutdown", "vm.force_reboot"},
    State.Suspended: {"vm.resume", "vm.force_shutdown", "vm.delete"},
}
GATED = sorted(set().union(*POSSIBLE.values()))


@pytest.mark.parametrize("power_state", State)
async def test_each_power_state_enables_its_commands(world: World, power_state: VMPowerState) -> None:
    ref = world.add_vm("web1", power_state)
    enabled = {command for command in GATED if state(world, command, ref).enabled}
    assert enabled == POSSIBLE[power_state]
    for command in set(GATED) - enabled:
        found = state(world, command, ref)
        assert found.reason or not found.visible, f"{command} does not say why not"


@pytest.mark.parametrize(
    ("power_state", "command", "reason"),
    [
        (State.Running, "vm.start", "It is running already."),
        (State.Suspended, "vm.start", "It is suspended: resume it instead."),
        (State.Halted, "vm.shutdown", "It is shut down already."),
        (State.Paused, "vm.shutdown", "It is paused: unpause it first, so that the guest can answer."),
        (State.Halted, "vm.reboot", "It is shut down."),
        (State.Running, "vm.delete", "It is running: shut it down first."),
    ],
)
async def test_the_reason_names_the_state(world: World, power_state: VMPowerState, command: str, reason: str) -> None:
    assert state(world, command, world.add_vm("web1", power_state)).reason == reason


async def test_the_reason_names_what_is_under_way(world: World) -> None:
    ref = world.add_vm("web1", State.Halted)
    world.busy(ref, VMOperation.snapshot)
    assert state(world, "vm.start", ref).reason == "It is having a snapshot taken."


async def test_templates_snapshots_and_blocks_have_their_own_reasons(world: World) -> None:
    ref = world.add_vm("web1", State.Halted, blocked_operations={VMOperation.start: "under investigation"})
    assert state(world, "vm.start", ref).reason == "This is blocked for it: under investigation."
    assert state(world, "vm.delete", world.sample).reason == "It is a built-in template."
    snapshot = world.add_snapshot(ref, "Before", NOW)
    for nothing in ((), of(snapshot), (("host", world.host),)):
        assert world.workspace.commands.state("vm.start", nothing).reason == "Choose a VM first."


async def test_suspend_and_resume_give_each_other_their_place(world: World) -> None:
    running, suspended = world.add_vm("a"), world.add_vm("b", State.Suspended)
    assert [state(world, c, running).visible for c in ("vm.suspend", "vm.resume")] == [True, False]
    assert [state(world, c, suspended).visible for c in ("vm.suspend", "vm.resume")] == [False, True]
    assert [state(world, c, running, suspended).visible for c in ("vm.suspend", "vm.resume")] == [True, True]


async def test_starting_is_followed_in_the_history(world: World) -> None:
    ref = world.add_vm("web1", State.Halted)
    world.workspace.commands.run("vm.start", of(ref))
    await idle(world)
    assert world.engine.calls == [("Async.VM.start", (ref,))]
    (entry,) = world.workspace.history.entries
    assert (entry.title, entry.state, entry.subject) == ("Starting web1", "done", ("VM", ref))


async def test_a_failure_is_shown_with_its_reason(world: World) -> None:
    ref = world.add_vm("web1", State.Halted)
    world.engine.answer("VM.start", Failure("HOST_NOT_ENOUGH_FREE_MEMORY", "4294967296", "1073741824"))
    world.workspace.commands.run("vm.start", of(ref))
    dialog = await opened(ErrorDialog)
    assert dialog.heading.text() == "Start failed"
    assert "memory" in dialog.accessibleDescription()
    dialog.reject()
    await idle(world)
    assert world.workspace.history.entries[0].state == "failed"


async def test_several_are_done_and_the_others_listed(world: World) -> None:
    good, running, bad = world.add_vm("good", State.Halted), world.add_vm("on"), world.add_vm("bad", State.Halted)
    world.engine.answer("VM.start", lambda vm: Failure("VM_HYPERVISOR_FAILURE", vm, "no CPU") if vm == bad else None)
    assert state(world, "vm.start", good, running, bad).enabled
    world.workspace.commands.run("vm.start", of(good, running, bad))
    dialog = await opened(OutcomeDialog)
    assert {vm for (vm,) in world.engine.called("VM.start")} == {good, bad}
    model = dialog.table.model()
    rows = [[model.index(row, column).data() for column in (0, 1)] for row in range(model.rowCount())]
    assert rows == [["on", "It is running already."], ["bad", "no CPU"]]
    dialog.reject()
    await idle(world)


async def test_shutting_down_several_is_asked_about_and_one_is_not(world: World) -> None:
    first, second = world.add_vm("a"), world.add_vm("b")
    world.workspace.commands.run("vm.shutdown", of(first))
    await idle(world)
    assert world.engine.called("VM.clean_shutdown") == [(first,)]
    world.workspace.commands.run("vm.shutdown", of(first, second))
    dialog = await opened(ConsequenceDialog)
    dialog.reject()
    await idle(world)
    assert world.engine.called("VM.clean_shutdown") == [(first,)]


async def test_a_guest_that_does_not_answer_can_be_forced(world: World) -> None:
    ref = world.add_vm("web1")
    world.engine.answer("VM.clean_shutdown", Failure("VM_SHUTDOWN_TIMEOUT", ref, "60"))
    world.workspace.commands.run("vm.shutdown", of(ref))
    dialog = await opened(ErrorDialog)
    assert dialog.primary is not None
    assert dialog.primary.text() == "Force Shut Down"
    assert not dialog.primary.isDefault()
    dialog.primary.click()
    await idle(world)
    assert world.engine.called("VM.hard_shutdown") == [(ref,)]


@pytest.mark.parametrize(
    ("command", "message"), [("vm.force_shutdown", "VM.hard_shutdown"), ("vm.force_reboot", "VM.hard_reboot")]
)
async def test_force_asks_with_consequences(world: World, command: str, message: str) -> None:
    ref = world.add_vm("web1")
    for answer, sent in (("reject", []), ("accept", [(ref,)])):
        world.workspace.commands.run(command, of(ref))
        dialog = await opened(ConsequenceDialog)
        assert dialog.cancel.isDefault()
        getattr(dialog, answer)()
        await idle(world)
        assert world.engine.called(message) == sent


async def test_deleting_leaves_the_snapshots_unless_asked(world: World) -> None:
    ref = billing_db(world)
    world.set(ref, power_state=State.Halted)
    world.workspace.commands.run("vm.delete", of(ref))
    dialog = await opened(DeleteDialog)
    assert dialog.snapshots.text() == "Also delete its 3 snapshots"
    assert not dialog.snapshots.isChecked()
    dialog.accept()
    await idle(world)
    assert world.engine.called("VM.uninstall") == [(ref, False)]
    world.workspace.commands.run("vm.delete", of(ref))
    again = await opened(DeleteDialog)
    again.snapshots.setChecked(True)
    again.accept()
    await idle(world)
    assert world.engine.called("VM.uninstall")[-1] == (ref, True)


async def test_what_goes_is_counted_by_who_holds_it(world: World) -> None:
    ref = world.add_vm("web1", State.Halted)
    world.add_disk(ref, "own", 10 * GIB, GIB)
    world.add_disk(ref, "lent", 20 * GIB, 2 * GIB, owned=False)
    shared = world.add_disk(ref, "shared", 30 * GIB, 3 * GIB)
    other = world.add_vm("web2", State.Halted)
    world.add_disk(other, "x", GIB, 0)
    held = world.engine.cache.get(VDI, shared)
    assert held is not None
    world.engine.change(VDI, shared, VBDs=held.VBDs | world.vm(other).VBDs)
    found = doomed(world.engine.cache, [(ref, world.vm(ref))])
    assert [vdi.name_label for vdi in found.disks] == ["own"]
    assert {vdi.name_label for vdi in found.shared} == {"lent", "shared"}
    assert found.freed == GIB


async def test_a_deleted_dialog_sends_nothing(world: World) -> None:
    ref = world.add_vm("web1", State.Halted)
    world.workspace.commands.run("vm.delete", of(ref))
    (await opened(DeleteDialog)).reject()
    await idle(world)
    assert world.engine.calls == []
    assert not open_dialogs(Dialog)


async def test_uuids_are_copied_one_a_line(world: World) -> None:
    refs = [world.add_vm("a"), world.add_vm("b")]
    world.workspace.commands.run("vm.copy_uuid", of(*refs))
    assert QGuiApplication.clipboard().text().split("\n") == [world.vm(ref).uuid for ref in refs]


async def properties(world: World, ref: Ref[VM]) -> PropertiesDialog:
    world.workspace.commands.run("vm.properties", of(ref))
    return await opened(PropertiesDialog)


@pytest.mark.parametrize(
    ("cpus", "order"),
    [
        (6, [("VM.set_VCPUs_max", 6), ("VM.set_VCPUs_at_startup", 6)]),
        (1, [("VM.set_VCPUs_at_startup", 1), ("VM.set_VCPUs_max", 1)]),
    ],
)
async def test_processors_are_set_in_the_order_that_is_never_refused(
    world: World, cpus: int, order: list[tuple[str, int]]
) -> None:
    ref = billing_db(world)
    world.set(ref, power_state=State.Halted)
    dialog = await properties(world, ref)
    dialog.cpus.setValue(cpus)
    dialog.accept()
    await idle(world)
    assert world.engine.calls == [(message, (ref, value)) for message, value in order]


async def test_only_what_differs_is_sent(world: World) -> None:
    ref = billing_db(world)
    world.set(ref, power_state=State.Halted)
    dialog = await properties(world, ref)
    dialog.memory.setValue(8192)
    dialog.name.setText("  billing  ")
    dialog.tags.setText("production, , new")
    dialog.accept()
    await idle(world)
    assert world.engine.calls == [
        ("VM.set_memory_limits", (ref, *[8192 * MIB] * 4)),
        ("VM.set_tags", (ref, frozenset({"production", "new"}))),
        ("VM.set_name_label", (ref, "billing")),
    ]


async def test_a_running_vm_keeps_its_processors_and_a_name_is_needed(world: World) -> None:
    ref = billing_db(world)
    dialog = await properties(world, ref)
    assert not dialog.cpus.isEnabled()
    assert dialog.note.text() == "Processors and memory cannot be changed now: it is running."
    dialog.name.setText(" ")
    assert dialog.primary is not None
    assert not dialog.primary.isEnabled()
    dialog.reject()
    await idle(world)
    assert world.engine.calls == []


async def test_the_schedule_is_named_when_its_vm_goes(world: World) -> None:
    vmss: Ref[VMSS] = world.engine.put(VMSS(name_label="Nightly"))
    ref = world.add_vm("web1", State.Halted, snapshot_schedule=vmss)
    assert doomed(world.engine.cache, [(ref, world.vm(ref))]).schedules == ("Nightly",)


async def test_locked_snapshots_cannot_go_with_their_vm(world: World) -> None:
    ref = world.add_vm("web1", State.Halted)
    world.add_snapshot(ref, "free", NOW)
    locked = world.add_snapshot(ref, "kept for the audit", NOW)
    world.engine.change(VM, locked, blocked_operations={VMOperation.destroy: "Audit"})
    world.workspace.commands.run("vm.delete", of(ref))
    dialog = await opened(DeleteDialog)
    assert not dialog.snapshots.isEnabled()
    assert dialog.snapshots.toolTip() == "Locked: kept for the audit. Unlock them first."
    dialog.accept()
    await idle(world)
    assert world.engine.called("VM.uninstall") == [(ref, False)]
