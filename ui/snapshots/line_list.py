"""A short list of lines, each with its icon, for the details pane."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from ui.base.dialogs import GAP, Consequence, IconLabel, label


class LineList(QWidget):
    """Lines with icons, and a heading if there is one, for a narrow column. Hidden while empty."""

    def __init__(self, heading: str = "") -> None:
        super().__init__()
        self._said: list[Consequence] = []
        self._rows = QVBoxLayout(self)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setSpacing(6)
        self._first = 1 if heading else 0
        if heading:
            self._rows.addWidget(label(heading, "strong"))
        self.setAccessibleName(heading)

    def said(self) -> list[Consequence]:
        """What is shown."""
        return self._said

    def set(self, consequences: list[Consequence]) -> None:
        """Show these instead."""
        self.setVisible(bool(consequences))
        if consequences == self._said:
            return
        self._said = consequences
        while (item := self._rows.takeAt(self._first)) is not None:
            if (row := item.widget()) is not None:
                row.hide()
                row.deleteLater()
        for icon, said in consequences:
            self._rows.addWidget(_line_of(icon, said))
        self.setAccessibleDescription(". ".join(said for _, said in consequences))


def _line_of(icon: str, said: str) -> QWidget:
    row = QWidget()
    line = QHBoxLayout(row)
    line.setContentsMargins(0, 0, 0, 0)
    line.setSpacing(GAP)
    shown = label(said, "quiet")
    shown.setWordWrap(True)
    shown.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
    line.addWidget(IconLabel(icon), 0, Qt.AlignmentFlag.AlignTop)
    line.addWidget(shown, 1)
    return row
