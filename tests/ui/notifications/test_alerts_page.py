"""The Alerts page: messages of the engine, worst marked, dismissed for everyone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.api import VDI, VM, VMSS, Message, MessageClass
from tests.support.fake_session import FakeEngine
from tests.ui.main_window import pools
from ui.base.commands import Command
from ui.base.workspace import Workspace
from ui.navigation.news import News
from ui.notifications.alerts import Subjects, alert_of
from ui.notifications.alerts_page import AlertsPage


@pytest.fixture
def page(qtbot: QtBot, engine: FakeEngine, workspace: Workspace) -> AlertsPage:
    pools.small_pool(engine)
    pools.messages(engine)
    made = AlertsPage(workspace)
    qtbot.addWidget(made)
    made.show()
    return made


def rows(page: AlertsPage) -> list[str]:
    return [page.model.item(row).title for row in range(page.model.rowCount())]


def test_what_wants_attention_stands_first_by_date(page: AlertsPage) -> None:
    assert rows(page) == ["The guest ended unexpectedly", "SR almost full"]
    assert [page.model.index(row, 0).data() for row in (0, 1)] == ["Error", "Attention"]
    assert [page.model.index(row, 2).data() for row in (0, 1)] == ["web-01", "Local storage"]
    page.kinds.set_current("all")
    page.refilter()
    assert rows(page)[-1] == "A snapshot was taken"
    assert page.model.index(2, 0).data() == "Information"
    assert page.strip.where.text() == "2 need attention · 3 messages"


@pytest.mark.parametrize(
    ("priority", "word"), [(1, "Error"), (2, "Error"), (3, "Attention"), (4, "Information"), (5, "Information")]
)
def test_severity_by_priority(engine: FakeEngine, priority: int, word: str) -> None:
    assert alert_of(Message(name="X", priority=priority), Subjects(engine.cache)).word == word


def test_a_message_finds_its_object(engine: FakeEngine) -> None:
    pools.small_pool(engine)
    subjects = Subjects(engine.cache)

    def about(cls: MessageClass, uuid: str) -> tuple[str, object]:
        alert = alert_of(Message(name="X", cls=cls, obj_uuid=uuid), subjects)
        return alert.object_name, alert.subject

    snapshot, record = next((r, v) for r, v in engine.cache.all(VM).items() if v.is_a_snapshot)
    assert about(MessageClass.VM, record.uuid) == ("Before upgrade 16", ("VM", pools.DB))  # shown at its VM
    disk = next(iter(engine.cache.all(VDI).values()))
    assert about(MessageClass.VDI, disk.uuid) == (disk.name_label, None)
    assert about(MessageClass.VM, "gone") == ("", None)
    assert about(MessageClass.Certificate, "x") == ("", None)
    assert snapshot


async def test_dismissing_destroys_the_message(page: AlertsPage, engine: FakeEngine) -> None:
    assert not page.dismiss.isEnabled()
    page.table.selectRow(0)
    (key,) = page.chosen()
    QTest.keyClick(page.table, Qt.Key.Key_Delete)
    await pools.settled()
    assert engine.called("message.destroy") == [(key,)]
    assert len(rows(page)) == 2  # it goes when the feed says so
    engine.remove(Message, key)
    assert rows(page) == ["SR almost full"]


async def test_dismissing_all_spares_what_the_filter_hides(page: AlertsPage, engine: FakeEngine) -> None:
    page.dismiss_all.click()
    await pools.settled()
    assert len(engine.called("message.destroy")) == 2


def test_details_and_the_way_to_the_object(qtbot: QtBot, page: AlertsPage, workspace: Workspace) -> None:
    assert page.details.isHidden()
    page.table.selectRow(1)
    assert page.heading.text() == "SR almost full"
    assert page.body.text() == "Less than 5 % of the storage is free."
    with qtbot.waitSignal(workspace.show_requested) as shown:
        page.go_to.click()
    assert shown.args == ["SR", pools.SR_DISKS, ""]


def test_new_messages_come_and_are_counted(
    qtbot: QtBot, page: AlertsPage, engine: FakeEngine, workspace: Workspace
) -> None:
    news = News(workspace, workspace)
    assert news.alerts == 2
    with qtbot.waitSignal(news.changed):
        engine.put(Message(name="VM_PAUSED_BY_HOST", priority=1, timestamp=datetime.now(UTC), body="<b>Disk full</b>"))
    assert news.alerts == 3
    assert rows(page)[0] == "The guest was paused by the host"
    page.table.selectRow(0)
    assert page.body.text() == "<b>Disk full</b>"
    assert page.body.textFormat() == Qt.TextFormat.PlainText


def test_without_messages_it_says_so(qtbot: QtBot, workspace: Workspace) -> None:
    page = AlertsPage(workspace)
    qtbot.addWidget(page)
    assert page.model.rowCount() == 0
    assert page.table.empty_text() == "No alerts. Everything is as it should be."
    assert not page.dismiss_all.isEnabled()


def test_an_empty_table_says_why(qtbot: QtBot, workspace: Workspace, engine: FakeEngine) -> None:
    engine.put(Message(name="VM_STARTED", priority=5))
    page = AlertsPage(workspace)
    qtbot.addWidget(page)
    assert page.table.empty_text() == "Nothing needs your attention."
    page.search.setText("unheard-of")
    page.refilter()
    assert page.table.empty_text() == "Nothing here is like that. Change the filter to see more."


def test_a_failed_run_is_told_in_sentences_with_what_to_do(page: AlertsPage, engine: FakeEngine) -> None:
    shown: list[str] = []
    body = "VM: web UUID: u1 Error:['SR_BACKEND_FAILURE_44','','x','5 GiB are needed.'],\nVM: db UUID: u2 Error:['X'],"
    schedule = engine.put(VMSS(name_label="Nightly", uuid="night"))
    engine.put(
        Message(
            name="VMSS_SNAPSHOT_FAILED", priority=3, cls=MessageClass.VMSS, obj_uuid="night", body=body,
            timestamp=datetime.now(UTC),
        )
    )  # fmt: skip
    assert schedule and page.model.item(0).object_name == "Nightly"
    page.table.selectRow(0)
    assert page.body.text() == "web: The storage is full. 5 GiB are needed.\ndb: X"
    assert page.go_to.isHidden()  # nobody has the command here
    page.workspace.commands.add(Command(id="pool.schedules", title="S", run=lambda _w, _s: shown.append("schedules")))
    page.show_details()
    assert page.go_to.text() == "Show schedules"
    page.go_to.click()
    assert shown == ["schedules"]
    assert "Run now" in page.advice.text() and "Run now" in page.model.item(0).as_text()


def test_a_recovery_is_information(engine: FakeEngine) -> None:
    for name in ("VMSS_SNAPSHOT_RECOVERED", "VMSS_VM_PROTECTED"):
        alert = alert_of(Message(name=name, priority=5), Subjects(engine.cache))
        assert (alert.word, alert.advice) == ("Information", "") and "again" in alert.title
