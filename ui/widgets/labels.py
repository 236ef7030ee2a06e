"""Words that may be too long for their place, and words that can be changed where they stand."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QEnterEvent,
    QFocusEvent,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QLabel, QLineEdit, QMenu, QPlainTextEdit, QSizePolicy, QVBoxLayout, QWidget

from ui.base import icons, text, theme

#: a label never shrinks below a few letters and the ellipsis
_LEAST = 24


class ElidedLabel(QLabel):
    """One line that is cut with an ellipsis where it does not fit, and then has the whole of it as its tooltip.

    :param mode: where to cut: at the end for names, in the middle for paths.
    """

    def __init__(
        self,
        words: str = "",
        role: str = "",
        mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._mode = mode
        self._hint = ""
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        if role:
            self.setProperty("role", role)
        self.setText(words)

    def setText(self, words: str) -> None:
        super().setText(" ".join(words.splitlines()))
        self._update_tooltip()

    def set_hint(self, words: str) -> None:
        """A tooltip of its own, shown also when the text fits; below the whole text when it does not."""
        self._hint = words
        self._update_tooltip()

    def is_elided(self) -> bool:
        """Whether the text does not fit now."""
        return self.fontMetrics().horizontalAdvance(self.text()) > self.contentsRect().width()

    def minimumSizeHint(self) -> QSize:
        hint = super().minimumSizeHint()
        return QSize(min(hint.width(), _LEAST), hint.height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._update_tooltip()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._update_tooltip()

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self.is_elided():
            super().paintEvent(event)
            return
        painter = QPainter(self)
        place = self.contentsRect()
        shown = self.fontMetrics().elidedText(self.text(), self._mode, place.width())
        self.style().drawItemText(
            painter, place, self.alignment(), self.palette(), self.isEnabled(), shown, self.foregroundRole()
        )
        painter.end()

    def _update_tooltip(self) -> None:
        whole = self.text() if self.is_elided() else ""
        self.setToolTip(text.tooltip("\n".join(filter(None, (whole, self._hint)))))


_MAY_BREAK = "\u200b"
"""A place of no width where a line may end: a path has no spaces."""


class ValueLabel(QLabel):
    """A value that can be selected and copied. Where it does not fit it is elided, or goes on in another line if it may
    ``wrap``; copying gives all of it.
    """

    def __init__(self, words: str = "", parent: QWidget | None = None, *, wrap: bool = False) -> None:
        super().__init__(parent)
        self._whole = ""
        self._hint = ""
        self.setWordWrap(wrap)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        policy = QSizePolicy(
            QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum if wrap else QSizePolicy.Policy.Fixed
        )
        policy.setHeightForWidth(wrap)
        self.setSizePolicy(policy)
        self.set_value(words)

    def set_value(self, words: str, hint: str = "") -> None:
        """Show ``words``; ``hint`` is a tooltip of its own."""
        if (words, hint) == (self._whole, self._hint):
            return
        self._whole, self._hint = words, hint
        self.setAccessibleName(words)
        self._fit()
        self.updateGeometry()

    def value(self) -> str:
        """The whole value."""
        return self._whole

    def sizeHint(self) -> QSize:
        metrics = self.fontMetrics()
        return QSize(metrics.horizontalAdvance(self._whole) + 2, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        return QSize(_LEAST, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy) and self.selectedText() in ("", self.text()):
            self.copy()
            return
        super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(icons.icon("copy"), "Copy", self.copy)
        menu.popup(event.globalPos())

    def copy(self) -> None:
        """Copy the whole value, not only what fits."""
        QGuiApplication.clipboard().setText(self._whole)

    def _fit(self) -> None:
        if self.wordWrap():
            self._fit_lines()
            return
        metrics = self.fontMetrics()
        one_line = " ".join(self._whole.splitlines())
        shown = metrics.elidedText(one_line, Qt.TextElideMode.ElideRight, max(self.width(), _LEAST))
        if shown != self.text():
            self.setText(shown)
        whole = self._whole if shown != self._whole else ""
        self.setToolTip(text.tooltip("\n".join(filter(None, (whole, self._hint)))))

    def _fit_lines(self) -> None:
        shown = self._whole.replace("/", f"/{_MAY_BREAK}")
        if shown != self.text():
            self.setText(shown)
        self.setToolTip(text.tooltip(self._hint))


class _LineEditor(QLineEdit):
    """Enter commits, Esc gives up, leaving commits."""

    committed = Signal()
    given_up = Signal()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.given_up.emit()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.committed.emit()
        else:
            super().keyPressEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        if event.reason() != Qt.FocusReason.PopupFocusReason:  # its own context menu
            self.committed.emit()

    def words(self) -> str:
        return self.text().strip()

    def set_words(self, words: str) -> None:
        self.setText(words)
        self.selectAll()


class _TextEditor(QPlainTextEdit):
    """The same for several lines: Shift+Enter begins a new one."""

    committed = Signal()
    given_up = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTabChangesFocus(True)
        self.setFixedHeight(self.fontMetrics().lineSpacing() * 4 + 16)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        breaks = event.modifiers() & Qt.KeyboardModifier.ShiftModifier
        if event.key() == Qt.Key.Key_Escape:
            self.given_up.emit()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not breaks:
            self.committed.emit()
        else:
            super().keyPressEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        if event.reason() != Qt.FocusReason.PopupFocusReason:
            self.committed.emit()

    def words(self) -> str:
        return self.toPlainText().strip()

    def set_words(self, words: str) -> None:
        self.setPlainText(words)
        self.selectAll()


class EditableLabel(QWidget):
    """A name or description that is changed in place: click, F2 or Enter; then Enter keeps it and Esc gives up.

    ``committed`` carries the new words; the label shows them until :meth:`set_text` says what is true, so call that
    with the old words if they were refused. It never touches what someone is typing.

    :param what: what is edited, for a screen reader and the tooltip: "name".
    :param placeholder: shown, quietly, where there are no words.
    :param required: empty words are not committed.
    """

    committed = Signal(str)

    def __init__(
        self,
        words: str = "",
        *,
        what: str,
        role: str = "",
        placeholder: str = "",
        multiline: bool = False,
        required: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._words = ""
        self._what, self._role, self._placeholder = what, role, placeholder
        self._required, self._read_only = required, False
        self._label = QLabel() if multiline else ElidedLabel()
        self._label.setTextFormat(Qt.TextFormat.PlainText)
        self._label.setWordWrap(multiline)
        self.editor: _LineEditor | _TextEditor = _TextEditor() if multiline else _LineEditor()
        self.editor.setAccessibleName(f"Edit {what}")
        self.editor.setPlaceholderText(placeholder)
        self.editor.hide()
        self.editor.committed.connect(self._commit)
        self.editor.given_up.connect(self._end)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addWidget(self._label)
        rows.addWidget(self.editor)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        self.set_text(words)

    def text(self) -> str:
        """The words, or the ones just committed."""
        return self._words

    def set_text(self, words: str) -> None:
        """Say what the words are."""
        self._words = words
        self._label.setText(words or self._placeholder)
        role = self._role if words else "quiet"
        if self._label.property("role") != role:
            self._label.setProperty("role", role)
            self._label.style().unpolish(self._label)
            self._label.style().polish(self._label)
        self.setAccessibleName(f"{self._what}: {words}" if words else self._what)

    def set_read_only(self, read_only: bool) -> None:
        """Whether the words can be changed."""
        self._read_only = read_only
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus if read_only else Qt.FocusPolicy.TabFocus)
        if read_only and self.is_editing():
            self._end()
        self.update()

    def is_editing(self) -> bool:
        """Whether someone is typing."""
        return not self.editor.isHidden()

    def begin(self) -> None:
        """Start to edit, unless it is read-only."""
        if self._read_only or self.is_editing():
            return
        self.editor.set_words(self._words)
        self._label.hide()
        self.editor.show()
        self.editor.setFocus(Qt.FocusReason.OtherFocusReason)

    def _commit(self) -> None:
        if not self.is_editing():
            return
        words = self.editor.words()
        before = self._words
        self._end()
        if words != before and (words or not self._required):
            self.set_text(words)
            self.committed.emit(words)

    def _end(self) -> None:
        had_focus = self.editor.hasFocus()
        self.editor.hide()
        self._label.show()
        if had_focus and not self._read_only:
            self.setFocus(Qt.FocusReason.OtherFocusReason)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self.rect().contains(event.position().toPoint()):
            self.begin()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_F2, Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.begin()
        else:
            super().keyPressEvent(event)

    def enterEvent(self, event: QEnterEvent) -> None:
        super().enterEvent(event)
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        if self._read_only or self.is_editing():
            return
        paint_editable(self)


def paint_editable(widget: QWidget) -> None:
    """Show by a quiet plane, and a ring for the keyboard, that ``widget`` can be changed where it stands."""
    colours = theme.current()
    pointed, focused = widget.underMouse(), widget.hasFocus()
    if not (pointed or focused):
        return
    painter = QPainter(widget)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(colours.accent), 2) if focused else Qt.PenStyle.NoPen)
    painter.setBrush(QColor(colours.hover) if pointed else Qt.BrushStyle.NoBrush)
    painter.drawRoundedRect(QRectF(widget.rect()).adjusted(1, 1, -1, -1), 4, 4)
    painter.end()
