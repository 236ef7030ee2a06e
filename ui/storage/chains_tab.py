"""The Chains tab of a storage repository: how deep its chains are, what snapshots take, and what is being merged."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QStackedLayout, QVBoxLayout, QWidget

from app.api import VDI, VM, Task
from app.client import Delta
from ui.base.dialogs import GAP, GROUP
from ui.base.sizes_and_dates import size
from ui.base.workspace import Workspace
from ui.models.question import Question
from ui.models.table_model import Column, TableModel
from ui.navigation.placement import ORPHANS
from ui.storage.depth_delegate import DEPTH_ROLE, DepthDelegate, tone_of
from ui.storage.health import Answer, Family, ask, report, summary, verdict
from ui.storage.merges_card import MergesCard
from ui.widgets.cards import Card, EmptyState
from ui.widgets.labels import ElidedLabel
from ui.widgets.marks import Pill
from ui.widgets.views import TableView

_DEPTH: Final = 1
_WIDTHS: Final = (0, 190, 96, 88, 84, 72)
#: what a merge waits for changes without an event
_POLL_MS: Final = 2000


def columns() -> list[Column[Family]]:
    """VM, depth, snapshots and what they take, what all takes, merges."""
    return [
        Column(title="VM", text=lambda f: f.name, icon=lambda f: f.icon, tooltip=_about),
        Column(
            title="Deepest chain",
            text=lambda f: f.depth_words,
            order=lambda f: f.depth,
            tone=lambda f: "" if tone_of(f.depth, f.limit) == "accent" else tone_of(f.depth, f.limit),
            tooltip=lambda _f: "The mark is where merging begins by itself.",
            roles={DEPTH_ROLE: lambda f: (f.depth, f.limit) if f.depth else None},
        ),
        Column(title="Snapshots", text=lambda f: str(f.snapshots), order=lambda f: f.snapshots, right=True),
        Column(
            title="They take",
            text=lambda f: size(max(0, f.snapshots_size)),
            order=lambda f: f.snapshots_size,
            tooltip=lambda _f: "Freed at once by deleting all its snapshots; more follows when chains are merged.",
            right=True,
        ),
        Column(
            title="In all",
            text=lambda f: size(max(0, f.exclusive)),
            order=lambda f: f.exclusive,
            tooltip=lambda _f: "Freed by deleting it with its snapshots. What it shares with others is not counted.",
            right=True,
        ),
        Column(title="Merges", text=lambda f: str(f.merges or ""), order=lambda f: f.merges, right=True),
    ]


def _about(family: Family) -> str:
    gone = "The VM is gone; snapshots of it are left." if family.gone else ""
    missing = f"Images of its chains are missing: {family.missing}." if family.missing else ""
    return "\n".join(filter(None, (family.name, gone, missing)))


class ChainsTab(QWidget):
    """Asks the engine when it is looked at, and again when disks change. Hidden, it asks nothing."""

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self.setAccessibleName("Chains")
        self.question: Question[tuple[Answer, Answer | None]] = Question(
            workspace, lambda ref: ask(workspace.session, ref), self
        )
        self.health = Pill("")
        self.summary = ElidedLabel("", "quiet")
        self.merges = MergesCard(workspace)
        self.model: TableModel[Family] = TableModel(columns())
        self.table = TableView("Chains by VM", "There is no VM with a disk in this storage.")
        self.nothing = EmptyState("merge", "Looking at the chains…")
        self._pages = QStackedLayout(self)
        deepest_first = (_DEPTH, Qt.SortOrder.DescendingOrder)
        self.table.show_rows(self.model, _WIDTHS, deepest_first, (workspace.settings, "sr-chains"))
        self.table.setItemDelegateForColumn(_DEPTH, DepthDelegate(self.table))
        self._lay_out()
        self._poll = QTimer(self)
        self._poll.setInterval(_POLL_MS)
        self._poll.timeout.connect(self.question.again)
        self.question.answered.connect(self._show)
        self.merges.opened.connect(lambda vm: workspace.show("VM", vm, "snapshots"))
        self.table.doubleClicked.connect(lambda _index: self._open())
        workspace.changed.connect(self._follow)

    def show_object(self, _cls: str, ref: str) -> None:
        """Show the storage repository of that reference."""
        if ref != self.question.ref:
            self.table.clearSelection()
            self.nothing.set_sentence("Looking at the chains…")
            self._pages.setCurrentIndex(1)
        self.question.ref = ref if not self.isVisible() else self.question.ref
        self.merges.show_repository(ref)
        if self.isVisible():
            self.question.about(ref)

    def _lay_out(self) -> None:
        line = QHBoxLayout()
        line.setSpacing(GAP)
        line.addWidget(self.health)
        line.addWidget(self.summary, 1)
        card = Card(margin=4)
        card.content.addWidget(self.table)
        page = QWidget()
        rows = QVBoxLayout(page)
        rows.setContentsMargins(24, GROUP, 24, GROUP)
        rows.setSpacing(12)
        rows.addLayout(line)
        rows.addWidget(self.merges)
        rows.addWidget(card, 1)
        self._pages.addWidget(page)
        self._pages.addWidget(self.nothing)
        self._pages.setCurrentIndex(1)

    # ---- following --------------------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self.question.ref:
            self.question.about(self.question.ref)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._poll.stop()
        self.question.stop()

    def _follow(self, delta: Delta) -> None:
        if not self.isVisible():
            return
        if ("SR", self.question.ref) in delta.changed:
            self.merges.show_repository(self.question.ref)
        if delta.touches(VDI, VM):
            self.question.again()
        elif delta.touches(Task) and self.question.answer is not None:
            self._show()

    def _show(self) -> None:
        answer = self.question.answer
        if answer is None:
            self.nothing.set_sentence("This storage does not tell of its chains.")
            self._pages.setCurrentIndex(1)
            return
        found = report(self._workspace.cache, self.question.ref, answer)
        self.health.set_state(*verdict(found))
        self.summary.setText(summary(found))
        self.model.set_items(found.families)
        self.merges.show_merges(found.merges)
        self.merges.setVisible(answer[1] is not None)
        self._pages.setCurrentIndex(0)
        if found.merges and self.isVisible():
            self._poll.start()
        else:
            self._poll.stop()

    def _open(self) -> None:
        key = self.model.key(self.table.currentIndex())
        if key is not None and self._workspace.cache.get(VM, key) is not None:
            self._workspace.show("VM", key, "snapshots")
        elif key is not None:
            self._workspace.show(*ORPHANS)
