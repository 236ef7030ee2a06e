"""What waits to be merged in a repository: how far, why it waits, how fast, and the button that does it now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QHeaderView

from app.api import SR, Ref
from ui.base.dialogs import GAP, label
from ui.base.sizes_and_dates import rate, size
from ui.base.workspace import Workspace
from ui.base.xe_lines import cancel_lines
from ui.base.xe_menu import offer_xe
from ui.models.kept_places import KeptPlaces
from ui.models.table_model import Column, TableModel
from ui.storage.health import SPEED_KEY, STATES, Merge, merges_words
from ui.storage.xe_lines import speed_line
from ui.widgets.buttons import ActionButton, button
from ui.widgets.cards import Card
from ui.widgets.labels import ElidedLabel
from ui.widgets.progress_delegate import PROGRESS_ROLE, ProgressDelegate
from ui.widgets.views import TableView

MIB: Final = 1024**2
_SPEEDS: Final = (0, 10 * MIB, 25 * MIB, 50 * MIB, 100 * MIB, 250 * MIB, 500 * MIB)
_UNLIMITED: Final = "As fast as it goes"
_MOST_ROWS: Final = 4
_PROGRESS: Final = 2
_ORDER: Final = tuple(STATES)


def _columns() -> list[Column[Merge]]:
    return [
        Column(title="VM", text=lambda m: m.name, icon=lambda _m: "merge"),
        Column(
            title="State",
            text=lambda m: STATES[m.state][1],
            icon=lambda m: STATES[m.state][0],
            order=lambda m: _ORDER.index(m.state),
        ),
        Column(
            title="Progress, or why it waits",
            text=lambda m: m.reason,
            tooltip=lambda m: m.reason,
            order=lambda m: (-(m.progress or 0), m.reason),
            roles={PROGRESS_ROLE: lambda m: m.progress},
        ),
        Column(title="To move", text=lambda m: size(m.size), order=lambda m: m.size, right=True),
    ]


class MergesCard(Card):
    """Follows what it is given; the speed is the repository's own setting."""

    #: a VM whose merge was double-clicked
    opened = Signal(str)

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.setAccessibleName("Merges")
        self._workspace = workspace
        self._ref = ""
        self.words = ElidedLabel("", "quiet")
        self.speed = QComboBox()
        self.speed.setAccessibleName("Speed of merges")
        self.now = ActionButton(workspace.commands.action("sr.coalesce"), words="Merge Now")
        self.cancel = button("Cancel", "close")
        self.model: TableModel[Merge] = TableModel(_columns())
        self.table = TableView("Merges")
        self.table.setModel(self.model)
        KeptPlaces(self.table, self.model.key, self.model.index_of)
        self._lay_out()
        self.speed.activated.connect(self._set_speed)
        self.cancel.clicked.connect(self._cancel)
        offer_xe(self.cancel, lambda: cancel_lines(workspace.cache, (merge.task for merge in self._chosen())))
        offer_xe(self.speed, self.speed_line)
        self.table.doubleClicked.connect(lambda _index: self._open())
        self.table.selectionModel().selectionChanged.connect(lambda *_: self._gate())
        self.show_merges({})

    def _lay_out(self) -> None:
        line = QHBoxLayout()
        line.setSpacing(GAP)
        line.addWidget(label("Merges", "strong"))
        line.addStretch()
        line.addWidget(label("Speed", "quiet"))
        line.addWidget(self.speed)
        line.addWidget(self.cancel)
        line.addWidget(self.now)
        self.content.addLayout(line)
        self.content.addWidget(self.words)
        self.content.addWidget(self.table)
        header = self.table.horizontalHeader()
        header.setStretchLastSection(False)
        self.table.setSortingEnabled(True)
        self.table.sortByColumn(1, self.table.horizontalHeader().sortIndicatorOrder().AscendingOrder)
        for column, width in ((0, 160), (1, 100), (3, 84)):
            self.table.setColumnWidth(column, width)
        header.setSectionResizeMode(_PROGRESS, QHeaderView.ResizeMode.Stretch)
        self.table.setItemDelegateForColumn(_PROGRESS, ProgressDelegate(self.table))

    def show_repository(self, ref: str) -> None:
        """Whose merges these are."""
        self._ref = ref
        record = self._workspace.cache.get(SR, ref)
        self._show_speed(0 if record is None else speed_of(record))

    def show_merges(self, merges: Mapping[str, Merge]) -> None:
        """Show these."""
        self.model.set_items(merges)
        self.words.setText(merges_words(merges))
        self.table.setVisible(bool(merges))
        self.table.setFixedHeight(44 + 28 * min(_MOST_ROWS, len(merges)))
        self._gate()

    def _show_speed(self, octets: int) -> None:
        speeds = sorted({*_SPEEDS, octets})
        if [self.speed.itemData(place) for place in range(self.speed.count())] != speeds:
            self.speed.clear()
            for value in speeds:
                self.speed.addItem(f"At most {rate(value)}" if value else _UNLIMITED, value)
        self.speed.setCurrentIndex(self.speed.findData(octets))

    def speed_line(self) -> str:
        """What a terminal would be told to merge as fast as is shown."""
        record = self._workspace.cache.get(SR, self._ref)
        return speed_line(record, int(self.speed.currentData())) if record is not None else ""

    def _set_speed(self) -> None:
        self._workspace.spawn(self._send(self._ref, int(self.speed.currentData())), "Setting the speed of merges")

    async def _send(self, ref: str, octets: int) -> None:
        record = self._workspace.cache.get(SR, ref)
        if record is None or speed_of(record) == octets:
            return
        others = {key: value for key, value in record.other_config.items() if key != SPEED_KEY}
        wanted = {**others, SPEED_KEY: str(octets)} if octets else others
        try:
            await self._workspace.session.set(SR, Ref(ref), other_config=wanted)
        except Exception:
            self._show_speed(speed_of(record))  # it was refused: the old speed is the true one
            raise

    def _chosen(self) -> list[Merge]:
        rows = self.table.selectionModel().selectedRows()
        return [self.model.items[key] for row in rows if (key := self.model.key(row)) is not None]

    def _gate(self) -> None:
        running = [merge for merge in self._chosen() if merge.task]
        self.cancel.setVisible(any(merge.task for merge in self.model.items.values()))
        self.cancel.setEnabled(bool(running))
        self.cancel.setToolTip("" if running else "Choose a merge that runs.")

    def _cancel(self) -> None:
        for merge in self._chosen():
            if merge.task:
                self._workspace.spawn(self._workspace.session.task.cancel(Ref(merge.task)), "Cancelling")

    def _open(self) -> None:
        key = self.model.key(self.table.currentIndex())
        if key is not None and self.model.items[key].vm:
            self.opened.emit(self.model.items[key].vm)


def speed_of(record: SR) -> int:
    """The speed limit of a repository's merges in bytes a second, 0 for none."""
    text = record.other_config.get(SPEED_KEY, "")
    return int(text) if text.isdecimal() else 0
