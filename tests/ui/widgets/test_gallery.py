"""The gallery can be drawn: every widget, both themes, without a word from Qt."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from tests.ui.gallery.pictures import draw


def colours(image: QImage) -> int:
    step = max(1, image.width() // 200)
    return len({image.pixel(x, y) for x in range(0, image.width(), step) for y in range(0, image.height(), step)})


def test_every_picture_is_drawn(qapp: QApplication, qtbot: QtBot, tmp_path: Path) -> None:
    pictures = draw(tmp_path, qapp)
    assert len(pictures) == 14
    for picture in pictures:
        assert colours(QImage(str(picture))) > 20, picture.name
