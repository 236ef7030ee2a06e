"""Planes with an edge: a card for a group of things, a card that is a choice, and what stands where nothing is."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QAction, QColor, QFontMetrics, QPainter, QPaintEvent, QPen, QShowEvent
from PySide6.QtWidgets import QAbstractButton, QFrame, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from ui.base import fonts, icons, text, theme
from ui.base.dialogs import GAP, GROUP, label
from ui.widgets.buttons import ActionButton, button


class Card(QFrame):
    """A plane with a line around it and rounded corners. Put widgets into ``content``."""

    def __init__(
        self, title: str = "", *, raised: bool = False, margin: int = GROUP, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setProperty("card", "raised" if raised else "true")
        self.content = QVBoxLayout(self)
        self.content.setContentsMargins(margin, margin, margin, margin)
        self.content.setSpacing(GAP)
        if title:
            self.setAccessibleName(title)
            heading = label(title, "strong")
            heading.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
            self.content.addWidget(heading)


class ChoiceCard(QAbstractButton):
    """One of a few ways to do a thing: a radio mark, a picture, a title and a line that says what it means.

    Cards of one parent are one choice: choosing one leaves the others; arrow keys go between them.
    """

    _PAD = 12
    _MARK = 16
    _ICON = 20

    def __init__(self, icon: str, title: str, description: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._icon, self._title, self._description, self._reason = icon, title, description, ""
        if icon not in icons.names():
            raise LookupError(f"no icon is called {icon!r}")
        self.setText(title)
        self.setCheckable(True)
        self.setAutoExclusive(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setMouseTracking(True)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self._describe()

    def set_words(self, title: str, description: str) -> None:
        """What it is called and means now."""
        self._title = title
        self.setText(title)
        self.set_description(description)

    def set_description(self, description: str) -> None:
        """What choosing it means now."""
        self._description = description
        self._describe()

    def set_unavailable(self, reason: str) -> None:
        """It cannot be chosen, because of ``reason``, which stands in place of the description; "" when it can."""
        self._reason = reason
        self.setEnabled(not reason)
        if reason and self.isChecked():
            self.setAutoExclusive(False)
            self.setChecked(False)
            self.setAutoExclusive(True)
        self._describe()

    def _describe(self) -> None:
        self.setAccessibleName(self._title)
        self.setAccessibleDescription(self._reason or self._description)
        self.setToolTip(text.tooltip(self._reason))
        self.updateGeometry()
        self.update()

    def _words_at(self, width: int) -> QRect:
        left = self._PAD + self._MARK + 10 + self._ICON + 10
        return QRect(left, self._PAD, max(60, width - left - self._PAD), 10_000)

    def _heights(self, width: int) -> tuple[int, int]:
        title = QFontMetrics(fonts.font(strong=True)).height()
        place = self._words_at(width)
        small = QFontMetrics(fonts.font(fonts.Role.SECONDARY))
        wrapped = small.boundingRect(place, Qt.TextFlag.TextWordWrap, self._reason or self._description)
        return title, wrapped.height()

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return sum(self._heights(width)) + 4 + 2 * self._PAD

    def sizeHint(self) -> QSize:
        return QSize(400, self.heightForWidth(400))

    def minimumSizeHint(self) -> QSize:
        return QSize(220, self.heightForWidth(max(220, self.width())))

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_plane(painter)
        self._paint_mark(painter)
        middle = self.height() / 2
        picture = QRectF(self._PAD + self._MARK + 10, middle - self._ICON / 2, self._ICON, self._ICON)
        icons.paint(painter, picture, self._icon, enabled=self.isEnabled())
        self._paint_words(painter)
        painter.end()

    def _paint_plane(self, painter: QPainter) -> None:
        colours = theme.current()
        chosen, on = self.isChecked(), self.isEnabled()
        ring = self.hasFocus() or chosen
        width = 2.0 if self.hasFocus() else 1.5 if chosen else 1.0
        plane = colours.selection if chosen else colours.hover if on and self.underMouse() else colours.surface
        painter.setBrush(QColor(plane))
        painter.setPen(QPen(QColor(colours.accent if ring else colours.border if on else colours.line), width))
        inset = width / 2
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(inset, inset, -inset, -inset), 8, 8)

    def _paint_mark(self, painter: QPainter) -> None:
        colours = theme.current()
        centre = QPointF(self._PAD + self._MARK / 2, self.height() / 2)
        edge = colours.accent if self.isChecked() else colours.control if self.isEnabled() else colours.border
        painter.setPen(QPen(QColor(edge), 1.5))
        painter.setBrush(QColor(colours.surface))
        painter.drawEllipse(centre, 7, 7)
        if self.isChecked():
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.accent))
            painter.drawEllipse(centre, 4, 4)

    def _paint_words(self, painter: QPainter) -> None:
        colours = theme.current()
        title, wrapped = self._heights(self.width())
        place = self._words_at(self.width())
        top = (self.height() - title - 4 - wrapped) // 2
        painter.setFont(fonts.font(strong=True))
        painter.setPen(QColor(colours.text if self.isEnabled() else colours.disabled))
        shown = QFontMetrics(painter.font()).elidedText(self._title, Qt.TextElideMode.ElideRight, place.width())
        painter.drawText(QRect(place.left(), top, place.width(), title), 0, shown)
        painter.setFont(fonts.font(fonts.Role.SECONDARY))
        painter.setPen(QColor(colours.secondary))
        below = QRect(place.left(), top + title + 4, place.width(), wrapped)
        painter.drawText(below, Qt.TextFlag.TextWordWrap, self._reason or self._description)


class EmptyState(QWidget):
    """What stands where nothing is yet: one picture, one sentence, one button.

    :param act: the words of the button, or the action it is. None: no button.
    :param xe: the line for a terminal, where the action is no command's; see :class:`ui.widgets.buttons.ActionButton`.
    """

    clicked = Signal()

    def __init__(
        self,
        icon: str,
        sentence: str,
        act: str | QAction | None = None,
        parent: QWidget | None = None,
        xe: Callable[[], str] | None = None,
    ) -> None:
        super().__init__(parent)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(24, 24, 24, 24)
        rows.setSpacing(GROUP)
        rows.addStretch(2)
        rows.addWidget(_Picture(icon), 0, Qt.AlignmentFlag.AlignHCenter)
        self.sentence = label(sentence, "quiet")
        self.sentence.setWordWrap(True)
        self.sentence.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.sentence.setMinimumWidth(280)
        self.sentence.setMaximumWidth(420)
        rows.addWidget(self.sentence, 0, Qt.AlignmentFlag.AlignHCenter)
        self.button: QPushButton | None = None
        if isinstance(act, QAction):
            self.button = ActionButton(act, "primary", xe=xe)
        elif act:
            self.button = button(act, kind="primary")
            self.button.clicked.connect(self.clicked)
        if self.button is not None:
            rows.addWidget(self.button, 0, Qt.AlignmentFlag.AlignHCenter)
        rows.addStretch(3)
        self.setAccessibleName(sentence)

    def set_sentence(self, sentence: str) -> None:
        """Say something else."""
        self.sentence.setText(sentence)
        self.setAccessibleName(sentence)
        self._fit()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Room for every line: a layout that centres a label does not ask how high its words are when they wrap."""
        self.sentence.setMinimumHeight(max(0, self.sentence.heightForWidth(self.sentence.maximumWidth())))


class _Picture(QWidget):
    """A large icon on a quiet disc."""

    def __init__(self, icon: str) -> None:
        super().__init__()
        if icon not in icons.names():
            raise LookupError(f"no icon is called {icon!r}")
        self._icon = icon
        self.setFixedSize(96, 96)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.current().hover))
        painter.drawEllipse(self.rect())
        icons.paint(painter, QRectF(26, 26, 44, 44), self._icon)
        painter.end()
