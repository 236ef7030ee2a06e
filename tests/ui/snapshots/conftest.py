"""An estate with seven snapshots, a tab on it, and a way to wait for what a coroutine brings about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest
import shiboken6
from PySide6.QtWidgets import QApplication, QMainWindow

from tests.ui.snapshots.estate import Estate, branching
from ui.base import motion, theme
from ui.base.workspace import Workspace
from ui.snapshots.tab import SnapshotsTab


@pytest.fixture(autouse=True)
def _still(qapp: QApplication) -> Iterator[None]:
    """Nothing moves, so that everything is in its place at once."""
    theme.apply(qapp, theme.Theme.LIGHT)
    motion.set_reduced(True)
    yield
    motion.set_reduced(None)


@pytest.fixture
def estate(qapp: QApplication, tmp_path: Path) -> Estate:
    """Seven snapshots in three branches; Now grew from "nightly22"."""
    return branching(tmp_path)


class Shown(Protocol):
    """What a tab can be opened on."""

    workspace: Workspace
    vm: str


OpenTab = Callable[[Shown], SnapshotsTab]


@pytest.fixture
def open_tab(qapp: QApplication) -> Iterator[OpenTab]:
    """Makes windows with a tab on an estate's VM, and holds them until the test is over: a window that Python's
    collector takes apart while Qt still paints it is the end of the program."""
    windows: list[QMainWindow] = []

    def make(estate: Shown) -> SnapshotsTab:
        window = QMainWindow()
        windows.append(window)
        made = SnapshotsTab(estate.workspace)
        window.setCentralWidget(made)
        window.resize(1150, 790)
        estate.workspace.window = window
        made.show_vm(estate.vm)
        window.show()
        window.activateWindow()
        return made

    yield make
    for window in windows:
        window.close()
        shiboken6.delete(window)


@pytest.fixture
def tab(open_tab: OpenTab, estate: Estate) -> SnapshotsTab:
    """The tab on the estate's VM, in a window that is shown."""
    return open_tab(estate)
