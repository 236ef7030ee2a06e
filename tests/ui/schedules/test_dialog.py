"""The dialog of schedules: rows, history, acts, keyboard; properties; assigning."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from app.api import NULL, VMSS, VMSSFrequency, VMSSRunStatus
from tests.ui.machines.windows import opened, until
from tests.ui.schedules.conftest import Pool, result
from ui.base.dialogs import ConsequenceDialog
from ui.schedules.assign_dialog import AssignDialog
from ui.schedules.draft import draft_of
from ui.schedules.list_dialog import SchedulesDialog
from ui.schedules.properties import PropertiesDialog, save

Status = VMSSRunStatus


async def open_dialog(pool: Pool) -> SchedulesDialog:
    pool.workspace.commands.run("pool.schedules")
    return await opened(SchedulesDialog)


def cells(dialog: SchedulesDialog, schedule: str) -> list[str]:
    row = dialog.model.index_of(dialog_ref(dialog, schedule)).row()
    return [str(dialog.model.index(row, column).data() or "") for column in range(dialog.model.columnCount())]


def dialog_ref(dialog: SchedulesDialog, schedule: str) -> str:
    return next(key for key, row in dialog.model.items.items() if row.record.name_label == schedule)


def choose(dialog: SchedulesDialog, schedule: str) -> None:
    dialog.table.selectRow(dialog.model.index_of(dialog_ref(dialog, schedule)).row())


async def test_rows_tell_state_next_run_and_last_result(pool: Pool) -> None:
    taken = {"a": result("success", "billing-db", deleted=["x"]), "b": result("success", "web-01")}
    pool.add_run("Nightly", 1, Status.success, results=taken, trigger="schedule")
    pool.add_run("Nightly", 2, Status.missed, missed=2, trigger="missed")
    pool.add_run("Nightly", 0, Status.noted, trigger="changed")
    dialog = await open_dialog(pool)
    await until(lambda: cells(dialog, "Nightly")[3] != "—")
    nightly = cells(dialog, "Nightly")
    assert nightly[:3] == ["Nightly", "Enabled", "2"]
    assert nightly[4:6] == ["22:00", "2 of 2 taken, 1 removed"]
    assert dialog.model.items[pool.schedules["Nightly"]].recent == ("attention", "good")
    weekly = cells(dialog, "Weekly")
    assert weekly[1:] == ["Disabled", "0", "—", "—", "Not yet run", ""]
    assert dialog.where.text() == "3 of 4 VMs protected"
    dialog.close()


async def test_the_history_tells_what_came_of_each_vm(pool: Pool) -> None:
    results = {
        "a": result("failure", "billing-db", reason="The disk is full."),
        "b": result("success", "web-01", seconds=0.4),
    }
    pool.add_run("Nightly", 1, Status.partial, results=results, plan={"c": '{"vm_name": "mail"}'}, trigger="late")
    dialog = await open_dialog(pool)
    choose(dialog, "Nightly")
    lines = dialog.history.vms
    await until(lambda: lines.rowCount() == 3)
    shown = [[str(lines.index(row, column).data()) for column in range(3)] for row in range(lines.rowCount())]
    assert shown[0] == ["billing-db", "Failed", "The disk is full."]
    assert shown[1][:2] == ["mail", "Waiting"]
    assert shown[2][:2] == ["web-01", "Taken"] and "ms" in shown[2][2]
    dialog.close()


async def test_a_run_under_way_keeps_what_would_disturb_it(pool: Pool) -> None:
    dialog = await open_dialog(pool)
    choose(dialog, "Nightly")
    assert dialog.run.isEnabled() and dialog.delete.isEnabled()
    pool.add_run("Nightly", 0, Status.running, plan={"a": "{}"})
    await until(lambda: cells(dialog, "Nightly")[1] == "Running")
    assert not dialog.run.isEnabled() and "under way" in dialog.run.toolTip()
    assert not dialog.delete.isEnabled()
    dialog.close()


async def test_acts_are_sent_for_what_is_chosen(pool: Pool) -> None:
    dialog = await open_dialog(pool)
    choose(dialog, "Nightly")
    dialog.run.click()
    await until(lambda: pool.engine.called("VMSS.snapshot_now"))
    dialog.enable.click()
    await until(lambda: pool.engine.called("VMSS.set_enabled"))
    assert pool.engine.called("VMSS.set_enabled") == [(pool.schedules["Nightly"], False)]
    choose(dialog, "Weekly")
    assert dialog.enable.text() == "Enable"
    assert not dialog.run.isEnabled() and "It has no VMs." in dialog.run.toolTip()
    dialog.close()


async def test_deleting_takes_the_vms_out_first(pool: Pool) -> None:
    dialog = await open_dialog(pool)
    choose(dialog, "Nightly")
    QTest.keyClick(dialog.table, Qt.Key.Key_Delete)
    asked = await opened(ConsequenceDialog)
    assert any("2 VMs without a schedule" in words for _, words in asked.consequences.said())
    asked.accept()
    await until(lambda: pool.engine.called("VMSS.destroy"))
    assert sorted(pool.engine.called("VM.set_snapshot_schedule")) == sorted(
        [(pool.vms["billing-db"], NULL), (pool.vms["web-01"], NULL)]
    )
    dialog.close()


async def test_properties_send_only_what_changed(pool: Pool) -> None:
    record = pool.record("Nightly")
    draft = draft_of(record)
    ref = pool.schedules["Nightly"]
    await save(pool.workspace, ref, record, draft, sorted(record.VMs))
    assert [method for method, _ in pool.engine.calls if "preview" not in method] == []
    changed = draft.with_frequency(VMSSFrequency.weekly)
    await save(pool.workspace, ref, record, changed, [pool.vms["mail"]])
    sent = [method for method, _ in pool.engine.calls if "preview" not in method]
    assert sent == [
        "VMSS.set_frequency",
        "VMSS.set_schedule",
        "VMSS.set_retained_snapshots",
        "VM.set_snapshot_schedule",
        "VM.set_snapshot_schedule",
        "VM.set_snapshot_schedule",
    ]


async def test_enter_opens_properties_and_a_bad_answer_stops_saving(pool: Pool) -> None:
    dialog = await open_dialog(pool)
    choose(dialog, "Nightly")
    QTest.keyClick(dialog.table, Qt.Key.Key_Return)
    properties = await opened(PropertiesDialog)
    assert properties.primary is not None and properties.primary.isEnabled()
    properties.name_page.name.clear()
    assert not properties.primary.isEnabled() and "name" in properties.primary.toolTip()
    properties.reject()
    dialog.close()


async def test_assigning_one_vm_shows_its_schedule_and_what_it_leaves(pool: Pool) -> None:
    pool.workspace.commands.run("vm.schedules", (("VM", pool.vms["mail"]),))
    dialog = await opened(AssignDialog)
    assert dialog.choice.cards[pool.schedules["Hourly"]].isChecked()
    assert dialog.primary is not None and not dialog.primary.isEnabled()
    dialog.choice.cards[pool.schedules["Nightly"]].setChecked(True)
    assert "Hourly" in dialog.choice.conflict.sentence()
    dialog.accept()
    await until(lambda: pool.engine.called("VM.set_snapshot_schedule"))
    assert pool.engine.called("VM.set_snapshot_schedule") == [(pool.vms["mail"], pool.schedules["Nightly"])]
    assert isinstance(pool.record("Nightly"), VMSS)
