"""The pool's Timeline tab: all snapshots in time, and choosing some to delete."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from PySide6.QtCore import QTimer
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.api import VM, VMSS, ConnectionLost, Failure
from app.client import Delta
from ui.base.commands import Selection
from ui.base.dialogs import GAP, GROUP, MARGIN, IconLabel, label
from ui.base.sizes_and_dates import count
from ui.base.workspace import Workspace
from ui.base.xe_menu import offer_xe
from ui.schedules.draft import draft_of
from ui.schedules.lanes import lanes_of
from ui.schedules.timeline_view import TimelineView
from ui.widgets.buttons import ActionButton, Segmented, button, icon_button
from ui.widgets.cards import Card

_AHEAD: Final = 30
_MINUTE_MS: Final = 60_000
_SPANS: Final = (("day", "Day"), ("week", "Week"), ("month", "Month"), ("quarter", "Quarter"))
#: the selection of the Snapshots tab, whose commands act on what is brushed here too
_SNAPSHOTS: Final = "snapshots"


class TimelineTab(QWidget):
    """Shows the pool, whichever it is: a window has one."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self._workspace = workspace
        self._upcoming: dict[str, Sequence[datetime]] = {}
        self._asking: asyncio.Task[None] | None = None
        self.setAccessibleName("Timeline")
        self.spans = Segmented(_SPANS, "How much time is shown", "week")
        self.earlier = icon_button("chevron-left", "Earlier")
        self.later = icon_button("chevron-right", "Later")
        self.schedules = ActionButton(workspace.commands.action("pool.schedules"))
        self.delete = button("Delete…", "delete")
        self.said = label("", "quiet")
        self.view = TimelineView()
        self._lay_out()
        self._minute = QTimer(self)
        self._minute.setInterval(_MINUTE_MS)
        self._minute.timeout.connect(self.refresh)
        self._connect()
        self._follow_choice()

    def show_object(self, _cls: str, _ref: str) -> None:
        """The pool is shown."""
        self._ask_again()

    def refresh(self) -> None:
        """Take all from the cache."""
        now = datetime.now(UTC)
        self.view.set_lanes(lanes_of(self._workspace.cache, self._upcoming, now), now)

    def _lay_out(self) -> None:
        bar = QHBoxLayout()
        bar.setSpacing(GAP)
        left: tuple[QWidget, ...] = (self.spans, self.earlier, self.later)
        right: tuple[QWidget, ...] = (self.said, self.delete, self.schedules)
        for widget in left:
            bar.addWidget(widget)
        bar.addStretch()
        for widget in right:
            bar.addWidget(widget)
        card = Card(margin=4)
        card.content.addWidget(self.view)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(MARGIN, GROUP, MARGIN, GROUP)
        rows.setSpacing(12)
        rows.addLayout(bar)
        rows.addWidget(card, 1)
        rows.addLayout(_legend())

    def _connect(self) -> None:
        self.spans.chosen.connect(self.view.show_span)
        self.earlier.clicked.connect(lambda: self.view.go(-0.5))
        self.later.clicked.connect(lambda: self.view.go(0.5))
        self.delete.clicked.connect(self._delete)
        offer_xe(self.delete, lambda: self._workspace.commands.xe_line("snapshot.delete", self._selected()))
        self.view.delete_asked.connect(self._delete)
        self.view.chosen_changed.connect(self._follow_choice)
        self.view.opened.connect(lambda vm: self._workspace.show("VM", vm, "snapshots"))
        self._workspace.changed.connect(self._on_delta)

    def _follow_choice(self) -> None:
        chosen = self.view.chosen()
        self.said.setText(
            f"{count(len(chosen), 'snapshot')} chosen" if chosen else "Drag over snapshots to choose them"
        )
        self.delete.setEnabled(bool(chosen))
        self.delete.setToolTip("" if chosen else "Choose snapshots first.")

    def _selected(self) -> Selection:
        return tuple(("VM", ref) for ref in self.view.chosen())

    def _delete(self) -> None:
        if chosen := self._selected():
            self._workspace.commands.run("snapshot.delete", chosen)

    def _on_delta(self, delta: Delta) -> None:
        if not self.isVisible():
            return
        if delta.touches(VMSS):
            self._ask_again()
        elif delta.touches(VM):
            self.refresh()

    def _ask_again(self) -> None:
        self.refresh()
        if self._asking is not None:
            self._asking.cancel()
        self._asking = self._workspace.spawn(self._ask())

    async def _ask(self) -> None:
        for ref, record in list(self._workspace.cache.all(VMSS).items()):
            try:
                answer = await self._workspace.session.VMSS.get_preview(draft_of(record).record(), [], _AHEAD)
            except (Failure, ConnectionLost, ValueError):
                self._upcoming.pop(ref, None)
                continue
            self._upcoming[ref] = [datetime.fromisoformat(run["slot"]) for run in answer]
        self.refresh()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._minute.start()
        self._ask_again()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._minute.stop()


def _legend() -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(4)
    for icon, words in (
        ("snapshot-scheduled", "By a schedule"),
        ("snapshot", "By hand (blue)"),
        ("memory", "With memory (square)"),
        ("clock", "To come (ring)"),
        ("alert-bad", "Longer without than promised"),
    ):
        row.addWidget(IconLabel(icon))
        said = label(words, "secondary")
        said.setContentsMargins(0, 0, 12, 0)
        row.addWidget(said)
    row.addStretch()
    return row
