"""The status bar tells the newest operation, and counts the rest."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.api import Failure, Message, Task, TaskStatus
from tests.support.fake_session import FakeEngine
from tests.ui.main_window import pools
from ui.base.history import Entry
from ui.base.workspace import Workspace
from ui.navigation.news import News
from ui.navigation.status_bar import StatusBar, progress_words


@pytest.fixture
def bar(qtbot: QtBot, workspace: Workspace) -> StatusBar:
    made = StatusBar(workspace, News(workspace, workspace))
    qtbot.addWidget(made)
    made.show()
    return made


def test_it_is_silent_while_nothing_happens(bar: StatusBar) -> None:
    assert bar.words.text() == ""
    assert bar.bar.isHidden()


def test_it_shows_the_newest_operation_with_its_cause(bar: StatusBar, workspace: Workspace) -> None:
    workspace.history.begin("Taking a snapshot of web1")
    newest = workspace.history.begin("Merging 1 of 2 disks of web1")
    newest.progress, newest.words = 0.62, "waits for web-01\nand more"
    workspace.history.changed.emit(newest)
    assert bar.words.text() == "Merging 1 of 2 disks of web1 · waits for web-01"
    assert bar.bar.value() == 620
    workspace.history.end(newest)
    assert bar.words.text() == "Taking a snapshot of web1"


def test_what_the_engine_does_by_itself_is_shown_while_nothing_else_runs(
    bar: StatusBar, engine: FakeEngine, workspace: Workspace
) -> None:
    now = datetime.now(UTC)
    merge = engine.put(Task(name_label="Merging disk images of “web1”", progress=0.4, created=now))
    engine.put(Task(name_label="Async.VM.start", created=now))  # another client's
    assert bar.words.text() == "Merging disk images of “web1”"
    assert bar.bar.value() == 400
    own = workspace.history.begin("Starting web2")
    assert bar.words.text() == "Starting web2"
    workspace.history.end(own, Failure("TASK_CANCELLED", "x"))
    assert bar.words.text() == "Merging disk images of “web1”"
    engine.change(Task, merge, status=TaskStatus.success)
    assert bar.words.text() == ""


async def test_the_operation_that_is_shown_can_be_cancelled_while_it_may(
    bar: StatusBar, workspace: Workspace, engine: FakeEngine
) -> None:
    entry = workspace.history.begin("Taking a snapshot of web1")
    assert bar.cancel.isHidden()
    entry.task, entry.cancellable = "t", True
    workspace.history.changed.emit(entry)
    assert not bar.cancel.isHidden()
    bar.cancel.click()
    for _turn in range(20):
        await asyncio.sleep(0)
    assert engine.calls == [("task.cancel", ("t",))]
    assert bar.cancel.isHidden()
    assert "cancelling" in bar.words.text()


def test_it_says_how_the_last_one_ended(bar: StatusBar, workspace: Workspace) -> None:
    first = workspace.history.begin("Starting web1")
    workspace.history.end(first, Failure("VM_HYPERVISOR_FAILURE", "x", "QEMU said no"))
    assert bar.words.text() == "Starting web1: QEMU said no"
    second = workspace.history.begin("Starting web2")
    workspace.history.end(second, Failure("TASK_CANCELLED", "OpaqueRef:task"))
    assert bar.words.text() == ""
    third = workspace.history.begin("Starting web3")
    workspace.history.end(third)
    assert bar.words.text().startswith("Starting web3: done in")
    third.finished = datetime.now(UTC) - timedelta(minutes=1)
    third.started = third.finished
    bar.refresh()
    assert bar.words.text() == ""


def test_words_of_progress() -> None:
    start = datetime(2026, 11, 23, tzinfo=UTC)

    def said(seconds: float, **fields: object) -> str:
        entry = Entry(title="Merging", started=start)
        for name, value in fields.items():
            setattr(entry, name, value)
        return progress_words(entry, start + timedelta(seconds=seconds))

    assert said(0.5) == "Merging"
    assert said(2) == "Merging · 2\u00a0s"
    assert said(2, progress=0.5) == "Merging · 2\u00a0s"  # too early to say when it ends
    assert said(30, progress=0.75, words="1.2 of 1.9 GiB") == "Merging · 1.2 of 1.9 GiB · 10\u00a0s left"
    assert said(30, progress=0.01) == "Merging · 30\u00a0s"
    assert said(30, progress=1.0, cancel_asked=True) == "Merging · cancelling · 30\u00a0s"


def test_counts_are_shown_and_clicked(qtbot: QtBot, bar: StatusBar, engine: FakeEngine, workspace: Workspace) -> None:
    assert [button.text() for button in bar.counts()] == ["0 in progress", "0 failed", "0 alerts"]
    pools.small_pool(engine)
    workspace.history.begin("one")
    workspace.history.end(workspace.history.begin("two"), Failure("INTERNAL_ERROR", "x"))
    pools.messages(engine)
    engine.put(Message(name="VM_STARTED", priority=5))
    qtbot.waitUntil(lambda: [b.text() for b in bar.counts()] == ["1 in progress", "1 failed", "2 alerts"])
    for button, what in zip(bar.counts(), ("running", "failed", "alerts"), strict=True):
        with qtbot.waitSignal(bar.clicked) as clicked:
            QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        assert clicked.args == [what]
