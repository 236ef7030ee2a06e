"""Widgets are tested as they are shown: in the theme."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QApplication

from ui.base import theme


@pytest.fixture(autouse=True)
def light(qapp: QApplication) -> None:
    theme.apply(qapp, theme.Theme.LIGHT)
