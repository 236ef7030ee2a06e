"""What became of one act on several things: a row for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtGui import QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QHeaderView, QWidget

from ui.base import icons, text
from ui.base.dialogs import Dialog
from ui.widgets.views import TableView

_WIDTH, _NAME, _TALLEST = 560, 220, 320


@dataclass(frozen=True, slots=True)
class Result:
    """One thing by name, and what became of it: words, and whether that is a failure. ``left_out``: never tried."""

    name: str
    words: str
    failed: bool = False
    left_out: bool = False

    @property
    def icon(self) -> str:
        """How it ended, as an icon."""
        return "alert-bad" if self.failed else "alert-info" if self.left_out else "alert-good"


class ResultsDialog(Dialog):
    """The results, failures first; the list can be copied.

    :param title: the act, as "Take Snapshot".
    :param sentence: what the results amount to; "" where a failure leaves things as they were.
    """

    def __init__(
        self, title: str, results: Sequence[Result], parent: QWidget | None = None, *, sentence: str = ""
    ) -> None:
        done = sum(not result.failed and not result.left_out for result in results)
        super().__init__(f"{title}: {done} of {len(results)} done", cancel="Close", parent=parent)
        failed = sum(result.failed for result in results)
        self.add_sentence(sentence or _sentence(failed, sum(result.left_out for result in results)))
        self.table = TableView("Results")
        model = QStandardItemModel(0, 2, self.table)
        model.setHorizontalHeaderLabels(["Name", "Result"])
        for result in sorted(results, key=lambda result: (not result.failed, not result.left_out)):
            shown = QStandardItem(icons.icon(result.icon), result.words)
            shown.setToolTip(text.tooltip(result.words))
            model.appendRow([QStandardItem(result.name), shown])
        self.table.setModel(model)
        self.table.setColumnWidth(0, _NAME)
        self.table.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        self.table.setMinimumWidth(_WIDTH)
        self.table.setFixedHeight(min(_TALLEST, 48 + 28 * len(results)))
        self.content.addWidget(self.table, 1)
        self.setAccessibleDescription(". ".join(f"{r.name}: {r.words}" for r in results if r.failed or r.left_out))


def _sentence(failed: int, left_out: int) -> str:
    parts = []
    if failed:
        parts.append(f"{failed} failed and {'is' if failed == 1 else 'are'} as before")
    if left_out:
        parts.append(f"{left_out} {'was' if left_out == 1 else 'were'} left out")
    return f"{'; '.join(parts)}." if parts else "All of it was done."
