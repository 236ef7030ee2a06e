"""The export wizard: what it asks, what it refuses, and what it then has done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from app.api import VDI, VM, Failure, Ref, VDIOperation, VMOperation, VMPowerState
from app.client.exchange import ExportOptions
from tests.ui.exchange.standin import PLAN, Transfers
from tests.ui.machines.windows import open_dialogs, opened, until
from tests.ui.machines.world import GIB, World, billing_db
from ui.base.dialogs import ErrorDialog
from ui.exchange import exporting
from ui.exchange.disk_dialog import ExportDiskDialog
from ui.exchange.export_wizard import ExportWizard
from ui.exchange.state_dialog import StateDialog
from ui.widgets.notice import Toast


def allowed(world: World, ref: Ref[VM]) -> Ref[VM]:
    """Whatever the rules say of exports: it may be exported."""
    operations = world.vm(ref).allowed_operations | {VMOperation.export}
    world.engine.change(VM, ref, allowed_operations=operations)
    return ref


def halted(world: World) -> Ref[VM]:
    vm = billing_db(world)
    world.set(vm, power_state=VMPowerState.Halted)
    return allowed(world, vm)


async def wizard_of(world: World, vm: str, command: str = "vm.export") -> ExportWizard:
    world.workspace.commands.run(command, (("VM", vm),))
    wizard = await opened(ExportWizard)
    await until(lambda: not wizard.contents.why_incomplete() or wizard.contents.failure.sentence())
    return wizard


def through(wizard: ExportWizard) -> None:
    while not wizard.is_last():
        before = wizard.page
        wizard.go_next()
        assert wizard.page is not before, wizard.page.why_incomplete()


def toasts(world: World) -> list[Toast]:
    assert world.workspace.window is not None
    return world.workspace.window.findChildren(Toast)


async def test_a_vm_leaves_as_a_file(
    world: World, transfers: Transfers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(exporting, "show_in_folder", shown.append)
    vm = halted(world)
    wizard = await wizard_of(world, vm)
    through(wizard)
    assert wizard.next.text() == "Export"
    wizard.next.click()
    entry = (await until(world.workspace.history.running))[0]
    await until(lambda: entry.words)
    assert entry.title == "Exporting billing-db"
    transfers.go.set()
    await until(lambda: toasts(world))
    path = tmp_path / "billing-db.xva"
    assert transfers.asked == [("export", vm, path, ExportOptions(compression="zstd"))]
    assert (entry.state, entry.file, entry.subject) == ("done", str(path), ("VM", vm))
    (said,) = toasts(world)
    assert said.sentence().replace("\xa0", " ") == "“billing-db” is exported, verified: 5 GiB in 42 s."
    said.act.click()
    assert shown == [str(path)]


async def test_by_keyboard_alone(world: World, transfers: Transfers) -> None:
    wizard = await wizard_of(world, halted(world))
    wizard.activateWindow()
    QTest.keyClick(wizard.contents.everything, Qt.Key.Key_Return)
    assert wizard.page is wizard.packing
    QTest.keyClick(wizard.packing.cards["gzip"], Qt.Key.Key_Space)
    QTest.keyClick(wizard.packing.cards["gzip"], Qt.Key.Key_Return)
    assert wizard.focusWidget() is wizard.file.target.name
    QTest.keyClicks(wizard.file.target.name, "friday")
    QTest.keyClick(wizard.file.target.name, Qt.Key.Key_Return)
    QTest.keyClick(wizard.next, Qt.Key.Key_Return)
    await until(lambda: transfers.asked)
    assert transfers.asked[0][2].name == "friday.xva"
    assert transfers.asked[0][3].compression == "gzip"


async def test_what_cannot_fit_is_refused_and_compressed_goes_with_a_warning(
    world: World, transfers: Transfers
) -> None:
    transfers.free = 9 * GIB
    wizard = await wizard_of(world, halted(world))
    wizard.packing.cards["none"].setChecked(True)
    wizard.go_to(2)
    assert not wizard.next.isEnabled()
    assert "It does not fit" in wizard.file.target.verdict.sentence()
    wizard.packing.cards["zstd"].setChecked(True)
    assert wizard.next.isEnabled()
    assert wizard.file.target.verdict.sentence().replace("\xa0", " ").startswith("It fits only if compression saves")
    wizard.reject()


async def test_a_file_that_is_there_is_never_overwritten(world: World, transfers: Transfers, tmp_path: Path) -> None:
    (tmp_path / "billing-db.xva").touch()
    wizard = await wizard_of(world, halted(world))
    assert wizard.file.target.name.text() == "billing-db (2).xva"
    wizard.go_to(2)
    wizard.file.target.name.setText("billing-db")
    assert "already" in wizard.page.why_incomplete()
    for wrong in ("", "a/b", "a\tb", "what?", "数" * 90):
        wizard.file.target.name.setText(wrong)
        assert wizard.page.why_incomplete(), wrong
    wizard.file.target.folder.setText(str(tmp_path / "nowhere"))
    assert wizard.page.why_incomplete() == "There is no such folder."
    wizard.reject()


async def test_an_interrupted_export_is_told(world: World, transfers: Transfers, tmp_path: Path) -> None:
    (tmp_path / "billing-db.xva.part").touch()
    wizard = await wizard_of(world, halted(world))
    assert "begins anew" in wizard.file.target.verdict.sentence()
    wizard.packing.cards["none"].setChecked(True)
    assert "goes on where it stopped" in wizard.file.target.verdict.sentence()
    wizard.reject()


async def test_settings_alone_need_no_packing(world: World, transfers: Transfers) -> None:
    wizard = await wizard_of(world, halted(world))
    wizard.contents.settings.setChecked(True)
    assert not wizard.packing.is_relevant()
    wizard.contents.snapshots.setChecked(True)
    assert wizard.options() == ExportOptions(metadata=True, include_snapshots=True, verify=False)
    wizard.reject()


async def test_memory_comes_along_if_wanted(world: World, transfers: Transfers) -> None:
    transfers.plan = replace(PLAN, memory_bytes=2 * GIB)
    wizard = await wizard_of(world, halted(world))
    assert wizard.options().preserve_power_state
    assert wizard.contents.needed() == 14 * GIB
    wizard.contents.memory.setChecked(False)
    assert not wizard.options().preserve_power_state
    wizard.reject()


async def test_a_refusal_of_the_engine_stands_on_the_first_page(world: World, transfers: Transfers) -> None:
    transfers.plan = Failure("VDI_IN_USE", "OpaqueRef:x", "copy")
    wizard = await wizard_of(world, halted(world))
    assert "in use" in wizard.contents.failure.sentence()
    assert not wizard.next.isEnabled()
    wizard.reject()


async def test_a_failure_is_told_in_words(world: World, transfers: Transfers) -> None:
    transfers.error = OSError(28, "No space left on device", "/srv/web.xva.part")
    wizard = await wizard_of(world, halted(world))
    through(wizard)
    wizard.next.click()
    transfers.go.set()
    dialog = await opened(ErrorDialog)
    assert "No space left on device" in dialog.accessibleDescription()
    assert "Free some space" in dialog.accessibleDescription()
    dialog.reject()


async def test_the_next_wizard_remembers(world: World, transfers: Transfers, tmp_path: Path) -> None:
    vm = halted(world)
    wizard = await wizard_of(world, vm)
    wizard.packing.cards["gzip"].setChecked(True)
    (tmp_path / "exports").mkdir()
    wizard.file.target.folder.setText(str(tmp_path / "exports"))
    through(wizard)
    wizard.next.click()
    await until(lambda: not world.workspace.commands.running)
    again = await wizard_of(world, vm)
    assert again.packing.compression() == "gzip"
    assert again.file.target.folder.text() == str(tmp_path / "exports")
    again.reject()


# ---- a running VM ---------------------------------------------------------------------------------------------


async def test_of_a_running_vm_a_snapshot_is_taken_first(world: World, transfers: Transfers) -> None:
    vm = billing_db(world)
    taken = world.add_snapshot(vm, "Export of billing-db", world.vm(vm).snapshot_time)
    world.engine.answer("VM.snapshot", taken)
    world.workspace.commands.run("vm.export", (("VM", vm),))
    dialog = await opened(StateDialog)
    assert dialog.now.isChecked()
    dialog.accept()
    wizard = await opened(ExportWizard)
    assert world.engine.called("VM.snapshot") == [(vm, "Export of billing-db")]
    assert wizard.windowTitle() == "Export snapshot"
    wizard.reject()


async def test_of_a_running_vm_a_snapshot_there_is_can_be_chosen(world: World, transfers: Transfers) -> None:
    vm = billing_db(world)
    world.workspace.commands.run("vm.export", (("VM", vm),))
    dialog = await opened(StateDialog)
    dialog.before.setChecked(True)
    assert dialog.snapshots.currentText().startswith("Nightly 2026-11-22")
    dialog.accept()
    wizard = await opened(ExportWizard)
    assert world.engine.called("VM.snapshot") == []
    assert "“Nightly 2026-11-22” of billing-db" in wizard.contents.explanation.text()
    wizard.reject()


async def test_cancelling_the_question_does_nothing(world: World, transfers: Transfers) -> None:
    world.workspace.commands.run("vm.export", (("VM", billing_db(world)),))
    (await opened(StateDialog)).reject()
    await until(lambda: not world.workspace.commands.running)
    assert open_dialogs(ExportWizard) == []


# ---- when it can be done --------------------------------------------------------------------------------------


async def test_reasons(world: World, transfers: Transfers) -> None:
    state = world.workspace.commands.state
    vm = billing_db(world)
    snapshot = min(world.vm(vm).snapshots)
    alone = world.add_vm("alone")
    world.engine.change(VM, alone, allowed_operations=frozenset())
    assert state("vm.export", (("VM", alone),)).reason.startswith("It is running: export a snapshot of it")
    assert state("vm.export", (("VM", snapshot),)).reason == "Choose one VM."
    assert state("template.export", (("VM", world.other),)).reason == "It is a built-in template."
    assert state("snapshot.export", ()).reason == "Choose one snapshot."
    assert state("snapshot.export", (("VM", allowed(world, snapshot)),)).enabled
    world.engine.change(VM, snapshot, allowed_operations=frozenset(), current_operations={"t": VMOperation.revert})
    assert state("snapshot.export", (("VM", snapshot),)).reason == "It is being reverted."
    assert state("template.export", (("VM", allowed(world, world.add_template("Base"))),)).enabled


async def test_disks_and_their_reasons(world: World, transfers: Transfers) -> None:
    state = world.workspace.commands.state
    vdi = world.add_disk(world.add_vm("web"), "web", 2 * GIB, GIB)
    assert "A guest uses it" in state("vdi.export", (("VDI", vdi),)).reason
    world.engine.change(VDI, vdi, managed=False)
    assert "base copy" in state("vdi.export", (("VDI", vdi),)).reason
    assert "ISO" in state("vdi.export", (("VDI", world.isos[0]),)).reason
    world.engine.change(VDI, vdi, managed=True, allowed_operations=frozenset({VDIOperation.copy}))
    assert state("vdi.export", (("VDI", vdi),)).enabled


async def test_a_disk_leaves_as_a_file(world: World, transfers: Transfers, tmp_path: Path) -> None:
    vdi = world.add_disk(world.add_vm("web"), "web: system", 2 * GIB, GIB)
    world.engine.change(VDI, vdi, allowed_operations=frozenset({VDIOperation.copy}))
    world.workspace.commands.run("vdi.export", (("VDI", vdi),))
    dialog = await opened(ExportDiskDialog)
    assert dialog.target.path().name == "web_ system.qcow2"
    dialog.cards["vhd"].setChecked(True)
    assert dialog.target.path().name == "web_ system.vhd"
    dialog.accept()
    transfers.go.set()
    await until(lambda: toasts(world))
    assert transfers.asked == [("disk", vdi, tmp_path / "web_ system.vhd", "vhd")]
