"""The frame of a notifications page: a title, tools, a table, and below it what is chosen in the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout

from ui.base.dialogs import GAP, GROUP, separator
from ui.base.workspace import Workspace
from ui.models.table_model import TableModel
from ui.navigation.title_strip import TitleStrip
from ui.navigation.titles import Title
from ui.widgets.buttons import Segmented
from ui.widgets.cards import Card
from ui.widgets.search_field import SearchField
from ui.widgets.seen_page import SeenPage
from ui.widgets.views import TableView

_EDGE = 24


class RowsTable(TableView):
    """A table whose Enter and Del are told."""

    opened = Signal()
    dismissed = Signal()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.opened.emit()
        elif event.key() == Qt.Key.Key_Delete:
            self.dismissed.emit()
        else:
            super().keyPressEvent(event)


class ListPage(SeenPage):
    """A page of rows. A subclass fills the model, and shows what is chosen in ``details``.

    :param kinds: (key, words) of the switch at the left.
    :param widths: of the columns; the one of width 0 takes what is left.
    :param empty: what an empty table says, and `without` what it says where a kind alone hides every row.
    """

    def __init__(
        self,
        workspace: Workspace,
        title: Title,
        model: TableModel[Any],
        kinds: Sequence[tuple[str, str]],
        widths: Sequence[int],
        *,
        empty: str,
        without: Mapping[str, str],
        newest: int,
    ) -> None:
        super().__init__()
        self._without = without
        self.workspace, self.model, self._empty, self._title = workspace, model, empty, title
        self.setAccessibleName(title.name)
        self.strip = TitleStrip()
        self.strip.show_title(title)
        self.kinds = Segmented(kinds, f"Which {title.name.lower()}")
        self.kinds.chosen.connect(lambda _key: self.refilter())
        self.search = SearchField("Filter…")
        self.search.setMaximumWidth(220)
        self.search.searched.connect(lambda _words: self.refilter())
        self.tools = QHBoxLayout()
        self.tools.setSpacing(GAP)
        self.table = RowsTable(title.name, empty)
        self._fill_table(widths, newest)
        self.details = Card()
        self.details.hide()
        self._lay_out()

    def _fill_table(self, widths: Sequence[int], newest: int) -> None:
        remembered = (self.workspace.settings, self._title.name.lower())
        self.table.show_rows(self.model, widths, (newest, Qt.SortOrder.DescendingOrder), remembered)
        self.table.selectionModel().selectionChanged.connect(lambda *_: self.show_details())
        self.model.modelReset.connect(self.show_details)

    def _lay_out(self) -> None:
        bar = QHBoxLayout()
        bar.setSpacing(GAP)
        bar.addWidget(self.kinds)
        bar.addWidget(self.search)
        bar.addStretch()
        bar.addLayout(self.tools)
        card = Card(margin=4)
        card.content.addWidget(self.table)
        page = QVBoxLayout()
        page.setContentsMargins(_EDGE, GROUP, _EDGE, GROUP)
        page.setSpacing(12)
        page.addLayout(bar)
        page.addWidget(card, 1)
        page.addWidget(self.details)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(0)
        self.strip.setContentsMargins(0, 0, 0, 8)
        rows.addWidget(self.strip)
        rows.addWidget(separator())
        rows.addLayout(page, 1)

    def take_focus(self) -> None:
        """The keyboard goes to the table."""
        self.table.setFocus(Qt.FocusReason.OtherFocusReason)

    def chosen(self) -> list[str]:
        """The keys of the chosen rows."""
        keys = (self.model.key(index) for index in self.table.selectionModel().selectedRows())
        return [key for key in keys if key is not None]

    def say_where(self, words: str) -> None:
        """What stands beside the title."""
        self.strip.show_title(Title(self._title.icon, self._title.name, words))

    def say_empty(self) -> None:
        """An empty table says whether there is nothing, or nothing of what was asked for."""
        if not self.model.items:
            words = self._empty
        elif self.search.text():
            words = "Nothing here is like that. Change the filter to see more."
        else:
            words = self._without.get(self.kinds.current(), self._empty)
        self.table.set_empty_text(words)

    def refilter(self) -> None:
        """The switch or the words of the filter changed."""
        raise NotImplementedError

    def show_details(self) -> None:
        """Other rows are chosen, or the chosen ones changed."""
        raise NotImplementedError


def matches(words: str, *texts: str) -> bool:
    """Whether every word is somewhere in the texts."""
    text = "\n".join(texts).casefold()
    return all(word in text for word in words.casefold().split())
