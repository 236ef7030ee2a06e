"""The theme reaches the whole application, and its style sheet names only what exists."""

from __future__ import annotations

import re

import pytest
from PySide6.QtGui import QFontMetricsF, QPalette
from PySide6.QtWidgets import QApplication, QLabel, QPushButton
from pytestqt.qtbot import QtBot

from ui.base import fonts, resources, theme
from ui.base.palette import DARK, LIGHT, Colours, contrast


@pytest.fixture(autouse=True)
def light(qapp: QApplication) -> None:
    theme.apply(qapp, theme.Theme.LIGHT)


@pytest.mark.parametrize("colours", [LIGHT, DARK, theme.strengthened(DARK)], ids=lambda c: c.name)
def test_the_style_sheet_is_filled_in(colours: Colours) -> None:
    sheet = theme.style_sheet(colours)
    assert "@" not in sheet
    assert colours.accent in sheet


def test_the_style_sheet_has_no_colours_of_its_own() -> None:
    assert not re.findall(r":\s*#[0-9a-fA-F]{3,8}", resources.read("themes", "stillframe.qss"))


def test_a_misspelt_placeholder_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "read", lambda *_: "QLabel { color: @akzent@; }")
    with pytest.raises(ValueError, match="@akzent@"):
        theme.style_sheet(LIGHT)


def test_applying_a_theme_changes_the_colours_and_says_so(qapp: QApplication, qtbot: QtBot) -> None:
    assert theme.current() == LIGHT
    with qtbot.waitSignal(theme.notifier.theme_changed):
        theme.apply(qapp, theme.Theme.DARK)
    assert theme.current() == DARK
    assert theme.chosen() is theme.Theme.DARK
    assert qapp.palette().color(QPalette.ColorRole.Base).name() == DARK.surface


def test_the_system_theme_is_one_of_the_two(qapp: QApplication) -> None:
    theme.apply(qapp, theme.Theme.SYSTEM)
    assert theme.current() in (LIGHT, DARK)
    assert theme.chosen() is theme.Theme.SYSTEM


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=lambda c: c.name)
def test_the_palette_of_qt_can_be_read_too(colours: Colours) -> None:
    palette = theme.qt_palette(colours)
    role = QPalette.ColorRole
    for words, plane in (
        (role.WindowText, role.Window),
        (role.Text, role.Base),
        (role.HighlightedText, role.Highlight),
    ):
        assert contrast(palette.color(words).name(), palette.color(plane).name()) >= 4.5
    disabled = palette.color(QPalette.ColorGroup.Disabled, role.Text).name()
    assert disabled == colours.disabled


def test_a_primary_button_is_filled_with_the_accent(qtbot: QtBot) -> None:
    button = QPushButton("Take Snapshot")
    button.setProperty("primary", True)
    qtbot.addWidget(button)
    button.resize(160, 32)
    seen = button.grab().toImage()
    assert seen.pixelColor(8, 6).name() == LIGHT.accent


def test_roles_of_labels_set_their_size(qtbot: QtBot) -> None:
    for role in fonts.Role:
        label = QLabel("Before upgrade 16")
        label.setProperty("role", str(role))
        qtbot.addWidget(label)
        label.ensurePolished()
        assert label.font().pixelSize() == fonts.pixels(role)


def test_figures_in_columns_have_one_width() -> None:
    tabular = QFontMetricsF(fonts.font(tabular=True))
    assert len({tabular.horizontalAdvance(digit) for digit in "0123456789"}) == 1


def test_headings_are_strong_and_body_is_not() -> None:
    assert fonts.font(fonts.Role.TITLE).weight() == fonts.TITLE_WEIGHT
    assert fonts.font().weight() < fonts.TITLE_WEIGHT
    assert fonts.font(strong=True).weight() == fonts.TITLE_WEIGHT
    assert 1.0 <= fonts.scale() <= fonts.LARGEST_SCALE
