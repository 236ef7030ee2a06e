"""A field to search or filter with: Ctrl+F comes to it, Esc empties it, then leaves it."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QKeyEvent, QKeySequence, QPainter, QPaintEvent, QShortcut
from PySide6.QtWidgets import QLineEdit, QWidget

from ui.base import fonts, icons, theme

#: typing is followed after a breath, so that a tree is not searched for every letter
_BREATH_MS = 120


class SearchField(QLineEdit):
    """Tells ``searched`` the words a moment after typing pauses, and at once on Enter or when it is emptied.

    :param shortcut: whether Ctrl+F comes here, from anywhere in the window; shown as a hint at the right.
    """

    searched = Signal(str)

    def __init__(self, placeholder: str = "Search…", *, shortcut: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setPlaceholderText(placeholder)
        self.setAccessibleName(placeholder.removesuffix("…"))
        self.setProperty("search", True)
        self.setClearButtonEnabled(True)
        self._mark = self.addAction(icons.icon("search"), QLineEdit.ActionPosition.LeadingPosition)
        self._told = ""
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_BREATH_MS)
        self._pause.timeout.connect(self._tell)
        self.textChanged.connect(self._typed)
        self.returnPressed.connect(self._tell)
        self._hint = ""
        if shortcut:
            keys = QShortcut(QKeySequence(QKeySequence.StandardKey.Find), self)
            keys.activated.connect(self.take_focus)
            self._hint = keys.key().toString(QKeySequence.SequenceFormat.NativeText)

    def take_focus(self) -> None:
        """Come here, with what stands here selected."""
        self.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.selectAll()

    def _typed(self, words: str) -> None:
        if words:
            self._pause.start()
        else:
            self._tell()

    def _tell(self) -> None:
        self._pause.stop()
        words = self.text().strip()
        if words != self._told:
            self._told = words
            self.searched.emit(words)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.text():
            self.clear()
            return
        super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self._hint or self.text() or self.hasFocus() or self.width() < 160:
            return
        painter = QPainter(self)
        painter.setFont(fonts.font(fonts.Role.SECONDARY))
        painter.setPen(QColor(theme.current().secondary))
        place = QRectF(self.rect()).adjusted(0, 0, -10, 0)
        painter.drawText(place, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, self._hint)
        painter.end()
