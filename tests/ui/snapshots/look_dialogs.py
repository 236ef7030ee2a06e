"""The dialogs of the Snapshots tab, each in the states worth looking at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PySide6.QtWidgets import QWidget

from app.api import NULL, VM, Ref, VMOperation, VMPowerState
from tests.ui.snapshots.estate import GIB, ON_VM, Estate, group_of_three, merging
from ui.snapshots.delete_dialog import DeleteDialog, DropMemoryDialog, FailuresDialog
from ui.snapshots.group_dialog import GroupDialog
from ui.snapshots.health_dialog import HealthDialog
from ui.snapshots.lock_dialog import LockDialog
from ui.snapshots.new_dialog import NewDialog
from ui.snapshots.revert_dialog import RevertDialog
from ui.snapshots.take_dialog import TakeDialog
from ui.snapshots.take_many_dialog import TakeManyDialog
from ui.snapshots.ways import DISKS, MEMORY, Way, remember_way
from ui.widgets.results import Result, ResultsDialog

ALL = ON_VM | {VMOperation.snapshot_with_quiesce}


def take(estate: Estate, window: QWidget, way: Way = MEMORY, **ways: dict[str, str]) -> TakeDialog:
    remember_way(estate.workspace.settings, estate.record("vm"), way)
    estate.answer_ready(**ways)
    return TakeDialog(estate.workspace, "vm", window)


def take_all(estate: Estate, window: QWidget) -> QWidget:
    estate.engine.change(VM, "vm", allowed_operations=ALL)
    return take(estate, window)


def take_stop(estate: Estate, window: QWidget) -> QWidget:
    return take(estate, window, checkpoint={"pause_method": "stop", "space_memory": str(64 << 20)})


def take_unsafe(estate: Estate, window: QWidget) -> QWidget:
    return take(estate, window, checkpoint={
        "safe": "false", "reason": "There is not enough space: 1.2 GiB are needed and 310 MiB are free.",
        "advice": "Delete snapshots that are not needed, or add space.", "space_free": str(310 << 20)})  # fmt: skip


def take_warned(estate: Estate, window: QWidget) -> QWidget:
    return take(estate, window, DISKS, snapshot={
        "warning": "The chain of disk 1 is 26 images deep.", "advice": "Delete old snapshots soon.",
        "depth": "26", "pending_merges": "2", "space_free": str(12 * GIB)})  # fmt: skip


def take_halted(estate: Estate, window: QWidget) -> QWidget:
    estate.engine.change(
        VM, "vm", power_state=VMPowerState.Halted, allowed_operations=frozenset({VMOperation.snapshot})
    )
    return take(estate, window)


def revert_group(estate: Estate, window: QWidget) -> QWidget:
    group_of_three(estate)
    dialog = RevertDialog(estate.workspace, "trial", window)
    dialog.whole_group.setChecked(True)
    return dialog


def revert_one_of_group(estate: Estate, window: QWidget) -> QWidget:
    group_of_three(estate)
    return RevertDialog(estate.workspace, "trial", window)


def revert_suspended(estate: Estate, window: QWidget) -> QWidget:
    estate.engine.change(VM, "vm", power_state=VMPowerState.Suspended)
    return RevertDialog(estate.workspace, "before", window)


def revert_gone(estate: Estate, window: QWidget) -> QWidget:
    estate.engine.change(VM, "before", snapshot_of=Ref(NULL))
    return RevertDialog(estate.workspace, "before", window)


def delete_record(estate: Estate, window: QWidget) -> QWidget:
    dialog = DeleteDialog(estate.workspace, ["nightly21"], window)
    dialog.more.click()
    dialog.keep_disks.setChecked(True)
    return dialog


def lock(estate: Estate, window: QWidget) -> QWidget:
    dialog = LockDialog(estate.workspace, ["before"], window)
    dialog.reason.setText("golden image")
    dialog.limited.setChecked(True)
    return dialog


def new_template(estate: Estate, window: QWidget) -> QWidget:
    dialog = NewDialog(estate.workspace, "before", "template", window)
    dialog.full.setChecked(True)
    return dialog


def group(estate: Estate, window: QWidget) -> QWidget:
    group_of_three(estate)
    return GroupDialog(estate.workspace, "trial", window)


def results(_estate: Estate, window: QWidget) -> QWidget:
    found = [
        Result("billing-db", "Taken in 14 ms"),
        Result("web-01", "Not enough space: 1.2 GiB are needed and 310 MiB are free.", failed=True),
        Result("生产数据库服务器-上海-主节点", "It is busy: suspending.", left_out=True),
    ]
    return ResultsDialog("Take Snapshot", found, window)


def take_many(estate: Estate, window: QWidget) -> QWidget:
    group_of_three(estate)
    estate.answer_ready()
    estate.engine.change(VM, "mail", allowed_operations=frozenset(), current_operations={"t": VMOperation.resume})
    return TakeManyDialog(estate.workspace, ["vm", "web", "mail"], window)


def take_group(estate: Estate, window: QWidget) -> QWidget:
    group_of_three(estate)
    estate.answer_ready(snapshot={"warning": "Its chain is 26 images deep."})
    dialog = TakeManyDialog(estate.workspace, ["vm", "web", "mail"], window)
    dialog.together.setChecked(True)
    return dialog


def health(estate: Estate, window: QWidget) -> QWidget:
    merging(estate)
    return HealthDialog(estate.workspace, "vm", window)


def health_blocked(estate: Estate, window: QWidget) -> QWidget:
    estate.engine.answer("VM.get_chain_health", {"vm": {
        "depth": "30", "head-room": "0", "blocked": "The chain of disk 0 is full: 30 of 30 images."}})  # fmt: skip
    return HealthDialog(estate.workspace, "vm", window)


def delete_many(estate: Estate, window: QWidget) -> QWidget:
    return DeleteDialog(estate.workspace, sorted(estate.record("vm").snapshots), window)


def failures(_estate: Estate, window: QWidget) -> QWidget:
    failed = [("Trial of replica", "The disk disk 0 is in use."), ("Flushed", "The connection to the engine was lost.")]
    return FailuresDialog(failed, 5, window)


DIALOGS: Final[dict[str, Callable[[Estate, QWidget], QWidget]]] = {
    "take": take,
    "take-all": take_all,
    "take-stop": take_stop,
    "take-unsafe": take_unsafe,
    "take-warned": take_warned,
    "take-halted": take_halted,
    "revert": lambda estate, window: RevertDialog(estate.workspace, "before", window),
    "revert-suspended": revert_suspended,
    "revert-gone": revert_gone,
    "revert-one": revert_one_of_group,
    "revert-group": revert_group,
    "group": group,
    "take-many": take_many,
    "take-group": take_group,
    "health": health,
    "health-blocked": health_blocked,
    "lock": lock,
    "new-vm": lambda estate, window: NewDialog(estate.workspace, "before", "vm", window),
    "new-template": new_template,
    "drop": lambda estate, window: DropMemoryDialog(estate.workspace, "before", window),
    "results": results,
    "delete-middle": lambda estate, window: DeleteDialog(estate.workspace, ["nightly21", "before"], window),
    "delete-record": delete_record,
    "delete": lambda estate, window: DeleteDialog(estate.workspace, ["trial"], window),
    "delete-many": delete_many,
    "failures": failures,
}
