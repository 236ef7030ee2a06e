"""Facts about a thing, in two columns: what, and how it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLabel, QSizePolicy, QWidget

from ui.base import fonts
from ui.base.dialogs import label
from ui.widgets.labels import ValueLabel

#: (what, value) or (what, value, tooltip of the value)
Fact = tuple[str, str] | tuple[str, str, str]

_ROW = 24
_APART = 6


class FactGrid(QWidget):
    """Two columns. Values can be selected and copied; one that does not fit is elided, or in a grid that may ``wrap``
    takes more lines. An empty value hides its row.

    ``set_facts`` keeps the rows it can, so a selection in a value survives an update of another.
    """

    def __init__(
        self,
        facts: Sequence[Fact] = (),
        name: str = "",
        label_width: int = 88,
        parent: QWidget | None = None,
        *,
        wrap: bool = False,
    ) -> None:
        super().__init__(parent)
        self._wrap = wrap
        self.setAccessibleName(name)
        self._rows: dict[str, tuple[QLabel, ValueLabel | QWidget]] = {}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(16)
        self._grid.setVerticalSpacing(0)
        self._grid.setColumnMinimumWidth(0, round(label_width * fonts.scale()))
        self._grid.setColumnStretch(1, 1)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.set_facts(facts)

    def set_facts(self, facts: Iterable[Fact]) -> None:
        """Show exactly these facts, in this order."""
        wanted = list(facts)
        if [fact[0] for fact in wanted] != list(self._rows):
            self.clear()
        for fact in wanted:
            self.set_fact(*fact)

    def set_fact(self, what: str, value: str, tooltip: str = "") -> None:
        """Add or change one fact; an empty value hides it."""
        if what not in self._rows:
            self._add(what, ValueLabel(wrap=self._wrap))
        said, shown = self._rows[what]
        if not isinstance(shown, ValueLabel):
            raise TypeError(f"{what} shows a widget, not a value")
        shown.set_value(value, tooltip)
        shown.setAccessibleName(f"{what}: {value}")
        said.setVisible(bool(value))
        shown.setVisible(bool(value))

    def set_widget(self, what: str, widget: QWidget) -> None:
        """Add a fact that is shown by a widget of its own, such as a bar.

        :raise ValueError: there is such a fact already.
        """
        if what in self._rows:
            raise ValueError(f"there is a fact {what} already")
        self._add(what, widget)

    def value(self, what: str) -> str:
        """The value of a fact.

        :raise LookupError: there is no such fact.
        """
        shown = self._rows[what][1]
        return shown.value() if isinstance(shown, ValueLabel) else ""

    def facts(self) -> list[tuple[str, str]]:
        """Every fact with a value, as it stands."""
        return [(what, self.value(what)) for what in self._rows if self.value(what)]

    def clear(self) -> None:
        """Take all facts away."""
        for said, shown in self._rows.values():
            for widget in (said, shown):
                self._grid.removeWidget(widget)
                widget.deleteLater()
        self._rows.clear()

    def _add(self, what: str, widget: ValueLabel | QWidget) -> None:
        said = label(what, "quiet")
        row = self._grid.rowCount()
        self._grid.setRowMinimumHeight(row, 0)
        if self._wrap:
            self._grid.setVerticalSpacing(_APART)
            self._grid.addWidget(said, row, 0, Qt.AlignmentFlag.AlignTop)
            self._grid.addWidget(widget, row, 1)
        else:
            self._grid.addWidget(said, row, 0, Qt.AlignmentFlag.AlignVCenter)
            self._grid.addWidget(widget, row, 1, Qt.AlignmentFlag.AlignVCenter)
            for cell in (said, widget):
                cell.setMinimumHeight(round(_ROW * fonts.scale()))
        self._rows[what] = (said, widget)
