"""A cell with a progress bar and its number."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, Qt
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem

from ui.base import fonts, theme
from ui.base.sizes_and_dates import percent
from ui.models.table_model import KEY_ROLE
from ui.widgets.progress import paint_capacity

PROGRESS_ROLE: Final = KEY_ROLE + 1
"""0 to 1; None where nothing is under way."""

_BAR = 6
_NUMBER = 40


class ProgressDelegate(QStyledItemDelegate):
    """Draws the fraction of :data:`PROGRESS_ROLE`; where there is none, the cell's words."""

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        fraction = index.data(PROGRESS_ROLE)
        if fraction is None:
            super().paint(painter, option, index)
            return
        place = QRectF(option.rect).adjusted(8, 0, -8, 0)
        bar = QRectF(place.left(), place.center().y() - _BAR / 2, place.width() - _NUMBER - 8, _BAR)
        if bar.width() > 2 * _BAR:
            paint_capacity(painter, bar, ((float(fraction), "accent"),))
        painter.save()
        painter.setFont(fonts.font(fonts.Role.SECONDARY, tabular=True))
        painter.setPen(QColor(theme.current().secondary))
        number = QRectF(place.right() - _NUMBER, place.top(), _NUMBER, place.height())
        painter.drawText(number, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, percent(fraction, 1))
        painter.restore()
