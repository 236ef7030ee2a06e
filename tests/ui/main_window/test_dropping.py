"""Files dropped on the window open the import wizard; over a storage they go there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDragMoveEvent, QDropEvent
from PySide6.QtWidgets import QApplication

from tests.support.fake_session import FakeEngine
from tests.ui.main_window import pools
from ui.base.commands import Command, Selection
from ui.base.workspace import Workspace
from ui.main_window import MainWindow

_LEFT, _NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


@pytest.fixture
def window(qapp: QApplication, engine: FakeEngine, workspace: Workspace) -> Iterator[MainWindow]:
    pools.small_pool(engine)
    made = MainWindow(workspace)
    made.show()
    yield made
    made.hide()
    made.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def files(*paths: str) -> QMimeData:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(path) for path in paths])
    return data


def enter(window: MainWindow, data: QMimeData) -> bool:
    event = QDragEnterEvent(QPoint(600, 300), Qt.DropAction.CopyAction, data, _LEFT, _NONE)
    event.setAccepted(False)
    window.dragEnterEvent(event)
    return event.isAccepted()


def drop(window: MainWindow, data: QMimeData, place: QPoint) -> None:
    window.dropEvent(QDropEvent(QPointF(place), Qt.DropAction.CopyAction, data, _LEFT, _NONE))


@pytest.fixture
def asked(window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> list[Selection]:
    found: list[Selection] = []

    def run(command: str, selection: Selection) -> None:
        assert command == "pool.import"
        found.append(selection)

    monkeypatch.setattr(window.workspace.commands, "run", run)
    return found


def test_a_file_hovers_and_is_dropped(window: MainWindow, asked: list[Selection]) -> None:
    data = files("/srv/web.xva")
    assert enter(window, data)
    assert window.drop_overlay.isVisible()
    assert window.drop_overlay.zone.accessibleName() == "Import web.xva"
    drop(window, data, QPoint(700, 300))
    assert not window.drop_overlay.isVisible()
    assert asked == [(("file", "/srv/web.xva"),)]


def test_over_a_storage_it_goes_there(window: MainWindow, asked: list[Selection]) -> None:
    tree = window.pane.tree
    index = tree.pool.index_of(("SR", pools.SR_DISKS))
    place = tree.viewport().mapTo(window, tree.visualRect(index).center())
    data = files("/srv/web.xva")
    window.dragMoveEvent(QDragMoveEvent(place, Qt.DropAction.CopyAction, data, _LEFT, _NONE))
    assert "Local storage" in window.drop_overlay.zone.accessibleDescription()
    drop(window, data, place)
    assert asked == [(("file", "/srv/web.xva"), ("SR", pools.SR_DISKS))]


@pytest.mark.parametrize("paths", [("/srv/notes.txt",), ("/srv/a.xva", "/srv/b.xva"), ()])
def test_what_cannot_be_imported_is_not_taken(window: MainWindow, paths: tuple[str, ...]) -> None:
    assert not enter(window, files(*paths))
    assert not window.drop_overlay.isVisible()


def test_a_file_that_leaves_again(window: MainWindow, asked: list[Selection]) -> None:
    enter(window, files("/srv/web.xva"))
    window.dragLeaveEvent(QDragLeaveEvent())
    assert not window.drop_overlay.isVisible()
    assert asked == []


def test_export_and_import_are_in_the_menus(window: MainWindow) -> None:
    commands: list[Command] = [window.workspace.commands.get(c) for c in ("pool.import", "vm.export", "vdi.export")]
    assert [command.shortcut for command in commands] == ["Ctrl+I", "", ""]
    window.show_object("pool", pools.POOL)
    assert "pool.import" in window.pane.tree.menu_ids()
    window.show_object("VM", pools.DB)
    assert "vm.export" in window.pane.tree.menu_ids()
