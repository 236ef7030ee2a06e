"""Dialogs are awaited, can be left by keyboard, and refuse with a reason."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QFileDialog, QLabel, QLineEdit, QWidget
from pytestqt.qtbot import QtBot
from shiboken6 import delete

from ui.base import theme
from ui.base.dialogs import ConsequenceDialog, Dialog, ErrorDialog, ask, ask_for_path

UI = Path(__file__).resolve().parents[3] / "ui"


@pytest.fixture(autouse=True)
def light(qapp: QApplication) -> None:
    theme.apply(qapp, theme.Theme.LIGHT)


def executed(source: str) -> list[int]:
    """Lines that call something named exec."""
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return [c.lineno for c in calls if isinstance(c.func, ast.Attribute) and c.func.attr in ("exec", "exec_")]


def test_no_dialog_or_menu_is_executed() -> None:
    found = {
        path.name: lines
        for path in UI.rglob("*.py")
        if path.name != "application.py" and (lines := executed(path.read_text(encoding="utf-8")))
    }
    assert not found, "open() it and await ask(), or popup() a menu"
    assert executed("menu.exec(place)") == [1]


async def test_ask_gives_the_result(qapp: QApplication) -> None:
    for end, result in (("accept", 1), ("reject", 0)):
        dialog = QDialog()
        asyncio.get_running_loop().call_soon(getattr(dialog, end))
        assert await ask(dialog) == result


async def test_a_cancelled_question_closes_its_dialog(qapp: QApplication) -> None:
    dialog = QDialog()
    asked = asyncio.ensure_future(ask(dialog, keep=True))
    await asyncio.sleep(0)
    assert dialog.isVisible()
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert not dialog.isVisible()


async def test_a_dialog_whose_window_goes_counts_as_rejected(qapp: QApplication) -> None:
    window = QWidget()
    dialog = QDialog(window)
    asked = asyncio.ensure_future(ask(dialog))
    await asyncio.sleep(0)
    delete(window)
    assert await asked == 0


async def test_a_file_is_asked_for_until_it_is_chosen_or_its_window_goes(qapp: QApplication, tmp_path: Path) -> None:
    (tmp_path / "disk.raw").touch()
    loop, parent = asyncio.get_running_loop(), QWidget()
    for end, chosen in (("accept", str(tmp_path / "disk.raw")), ("reject", "")):
        dialog = QFileDialog(parent)
        dialog.selectFile(str(tmp_path / "disk.raw"))
        loop.call_soon(getattr(dialog, end))
        assert await ask_for_path(dialog) == chosen
    dialog = QFileDialog(parent)
    loop.call_soon(delete, parent)
    assert await ask_for_path(dialog) == ""


async def test_other_tasks_go_on_while_a_dialog_waits(qapp: QApplication) -> None:
    dialog = QDialog()
    asked = asyncio.ensure_future(ask(dialog))
    for _turn in range(20):
        await asyncio.sleep(0)
    assert not asked.done()
    dialog.accept()
    assert await asked == 1


async def test_what_a_dialog_holds_can_be_read_after_it_closed(qapp: QApplication) -> None:
    dialog = Dialog("Rename", primary="Rename")
    field = QLineEdit("billing-db")
    dialog.content.addWidget(field)
    asyncio.get_running_loop().call_soon(dialog.accept)
    assert await ask(dialog)
    assert field.text() == "billing-db"


async def test_a_kept_dialog_can_be_asked_again(qapp: QApplication) -> None:
    dialog = Dialog("Rename", primary="Rename")
    for result in (1, 0):
        asyncio.get_running_loop().call_soon(dialog.done, result)
        assert await ask(dialog, keep=True) == result


def test_the_primary_button_names_the_act_and_refuses_with_a_reason(qtbot: QtBot) -> None:
    dialog = Dialog("Take a snapshot of billing-db", primary="Take Snapshot")
    qtbot.addWidget(dialog)
    assert dialog.primary is not None
    assert (dialog.primary.text(), dialog.primary.isDefault()) == ("Take Snapshot", True)
    dialog.set_problem("A name is needed.")
    assert (dialog.primary.isEnabled(), dialog.primary.toolTip()) == (False, "A name is needed.")
    assert dialog.primary.accessibleDescription() == "A name is needed."
    dialog.set_problem("")
    assert dialog.primary.isEnabled()


@pytest.mark.parametrize(
    ("danger", "key", "result"),
    [
        (False, Qt.Key.Key_Return, QDialog.DialogCode.Accepted),
        (True, Qt.Key.Key_Return, QDialog.DialogCode.Rejected),
        (False, Qt.Key.Key_Escape, QDialog.DialogCode.Rejected),
    ],
)
def test_enter_and_escape(qtbot: QtBot, danger: bool, key: Qt.Key, result: QDialog.DialogCode) -> None:
    dialog = ConsequenceDialog("Delete 3 snapshots?", "They are gone for good.", primary="Delete", danger=danger)
    qtbot.addWidget(dialog)
    dialog.open()
    with qtbot.waitSignal(dialog.finished) as finished:
        QTest.keyClick(dialog, key)
    assert finished.args == [result.value]


def test_consequences_are_shown_and_replaced(qtbot: QtBot) -> None:
    body = QWidget()
    dialog = ConsequenceDialog(
        "Revert billing-db?",
        "It goes back to <b>Before upgrade 16</b>.",
        [("warning", "Changes since 21 Nov are lost"), ("alert-good", "All other snapshots stay")],
        body,
        primary="Revert",
    )
    qtbot.addWidget(dialog)
    dialog.open()

    def shown() -> set[str]:
        return {made.text() for made in dialog.findChildren(QLabel) if made.isVisible()}

    assert {"Changes since 21 Nov are lost", "All other snapshots stay"} <= shown()
    assert dialog.sentence.textFormat() == Qt.TextFormat.PlainText
    assert body.isVisible()
    dialog.consequences.set([])
    assert not dialog.consequences.isVisible()
    with pytest.raises(LookupError):
        dialog.consequences.set([("no-such-icon", "…")])


def test_an_error_keeps_its_details_one_click_away(qtbot: QtBot) -> None:
    dialog = ErrorDialog(
        "web-01 could not be reverted", "There is no space left.", "Free 2.1 GiB.", "SR_BACKEND_FAILURE_44\nENOSPC"
    )
    qtbot.addWidget(dialog)
    dialog.open()
    assert not dialog.details.isVisible()
    assert not dialog.copy_details.isVisible()
    dialog.show_details.click()
    assert dialog.details.isVisible()
    assert "ENOSPC" in dialog.details.toPlainText()
    dialog.copy_details.click()
    assert QGuiApplication.clipboard().text() == "SR_BACKEND_FAILURE_44\nENOSPC"
    assert "Free 2.1 GiB." in dialog.accessibleDescription()


def test_an_error_without_details_offers_none(qtbot: QtBot) -> None:
    dialog = ErrorDialog("The engine stopped")
    qtbot.addWidget(dialog)
    dialog.open()
    assert not dialog.show_details.isVisible()
