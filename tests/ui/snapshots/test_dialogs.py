"""Every dialog in every state: named for a screen reader, reached by keys, whole with long names on a small screen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialog,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QWidget,
)

from app.api import VM
from tests.ui.snapshots.conftest import OpenTab
from tests.ui.snapshots.estate import Estate
from tests.ui.snapshots.look_dialogs import DIALOGS
from tests.ui.snapshots.waiting import until
from ui.base.dialogs import Dialog

#: what the smallest screen leaves for a dialog
WIDEST, TALLEST = 900, 690
LONG = "A virtual machine snapshot with a name of sixty letters, yes"
CHINESE = "升级前的最后一个良好状态，请勿删除这个快照"

_INTERACTIVE = (QAbstractButton, QLineEdit, QComboBox, QAbstractSpinBox, QPlainTextEdit, QAbstractItemView)


@pytest.fixture
def show(open_tab: OpenTab, estate: Estate) -> Callable[[str], QDialog]:
    """Opens a dialog by name over the tab."""

    def make(name: str) -> QDialog:
        tab = open_tab(estate)
        dialog = DIALOGS[name](estate, tab.window())
        assert isinstance(dialog, Dialog)
        dialog.show()
        return dialog

    return make


def _named(widget: QWidget) -> bool:
    words = widget.text() if isinstance(widget, QAbstractButton) else ""
    return bool(widget.accessibleName() or words)


def _own(widget: QWidget) -> bool:
    """Not a part that Qt made: the field in a spin box, the buttons of a calendar."""
    parent: QWidget | None = widget
    while parent is not None and not isinstance(parent, QDialog):
        parent = parent.parentWidget()
        if isinstance(parent, QAbstractSpinBox | QComboBox | QAbstractItemView):
            return False
    return widget.isVisible()


@pytest.mark.parametrize("name", list(DIALOGS))
async def test_everything_has_a_name_and_is_reached_by_tab(show: Callable[[str], QDialog], name: str) -> None:
    dialog = show(name)
    await asyncio.sleep(0)
    parts = [w for w in dialog.findChildren(QWidget) if isinstance(w, _INTERACTIVE) and _own(w)]
    assert parts
    assert [type(part).__name__ for part in parts if not _named(part)] == []
    unreachable = [p for p in parts if p.isEnabled() and not p.focusPolicy() & Qt.FocusPolicy.TabFocus]
    assert [type(part).__name__ for part in unreachable] == []
    dialog.reject()


@pytest.mark.parametrize("name", list(DIALOGS))
@pytest.mark.parametrize("words", [LONG, CHINESE])
async def test_long_names_fit_the_smallest_screen(
    show: Callable[[str], QDialog], estate: Estate, qapp: QApplication, name: str, words: str
) -> None:
    for ref in ("vm", *estate.record("vm").snapshots):
        estate.engine.change(VM, ref, name_label=words)
    dialog = show(name)
    await until(lambda: dialog.isVisible())
    for _turn in range(50):
        await asyncio.sleep(0)
    assert dialog.width() <= WIDEST, name
    assert dialog.height() <= TALLEST, name
    for label in dialog.findChildren(QLabel):
        if label.isVisible() and label.wordWrap() and label.text():
            assert label.height() >= label.heightForWidth(label.width()) - 1, (name, label.text())
    dialog.reject()
