"""Something to know: a bar in the page, or a note that rises over the window and goes by itself."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QAccessible, QAccessibleEvent, QColor
from PySide6.QtWidgets import QFrame, QGraphicsDropShadowEffect, QHBoxLayout, QSizePolicy, QWidget

from ui.base import motion, theme
from ui.base.dialogs import GAP, IconLabel, label
from ui.base.palette import MEANINGS
from ui.widgets.buttons import button, icon_button

#: how long a toast stays, in milliseconds: three seconds and a little more for each word
_STAY, _STAY_PER_WORD = 3000, 250
_TOAST_WIDTH = 380
_LINE = 24
_EDGE = 16


class Notice(QFrame):
    """One sentence on a plane of its meaning, with an optional act and a way to dismiss it.

    :param tone: "info", "good", "attention" or "bad".
    :param act: the words of a button beside the sentence.
    """

    acted = Signal()
    dismissed = Signal()

    def __init__(
        self,
        sentence: str = "",
        tone: str = "info",
        act: str = "",
        *,
        dismissible: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._mark = IconLabel("alert-info")
        self._sentence = label("")
        self._mark.setFixedHeight(_LINE)
        self._sentence.setWordWrap(True)
        self._sentence.setContentsMargins(0, 4, 0, 4)
        self._sentence.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.act = button("", kind="link")
        self.act.setMinimumHeight(_LINE)
        self.act.clicked.connect(self.acted)
        self.close_button = icon_button("close", "Dismiss")
        self.close_button.setFixedSize(_LINE, _LINE)
        self.close_button.setProperty("small", True)
        self.close_button.setVisible(dismissible)
        self.close_button.clicked.connect(self.dismiss)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 6, 8 if dismissible else 12, 6)
        row.setSpacing(GAP)
        row.addWidget(self._mark, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self._sentence, 1, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self.act, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self.close_button, 0, Qt.AlignmentFlag.AlignTop)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        self.say(sentence, tone, act)

    def say(self, sentence: str, tone: str = "info", act: str = "") -> None:
        """Say something else.

        :raise ValueError: there is no such tone.
        """
        if tone not in MEANINGS:
            raise ValueError(f"no notice is {tone!r}")
        self._sentence.setText(sentence)
        self._mark.set_icon(f"alert-{tone}")
        self.act.setText(act)
        self.act.setVisible(bool(act))
        if self.property("notice") != tone:
            self.setProperty("notice", tone)
            self.style().unpolish(self)
            self.style().polish(self)
        self.setAccessibleName(sentence)

    def sentence(self) -> str:
        """What it says."""
        return self._sentence.text()

    def dismiss(self) -> None:
        """Go, and tell."""
        self.hide()
        self.dismissed.emit()


class Toast(Notice):
    """A notice over the lower right of a window, above those that are there already.

    It goes after a few seconds, later while it is pointed at; bad news stays until it is dismissed.
    """

    def __init__(self, window: QWidget, sentence: str, tone: str = "good", act: str = "") -> None:
        # The window is asked for by parentWidget() and not kept: a child with the last reference to its parent would
        # end it in the middle of its own destruction.
        super().__init__(sentence, tone, act, dismissible=True, parent=window)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.dismiss)
        self.setFixedWidth(min(_TOAST_WIDTH, window.width() - 2 * _EDGE))
        shadow = QGraphicsDropShadowEffect(self)
        shadow.setBlurRadius(24)
        shadow.setOffset(0, 4)
        shade = QColor(theme.current().shadow)
        shade.setAlpha(90 if theme.current().is_dark else 45)
        shadow.setColor(shade)
        self.setGraphicsEffect(shadow)
        self.acted.connect(self.dismiss)

    def rise(self) -> None:
        """Appear."""
        self.resize(self.width(), self.heightForWidth(self.width()))
        place = self._place()
        self.move(place + QPoint(0, 12))
        self.show()
        self.raise_()
        motion.animate(self, "pos", place)
        self._stay()
        QAccessible.updateAccessibility(QAccessibleEvent(self, QAccessible.Event.Alert))

    def dismiss(self) -> None:
        self._timer.stop()
        super().dismiss()
        replace_toasts(self._over())
        self.deleteLater()

    def _over(self) -> QWidget:
        window = self.parentWidget()
        assert window is not None, "a toast is made with its window"
        return window

    def _stay(self) -> None:
        if self.property("notice") != "bad":
            self._timer.start(_STAY + _STAY_PER_WORD * len(self.sentence().split()))

    def _place(self) -> QPoint:
        """The lower right corner, above the older toasts."""
        window = self._over()
        below = 0
        for other in _toasts(window):
            if other is self:
                break
            below += other.height() + GAP
        corner = window.rect().bottomRight()
        return QPoint(corner.x() - self.width() - _EDGE, corner.y() - self.height() - _EDGE - 28 - below)

    def enterEvent(self, event: QEvent) -> None:
        self._timer.stop()

    def leaveEvent(self, event: QEvent) -> None:
        self._stay()


def _toasts(window: QWidget) -> list[Toast]:
    """The toasts of a window that are up, oldest first."""
    found = window.findChildren(Toast, options=Qt.FindChildOption.FindDirectChildrenOnly)
    return [toast for toast in found if not toast.isHidden()]


def replace_toasts(window: QWidget) -> None:
    """Put the toasts of ``window`` into its corner again. A window calls this when it is resized.

    (An event filter of each toast would do it unasked, but one in Python may be called while the window is destroyed.)
    """
    for shown in _toasts(window):
        shown.move(shown._place())


def toast(
    window: QWidget, sentence: str, tone: str = "good", act: str = "", on_act: Callable[[], None] | None = None
) -> Toast:
    """Show a toast in ``window``.

    :raise ValueError: there is no such tone.
    """
    made = Toast(window, sentence, tone, act)
    if on_act is not None:
        made.acted.connect(on_act)
    made.rise()
    return made
