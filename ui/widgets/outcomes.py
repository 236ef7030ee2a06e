"""What an act on several objects did not do, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtGui import QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QHeaderView, QWidget

from ui.base import icons
from ui.base.dialogs import Dialog
from ui.base.sizes_and_dates import count
from ui.widgets.views import TableView


@dataclass(frozen=True)
class Outcome:
    """What became of an act on one object; `error` is None where it was never tried, for `reason`."""

    ref: str
    name: str
    reason: str
    error: Exception | None = None


class OutcomeDialog(Dialog):
    """The objects an act did not happen to, each with its reason; the list can be copied.

    :param what: what one of them is, as "VM".
    """

    def __init__(
        self, title: str, tried: int, failed: Sequence[Outcome], what: str = "VM", parent: QWidget | None = None
    ) -> None:
        super().__init__(f"{title}: {count(len(failed), what)} of {tried} left out", cancel="Close", parent=parent)
        done = tried - len(failed)
        self.add_sentence(f"It was done to {count(done, what)}." if done else "It was not done to any of them.")
        self.table = TableView(f"{what}s left out, and why")
        model = QStandardItemModel(0, 2, self.table)
        model.setHorizontalHeaderLabels(["Name", "Reason"])
        for outcome in failed:
            reason = QStandardItem(icons.icon("alert-bad" if outcome.error else "alert-info"), outcome.reason)
            reason.setToolTip(outcome.reason)
            model.appendRow([QStandardItem(outcome.name), reason])
        self.table.setModel(model)
        self.table.setColumnWidth(0, 200)
        self.table.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        self.table.setMinimumWidth(560)
        self.table.setFixedHeight(min(320, 48 + 28 * len(failed)))
        self.content.addWidget(self.table, 1)
