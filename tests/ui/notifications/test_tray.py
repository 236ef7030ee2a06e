"""The tray: its state, its words, and nothing where the desktop has none."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QSystemTrayIcon, QWidget

from app.api import VMSS, Message, MessageClass
from tests.support.fake_session import FakeEngine
from ui.base.commands import Command
from ui.base.settings import Settings
from ui.base.workspace import Workspace
from ui.notifications.tray import Tray


class Icon(QSystemTrayIcon):
    """Keeps what it was told to show."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.said: list[tuple[str, str]] = []

    def show(self) -> None:
        """The platform without a screen has no tray to show it in."""

    def showMessage(self, title: str, words: str, *_rest: object) -> None:
        self.said.append((title, words))


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def workspace(qapp: QApplication, engine: FakeEngine, tmp_path: Path) -> Workspace:
    made = Workspace(engine.session(), engine.cache, Settings(tmp_path / "settings.ini"))
    for command in ("pool.schedules", "file.exit"):
        made.commands.add(Command(id=command, title=command, run=lambda _w, _s: None))
    return made


def message(engine: FakeEngine, name: str, priority: int, uuid: str) -> str:
    made = Message(
        name=name, priority=priority, cls=MessageClass.VMSS, obj_uuid=uuid, timestamp=datetime.now(UTC), body="VM: db"
    )
    return engine.put(made)


def test_a_failure_is_told_and_shown_until_it_is_dismissed(workspace: Workspace, engine: FakeEngine) -> None:
    window = QWidget()
    icon = Icon(window)
    tray = Tray(workspace, window, icon)
    assert "all is well" in icon.toolTip()
    engine.put(VMSS(name_label="Nightly", uuid="u"))
    message(engine, "VMSS_SNAPSHOT_SUCCEEDED", 5, "u")
    assert icon.said == []
    failed = message(engine, "VMSS_SNAPSHOT_FAILED", 3, "u")
    assert icon.said == [("A schedule could not take all its snapshots", "Nightly: VM: db")]
    assert tray.waiting() == 1 and "1 alert" in icon.toolTip()
    engine.remove(Message, failed)
    assert "all is well" in icon.toolTip()


def test_without_a_tray_nothing_is_shown(workspace: Workspace, engine: FakeEngine) -> None:
    window = QWidget()
    tray = Tray(workspace, window)
    assert tray.icon is None
    message(engine, "VMSS_SNAPSHOT_FAILED", 3, "u")
