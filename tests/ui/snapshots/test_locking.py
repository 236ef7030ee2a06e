"""Locking, unlocking and dropping memory; what a lock keeps from being deleted."""

from __future__ import annotations

import getpass
from datetime import datetime, timedelta

import pytest
from PySide6.QtCore import QDate

from app.api import EPOCH, VM, Failure, VMOperation
from tests.ui.snapshots.estate import ON_SNAPSHOT, Estate
from tests.ui.snapshots.waiting import opened, until
from ui.snapshots.delete_dialog import DropMemoryDialog
from ui.snapshots.lock_dialog import LockDialog
from ui.widgets.results import ResultsDialog

LOCK = '{"reason":"evidence","owner":"ada","until":"","since":"2026-11-03T12:00:00+00:00"}'


def run(estate: Estate, command: str, *refs: str) -> None:
    estate.workspace.commands.run(command, tuple(("VM", ref) for ref in refs))


def state(estate: Estate, command: str, *refs: str) -> tuple[bool, bool, str]:
    found = estate.workspace.commands.state(command, tuple(("VM", ref) for ref in refs))
    return found.visible, found.enabled, found.reason


async def done(estate: Estate) -> None:
    await until(lambda: not estate.workspace.commands.running)


def lock(estate: Estate, ref: str) -> None:
    estate.engine.change(
        VM, ref, other_config={"stillframe.lock": LOCK}, blocked_operations={VMOperation.destroy: "evidence"},
        allowed_operations=ON_SNAPSHOT - {VMOperation.destroy},
    )  # fmt: skip


async def test_a_lock_needs_a_reason_and_proposes_the_user(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "grace")
    run(estate, "snapshot.lock", "before")
    dialog = await opened(LockDialog)
    assert dialog.primary is not None
    assert not dialog.primary.isEnabled()
    assert dialog.owner.text() == "grace"
    dialog.reason.setText("  golden image ")
    assert dialog.primary.isEnabled()
    dialog.accept()
    await done(estate)
    assert estate.calls == [("VM.lock_snapshot", ("before", "golden image", "grace", EPOCH))]


async def test_a_lock_may_end_with_a_day(estate: Estate) -> None:
    run(estate, "snapshot.lock", "before")
    dialog = await opened(LockDialog)
    assert not dialog.until.isEnabled()
    dialog.limited.setChecked(True)
    assert dialog.until.minimumDate() == QDate.currentDate()
    tomorrow = datetime.now().astimezone() + timedelta(days=1)
    dialog.until.setDate(QDate(tomorrow.year, tomorrow.month, tomorrow.day))
    dialog.reason.setText("audit")
    dialog.accept()
    await done(estate)
    ((_, (_, _, _, until_when)),) = estate.calls
    assert until_when.date() == tomorrow.date()
    assert until_when.tzinfo is not None
    assert until_when > tomorrow


async def test_several_are_locked_and_what_fails_is_told(estate: Estate) -> None:
    def answer(snapshot: str, *_rest: object) -> Failure | None:
        return Failure("HANDLE_INVALID", "VM", snapshot) if snapshot == "trial" else None

    estate.engine.answer("VM.lock_snapshot", answer)
    run(estate, "snapshot.lock", "before", "installed", "trial")
    dialog = await opened(LockDialog)
    dialog.reason.setText("audit")
    dialog.accept()
    told = await opened(ResultsDialog)
    assert told.windowTitle() == "Lock: 1 of 2 done"
    assert told.table.model().index(0, 0).data() == "Trial of replica"
    told.reject()
    await done(estate)
    assert [params[0] for _, params in estate.calls] == ["before", "trial"]


async def test_unlocking_takes_the_lock_or_the_plain_block_away(estate: Estate) -> None:
    lock(estate, "before")
    run(estate, "snapshot.unlock", "before", "installed", "trial")
    await done(estate)
    assert estate.calls == [
        ("VM.unlock_snapshot", ("before",)),
        ("VM.remove_from_blocked_operations", ("installed", "destroy")),
    ]


def test_lock_and_unlock_are_offered_where_they_make_sense(estate: Estate) -> None:
    lock(estate, "before")
    assert state(estate, "snapshot.lock", "trial") == (True, True, "")
    assert state(estate, "snapshot.lock", "before")[0] is False
    assert state(estate, "snapshot.lock", "before", "trial") == (True, True, "")
    assert state(estate, "snapshot.unlock", "before") == (True, True, "")
    assert state(estate, "snapshot.unlock", "trial")[0] is False
    assert state(estate, "snapshot.lock", "vm") == (True, False, "Choose snapshots only.")
    estate.engine.change(VM, "trial", current_operations={"t": VMOperation.destroy})
    assert state(estate, "snapshot.lock", "trial") == (True, False, "It is busy: deleting.")


def test_the_reason_of_a_lock_keeps_from_deleting(estate: Estate) -> None:
    lock(estate, "before")
    assert state(estate, "snapshot.delete", "before") == (True, False, "It is locked by ada: evidence.")


async def test_memory_is_dropped_after_asking(estate: Estate) -> None:
    run(estate, "snapshot.drop_memory", "before")
    dialog = await opened(DropMemoryDialog)
    assert "starts as after a power cut" in dialog.consequences.said()[0][1]
    dialog.accept()
    await done(estate)
    assert estate.calls == [("Async.VM.hard_shutdown", ("before",))]


def test_memory_can_be_dropped_only_where_there_is_some_and_no_lock(estate: Estate) -> None:
    assert state(estate, "snapshot.drop_memory", "before") == (True, True, "")
    assert state(estate, "snapshot.drop_memory", "trial")[0] is False
    assert state(estate, "snapshot.drop_memory", "before", "trial")[0] is False
    assert state(estate, "snapshot.drop_memory", "vm")[0] is False
    lock(estate, "before")
    assert state(estate, "snapshot.drop_memory", "before") == (True, False, "It is locked by ada: evidence.")
