"""The Events page: own operations and those of others, cancelled, dismissed, explained."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.api import Failure, Task, TaskOperation, TaskStatus, VMCalls
from tests.support.fake_session import FakeEngine
from tests.ui.main_window import pools
from ui.base.history import Entry, History
from ui.base.workspace import Workspace
from ui.notifications.events import others
from ui.notifications.events_page import EventsPage
from ui.widgets.progress_delegate import PROGRESS_ROLE

CANCEL = frozenset({TaskOperation.cancel})


@pytest.fixture
def page(qtbot: QtBot, engine: FakeEngine, workspace: Workspace) -> EventsPage:
    pools.small_pool(engine)
    made = EventsPage(workspace)
    qtbot.addWidget(made)
    made.resize(900, 600)
    made.show()
    return made


def rows(page: EventsPage) -> list[str]:
    return [page.model.item(row).title for row in range(page.model.rowCount())]


def choose(page: EventsPage, title: str) -> None:
    page.table.selectRow(rows(page).index(title))


def entry(workspace: Workspace, title: str, age: float = 0, subject: tuple[str, str] = ("VM", pools.WEB)) -> Entry:
    made = workspace.history.begin(title, subject)
    made.started = datetime.now(UTC) - timedelta(seconds=age)
    workspace.history.changed.emit(made)
    return made


def test_the_newest_stand_first_and_say_how_they_are(page: EventsPage, workspace: Workspace) -> None:
    assert page.model.rowCount() == 0
    workspace.history.end(entry(workspace, "old", 90))
    workspace.history.end(entry(workspace, "broken", 60), Failure("VM_HYPERVISOR_FAILURE", "x", "QEMU said no"))
    workspace.history.end(entry(workspace, "given up", 30), Failure("TASK_CANCELLED", "x"))
    running = entry(workspace, "new")
    running.progress, running.words = 0.4, "waits"
    workspace.history.changed.emit(running)
    assert rows(page) == ["new", "given up", "broken", "old"]
    status = [page.model.index(row, 0).data() for row in range(4)]
    assert status == ["Running", "Cancelled", "Failed", "Done"]
    assert page.model.index(0, 2).data() == "web-01"
    assert page.model.index(0, 3).data(PROGRESS_ROLE) == 0.4
    assert page.model.index(1, 3).data(PROGRESS_ROLE) is None
    assert page.strip.where.text() == "1 running · 1 failed · 4 entries"


async def test_an_operation_is_followed_from_start_to_end(
    page: EventsPage, engine: FakeEngine, workspace: Workspace
) -> None:
    finish = engine.hold("VM.snapshot")
    work = workspace.spawn(
        workspace.run_task("Taking a snapshot", workspace.session.start(VMCalls.snapshot, pools.ref(pools.WEB), "s"))
    )
    await pools.settled()
    assert rows(page) == ["Taking a snapshot"]  # and not a second time as another client's task
    finish.set()
    await work
    assert page.model.item(0).state == "done"


def test_tasks_of_other_clients_are_rows_too(page: EventsPage, engine: FakeEngine) -> None:
    now = datetime.now(UTC)
    other = engine.put(Task(name_label="Async.VM.start", created=now, progress=0.2, allowed_operations=CANCEL))
    engine.put(Task(name_label="VM.start", created=now))  # a call that waits for its answer
    named = engine.put(Task(name_label="Merging disks of web-01", created=now - timedelta(seconds=5)))
    assert rows(page) == ["Starting a VM", "Merging disks of web-01"]
    assert page.model.index(0, 2).data() == "another client"
    engine.change(Task, other, status=TaskStatus.failure, error_info=("VM_IS_TEMPLATE", pools.BASE), finished=now)
    engine.change(Task, named, status=TaskStatus.success, finished=now)
    choose(page, "Starting a VM")
    assert page.why.text() == "“Debian 13 base” is a template."
    page.dismiss_finished()
    assert rows(page) == []
    assert engine.cache.get(Task, other) is not None  # the other client may still want to know how it ended


def test_a_task_that_may_be_ours_waits_until_it_is_known(
    page: EventsPage, engine: FakeEngine, workspace: Workspace
) -> None:
    ours = entry(workspace, "Starting web-01")
    task = engine.put(Task(name_label="Async.VM.start", created=datetime.now(UTC)))
    assert rows(page) == ["Starting web-01"]
    ours.task = task
    workspace.history.changed.emit(ours)
    assert rows(page) == ["Starting web-01"]


# ---- cancelling -----------------------------------------------------------------------------------------------


async def test_cancelling_asks_the_engine_once(page: EventsPage, engine: FakeEngine, workspace: Workspace) -> None:
    running = entry(workspace, "mine")
    running.task, running.cancellable = "OpaqueRef:t", True
    workspace.history.changed.emit(running)
    choose(page, "mine")
    assert page.cancel.isEnabled()
    page.cancel.click()
    await pools.settled()
    assert engine.called("task.cancel") == [("OpaqueRef:t",)]
    assert not page.cancel.isEnabled()
    assert page.cancel.toolTip() == "It is being cancelled."


async def test_another_clients_task_can_be_cancelled(page: EventsPage, engine: FakeEngine) -> None:
    task = engine.put(Task(name_label="Async.VM.copy", created=datetime.now(UTC), allowed_operations=CANCEL))
    choose(page, "Copying a VM")
    page.cancel.click()
    await pools.settled()
    assert engine.called("task.cancel") == [(task,)]


def test_what_cannot_be_cancelled_says_why(page: EventsPage, workspace: Workspace) -> None:
    assert page.cancel.toolTip() == "Choose an operation first."
    running = entry(workspace, "beyond")
    choose(page, "beyond")
    assert not page.cancel.isEnabled()
    assert "past the point" in page.cancel.toolTip()
    workspace.history.end(running)
    assert page.cancel.toolTip() == "It is over."


# ---- dismissing -----------------------------------------------------------------------------------------------


def test_only_what_is_over_is_dismissed(page: EventsPage, workspace: Workspace) -> None:
    workspace.history.end(entry(workspace, "over", 9))
    entry(workspace, "running")
    page.table.selectAll()
    QTest.keyClick(page.table, Qt.Key.Key_Delete)
    assert rows(page) == ["running"]
    assert not page.dismiss.isEnabled()
    assert not page.dismiss_all.isEnabled()
    assert [e.title for e in workspace.history.entries] == ["running"]


def test_dismissing_all_takes_only_what_the_filter_shows(page: EventsPage, workspace: Workspace) -> None:
    workspace.history.end(entry(workspace, "fine", 9))
    workspace.history.end(entry(workspace, "broken", 5), Failure("INTERNAL_ERROR", "x"))
    page.show_kind("failed")
    assert rows(page) == ["broken"]
    page.dismiss_all.click()
    assert rows(page) == []
    page.show_kind("all")
    assert rows(page) == ["fine"]


# ---- details --------------------------------------------------------------------------------------------------


def test_a_failure_is_explained_and_copied(page: EventsPage, workspace: Workspace) -> None:
    failure = Failure("SR_BACKEND_FAILURE_44", "", "There is insufficient space", "needed 5 GiB")
    workspace.history.end(entry(workspace, "Taking a snapshot"), failure)
    assert page.details.isHidden()
    choose(page, "Taking a snapshot")
    assert page.why.text() == "The storage is full. needed 5 GiB"
    assert page.advice.text().startswith("Delete snapshots")
    assert "SR_BACKEND_FAILURE_44" in page.code.text()
    assert page.facts.value("Object") == "web-01"
    page.copy.click()
    copied = QGuiApplication.clipboard().text()
    assert "Taking a snapshot: failed" in copied
    assert "SR_BACKEND_FAILURE_44" in copied


def test_details_follow_what_runs(page: EventsPage, workspace: Workspace) -> None:
    running = entry(workspace, "Merging")
    choose(page, "Merging")
    assert page.progress.bar.isVisible()
    running.progress, running.words = 0.5, "1.2 of 1.9 GiB"
    workspace.history.changed.emit(running)
    assert page.progress.bar.value() == 500
    assert page.progress.detail.text() == "1.2 of 1.9 GiB"
    workspace.history.end(running)
    assert not page.progress.bar.isVisible()
    assert page.facts.value("Finished")


def test_enter_shows_the_object(qtbot: QtBot, page: EventsPage, workspace: Workspace) -> None:
    entry(workspace, "Merging")
    choose(page, "Merging")
    with qtbot.waitSignal(workspace.show_requested) as shown:
        QTest.keyClick(page.table, Qt.Key.Key_Return)
    assert shown.args == ["VM", pools.WEB, ""]


def test_the_chosen_row_stays_chosen(page: EventsPage, workspace: Workspace) -> None:
    entry(workspace, "first", 5)
    choose(page, "first")
    for number in range(20):
        entry(workspace, f"later {number}")
    assert [page.model.items[key].title for key in page.chosen()] == ["first"]


# ---- filter, hiding -------------------------------------------------------------------------------------------


def test_the_filter_looks_at_words_of_every_column(page: EventsPage, workspace: Workspace) -> None:
    entry(workspace, "Merging", 5, ("VM", pools.DB))
    workspace.history.end(entry(workspace, "Starting"))
    for words, found in (("billing", ["Merging"]), ("done web", ["Starting"]), ("nothing", [])):
        page.search.setText(words)
        page.refilter()
        assert rows(page) == found


def test_hidden_it_waits(page: EventsPage, workspace: Workspace) -> None:
    page.hide()
    entry(workspace, "while hidden")
    assert rows(page) == []
    page.show()
    assert rows(page) == ["while hidden"]


def test_a_table_copies_its_rows_as_text(page: EventsPage, workspace: Workspace) -> None:
    entry(workspace, "one", 5)
    page.table.selectAll()
    assert page.table.selected_text().split("\t")[:3] == ["Running", "one", "web-01"]


def test_a_merge_is_the_engines_own(qapp: QApplication, engine: FakeEngine) -> None:
    merge = engine.put(Task(name_label="Merging disk images of “web1”", progress=0.3, name_description="1 of 2 GiB"))
    other = engine.put(Task(name_label="Async.VM.checkpoint", progress=0.3))
    rows = others(engine.cache, History())
    assert (rows[merge].title, rows[merge].asked_by) == ("Merging disk images of “web1”", "the engine itself")
    assert (rows[other].title, rows[other].asked_by) == ("Taking a snapshot with memory", "another client")
    assert rows[merge].words == "1 of 2 GiB"


def test_a_long_transfer_hides_its_own_task_and_no_other(qapp: QApplication, engine: FakeEngine) -> None:
    history = History()
    history.begin("Exporting web-01").stop = lambda: None
    later = datetime.now(UTC) + timedelta(seconds=5)
    engine.put(Task(name_label="Export", created=later))
    other = engine.put(Task(name_label="Async.VM.checkpoint", created=later))
    assert list(others(engine.cache, history)) == [other]
    disk = engine.put(Task(name_label="Async.VDI.export"))
    assert others(engine.cache, History())[disk].title == "Exporting a disk"
    assert not others(engine.cache, History())[disk].by_engine
