"""Somebody who clicks, types and presses keys at random, over the real engine with simulated guests.

Nothing may be raised, no Qt warning be given, and nothing be refused for a reason that is ours. Longer, with so
many seeds and steps: `STILLFRAME_RANDOM_USE=20x500 pytest -o timeout=0 tests/ui/main_window/test_random_use.py`.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAction, QDesktopServices
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QApplication,
    QDialog,
    QFileDialog,
    QHeaderView,
    QLineEdit,
    QMenu,
    QPushButton,
    QTabBar,
    QWidget,
)

from app.api import SR, VDI, VM, Pool
from app.api.types import class_of
from app.hypervisor.simulated import SimulatedDriver
from tests.support.engine import Bench, open_bench
from tests.ui.machines.windows import close_window
from ui.base import theme
from ui.base.dialogs import ErrorDialog
from ui.base.settings import Settings
from ui.base.workspace import Workspace
from ui.main_window import MainWindow

SEEDS, STEPS = (int(word) for word in os.environ.get("STILLFRAME_RANDOM_USE", "2x120").split("x"))
KEYS = [
    Qt.Key.Key_Return, Qt.Key.Key_Escape, Qt.Key.Key_Delete, Qt.Key.Key_F2, Qt.Key.Key_Tab, Qt.Key.Key_Space,
    Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Home, Qt.Key.Key_End,
]  # fmt: skip
NEVER = ("file.", "view.", "help.")
WORDS = ["web", "", "0", "a/b", "ä" * 300, "22:00", "* * * * *", "7", "-1", "<b>", "nightly\u202e"]


class Hand:
    """Does one thing after the other."""

    def __init__(self, window: MainWindow, seed: int) -> None:
        self.window = window
        self.random = random.Random(seed)
        self.done: list[str] = []

    async def act(self) -> None:
        """One thing, and time for what follows from it."""
        where = self._top()
        acts: list[Callable[[QWidget], None]] = [self.click, self.click, self.click, self.choose, self.tab, self.key]
        acts += [self.type] if isinstance(where, QDialog) else [self.command, self.order, self.order, self.choose]
        if isinstance(where, QFileDialog):
            self.done.append("cancels the file dialog")
            where.reject()
        else:
            self.random.choice(acts)(where)
        for _ in range(self.random.choice([1, 1, 3, 30])):
            await asyncio.sleep(0.002)

    def _top(self) -> QWidget:
        return QApplication.activePopupWidget() or QApplication.activeModalWidget() or self.window

    def _some(self, where: QWidget, kind: type[QWidget]) -> QWidget | None:
        found = [
            w for w in where.findChildren(kind) if w.isVisible() and w.isEnabled() and not isinstance(w, QHeaderView)
        ]
        return self.random.choice(found) if found else None

    def click(self, where: QWidget) -> None:
        """A button, or an entry of the menu that is open."""
        if isinstance(where, QMenu):
            self._entry(where)
            return
        button = self._some(where, QAbstractButton)
        if self.random.random() < 0.4:
            button = next((b for b in where.findChildren(QPushButton) if b.isDefault() and b.isEnabled()), button)
        if isinstance(button, QAbstractButton):
            self.done.append(f"clicks {button.text() or button.accessibleName()!r} of {type(where).__name__}")
            QTest.mouseClick(button, Qt.MouseButton.LeftButton)

    def _entry(self, menu: QMenu) -> None:
        entries = [a for a in menu.actions() if a.isEnabled() and not a.isSeparator() and not a.menu()]
        if entries:
            action = self.random.choice(entries)
            self.done.append(f"takes {action.text()!r} of a menu")
            menu.close()
            action.trigger()
        else:
            menu.close()

    def command(self, _where: QWidget) -> None:
        """An entry of the menu bar."""
        actions = [a for a in self.window.findChildren(QAction) if a.isEnabled() and a.text() and not a.menu()]
        action = self.random.choice([a for a in actions if "Exit" not in a.text() and "Quit" not in a.text()])
        self.done.append(f"takes {action.text()!r}")
        action.trigger()

    def order(self, _where: QWidget) -> None:
        """A command for some objects, as the menus of the tree and of the tabs give them."""
        commands, cache = self.window.workspace.commands, self.window.workspace.cache
        kinds: list[type[Any]] = [VM, VM, VM, VDI, SR, Pool]
        kind = self.random.choice(kinds)
        refs = sorted(cache.all(kind))
        some = tuple(
            (class_of(kind).name, str(r))
            for r in self.random.sample(refs, min(len(refs), self.random.choice([1, 1, 1, 2, 4])))
        )
        fit = sorted(c for c in commands.ids() if not c.startswith(NEVER) and commands.state(c, some).enabled)
        if fit:
            command = self.random.choice(fit)
            self.done.append(f"orders {command} for {len(some)} {kind.__name__}")
            commands.run(command, some)

    def choose(self, where: QWidget) -> None:
        """A row of a tree, table or list; sometimes one more, sometimes by double click."""
        view = self._some(where, QAbstractItemView)
        if isinstance(view, QAbstractItemView) and view.model() is not None:
            point = self._place(view)
            held = self.random.choice([Qt.KeyboardModifier.NoModifier] * 3 + [Qt.KeyboardModifier.ControlModifier])
            self.done.append(f"clicks {view.accessibleName()!r} at {point.x()}, {point.y()}")
            QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, held, point)
            if self.random.random() < 0.1:
                QTest.mouseDClick(view.viewport(), Qt.MouseButton.LeftButton, held, point)

    def _place(self, view: QAbstractItemView) -> QPoint:
        """On a row that can be seen, or somewhere else."""
        rect = view.viewport().rect()
        point = QPoint(self.random.randrange(max(1, rect.width())), self.random.randrange(max(1, rect.height())))
        height = view.sizeHintForRow(0)
        if height > 0 and self.random.random() < 0.9:
            point.setY(point.y() % max(1, height * min(12, view.model().rowCount() or 1) * 2))
        return point

    def tab(self, where: QWidget) -> None:
        """Another tab."""
        bar = self._some(where, QTabBar)
        if isinstance(bar, QTabBar) and bar.count():
            bar.setCurrentIndex(self.random.randrange(bar.count()))
            self.done.append(f"goes to the tab {bar.tabText(bar.currentIndex())!r}")

    def key(self, where: QWidget) -> None:
        """A key, wherever the focus is."""
        target = QApplication.focusWidget() or where
        key = self.random.choice(KEYS)
        self.done.append(f"presses {key.name} in {type(target).__name__}")
        QTest.keyClick(target, key)

    def type(self, where: QWidget) -> None:
        """Words into a field."""
        field = self._some(where, QLineEdit)
        if isinstance(field, QLineEdit) and not field.isReadOnly():
            words = self.random.choice(WORDS)
            self.done.append(f"types {words[:20]!r} into {field.accessibleName()!r}")
            field.selectAll()
            field.insert(words)  # QTest types no letters beyond ASCII
            field.textEdited.emit(field.text())


def _innocent(window: MainWindow) -> None:
    """No error is shown that only a mistake of ours explains."""
    for dialog in QApplication.topLevelWidgets():
        if isinstance(dialog, ErrorDialog) and dialog.isVisible():
            assert "INTERNAL_ERROR" not in dialog.details.toPlainText(), dialog.details.toPlainText()
    for entry in window.workspace.history.entries:
        assert "INTERNAL_ERROR" not in str(entry.error), entry


async def _furnish(bench: Bench) -> None:
    session = bench.session
    for name in ("web", "billing-db", "mail"):
        vm = await bench.sample_vm(name, nic=True)
        await session.VM.snapshot(vm, f"{name} before")
        await session.VM.start(vm)
        await session.VM.snapshot(vm, f"{name} after")
    await session.VM.checkpoint(vm, "with memory")


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_nothing_breaks(qapp: QApplication, data_dir: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda _url: True)
    theme.apply(qapp, theme.Theme.LIGHT)
    async with open_bench(data_dir, SimulatedDriver()) as bench:
        await _furnish(bench)
        window = MainWindow(Workspace(bench.session, bench.cache, Settings(data_dir.parent / "settings.ini")))
        window.resize(1200, 800)
        window.show()
        hand = Hand(window, seed)
        try:
            for _ in range(STEPS):
                await hand.act()
                _innocent(window)
        except BaseException:
            print("\n".join(hand.done[-40:]))
            raise
        finally:
            await close_window(window)
