"""The New VM wizard by keyboard, its suggestions and refusals, and what Finish does."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QLineEdit, QWidget

from app.api import SR, VDI, VM, Failure, Ref, TaskOperation, VMPowerState
from app.api.control import Task
from tests.ui.machines.test_creation import answers
from tests.ui.machines.windows import open_dialogs, opened, until
from tests.ui.machines.world import GIB, MIB, NOW, World
from ui.base.dialogs import ErrorDialog
from ui.machines.creation import Source
from ui.machines.new_vm_wizard import NewVmWizard
from ui.models.names import unique_name

ENTER = Qt.Key.Key_Return


async def wizard_of(world: World, selection: tuple[tuple[str, str], ...] = ()) -> NewVmWizard:
    world.workspace.commands.run("vm.new", selection)
    wizard = await opened(NewVmWizard)
    wizard.activateWindow()
    return wizard


def press(key: Qt.Key, times: int = 1, modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
    for _ in range(times):
        focused = QApplication.focusWidget()
        assert focused is not None
        QTest.keyClick(focused, key, modifiers)


def write(text: str) -> None:
    focused = QApplication.focusWidget()
    assert focused is not None
    QTest.keyClicks(focused, text)


def choose(wizard: NewVmWizard, source: Source) -> None:
    wizard.source.cards[source].click()


def fact(wizard: NewVmWizard, what: str) -> str:
    return wizard.summary.value(what)


def to_the_end(wizard: NewVmWizard) -> None:
    while not wizard.is_last():
        before = wizard.page
        wizard.go_next()
        assert wizard.page is not before, wizard.page.why_incomplete()


async def done(world: World) -> None:
    await until(lambda: not world.workspace._tasks and not world.workspace.commands.running)


def arrive(world: World) -> None:
    """The feed tells of the VM as soon as it is cloned."""
    answers(world)

    def clone(_template: str, name: str) -> str:
        world.engine.put(VM(name_label=name), "OpaqueRef:vm")
        return "OpaqueRef:vm"

    world.engine.answer("VM.clone", clone)


async def test_the_sample_guest_by_keyboard_alone(world: World) -> None:
    arrive(world)
    shown: list[tuple[str, str, str]] = []
    world.workspace.show_requested.connect(lambda *where: shown.append(where))
    wizard = await wizard_of(world)
    for page in wizard.pages:
        assert wizard.page is page
        if page is wizard.name_page:
            write("web1")
        if not wizard.is_last():
            press(ENTER)
    assert wizard.next.text() == "Create VM"
    press(ENTER)
    await done(world)
    assert [method for method, _ in world.engine.calls] == [
        "VM.clone",
        "VM.provision",
        "VIF.create",
        "Async.VM.start",
    ]
    assert [(e.title, e.state) for e in world.workspace.history.entries] == [
        ("Making web1", "done"),
        ("Starting web1", "done"),
    ]
    assert shown == [("VM", "OpaqueRef:vm", "console")]


async def test_arrows_choose_the_source_and_the_iso(world: World) -> None:
    wizard = await wizard_of(world)
    press(Qt.Key.Key_Down)
    assert wizard.source.source() == "iso"
    assert wizard.next.toolTip() == "Choose the ISO to install from."
    press(Qt.Key.Key_Tab)
    press(Qt.Key.Key_Down, 2)
    assert wizard.source.isos.chosen_name() == "debian-13.2.0-amd64-netinst.iso"
    assert wizard.next.isEnabled()
    assert fact(wizard, "Name") == "debian-13.2.0-amd64-netinst"
    assert (fact(wizard, "CPU"), fact(wizard, "Memory")) == ("2 virtual CPUs", "2\u00a0GiB")
    assert (fact(wizard, "Disks"), fact(wizard, "Attached by")) == ("1 disk, 20\u00a0GiB", "SATA")
    wizard.reject()
    await done(world)
    assert world.engine.calls == []


async def test_an_iso_is_made_as_planned(world: World) -> None:
    arrive(world)
    wizard = await wizard_of(world)
    choose(wizard, "iso")
    wizard.source.isos.table.selectRow(0)
    wizard.name_page.name.setText("alpine")
    wizard.disks.rows[0].capacity.setValue(8)
    wizard.disks.add.click()
    wizard.network.mac.setText("52:54:00:AA:BB:CC")
    wizard.finish_page.start.setChecked(False)
    to_the_end(wizard)
    wizard.next.click()
    await done(world)
    disks = [record for (record,) in world.engine.called("VDI.create")]
    assert [(d["name_label"], d["virtual_size"]) for d in disks] == [
        ("alpine disk 0", 8 * GIB),
        ("alpine disk 1", 20 * GIB),
    ]
    assert world.engine.called("VBD.create")[-1][0]["VDI"] == world.isos[1]
    assert world.engine.called("VIF.create")[0][0]["MAC"] == "52:54:00:aa:bb:cc"
    assert world.engine.called("VM.start") == []


async def test_new_isos_appear_and_the_choice_stays(world: World) -> None:
    wizard = await wizard_of(world)
    choose(wizard, "iso")
    isos = wizard.source.isos
    isos.table.selectRow(1)
    assert isos.folder.text() == "/srv/stillframe/isos"
    isos.rescan.click()
    await until(lambda: world.engine.called("SR.scan"))
    assert world.engine.called("SR.scan") == [(world.iso_sr,)]
    world.engine.put(VDI(name_label="aaa.iso", location="aaa.iso", SR=world.iso_sr, virtual_size=MIB))
    assert isos.table.model().rowCount() == 3
    assert isos.iso() == world.isos[0]
    world.engine.remove(VDI, world.isos[0])
    assert isos.iso() is None
    wizard.reject()


async def test_an_image_is_looked_at_before_it_is_taken(world: World) -> None:
    facts = {"format": "qcow2", "virtual_size": str(20 * GIB), "file_size": str(3 * GIB)}
    refusal = Failure("OPERATION_NOT_ALLOWED", "It builds on another file.")
    world.engine.answer("VDI.inspect_file", lambda path: refusal if "overlay" in path else facts)
    wizard = await wizard_of(world)
    choose(wizard, "image")
    picker = wizard.source.image
    assert wizard.next.toolTip() == "Choose a disk image."
    picker.path.setText("/srv/overlay.qcow2")
    assert wizard.next.toolTip() == "The disk image is being looked at."
    await until(lambda: picker.verdict.isVisible())
    assert picker.verdict.sentence() == wizard.next.toolTip() == "It builds on another file."
    picker.path.setText("/srv/web.qcow2")
    assert not picker.verdict.isVisible()
    await until(lambda: picker.verdict.isVisible())
    assert picker.verdict.sentence() == "A qcow2 image: a disk of 20\u00a0GiB in a file of 3\u00a0GiB."
    assert wizard.next.isEnabled()
    assert (fact(wizard, "Name"), fact(wizard, "Disks")) == ("web", "1 disk, 20\u00a0GiB")
    wizard.reject()
    await done(world)


async def test_only_the_last_path_is_looked_at(world: World) -> None:
    world.engine.answer("VDI.inspect_file", {"format": "raw", "virtual_size": "1", "file_size": "1"})
    wizard = await wizard_of(world)
    choose(wizard, "image")
    for path in ("/a", "/ab", "/abc"):
        wizard.source.image.path.setText(path)
    await until(lambda: wizard.source.image.facts)
    assert world.engine.called("VDI.inspect_file") == [("/abc",)]
    wizard.reject()


async def test_a_file_is_chosen_in_a_dialog(world: World, tmp_path: Path) -> None:
    (tmp_path / "disk.img").write_bytes(b"x")
    wizard = await wizard_of(world)
    choose(wizard, "image")
    wizard.source.image.browse.click()
    dialog = await opened(QFileDialog)
    typed = dialog.findChild(QLineEdit)
    assert isinstance(typed, QLineEdit)
    typed.setText(str(tmp_path / "disk.img"))
    dialog.accept()
    await until(lambda: wizard.source.image.chosen())
    assert wizard.source.image.chosen() == str(tmp_path / "disk.img")
    wizard.reject()
    await done(world)


async def image_wizard(world: World) -> NewVmWizard:
    facts = {"format": "qcow2", "virtual_size": str(20 * GIB), "file_size": str(3 * GIB)}
    world.engine.answer("VDI.inspect_file", facts)
    wizard = await wizard_of(world)
    choose(wizard, "image")
    wizard.source.image.path.setText("/srv/web.qcow2")
    await until(lambda: wizard.source.image.facts)
    to_the_end(wizard)
    return wizard


async def test_an_import_shows_how_far_it_is_and_can_be_cancelled(world: World) -> None:
    arrive(world)
    gate = world.engine.hold("VDI.import_file")
    wizard = await image_wizard(world)
    wizard.next.click()
    assert not wizard.isVisible(), "the wizard closes at once"
    await until(lambda: world.workspace.history.entries and world.workspace.history.entries[0].task)
    (entry,) = world.workspace.history.entries
    may_cancel = frozenset({TaskOperation.cancel})
    world.engine.change(Task, entry.task, progress=0.5, name_description="Copying", allowed_operations=may_cancel)
    await until(lambda: entry.cancellable)
    assert (entry.progress, entry.words) == (0.4, "Copying")
    await world.workspace.cancel(entry)
    assert world.engine.called("task.cancel") == [(entry.task,)]
    world.engine.answer("VDI.import_file", Failure("TASK_CANCELLED", entry.task))
    gate.set()
    await done(world)
    assert entry.state == "cancelled"
    assert not open_dialogs(ErrorDialog)
    assert world.engine.called("VM.clone") == []


async def test_a_failure_is_told_with_what_became_of_the_rest(world: World) -> None:
    arrive(world)
    world.engine.answer("VM.provision", Failure("SR_BACKEND_FAILURE_44", "", "x", "2 GiB are free."))
    wizard = await wizard_of(world)
    to_the_end(wizard)
    wizard.next.click()
    dialog = await opened(ErrorDialog)
    assert dialog.heading.text() == "“Sample guest (2)” was not made" or "Sample guest" in dialog.heading.text()
    assert "The storage is full. 2 GiB are free." in dialog.accessibleDescription()
    assert "What had been made was removed again." in dialog.accessibleDescription()
    dialog.reject()
    await done(world)
    assert world.engine.called("VM.uninstall") == [("OpaqueRef:vm", False)]
    assert world.workspace.history.entries[0].state == "failed"


async def test_a_vm_that_cannot_start_stays(world: World) -> None:
    arrive(world)
    world.engine.answer("VM.start", Failure("VM_HYPERVISOR_FAILURE", "OpaqueRef:vm", "QEMU could not start"))
    wizard = await wizard_of(world)
    to_the_end(wizard)
    wizard.next.click()
    dialog = await opened(ErrorDialog)
    assert dialog.heading.text() == "Start failed"
    dialog.reject()
    await done(world)
    assert world.engine.called("VM.uninstall") == []
    assert [e.state for e in world.workspace.history.entries] == ["done", "failed"]


def test_names_are_made_unique() -> None:
    assert unique_name("web", {"mail"}) == "web"
    assert unique_name("Web", {"web", "web (2)"}) == "Web (3)"


async def test_a_taken_name_is_suggested_with_a_number_and_warned_of(world: World) -> None:
    world.add_vm("sample GUEST", VMPowerState.Halted)
    wizard = await wizard_of(world)
    assert wizard.name_page.name.text() == "Sample guest (2)"
    wizard.go_to(1)
    wizard.name_page.name.setText("Sample Guest")
    assert wizard.name_page.twin.isVisible()
    wizard.name_page.name.setText(" ")
    assert wizard.next.toolTip() == "A VM needs a name."
    wizard.name_page.name.setText("mine")
    choose(wizard, "iso")
    assert wizard.name_page.name.text() == "mine", "a typed name is kept"
    wizard.reject()


async def test_numbers_stay_within_the_host_and_are_kept_once_chosen(world: World) -> None:
    wizard = await wizard_of(world)
    hardware = wizard.hardware
    assert (hardware.cpus.value(), hardware.memory.value()) == (1, 32)
    assert (hardware.cpus.maximum(), hardware.memory.maximum()) == (8, 16 * 1024)
    wizard.go_to(2)
    hardware.memory.setValue(12 * 1024)
    assert hardware.warning.isVisible()
    hardware.memory.setValue(4 * 1024)
    assert not hardware.warning.isVisible()
    choose(wizard, "iso")
    assert hardware.memory.value() == 4 * 1024
    wizard.reject()


async def test_each_bus_has_its_limit(world: World) -> None:
    wizard = await wizard_of(world)
    choose(wizard, "iso")
    wizard.source.isos.table.selectRow(0)
    wizard.go_to(3)
    for _ in range(3):
        wizard.disks.add.click()
    wizard.disks.bus.set_current("ide")
    wizard.disks.bus.chosen.emit("ide")
    assert wizard.next.toolTip() == "IDE takes 4 drives at most, and this VM would have 5."
    wizard.disks.rows[0].remove.click()
    assert wizard.next.isEnabled()
    assert [row.title.text() for row in wizard.disks.rows] == ["Disk 0", "Disk 1", "Disk 2"]
    wizard.reject()


async def test_without_storage_no_disk_can_be_made(world: World) -> None:
    world.engine.remove(SR, world.sr)
    wizard = await wizard_of(world)
    wizard.disks.add.click()
    assert wizard.disks.why_incomplete() == "There is no storage for disks."
    wizard.reject()


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("52:54:00:12:34", "A MAC address has six pairs"),
        ("53:54:00:12:34:56", "the first pair must be even"),
        ("52:54:00:12:34:56", ""),
        ("", ""),
    ],
)
async def test_addresses_are_checked(world: World, typed: str, reason: str) -> None:
    wizard = await wizard_of(world)
    wizard.network.mac.setText(typed)
    assert reason in wizard.network.why_incomplete()
    assert bool(reason) == bool(wizard.network.why_incomplete())
    wizard.network.connected.setChecked(False)
    assert wizard.network.why_incomplete() == ""
    assert fact(wizard, "Network") == "Not connected"
    wizard.reject()


async def test_a_snapshot_can_be_what_it_starts_from(world: World) -> None:
    vm = world.add_vm("web1", VMPowerState.Halted, VCPUs_at_startup=3, memory_static_max=GIB)
    snapshot: Ref[VM] = world.add_snapshot(vm, "Before", NOW)
    record = msgspec.structs.replace(world.vm(snapshot), VCPUs_at_startup=3, memory_static_max=GIB)
    world.engine.change(VM, snapshot, VCPUs_at_startup=3, memory_static_max=record.memory_static_max)
    wizard = await wizard_of(world, (("VM", snapshot),))
    assert wizard.source.source() == "template"
    assert (fact(wizard, "From"), fact(wizard, "CPU"), fact(wizard, "Memory")) == (
        "web1 › Before",
        "3 virtual CPUs",
        "1\u00a0GiB",
    )
    wizard.reject()


async def test_the_chosen_template_is_where_it_starts(world: World) -> None:
    own: Ref[VM] = world.engine.put(VM(name_label="Debian base", is_a_template=True))
    expected: tuple[tuple[str, Source], ...] = ((world.sample, "sample"), (world.other, "iso"), (own, "template"))
    for ref, source in expected:
        wizard = NewVmWizard(world.workspace, ref)
        assert wizard.source.source() == source
        wizard.stop()
        wizard.deleteLater()


async def test_two_wizards_are_not_opened_at_once(world: World) -> None:
    await wizard_of(world)
    world.workspace.commands.run("vm.new", ())
    assert len(open_dialogs(NewVmWizard)) == 1
    open_dialogs(NewVmWizard)[0].reject()


async def test_every_field_has_a_name_for_a_screen_reader(world: World) -> None:
    wizard = await wizard_of(world)
    choose(wizard, "iso")
    nameless = [
        f"{type(widget).__name__} on {page.title}"
        for page in wizard.pages
        for widget in page.findChildren(QWidget)
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus
        and widget.isVisibleTo(page)
        and not (widget.accessibleName() or getattr(widget, "text", str)())
    ]
    assert nameless == []
    wizard.reject()
