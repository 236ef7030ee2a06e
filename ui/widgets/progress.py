"""How far something is, and how full something is."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QSizePolicy, QVBoxLayout, QWidget

from ui.base import motion, theme
from ui.base import sizes_and_dates as words
from ui.base.dialogs import GAP, IconLabel
from ui.widgets.buttons import icon_button
from ui.widgets.labels import ElidedLabel

_STEPS = 1000
#: where a disk is nearly full, and where it is full for most purposes
NEARLY_FULL = 0.85
FULL = 0.95


class TaskProgress(QWidget):
    """What is being done, how far, and why it waits; with a button to cancel it while that is possible.

    One line of words above a thin bar, and a quiet line below for "1.2 of 1.9 GiB, 8 s left" or "waits for web-01".
    """

    cancelled = Signal()

    def __init__(self, title: str = "", *, cancellable: bool = True, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = ElidedLabel(title)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.detail = ElidedLabel("", "secondary")
        self.cancel = icon_button("close", "Cancel")
        self.cancel.clicked.connect(self._cancel)
        self._mark = IconLabel("alert-bad")
        self._mark.hide()
        first = QHBoxLayout()
        first.setSpacing(GAP)
        first.addWidget(self._mark)
        first.addWidget(self.title, 1)
        first.addWidget(self.cancel)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(4)
        rows.addLayout(first)
        rows.addWidget(self.bar)
        rows.addWidget(self.detail)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.set_title(title)
        self.set_progress(None)
        self.set_cancellable(cancellable)

    def set_title(self, title: str) -> None:
        """What is being done."""
        self.title.setText(title)
        self.setAccessibleName(title)
        self.bar.setAccessibleName(title)

    def set_progress(self, fraction: float | None, detail: str = "") -> None:
        """How far it is, 0 to 1; None: it is not known, and the bar only shows that something goes on."""
        if fraction is None and motion.is_reduced():
            self.bar.setRange(0, _STEPS)
            self.bar.setValue(0)
            detail = detail or "Working…"
        elif fraction is None:
            self.bar.setRange(0, 0)
        else:
            self.bar.setRange(0, _STEPS)
            self.bar.setValue(round(min(1.0, max(0.0, fraction)) * _STEPS))
        self._show("", "", detail)

    def set_waiting(self, reason: str) -> None:
        """It does nothing now, because of ``reason``."""
        self.bar.setRange(0, _STEPS)  # an unknown end would keep the bar moving
        self._show("attention", "clock", reason)

    def set_failed(self, reason: str) -> None:
        """It ended without success."""
        self.bar.setRange(0, _STEPS)
        self._show("bad", "alert-bad", reason)
        self.cancel.hide()

    def set_done(self, detail: str = "") -> None:
        """It ended well."""
        self.bar.setRange(0, _STEPS)
        self.bar.setValue(_STEPS)
        self._show("", "alert-good", detail)
        self.cancel.hide()

    def set_cancellable(self, cancellable: bool, reason: str = "") -> None:
        """Whether it can be cancelled; beyond the point of no return ``reason`` says so."""
        self.cancel.setEnabled(cancellable)
        self.cancel.setToolTip("Cancel" if cancellable else reason)
        self.cancel.setVisible(cancellable or bool(reason))

    def _cancel(self) -> None:
        self.set_cancellable(False, "Cancelling…")
        self.cancelled.emit()

    def _show(self, tone: str, icon: str, detail: str) -> None:
        if self.bar.property("tone") != tone:
            self.bar.setProperty("tone", tone)
            self.bar.style().unpolish(self.bar)
            self.bar.style().polish(self.bar)
        if icon:
            self._mark.set_icon(icon)
        self._mark.setVisible(bool(icon))
        self.detail.setText(detail)
        self.detail.setVisible(bool(detail))
        self.setAccessibleDescription(detail)


class CapacityBar(QWidget):
    """How much of a whole is used: a bar, and its words below ("412 GiB free of 1 TiB").

    Beyond 85 % it is amber and says "nearly full", beyond 95 % red and "full".
    """

    _BAR = 8

    def __init__(self, name: str = "Space", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name = name
        self._parts: tuple[tuple[float, str], ...] = ()
        self._label = ElidedLabel("", "secondary")
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, self._BAR + 4, 0, 0)
        rows.addWidget(self._label)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.set_values(0, 0)

    def set_values(self, used: int, total: int, coming: int = 0) -> None:
        """Bytes used, in all, and about to be used by what is being decided (drawn lighter).

        :raise ValueError: a value is negative.
        """
        if min(used, total, coming) < 0:
            raise ValueError(f"there is no such space: {used} used and {coming} to come of {total} bytes")
        share = (used + coming) / total if total else 0.0
        tone = "bad" if share >= FULL else "attention" if share >= NEARLY_FULL else "accent"
        self._parts = ((used / total, tone), (coming / total, "coming")) if total else ()
        self._label.setText(_capacity(used, total, coming, share))
        self._label.setProperty("tone", "" if tone == "accent" else tone)
        self._label.style().unpolish(self._label)
        self._label.style().polish(self._label)
        self.setAccessibleName(f"{self._name}: {self._label.text()}")
        self.update()

    def words(self) -> str:
        """What stands below the bar."""
        return self._label.text()

    def sizeHint(self) -> QSize:
        hint = super().sizeHint()
        return QSize(max(160, hint.width()), hint.height())

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        paint_capacity(painter, QRectF(0, 0, self.width(), self._BAR), self._parts)
        painter.end()


def _capacity(used: int, total: int, coming: int, share: float) -> str:
    if not total:
        return "Size not known"
    free = max(0, total - used)
    said = f"{words.size(free)} free of {words.size(total)}"
    if coming:
        said += f", {words.size(max(0, free - coming))} after this"
    return f"{said} · {'full' if share >= FULL else 'nearly full'}" if share >= NEARLY_FULL else said


def paint_capacity(painter: QPainter, rect: QRectF, parts: tuple[tuple[float, str], ...]) -> None:
    """A capacity bar by hand: ``parts`` are (share of the whole, tone), "coming" for a light accent."""
    colours = theme.current()
    tones = colours.named() | {"coming": colours.border}
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    groove = QPainterPath()
    groove.addRoundedRect(rect, rect.height() / 2, rect.height() / 2)
    painter.fillPath(groove, QColor(colours.line))
    painter.setClipPath(groove)
    painter.setPen(Qt.PenStyle.NoPen)
    left = rect.left()
    for share, tone in parts:
        width = rect.width() * min(1.0, share)
        painter.fillRect(QRectF(left, rect.top(), width, rect.height()), QColor(tones[tone]))
        left += width
    painter.restore()
