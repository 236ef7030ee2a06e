"""Copying, converting, and making VMs from templates and snapshots: what is offered, asked, sent and said."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QLabel

from app.api import NULL, SR, VDI, VM, Failure, Ref, VMOperation, VMPowerState
from tests.ui.machines.test_commands import idle, of, state
from tests.ui.machines.windows import opened, until
from tests.ui.machines.world import GIB, NOW, World
from ui.base.dialogs import ConsequenceDialog, ErrorDialog
from ui.machines.copy_vm import CopyDialog
from ui.machines.new_vm_wizard import NewVmWizard
from ui.machines.templates import convert_dialog
from ui.widgets.outcomes import OutcomeDialog

State = VMPowerState


def halted(world: World, name: str = "web1") -> Ref[VM]:
    """A shut down VM with a disk of 20 GiB, 6 of them in use."""
    ref = world.add_vm(name, State.Halted)
    world.add_disk(ref, f"{name} system", 20 * GIB, 6 * GIB)
    return ref


async def copy_dialog(world: World, ref: Ref[VM]) -> CopyDialog:
    world.workspace.commands.run("vm.copy", of(ref))
    return await opened(CopyDialog)


# ---- copying --------------------------------------------------------------------------------------------------


async def test_a_fast_clone_is_what_is_offered_first(world: World) -> None:
    ref = halted(world)
    dialog = await copy_dialog(world, ref)
    assert dialog.name.text() == "Copy of web1"
    assert dialog.choice.fast.isChecked()
    assert "Chain depth 2 of 30 afterwards." in dialog.choice.fast.accessibleDescription()
    dialog.accept()
    await idle(world)
    assert world.engine.calls == [("Async.VM.clone", (ref, "Copy of web1"))]
    assert world.workspace.history.entries[0].title == "Copying web1 to Copy of web1"


async def test_a_full_copy_goes_where_it_is_told(world: World) -> None:
    other = world.engine.put(SR(name_label="Archive", type="file", physical_size=80 * GIB, physical_utilisation=0))
    ref = halted(world)
    dialog = await copy_dialog(world, ref)
    dialog.choice.full.setChecked(True)
    assert dialog.choice.where.ref() == world.sr, "where its only disk is"
    dialog.choice.where.choose(other)
    dialog.name.setText("  archive of web1 ")
    dialog.accept()
    await idle(world)
    assert world.engine.calls == [("Async.VM.copy", (ref, "archive of web1", other))]


async def test_disks_of_several_repositories_stay_where_they_are(world: World) -> None:
    other = world.engine.put(SR(name_label="Archive", type="file"))
    ref = halted(world)
    second = world.add_disk(ref, "data", GIB, GIB)
    world.engine.change(VDI, second, SR=other)
    dialog = await copy_dialog(world, ref)
    dialog.choice.full.setChecked(True)
    assert dialog.choice.way().sr == NULL
    dialog.reject()


async def test_too_little_space_is_said_and_not_forbidden(world: World) -> None:
    world.engine.change(SR, world.sr, physical_size=90 * GIB, physical_utilisation=88 * GIB)
    dialog = await copy_dialog(world, halted(world))
    assert not dialog.choice.notice.isVisible()
    dialog.choice.full.setChecked(True)
    assert dialog.choice.notice.isVisible()
    expected = "“Local storage” has 2 GiB free; the copy may need up to 6 GiB."
    assert dialog.choice.notice.sentence().replace("\xa0", " ") == expected
    assert dialog.primary is not None
    assert dialog.primary.isEnabled()
    dialog.name.setText(" ")
    assert not dialog.primary.isEnabled()
    dialog.reject()


async def test_a_running_vm_says_how_to_copy_it_all_the_same(world: World) -> None:
    ref = world.add_vm("web1")
    reason = "It is running: shut it down first, or make a VM from a snapshot of it."
    assert state(world, "vm.copy", ref).reason == reason
    assert not state(world, "vm.copy", world.sample).enabled
    assert not state(world, "vm.copy", ref, halted(world, "web2")).enabled


async def test_what_the_engine_does_not_allow_is_grey_with_the_reason(world: World) -> None:
    ref = halted(world)
    allowed = world.vm(ref).allowed_operations - {VMOperation.clone}
    blocked = {VMOperation.clone: "Not today"}
    world.engine.change(VM, ref, allowed_operations=allowed, blocked_operations=blocked)
    dialog = await copy_dialog(world, ref)
    assert not dialog.choice.fast.isEnabled()
    assert "Not today" in dialog.choice.fast.accessibleDescription()
    assert dialog.choice.full.isChecked()
    dialog.reject()


async def test_a_copy_that_fails_says_why(world: World) -> None:
    world.engine.answer("VM.clone", Failure("SR_BACKEND_FAILURE_109", "", "", "31 images"))
    dialog = await copy_dialog(world, halted(world))
    dialog.accept()
    error = await opened(ErrorDialog)
    assert error.heading.text() == "Copy VM failed"
    error.reject()
    await idle(world)


# ---- converting -----------------------------------------------------------------------------------------------


async def test_converting_says_what_it_means_and_can_be_undone(world: World) -> None:
    ref = halted(world)
    world.add_snapshot(ref, "Before", NOW)
    world.workspace.commands.run("vm.convert_to_template", of(ref))
    dialog = await opened(ConsequenceDialog)
    assert dialog.heading.text() == "Convert “web1” to a template?"
    dialog.accept()
    await idle(world)
    assert world.engine.calls == [("Async.VM.set_is_a_template", (ref, True))]
    world.set(ref, is_a_template=True)
    assert not state(world, "vm.convert_to_template", ref).enabled
    assert state(world, "template.convert_to_vm", ref).enabled
    world.workspace.commands.run("template.convert_to_vm", of(ref))
    await idle(world)
    assert world.engine.calls[1:] == [("Async.VM.set_is_a_template", (ref, False))]


async def test_of_several_those_that_can_are_converted(world: World) -> None:
    first, second, running = halted(world, "a"), halted(world, "b"), world.add_vm("on")
    world.workspace.commands.run("vm.convert_to_template", of(first, second, running))
    dialog = await opened(ConsequenceDialog)
    assert dialog.heading.text() == "Convert 2 VMs to templates?"
    dialog.accept()
    outcome = await opened(OutcomeDialog)
    assert world.engine.called("VM.set_is_a_template") == [(first, True), (second, True)]
    assert outcome.table.model().index(0, 1).data() == "It is running: shut it down first."
    outcome.reject()
    await idle(world)


async def test_the_dialog_counts_the_snapshots_that_stay(world: World) -> None:
    ref = halted(world)
    world.add_snapshot(ref, "a", NOW)
    world.add_snapshot(ref, "b", NOW)
    dialog = convert_dialog([(ref, world.vm(ref))])
    said = [shown.text() for shown in dialog.consequences.findChildren(QLabel)]
    assert "2 snapshots are kept, and can be used again once it is a VM." in said
    dialog.deleteLater()


@pytest.mark.parametrize("command", ["template.convert_to_vm", "template.quick_create", "template.delete"])
async def test_a_built_in_template_says_why_not(world: World, command: str) -> None:
    assert "built-in template" in state(world, command, world.sample).reason
    assert not state(world, command, halted(world)).enabled
    assert state(world, command, world.add_template("Debian")).enabled


# ---- VMs from templates and snapshots -------------------------------------------------------------------------


async def test_quick_create_asks_nothing_and_keeps_all_settings(world: World) -> None:
    ref = world.add_template("Debian", VCPUs_at_startup=2, VCPUs_max=4, memory_static_max=GIB)
    made = world.add_vm("Debian (2)", State.Halted)
    world.engine.answer("VM.clone", made)
    world.workspace.commands.run("template.quick_create", of(ref))
    await until(lambda: world.engine.called("VM.provision"))
    await idle(world)
    assert [call for call, _ in world.engine.calls] == ["VM.clone", "VM.provision"]
    assert world.workspace.history.entries[0].title == "Making Debian (3)"


async def wizard_on(world: World, ref: Ref[VM]) -> NewVmWizard:
    world.workspace.commands.run("vm.new", of(ref))
    return await opened(NewVmWizard)


async def test_the_wizard_lists_own_templates_first_then_snapshots(world: World) -> None:
    vm = halted(world)
    world.add_snapshot(vm, "Before", NOW)
    world.add_template("Debian")
    wizard = NewVmWizard(world.workspace)
    model = wizard.source.templates.model
    rows = [(model.item(row).name, model.item(row).of) for row in range(model.rowCount())]
    assert rows == [("Debian", "Template"), ("Before", "web1")]
    wizard.stop()
    wizard.deleteLater()


async def test_a_vm_in_full_from_a_snapshot(world: World) -> None:
    vm = halted(world)
    snapshot = world.add_snapshot(vm, "Before", NOW, memory=True)
    world.add_disk(snapshot, "frozen", 20 * GIB, 6 * GIB)
    made = world.add_vm("web1 (Before)", State.Halted)
    world.engine.answer("VM.copy", made)
    wizard = await wizard_on(world, snapshot)
    assert wizard.name_page.words()[0] == "web1 (Before) (2)"
    wizard.disks.copying.full.setChecked(True)
    plan = wizard.plan()
    assert plan is not None
    assert (plan.way.full, plan.way.sr) == (True, world.sr)
    assert dict(wizard.summary.facts())["Copied"] == "Full copy"
    assert dict(wizard.summary.facts())["Disks"] == "1 disk"
    wizard.finish_page.start.setChecked(False)
    wizard.accept()
    await until(lambda: world.engine.called("VM.provision") and not world.workspace.history.running())
    assert world.engine.called("VM.copy") == [(snapshot, "web1 (Before) (2)", world.sr)]
    assert not world.engine.called("VM.clone")


async def test_a_template_that_goes_while_the_wizard_is_open(world: World) -> None:
    ref = world.add_template("Debian")
    wizard = await wizard_on(world, ref)
    assert wizard.source.why_incomplete() == ""
    world.engine.remove(VM, ref)
    assert wizard.source.why_incomplete() == "Choose a template or snapshot."
    assert wizard.plan() is None
    wizard.reject()


async def test_what_has_networks_keeps_them_and_is_not_asked(world: World) -> None:
    vm = halted(world)
    snapshot = world.add_snapshot(vm, "Before", NOW)
    world.engine.change(VM, snapshot, VIFs=frozenset({Ref("OpaqueRef:vif")}))
    wizard = await wizard_on(world, snapshot)
    assert not wizard.network.is_relevant()
    assert dict(wizard.summary.facts())["Network"] == "As the original, 1 interface"
    plan = wizard.plan()
    assert plan is not None
    assert plan.network is None
    wizard.source.cards["sample"].setChecked(True)
    assert wizard.network.is_relevant()
    assert dict(wizard.summary.facts())["Network"] == "NAT"
    wizard.reject()
