"""Each command: what it asks the engine for, in which order, and what it says when that goes wrong."""

from __future__ import annotations

import asyncio

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel

from app.api import VM, Failure, VMOperation, VMPowerState
from tests.ui.snapshots.estate import ON_VM, Estate
from tests.ui.snapshots.waiting import opened, until
from ui.base.commands import Selection
from ui.base.dialogs import ErrorDialog
from ui.snapshots.delete_dialog import DeleteDialog, FailuresDialog
from ui.snapshots.rename_dialog import RenameDialog
from ui.snapshots.revert_dialog import RevertDialog
from ui.snapshots.take_dialog import TakeDialog

SNAPSHOT, REVERT = "Async.VM.snapshot", "Async.VM.revert"
START, RESUME, UNINSTALL = "Async.VM.start", "Async.VM.resume", "Async.VM.uninstall"


def vm(*refs: str) -> Selection:
    return tuple(("VM", ref) for ref in refs)


def methods(estate: Estate) -> list[str]:
    return [method for method, _ in estate.calls]


async def done(estate: Estate, command: str) -> None:
    await until(lambda: command not in estate.workspace.commands.running)


def run(estate: Estate, command: str, *refs: str) -> None:
    estate.workspace.commands.run(command, vm(*refs))


def words_in(dialog: ErrorDialog | FailuresDialog) -> str:
    return " ".join(label.text() for label in dialog.findChildren(QLabel))


# ---- take -----------------------------------------------------------------------------------------------------


async def test_taking_asks_for_a_name_that_is_there_already(estate: Estate) -> None:
    run(estate, "vm.snapshot", "vm")
    dialog = await opened(TakeDialog)
    assert dialog.name.text().startswith("billing-db 20")
    assert dialog.name.selectedText() == dialog.name.text()
    name = dialog.name.text()
    dialog.accept()
    await done(estate, "vm.snapshot")
    assert estate.calls == [(SNAPSHOT, ("vm", name))]


async def test_the_name_is_trimmed_and_the_description_set_on_the_result(estate: Estate) -> None:
    estate.engine.answer("VM.snapshot", "new")
    run(estate, "vm.snapshot", "vm")
    dialog = await opened(TakeDialog)
    dialog.name.setText("  Before  ")
    dialog.description.setPlainText("why\n")
    dialog.accept()
    await done(estate, "vm.snapshot")
    assert estate.calls == [
        (SNAPSHOT, ("vm", "Before")),
        ("VM.set_name_description", ("new", "why")),
    ]
    assert [entry.title for entry in estate.workspace.history.entries] == ["Taking a snapshot of billing-db"]


async def test_without_a_name_nothing_is_taken(estate: Estate) -> None:
    run(estate, "vm.snapshot", "vm")
    dialog = await opened(TakeDialog)
    dialog.name.setText("   ")
    assert dialog.primary is not None
    assert not dialog.primary.isEnabled()
    QTest.keyClick(dialog.description, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert dialog.isVisible()
    dialog.name.setText("x")
    assert dialog.primary.isEnabled()
    dialog.reject()
    await done(estate, "vm.snapshot")
    assert estate.calls == []


async def test_a_vm_that_gets_busy_stops_the_open_dialog(estate: Estate) -> None:
    run(estate, "vm.snapshot", "vm")
    dialog = await opened(TakeDialog)
    assert dialog.primary is not None
    estate.engine.change(VM, "vm", allowed_operations=frozenset(), current_operations={"t": VMOperation.suspend})
    assert not dialog.primary.isEnabled()
    assert "suspending" in dialog.primary.toolTip()
    estate.engine.change(VM, "vm", allowed_operations=ON_VM, current_operations={})
    assert dialog.primary.isEnabled()
    assert dialog.cards[0].isChecked()
    dialog.reject()
    await done(estate, "vm.snapshot")


async def test_a_failure_is_told_in_words(estate: Estate) -> None:
    estate.engine.answer("VM.snapshot", Failure("SR_BACKEND_FAILURE_44", "", "", "1 GiB is missing."))
    run(estate, "vm.snapshot", "vm")
    (await opened(TakeDialog)).accept()
    dialog = await opened(ErrorDialog)
    assert "storage is full" in words_in(dialog)
    dialog.reject()
    await done(estate, "vm.snapshot")
    assert methods(estate) == [SNAPSHOT]


async def test_a_description_that_cannot_be_kept_does_not_hide_the_snapshot(estate: Estate) -> None:
    estate.engine.answer("VM.snapshot", "new")
    estate.engine.answer("VM.set_name_description", Failure("HANDLE_INVALID", "VM", "new"))
    run(estate, "vm.snapshot", "vm")
    dialog = await opened(TakeDialog)
    dialog.name.setText("Before")
    dialog.description.setPlainText("why")
    dialog.accept()
    told = await opened(ErrorDialog)
    assert "“Before” was taken, but has no description" in words_in(told)
    told.reject()
    await done(estate, "vm.snapshot")


def test_the_outlook_tells_space_and_depth(estate: Estate) -> None:
    dialog = TakeDialog(estate.workspace, "vm")
    said = [words.replace("\u00a0", " ") for _, words in dialog.outlook.said()]
    assert said == ["After this: 412 GiB free on Local storage, chain depth 5 of 30."]


# ---- revert ---------------------------------------------------------------------------------------------------


async def test_a_revert_keeps_the_current_state_first_and_starts_again(estate: Estate) -> None:
    estate.engine.answer("VM.revert", lambda _ref: estate.engine.change(VM, "vm", power_state=VMPowerState.Halted))
    run(estate, "snapshot.revert", "trial")
    dialog = await opened(RevertDialog)
    assert dialog.keep_current.isChecked()
    dialog.accept()
    await done(estate, "snapshot.revert")
    assert estate.calls == [
        (SNAPSHOT, ("vm", "Before revert to Trial of replica")),
        (REVERT, ("trial",)),
        (START, ("vm", False, False)),
    ]


async def test_a_checkpoint_is_resumed(estate: Estate) -> None:
    estate.engine.answer("VM.revert", lambda _ref: estate.engine.change(VM, "vm", power_state=VMPowerState.Suspended))
    run(estate, "snapshot.revert", "before")
    dialog = await opened(RevertDialog)
    assert dialog.start_afterwards.text() == "Resume the VM afterwards"
    dialog.keep_current.setChecked(False)
    dialog.accept()
    await done(estate, "snapshot.revert")
    assert methods(estate) == [REVERT, RESUME]


async def test_a_snapshot_of_a_halted_vm_leaves_it_halted(estate: Estate) -> None:
    estate.engine.change(VM, "trial", snapshot_info={"power-state-at-snapshot": "Halted"})
    run(estate, "snapshot.revert", "trial")
    dialog = await opened(RevertDialog)
    assert not dialog.start_afterwards.isVisible()
    dialog.keep_current.setChecked(False)
    dialog.accept()
    await done(estate, "snapshot.revert")
    assert methods(estate) == [REVERT]


async def test_without_the_tick_it_is_not_started(estate: Estate) -> None:
    estate.engine.answer("VM.revert", lambda _ref: estate.engine.change(VM, "vm", power_state=VMPowerState.Halted))
    run(estate, "snapshot.revert", "trial")
    dialog = await opened(RevertDialog)
    dialog.keep_current.setChecked(False)
    dialog.start_afterwards.setChecked(False)
    dialog.accept()
    await done(estate, "snapshot.revert")
    assert methods(estate) == [REVERT]


@pytest.mark.parametrize("code", ["SR_BACKEND_FAILURE_44", "OTHER_OPERATION_IN_PROGRESS"])
async def test_if_the_safety_snapshot_fails_nothing_is_reverted(estate: Estate, code: str) -> None:
    estate.engine.answer("VM.snapshot", Failure(code, "VM", "vm", "suspend"))
    run(estate, "snapshot.revert", "trial")
    (await opened(RevertDialog)).accept()
    dialog = await opened(ErrorDialog)
    assert "billing-db was not reverted" in words_in(dialog)
    dialog.reject()
    await done(estate, "snapshot.revert")
    assert methods(estate) == [SNAPSHOT]


async def test_a_cancelled_safety_snapshot_stops_the_revert_too(estate: Estate) -> None:
    estate.engine.answer("VM.snapshot", Failure("TASK_CANCELLED", "t"))
    run(estate, "snapshot.revert", "trial")
    (await opened(RevertDialog)).accept()
    (await opened(ErrorDialog)).reject()
    await done(estate, "snapshot.revert")
    assert methods(estate) == [SNAPSHOT]


async def test_a_failed_revert_starts_nothing(estate: Estate) -> None:
    estate.engine.answer("VM.revert", Failure("VM_REVERT_FAILED", "trial", "vm"))
    run(estate, "snapshot.revert", "trial")
    dialog = await opened(RevertDialog)
    dialog.keep_current.setChecked(False)
    dialog.accept()
    told = await opened(ErrorDialog)
    assert "Revert To failed" in words_in(told)
    told.reject()
    await done(estate, "snapshot.revert")
    assert methods(estate) == [REVERT]


async def test_a_vm_that_does_not_start_again_is_told_apart_from_the_revert(estate: Estate) -> None:
    estate.engine.answer("VM.revert", lambda _ref: estate.engine.change(VM, "vm", power_state=VMPowerState.Halted))
    estate.engine.answer("VM.start", Failure("HOST_NOT_ENOUGH_FREE_MEMORY", "2", "1"))
    run(estate, "snapshot.revert", "trial")
    (await opened(RevertDialog)).accept()
    told = await opened(ErrorDialog)
    assert "billing-db was reverted, but could not be started" in words_in(told)
    told.reject()
    await done(estate, "snapshot.revert")
    assert methods(estate) == [SNAPSHOT, REVERT, START]
    states = [entry.state for entry in estate.workspace.history.entries]
    assert states == ["done", "done", "failed"]


async def test_no_means_no(estate: Estate) -> None:
    run(estate, "snapshot.revert", "trial")
    (await opened(RevertDialog)).reject()
    await done(estate, "snapshot.revert")
    assert estate.calls == []


async def test_the_dialog_says_what_is_lost_and_what_is_kept(estate: Estate) -> None:
    run(estate, "snapshot.revert", "trial")
    dialog = await opened(RevertDialog)

    def said() -> str:
        return " ".join(row.text() for row in dialog.consequences.findChildren(QLabel) if row.isVisible())

    assert "stay in a new snapshot" in said()
    dialog.keep_current.setChecked(False)
    await until(lambda: "are lost: disks, name and settings" in said())
    assert "The guest is cut off" in said()
    assert "All other snapshots stay" in said()
    dialog.reject()
    await done(estate, "snapshot.revert")


async def test_enter_in_the_dialog_does_not_revert(estate: Estate) -> None:
    run(estate, "snapshot.revert", "trial")
    dialog = await opened(RevertDialog)
    QTest.keyClick(dialog, Qt.Key.Key_Return)
    await done(estate, "snapshot.revert")
    assert estate.calls == []


async def test_the_safety_snapshot_is_offered_only_where_it_is_possible(estate: Estate) -> None:
    estate.engine.change(VM, "vm", allowed_operations=frozenset(), blocked_operations={VMOperation.snapshot: "no room"})
    run(estate, "snapshot.revert", "trial")
    dialog = await opened(RevertDialog)
    assert not dialog.keep_current.isEnabled()
    assert "no room" in dialog.keep_current.toolTip()
    dialog.start_afterwards.setChecked(False)
    dialog.accept()
    await done(estate, "snapshot.revert")
    assert methods(estate) == [REVERT]


async def test_a_vm_that_gets_busy_stops_the_open_revert(estate: Estate) -> None:
    run(estate, "snapshot.revert", "trial")
    dialog = await opened(RevertDialog)
    assert dialog.primary is not None
    estate.engine.change(VM, "vm", current_operations={"t": VMOperation.snapshot})
    assert not dialog.primary.isEnabled()
    assert "taking a snapshot" in dialog.primary.toolTip()
    dialog.reject()
    await done(estate, "snapshot.revert")


# ---- delete ---------------------------------------------------------------------------------------------------


async def test_one_is_deleted_with_its_disks(estate: Estate) -> None:
    run(estate, "snapshot.delete", "trial")
    (await opened(DeleteDialog)).accept()
    await done(estate, "snapshot.delete")
    assert estate.calls == [(UNINSTALL, ("trial", False))]


async def test_several_are_deleted_four_at_a_time(estate: Estate) -> None:
    refs = ("before", "nightly22", "nightly21", "trial", "second", "quiet")
    go_on = estate.engine.hold("VM.uninstall")
    run(estate, "snapshot.delete", *refs)
    (await opened(DeleteDialog)).accept()
    await until(lambda: len(estate.calls) >= 4)
    for _ in range(50):
        await asyncio.sleep(0)
    assert [params[0] for _, params in estate.calls] == list(refs[:4])
    go_on.set()
    await done(estate, "snapshot.delete")
    assert [params[0] for _, params in estate.calls] == list(refs)


async def test_one_that_fails_does_not_stop_the_others_and_is_told(estate: Estate) -> None:
    def answer(ref: str, _with_snapshots: bool) -> Failure | None:
        return Failure("VDI_IN_USE", "vdi-3", "destroy") if ref in ("trial", "quiet") else None

    estate.engine.answer("VM.uninstall", answer)
    run(estate, "snapshot.delete", "trial", "second", "quiet", "before")
    (await opened(DeleteDialog)).accept()
    told = await opened(FailuresDialog)
    assert len(estate.calls) == 4
    said = words_in(told)
    assert "2 of 4 snapshots were not deleted" in said
    assert "Trial of replica: The disk" in said
    assert "Flushed: The disk" in said
    assert "Second trial" not in said
    told.reject()
    await done(estate, "snapshot.delete")


async def test_one_that_is_gone_already_is_no_failure(estate: Estate) -> None:
    def answer(ref: str, _with_snapshots: bool) -> Failure:
        estate.drop(ref)
        return Failure("HANDLE_INVALID", "VM", ref)

    estate.engine.answer("VM.uninstall", answer)
    run(estate, "snapshot.delete", "trial")
    (await opened(DeleteDialog)).accept()
    await done(estate, "snapshot.delete")
    assert not any(isinstance(w, FailuresDialog) and w.isVisible() for w in QApplication.topLevelWidgets())


async def test_a_locked_one_stays_and_the_dialog_says_why(estate: Estate) -> None:
    run(estate, "snapshot.delete", "installed", "trial")
    dialog = await opened(DeleteDialog)
    said = " ".join(label.text() for label in dialog.findChildren(QLabel))
    assert "Delete “Trial of replica”?" in said
    assert "Installed stays. It is locked: golden image." in said
    dialog.accept()
    await done(estate, "snapshot.delete")
    assert estate.calls == [(UNINSTALL, ("trial", False))]


# ---- rename ---------------------------------------------------------------------------------------------------


async def test_without_details_a_dialog_renames(estate: Estate) -> None:
    run(estate, "snapshot.rename", "before")
    dialog = await opened(RenameDialog)
    dialog.name.setText(" ")
    assert dialog.primary is not None
    assert not dialog.primary.isEnabled()
    dialog.name.setText("After all")
    dialog.accept()
    await done(estate, "snapshot.rename")
    assert estate.calls == [("VM.set_name_label", ("before", "After all"))]
