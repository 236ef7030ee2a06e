"""The next runs on a time axis, and what each removes, as the engine says it will carry them out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from app.api import VM, ConnectionLost, Failure, Ref
from app.client import ObjectCache
from ui.base import fonts, theme
from ui.base.dialogs import GAP, label
from ui.base.failures import explain
from ui.base.sizes_and_dates import count
from ui.base.workspace import Workspace
from ui.schedules.draft import Draft
from ui.widgets.cards import Card

RUNS = 10
_BREATH_MS = 150


@dataclass(frozen=True, slots=True)
class UpcomingRun:
    """One run to come.

    :ivar local: wall clock of the schedule's zone.
    :ivar taken: names of the VMs of which a snapshot is taken; `skipped` by name why not.
    :ivar removed: (snapshot name, VM name) of what goes.
    """

    local: datetime
    zone: str
    taken: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    removed: tuple[tuple[str, str], ...]


def read_runs(answer: Sequence[dict[str, str]], cache: ObjectCache) -> list[UpcomingRun]:
    """The engine's answer with names in place of references."""
    return [_read_run(run, cache) for run in answer]


def _read_run(run: dict[str, str], cache: ObjectCache) -> UpcomingRun:
    visits: list[dict[str, Any]] = json.loads(run["visits"])
    taken, skipped, removed = [], [], []
    for visit in visits:
        name = _name(cache, visit["vm"])
        if visit["skip"]:
            skipped.append((name, str(visit["skip"])))
        else:
            taken.append(name)
        removed += [(_snapshot_name(cache, ref), name) for ref in visit["deletes"]]
    local = datetime.fromisoformat(run["local"])
    return UpcomingRun(local, run["zone"], tuple(taken), tuple(skipped), tuple(removed))


def _name(cache: ObjectCache, ref: str) -> str:
    record = cache.get(VM, ref)
    return record.name_label if record is not None else "a VM that is gone"


def _snapshot_name(cache: ObjectCache, ref: str) -> str:
    if ref.startswith("new:"):
        moment = datetime.fromisoformat(ref.removeprefix("new:"))
        return f"the one of {moment.astimezone():%a %d %b %H:%M}"
    return f"“{_name(cache, ref)}”"


def sentence(run: UpcomingRun) -> str:
    """``takes 3, removes “Nightly 2026-11-18” of billing-db``."""
    said = f"takes {len(run.taken)}" if run.taken else "takes none"
    if run.skipped:
        said += f", skips {', '.join(name for name, _ in run.skipped[:3])}"
    if not run.removed:
        return f"{said}, removes none"
    shown = ", ".join(f"{snapshot} of {vm}" for snapshot, vm in run.removed[:2])
    more = f" and {len(run.removed) - 2} more" if len(run.removed) > 2 else ""
    return f"{said}, removes {shown}{more}"


class RunStrip(QWidget):
    """Marks on a line, one a run, with what it removes above and its day below."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._runs: list[UpcomingRun] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Next runs")

    def set_runs(self, runs: list[UpcomingRun]) -> None:
        """Show these."""
        self._runs = runs
        self.setAccessibleDescription("; ".join(f"{run.local:%a %d %b %H:%M} {sentence(run)}" for run in runs))
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(400, 3 * fonts.pixels(fonts.Role.SECONDARY) + 44)

    def paintEvent(self, _event: QPaintEvent) -> None:
        if not self._runs:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(fonts.font(fonts.Role.SECONDARY))
        middle = self.height() / 2
        step = (self.width() - 48) / max(1, RUNS - 1)
        painter.setPen(QPen(QColor(theme.current().line), 1.5))
        painter.drawLine(QPointF(8, middle), QPointF(self.width() - 8, middle))
        for place, run in enumerate(self._runs):
            self._paint_run(painter, run, QPointF(24 + place * step, middle), step, place)
        painter.end()

    def _paint_run(self, painter: QPainter, run: UpcomingRun, centre: QPointF, step: float, place: int) -> None:
        colours = theme.current()
        painter.setPen(QPen(QColor(colours.accent), 1.5))
        painter.setBrush(QColor(colours.accent) if run.taken else Qt.BrushStyle.NoBrush)
        painter.drawEllipse(centre, 6, 6)
        height = QFontMetrics(painter.font()).height()
        above = QRectF(centre.x() - step / 2, centre.y() - 12 - height, step, height)
        below = QRectF(centre.x() - step / 2, centre.y() + 12, step, height)
        if run.removed:
            painter.setPen(QColor(colours.attention))
            painter.drawText(above, Qt.AlignmentFlag.AlignCenter, f"\u2212{len(run.removed)}")
        painter.setPen(QColor(colours.secondary))
        painter.drawText(below, Qt.AlignmentFlag.AlignCenter, self._caption(run, place))

    def _caption(self, run: UpcomingRun, place: int) -> str:
        """The day, or the time where several runs share it."""
        days = {known.local.date() for known in self._runs}
        if len(days) > len(self._runs) / 2:
            return f"{run.local:%a} {run.local.day}"
        first = place == 0 or self._runs[place - 1].local.date() != run.local.date()
        return f"{run.local:%a %H:%M}" if first else f"{run.local:%H:%M}"


class Preview(Card):
    """The strip with a few runs in words, kept in step with a draft."""

    #: the engine has answered: `runs` and `problem` are up to date
    answered = Signal()

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(raised=True, parent=parent)
        self._workspace = workspace
        self._asked: asyncio.Task[None] | None = None
        self._wanted: tuple[Draft, tuple[Ref[VM], ...], str] | None = None
        self.problem = ""
        self.runs: list[UpcomingRun] = []
        self.heading = label("Next ten runs, and what each removes", "strong")
        self.strip = RunStrip()
        self.lines = label("", "secondary")
        self.lines.setWordWrap(True)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_BREATH_MS)
        self._pause.timeout.connect(self._ask)
        rows = QVBoxLayout()
        rows.setSpacing(GAP)
        for widget in (self.heading, self.strip, self.lines):
            rows.addWidget(widget)
        self.content.addLayout(rows)

    def show_draft(self, draft: Draft, vms: Sequence[Ref[VM]], uuid: str = "") -> None:
        """Ask the engine about these answers, a breath after the last change.

        :param uuid: of the schedule whose snapshots count.
        """
        wanted = (draft, tuple(vms), uuid)
        if wanted != self._wanted:
            self._wanted = wanted
            self._pause.start()

    def show_missing(self, reason: str) -> None:
        """Show no runs: an answer is missing."""
        self.stop()
        self._wanted = None
        self.runs, self.problem = [], ""
        self.strip.hide()
        self.lines.setText(reason)

    def stop(self) -> None:
        """Ask no more."""
        self._pause.stop()
        if self._asked is not None:
            self._asked.cancel()

    def _ask(self) -> None:
        if self._asked is not None:
            self._asked.cancel()
        self._asked = asyncio.ensure_future(self._fetch())

    async def _fetch(self) -> None:
        assert self._wanted is not None
        draft, vms, uuid = self._wanted
        record = {**draft.record(), **({"uuid": uuid} if uuid else {})}
        try:
            answer = await self._workspace.session.VMSS.get_preview(record, list(vms), RUNS)
        except (Failure, ConnectionLost) as error:
            self._show([], self._why(error))
        else:
            self._show(read_runs([dict(run) for run in answer], self._workspace.cache), "")

    def _why(self, error: Failure | ConnectionLost) -> str:
        """The engine's own advice about a field, where it gave one."""
        if isinstance(error, Failure) and len(error.params) > 2:
            return error.params[2]
        return explain(error, self._workspace.cache).why

    def _show(self, runs: list[UpcomingRun], problem: str) -> None:
        self.runs, self.problem = runs, problem
        self.strip.setVisible(bool(runs))
        self.strip.set_runs(runs)
        if problem:
            self.lines.setText(problem)
        elif not runs:
            self.lines.setText("It never runs: no time is left of these rules.")
        else:
            self.lines.setText("\n".join(self._worth_saying(runs)))
        self.answered.emit()

    def _worth_saying(self, runs: list[UpcomingRun]) -> list[str]:
        """The first run, the first that removes something, and those that a change of the clock moves."""
        if not any(run.taken or run.skipped for run in runs):
            return [f"{count(len(runs), 'run')} without a VM: choose some, or tag them."]
        removing = [place for place, run in enumerate(runs) if run.removed]
        moved = [place for place, pair in enumerate(pairwise(runs), 1) if _clocks_change(*pair)]
        shown = sorted({0, *removing[:1], *moved[:1]})
        lines = [f"{runs[place].local:%a %d %b %H:%M} — {sentence(runs[place])}" for place in shown]
        if moved:
            day = runs[moved[0]].local
            lines.append(f"Clocks change before {day:%a %d %b}: each time of day still runs once.")
        return lines


def _clocks_change(before: UpcomingRun, after: UpcomingRun) -> bool:
    return before.local.utcoffset() != after.local.utcoffset()
