"""Dialogs: one sentence, the consequences, the choice. The primary button names the act.

Dialogs are awaited, never executed: a nested event loop steps other tasks while one is running, and asyncio does not
survive that::

    dialog = ConsequenceDialog("Revert billing-db?", …, primary="Revert", danger=True, parent=window)
    if await ask(dialog):
        …
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtGui import QGuiApplication, QIcon, QPainter, QPaintEvent, QShowEvent
from PySide6.QtWidgets import (
    QDialog,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid

from ui.base import fonts, icons, text
from ui.base.xe_menu import offer_xe

MARGIN = 24
GAP = 8
GROUP = 16
#: words that wrap are given this room at least, or Qt keeps height for a column as narrow as one word
_LINE_WIDTH = 380

#: (icon name, words) of one consequence
Consequence = tuple[str, str]


async def ask(dialog: QDialog, *, keep: bool = False) -> int:
    """Open ``dialog`` over its window and wait until it is closed: 1 accepted, 0 rejected.

    A dialog that is asked again is given ``keep=True``; any other is deleted once the caller waits for something else,
    so take what it holds before the next ``await``. If the waiting task is cancelled the dialog closes; if its window
    goes while it is open, that counts as rejected.
    """
    loop = asyncio.get_running_loop()
    closed: asyncio.Future[int] = loop.create_future()

    def settle(result: int) -> None:
        if not closed.done():
            closed.set_result(result)

    def gone() -> None:
        settle(QDialog.DialogCode.Rejected.value)

    dialog.finished.connect(settle)
    dialog.destroyed.connect(gone)
    dialog.open()
    try:
        return await closed
    finally:
        if isValid(dialog):
            dialog.finished.disconnect(settle)
            dialog.destroyed.disconnect(gone)
            if dialog.isVisible():
                dialog.reject()
            if not keep:
                loop.call_soon(_delete_later, dialog)


async def ask_for_path(dialog: QFileDialog) -> str:
    """Open a dialog for one file or folder and wait; the path that was chosen, or nothing. It is deleted afterwards."""
    return next(iter(dialog.selectedFiles()), "") if await ask(dialog) and isValid(dialog) else ""


def _delete_later(dialog: QDialog) -> None:
    if isValid(dialog):
        dialog.deleteLater()


class Dialog(QDialog):
    """The shell of every dialog: title, ``content``, and a row of buttons at the lower right.

    ``set_problem`` is how a dialog refuses: the primary button is disabled and says why.

    :param xe: the line for a terminal that does what the primary button does; see :mod:`ui.base.xe_lines`.
    """

    def __init__(
        self,
        title: str,
        *,
        primary: str = "",
        danger: bool = False,
        cancel: str = "Cancel",
        xe: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._xe = xe
        self.setWindowTitle(title)
        self.setAccessibleName(title)
        self.setModal(True)
        self.heading = label(title, "section")
        self.heading.setWordWrap(True)
        #: where the dialog's own widgets go
        self.content = QVBoxLayout()
        self.content.setSpacing(GAP)
        #: the row of buttons; insert further ones at its left
        self.buttons = QHBoxLayout()
        self.buttons.setSpacing(GAP)
        self.buttons.addStretch()
        #: the button that does it, if the dialog does anything
        self.primary: QPushButton | None = self._add_primary(primary, danger) if primary else None
        self.cancel = QPushButton(cancel)
        self.cancel.clicked.connect(self.reject)
        self.buttons.addWidget(self.cancel)
        if self.primary is None:
            self.cancel.setDefault(True)
        self._lay_out()

    def _lay_out(self) -> None:
        self._rows = QVBoxLayout(self)
        self._rows.setContentsMargins(MARGIN, MARGIN - 4, MARGIN, MARGIN - 4)
        self._rows.setSpacing(12)
        self._rows.addWidget(self.heading)
        self._rows.addLayout(self.content, 1)
        self._rows.addSpacing(GAP)
        self._rows.addLayout(self.buttons)
        #: the height it last gave itself
        self._fitted: int | None = None

    def _add_primary(self, words: str, danger: bool) -> QPushButton:
        button = QPushButton(words)
        button.setProperty("danger" if danger else "primary", True)
        button.setDefault(not danger)
        button.setAutoDefault(not danger)
        button.clicked.connect(self.accept)
        offer_xe(button, lambda: self.xe_line())
        self.buttons.addWidget(button)
        return button

    def xe_line(self) -> str:
        """What a terminal would be told in place of the primary button, as the answers stand; "" for nothing."""
        return self._xe

    def showEvent(self, event: QShowEvent) -> None:
        """Fit the height to words that wrap: Qt reserves room for them as if the dialog were narrow."""
        super().showEvent(event)
        if not self.testAttribute(Qt.WidgetAttribute.WA_Resized):
            self.fit()

    def fit(self) -> None:
        """Take the height that the words need now; a person's own larger size stays."""
        if self.isVisible():
            self._fit()
            # Labels know their width, and so their height, only once they have been laid out.
            QTimer.singleShot(0, self, self._fit)

    def _fit(self) -> None:
        needed = self._rows.totalHeightForWidth(self.width())
        # Qt's own least height is that of words in a column as narrow as can be.
        self.setMinimumHeight(needed)
        self.resize(self.width(), max(self.height(), needed) if self._resized_by_hand(needed) else needed)
        self._fitted = self.height()

    def _resized_by_hand(self, needed: int) -> bool:
        return self._fitted is not None and self.height() != self._fitted and self.height() > needed

    def set_problem(self, reason: str) -> None:
        """Why the primary button cannot be pressed; "" when it can."""
        if self.primary is not None:
            self.primary.setEnabled(not reason)
            self.primary.setToolTip(text.tooltip(reason))
            self.primary.setAccessibleDescription(reason)

    def add_sentence(self, words: str, role: str = "") -> QLabel:
        """Add a line of words that wraps."""
        made = label(words, role)
        made.setWordWrap(True)
        made.setMinimumWidth(_LINE_WIDTH)
        self.content.addWidget(made)
        return made


class ConsequenceDialog(Dialog):
    """What will happen in one sentence, then what follows from it, then an optional ``body`` with the choices.

    A dangerous one is red, and Enter does not do it: Cancel has the focus.
    """

    def __init__(
        self,
        title: str,
        sentence: str,
        consequences: Sequence[Consequence] = (),
        body: QWidget | None = None,
        *,
        primary: str,
        danger: bool = False,
        xe: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(title, primary=primary, danger=danger, xe=xe, parent=parent)
        self.sentence = self.add_sentence(sentence)
        self.consequences = ConsequenceList(consequences)
        self.content.addWidget(self.consequences)
        if body is not None:
            self.content.addSpacing(GAP)
            self.content.addWidget(body)
        self.content.addStretch()
        if danger:
            self.cancel.setDefault(True)
            self.cancel.setFocus()
        self.setMinimumWidth(460)
        self.setAccessibleDescription(sentence)


class ConsequenceList(QWidget):
    """A short list of consequences, each with its icon. Hidden while empty."""

    def __init__(self, consequences: Sequence[Consequence] = (), parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows = QVBoxLayout(self)
        self._rows.setContentsMargins(0, 4, 0, 4)
        self._rows.setSpacing(GAP)
        self._said: tuple[Consequence, ...] = ()
        self.set(consequences)

    def set(self, consequences: Sequence[Consequence]) -> None:
        """Show these instead.

        :raise LookupError: there is no such icon.
        """
        while (item := self._rows.takeAt(0)) is not None:
            if (row := item.widget()) is not None:
                row.hide()  # it is deleted only later, and would be seen over the new ones until then
                row.deleteLater()
        for name, words in consequences:
            row = _consequence(name, words)
            self._rows.addWidget(row)
            row.show()  # the layout would do so only later, and give it no room until then
        self._said = tuple(consequences)
        self.setVisible(bool(consequences))

    def said(self) -> tuple[Consequence, ...]:
        """What is shown."""
        return self._said


def _consequence(name: str, words: str) -> QWidget:
    row = QWidget()
    line = QHBoxLayout(row)
    line.setContentsMargins(0, 0, 0, 0)
    line.setSpacing(GAP)
    said = label(words)
    said.setWordWrap(True)
    said.setMinimumWidth(_LINE_WIDTH - 24)
    said.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
    line.addWidget(IconLabel(name), 0, Qt.AlignmentFlag.AlignTop)
    line.addWidget(said, 1)
    return row


class ErrorDialog(Dialog):
    """What happened, why, and what to do; the technical details one click away, and copied with another."""

    def __init__(
        self,
        what: str,
        why: str = "",
        what_to_do: str = "",
        details: str = "",
        *,
        primary: str = "",
        xe: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(what, primary=primary, cancel="Close", xe=xe, parent=parent)
        self.setWindowTitle(QGuiApplication.applicationDisplayName() or what)
        self._put_icon_beside_heading()
        for words, role in ((why, ""), (what_to_do, "quiet")):
            if words:
                self.add_sentence(words, role)
        self.details = _details_field(details)
        self.show_details = QPushButton("Details")
        self.copy_details = QPushButton("Copy")
        self._add_details(details)
        self.setMinimumWidth(460)
        self.setAccessibleDescription(" ".join(filter(None, (why, what_to_do))))

    def _put_icon_beside_heading(self) -> None:
        self._rows.removeWidget(self.heading)
        line = QHBoxLayout()
        line.setSpacing(GAP)
        line.addWidget(IconLabel("alert-bad", 20), 0, Qt.AlignmentFlag.AlignTop)
        line.addWidget(self.heading, 1)
        self._rows.insertLayout(0, line)

    def _add_details(self, details: str) -> None:
        self.content.addWidget(self.details)
        self.content.addStretch()
        self.details.hide()
        self.show_details.setCheckable(True)
        self.show_details.setVisible(bool(details))
        self.show_details.setAutoDefault(False)
        self.copy_details.setVisible(False)
        self.copy_details.setAutoDefault(False)
        self.show_details.toggled.connect(self._toggle_details)
        self.copy_details.clicked.connect(lambda: QGuiApplication.clipboard().setText(details))
        self.buttons.insertWidget(0, self.show_details)
        self.buttons.insertWidget(1, self.copy_details)

    def _toggle_details(self, shown: bool) -> None:
        self.details.setVisible(shown)
        self.copy_details.setVisible(shown)
        self.adjustSize()


def _details_field(details: str) -> QPlainTextEdit:
    field = QPlainTextEdit(details)
    field.setReadOnly(True)
    field.setFont(fonts.monospace())
    field.setAccessibleName("Details")
    field.setMinimumHeight(160)
    field.setTabChangesFocus(True)
    return field


class IconLabel(QLabel):
    """An icon of the family in a label; it follows the theme. Silent for a screen reader: words stand beside it."""

    def __init__(self, name: str, size: int = 16, tone: str = "text", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._size = size
        self._icon = QIcon()
        self.setFixedSize(size, max(size, fonts.pixels() + 5))
        self.set_icon(name, tone)

    def set_icon(self, name: str, tone: str = "text") -> None:
        """Show another icon.

        :raise LookupError: there is no such icon or tone.
        """
        self._icon = icons.icon(name, tone)
        self.update()

    def sizeHint(self) -> QSize:
        return self.minimumSize()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        mode = QIcon.Mode.Normal if self.isEnabled() else QIcon.Mode.Disabled
        self._icon.paint(painter, self.rect(), Qt.AlignmentFlag.AlignCenter, mode)
        painter.end()


def label(words: str, role: str = "") -> QLabel:
    """A label that shows ``words`` as they are (names may look like HTML), in one of the roles of the style sheet."""
    made = QLabel(words)
    made.setTextFormat(Qt.TextFormat.PlainText)
    if role:
        made.setProperty("role", role)
    return made


def separator() -> QFrame:
    """A line across, between two groups."""
    line = QFrame()
    line.setProperty("separator", True)
    return line
