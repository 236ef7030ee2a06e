"""A wizard asks one thing at a time, says what is missing, and finishes by name."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QButtonGroup, QDialog, QLabel, QLineEdit, QPushButton
from pytestqt.qtbot import QtBot

from ui.base import theme
from ui.base.wizard import Wizard, WizardPage


class NamePage(WizardPage):
    def __init__(self) -> None:
        super().__init__("Name", "What is it called?", "A name says what it protects.")
        self.field = QLineEdit()
        self.field.textChanged.connect(self.changed)
        self.content.addWidget(self.field)

    def why_incomplete(self) -> str:
        return "" if self.field.text().strip() else "A name is needed."


class OptionalPage(WizardPage):
    relevant = True

    def is_relevant(self) -> bool:
        return self.relevant


@pytest.fixture
def pages(qapp: QApplication) -> tuple[NamePage, OptionalPage, WizardPage]:
    theme.apply(qapp, theme.Theme.LIGHT)
    return NamePage(), OptionalPage("Type"), WizardPage("Finish")


def shown(wizard: Wizard) -> int:
    return wizard.pages.index(wizard.page)


@pytest.fixture
def wizard(pages: tuple[NamePage, OptionalPage, WizardPage], qtbot: QtBot) -> Wizard:
    made = Wizard("New snapshot schedule", pages, finish=lambda: f"Create {pages[0].field.text()}")
    qtbot.addWidget(made)
    made.open()
    return made


def test_next_waits_for_an_answer_and_says_for_which(
    wizard: Wizard, pages: tuple[NamePage, OptionalPage, WizardPage]
) -> None:
    assert not wizard.next.isEnabled()
    assert wizard.next.toolTip() == "A name is needed."
    wizard.go_next()
    assert wizard.page is pages[0]
    pages[0].field.setText("Nightly")
    assert wizard.next.isEnabled()
    assert wizard.next.toolTip() == ""


def test_pages_come_in_order_and_finish_names_the_act(
    wizard: Wizard, pages: tuple[NamePage, OptionalPage, WizardPage], qtbot: QtBot
) -> None:
    pages[0].field.setText("Night & day")
    assert not wizard.back.isEnabled()
    wizard.next.click()
    assert wizard.page is pages[1]
    assert wizard.steps.is_ticked(0)
    assert not wizard.steps.is_ticked(2)
    wizard.next.click()
    assert (wizard.page, wizard.is_last(), wizard.next.text()) == (pages[2], True, "Create Night && day")
    with qtbot.waitSignal(wizard.finished) as finished:
        wizard.next.click()
    assert finished.args == [QDialog.DialogCode.Accepted.value]


def test_an_irrelevant_page_is_skipped_both_ways(
    wizard: Wizard, pages: tuple[NamePage, OptionalPage, WizardPage]
) -> None:
    pages[0].field.setText("Nightly")
    pages[1].relevant = False
    wizard.go_next()
    assert wizard.page is pages[2]
    wizard.go_back()
    assert wizard.page is pages[0]
    wizard.go_to(1)
    assert wizard.page is pages[0]


def test_finish_is_refused_when_an_earlier_answer_went_missing(
    wizard: Wizard, pages: tuple[NamePage, OptionalPage, WizardPage]
) -> None:
    pages[0].field.setText("Nightly")
    wizard.go_next()
    wizard.go_next()
    pages[0].field.setText("")
    assert (wizard.next.isEnabled(), wizard.next.toolTip()) == (False, "A name is needed.")
    wizard.go_next()
    assert wizard.result() == QDialog.DialogCode.Rejected.value
    assert wizard.isVisible()


def test_enter_goes_on_and_escape_leaves(
    wizard: Wizard, pages: tuple[NamePage, OptionalPage, WizardPage], qtbot: QtBot
) -> None:
    pages[0].field.setText("Nightly")
    QTest.keyClick(pages[0].field, Qt.Key.Key_Return)
    assert wizard.page is pages[1]
    with qtbot.waitSignal(wizard.rejected):
        QTest.keyClick(wizard, Qt.Key.Key_Escape)


def test_a_visited_step_can_be_clicked_and_a_later_one_cannot(
    wizard: Wizard, pages: tuple[NamePage, OptionalPage, WizardPage], qtbot: QtBot
) -> None:
    pages[0].field.setText("Nightly")
    wizard.go_next()
    QTest.mouseClick(wizard.steps, Qt.MouseButton.LeftButton, pos=QPoint(20, 2 * 36 + 10))
    assert shown(wizard) == 1
    QTest.mouseClick(wizard.steps, Qt.MouseButton.LeftButton, pos=QPoint(20, 10))
    assert shown(wizard) == 0


def test_the_first_field_has_the_focus(wizard: Wizard, pages: tuple[NamePage, OptionalPage, WizardPage]) -> None:
    assert wizard.focusWidget() is pages[0].field


def test_of_choices_the_chosen_one_has_the_focus(qapp: QApplication, qtbot: QtBot) -> None:
    page = WizardPage("When")
    group, choices = QButtonGroup(page), [QPushButton("Hourly"), QPushButton("Daily")]
    for choice in choices:
        choice.setCheckable(True)
        group.addButton(choice)
        page.content.addWidget(choice)
    choices[1].setChecked(True)
    wizard = Wizard("New snapshot schedule", [page, WizardPage("Finish")], finish="Create")
    qtbot.addWidget(wizard)
    wizard.open()
    assert wizard.focusWidget() is choices[1]


def test_steps_and_pages_are_named_for_a_screen_reader(
    wizard: Wizard, pages: tuple[NamePage, OptionalPage, WizardPage]
) -> None:
    assert wizard.steps.accessibleDescription() == "Name, step 1 of 3"
    assert pages[0].accessibleName() == "What is it called?"


def test_the_summary_hears_of_every_answer(qapp: QApplication, qtbot: QtBot) -> None:
    page, summary = NamePage(), QLabel()
    made = Wizard("New", [page], finish="Create", summary=summary)
    qtbot.addWidget(made)
    made.changed.connect(lambda: summary.setText(page.field.text()))
    page.field.setText("Hourly")
    assert summary.text() == "Hourly"
    assert made.next.text() == "Create"


def test_a_wizard_without_pages_is_refused(qapp: QApplication) -> None:
    with pytest.raises(ValueError, match="needs a page"):
        Wizard("New", [], finish="Create")
