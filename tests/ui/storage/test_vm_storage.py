"""A VM's Storage tab: its disks in a table, its drives with discs going in and out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.api import SR, VBD, VDI, VM, Failure
from app.api.enums import VBDOperation, VMPowerState
from tests.support.fake_session import FakeEngine
from tests.ui.main_window import pools
from ui.base.workspace import Workspace
from ui.storage import commands
from ui.storage.insert_dialog import InsertDialog
from ui.storage.tab import DriveRow, StorageTab


@pytest.fixture
def tab(qtbot: QtBot, engine: FakeEngine, workspace: Workspace) -> Iterator[StorageTab]:
    pools.small_pool(engine)
    commands.register(workspace)
    made = StorageTab(workspace)
    qtbot.addWidget(made)
    made.resize(900, 600)
    made.show()
    made.show_object("VM", pools.DB)
    yield made


def rows(tab: StorageTab) -> list[list[str]]:
    columns = range(tab.model.columnCount())
    return [[str(tab.model.index(row, c).data()) for c in columns] for row in range(tab.model.rowCount())]


def drive_of(engine: FakeEngine, vm: str) -> str:
    return next(ref for ref, vbd in engine.cache.all(VBD).items() if vm == vbd.VM and vbd.device == "sr0")


def row_of(tab: StorageTab, engine: FakeEngine, vm: str) -> DriveRow:
    return tab.drive(drive_of(engine, vm))


def test_disks_are_rows(tab: StorageTab) -> None:
    assert rows(tab) == [
        ["0", "billing-db system", "Local storage", "20\u00a0GiB", "3\u00a0GiB", "Disk", "no", "yes"],
        ["1", "billing-db data", "Local storage", "200\u00a0GiB", "48\u00a0GiB", "Disk", "no", "no"],
    ]
    assert tab.summary.text() == "2 disks · 220\u00a0GiB in all, 51\u00a0GiB in own files"


def test_positions_are_numbers(tab: StorageTab, engine: FakeEngine) -> None:
    for number in (2, 5, 4, 3):
        pools.disk(engine, pools.DB, number, f"disk {number}", 1, 1)
    vdi = engine.put(VDI(name_label="tenth", SR=pools.ref(pools.SR_DISKS)))
    vbd = engine.put(VBD(VM=pools.ref(pools.DB), VDI=vdi, userdevice="10"))
    record = engine.cache.get(VM, pools.DB)
    assert record is not None
    engine.change(VM, pools.DB, VBDs=record.VBDs | {vbd})
    assert [row[0] for row in rows(tab)] == ["0", "1", "2", "3", "4", "5", "10"]


def test_a_changed_size_changes_one_row(qtbot: QtBot, tab: StorageTab, engine: FakeEngine) -> None:
    vdi = next(ref for ref, v in engine.cache.all(VDI).items() if v.name_label == "billing-db system")
    changed: list[int] = []
    tab.model.dataChanged.connect(lambda first, _last: changed.append(first.row()))
    with qtbot.assertNotEmitted(tab.model.modelReset):
        engine.change(VDI, vdi, physical_utilisation=5 * pools.GIB)
    assert changed == [0]
    assert rows(tab)[0][4] == "5\u00a0GiB"


def test_what_does_not_concern_it_costs_nothing(
    tab: StorageTab, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def note(_look: object, vm: str) -> dict[str, object]:
        asked.append(vm)
        return {}

    monkeypatch.setattr("ui.storage.tab.devices", note)
    engine.change(VM, pools.WEB, name_label="other")
    engine.change(SR, pools.SR_ISO, name_label="other")
    assert asked == []
    engine.change(SR, pools.SR_DISKS, name_label="Big storage")
    assert asked == [pools.DB]


def test_hidden_it_waits(tab: StorageTab, engine: FakeEngine) -> None:
    tab.hide()
    pools.disk(engine, pools.DB, 2, "third", 1, 1)
    assert len(rows(tab)) == 2
    tab.show()
    assert len(rows(tab)) == 3


def test_a_vm_without_disks_says_so(tab: StorageTab, engine: FakeEngine) -> None:
    engine.put(pools.machine("bare"), "OpaqueRef:bare")
    tab.show_object("VM", "OpaqueRef:bare")
    assert rows(tab) == []
    assert tab.summary.text() == ""
    assert not tab.drives.isVisible()


def test_a_missing_file_is_told(tab: StorageTab, engine: FakeEngine) -> None:
    vdi = next(ref for ref, v in engine.cache.all(VDI).items() if v.name_label == "billing-db system")
    engine.change(VDI, vdi, missing=True)
    assert "missing" in str(tab.model.index(0, 1).data(Qt.ItemDataRole.ToolTipRole))


# ---- drives ---------------------------------------------------------------------------------------------------


def test_an_empty_drive_takes_a_disc(tab: StorageTab, engine: FakeEngine) -> None:
    row = row_of(tab, engine, pools.DB)
    assert row.medium.text() == "Empty"
    assert row.insert.isEnabled()
    assert not row.eject.isEnabled()
    assert row.eject.toolTip() == "The drive is empty."


async def test_a_disc_is_inserted_from_the_menu(tab: StorageTab, engine: FakeEngine, workspace: Workspace) -> None:
    row = row_of(tab, engine, pools.DB)
    row.menu.aboutToShow.emit()
    entries = [action.text() for action in row.menu.actions() if not action.isSeparator()]
    assert entries == ["debian-13.1.0-amd64-netinst.iso", "virtio-win-0.1.271.iso", "Choose from the Libraries…"]
    row.menu.actions()[0].trigger()
    await pools.settled()
    assert engine.called("VBD.insert") == [(drive_of(engine, pools.DB), pools.iso(engine, "debian"))]
    assert workspace.history.entries[0].title == "Inserting debian-13.1.0-amd64-netinst.iso"
    assert workspace.history.entries[0].subject == ("VM", pools.DB)


async def test_inserting_another_disc_ejects_the_one_that_is_in(
    tab: StorageTab, engine: FakeEngine, workspace: Workspace
) -> None:
    tab.show_object("VM", pools.WIN)
    vbd = drive_of(engine, pools.WIN)
    chosen = (("VBD", vbd), ("VDI", pools.iso(engine, "debian")))
    workspace.commands.run("vbd.insert", chosen)
    await pools.settled()
    await pools.settled()
    assert [method for method, _ in engine.calls] == ["Async.VBD.eject", "Async.VBD.insert"]


async def test_eject(tab: StorageTab, engine: FakeEngine, workspace: Workspace) -> None:
    tab.show_object("VM", pools.WIN)
    row = row_of(tab, engine, pools.WIN)
    assert row.medium.text() == "virtio-win-0.1.271.iso"
    row.eject.click()
    await pools.settled()
    assert engine.called("VBD.eject") == [(drive_of(engine, pools.WIN),)]
    engine.change(
        VBD,
        drive_of(engine, pools.WIN),
        empty=True,
        VDI=pools.ref("OpaqueRef:NULL"),
        allowed_operations=frozenset({VBDOperation.insert}),
    )
    assert row.medium.text() == "Empty"
    assert not row.eject.isEnabled()


def test_the_menu_acts_on_the_drive_that_is_seen(tab: StorageTab, engine: FakeEngine, workspace: Workspace) -> None:
    assert workspace.commands.selection("storage") == (("VBD", drive_of(engine, pools.DB)),)
    assert workspace.commands.action("vbd.insert").isEnabled()
    tab.show_object("VM", pools.WIN)
    assert workspace.commands.action("vbd.eject").isEnabled()
    tab.hide()
    assert not workspace.commands.action("vbd.insert").isEnabled()
    tab.show()
    assert workspace.commands.action("vbd.eject").isEnabled()


def test_a_suspended_vm_keeps_its_disc(tab: StorageTab, engine: FakeEngine, workspace: Workspace) -> None:
    engine.change(VM, pools.WIN, power_state=VMPowerState.Suspended)
    engine.change(VBD, drive_of(engine, pools.WIN), allowed_operations=frozenset())
    state = workspace.commands.state("vbd.eject", (("VBD", drive_of(engine, pools.WIN)),))
    assert not state.enabled
    assert state.reason == "“test-win11” is suspended; resume or shut it down first."


@pytest.mark.parametrize("command", ["vbd.insert", "vbd.eject"])
def test_only_a_drive_takes_discs(tab: StorageTab, engine: FakeEngine, workspace: Workspace, command: str) -> None:
    disk = next(ref for ref, vbd in engine.cache.all(VBD).items() if vbd.device == "vda")
    for selection in ((), (("VBD", disk),), (("VM", pools.DB),), (("VBD", "OpaqueRef:none"),)):
        state = workspace.commands.state(command, selection)
        assert (state.enabled, state.reason) == (False, "Choose a CD drive first.")


async def test_a_failed_insert_is_shown(tab: StorageTab, engine: FakeEngine, workspace: Workspace) -> None:
    engine.answer("VBD.insert", Failure("VBD_NOT_EMPTY", "x"))
    chosen = (("VBD", drive_of(engine, pools.DB)), ("VDI", pools.iso(engine, "debian")))
    workspace.commands.run("vbd.insert", chosen)
    await pools.settled()
    await pools.settled()
    assert [entry.state for entry in workspace.history.entries] == ["failed"]
    await workspace.commands.stop()
    await workspace.close()


def test_the_dialog_offers_every_iso(qtbot: QtBot, qapp: QApplication, engine: FakeEngine) -> None:
    pools.small_pool(engine)
    dialog = InsertDialog(engine.cache)
    qtbot.addWidget(dialog)
    assert dialog.iso() == pools.iso(engine, "debian")
    dialog.search.setText("virtio")
    dialog.search.returnPressed.emit()
    dialog.table.selectRow(0)
    assert dialog.iso() == pools.iso(engine, "virtio")
    dialog.search.setText("nothing like it")
    dialog.search.returnPressed.emit()
    assert dialog.iso() == ""
    assert dialog.primary is not None
    assert not dialog.primary.isEnabled()


def test_without_isos_the_dialog_says_where_they_come_from(qtbot: QtBot, engine: FakeEngine) -> None:
    dialog = InsertDialog(engine.cache)
    qtbot.addWidget(dialog)
    assert dialog.model.rowCount() == 0
    assert dialog.primary is not None
    assert dialog.primary.toolTip() == "Choose an ISO first."
