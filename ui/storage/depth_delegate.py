"""A cell with the depth of a chain: a bar against the limit, with a mark where merging begins, and the words."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, Qt
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem

from ui.base import fonts, theme
from ui.models.chain import CHAIN_WARNING
from ui.models.table_model import KEY_ROLE
from ui.storage.health import MERGED_FROM
from ui.widgets.progress import paint_capacity

DEPTH_ROLE: Final = KEY_ROLE + 1
"""(depth, limit) of a chain; None where there is none."""

_BAR = 6
_WORDS = 56


def tone_of(depth: int, limit: int) -> str:
    """The colour of a chain of this depth; its words say the same."""
    return "bad" if depth >= limit else "attention" if depth >= CHAIN_WARNING else "accent"


class DepthDelegate(QStyledItemDelegate):
    """Draws :data:`DEPTH_ROLE`."""

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        depth = index.data(DEPTH_ROLE)
        if depth is None or depth[1] <= 0:
            super().paint(painter, option, index)
            return
        deep, limit = depth
        place = QRectF(option.rect).adjusted(8, 0, -8, 0)
        bar = QRectF(place.left(), place.center().y() - _BAR / 2, place.width() - _WORDS - 8, _BAR)
        painter.save()
        if bar.width() > 4 * _BAR:
            paint_capacity(painter, bar, ((min(1.0, deep / limit), tone_of(deep, limit)),))
            at = bar.left() + bar.width() * MERGED_FROM / limit
            painter.fillRect(QRectF(at, bar.top() - 3, 1, _BAR + 6), QColor(theme.current().secondary))
        painter.setFont(fonts.font(fonts.Role.SECONDARY, tabular=True))
        painter.setPen(QColor(theme.current().secondary))
        words = QRectF(place.right() - _WORDS, place.top(), _WORDS, place.height())
        painter.drawText(words, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, str(index.data() or ""))
        painter.restore()
