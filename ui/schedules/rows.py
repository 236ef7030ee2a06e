"""The schedules of a pool as rows of a table: what each is doing, did last, and will do next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, Qt
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem

from app.api import VMSS, VMSSRun, VMSSRunStatus
from app.client import ObjectCache
from ui.base import theme
from ui.base.sizes_and_dates import age, date_and_time, exact, until
from ui.models.protection import members
from ui.models.table_model import KEY_ROLE, Column
from ui.schedules.words import STATUSES, is_a_run, kind_of, latest, outcome_of, when

RECENT: Final = 14
RECENT_ROLE: Final = KEY_ROLE + 1
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Upcoming:
    """The next run of a schedule: the instant, and the wall clock of its zone."""

    slot: datetime
    local: datetime
    zone: str


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """One schedule."""

    record: VMSS
    vms: int
    upcoming: Upcoming | None
    last: VMSSRun | None
    recent: tuple[str, ...]
    busy: bool

    @property
    def status(self) -> str:
        """``Enabled``, ``Disabled`` or ``Running``."""
        return "Running" if self.busy else "Enabled" if self.record.enabled else "Disabled"


def runs_by_schedule(cache: ObjectCache) -> Mapping[str, list[VMSSRun]]:
    """The lines of the log by schedule, oldest first."""
    found: dict[str, list[VMSSRun]] = {}
    for run in cache.all(VMSSRun).values():
        found.setdefault(run.VMSS, []).append(run)
    for runs in found.values():
        runs.sort(key=lambda run: run.started)
    return found


def rows_of(cache: ObjectCache, upcoming: Mapping[str, Upcoming]) -> dict[str, ScheduleRow]:
    """A row for each schedule, by reference."""
    runs = runs_by_schedule(cache)
    return {
        str(ref): _row(record, runs.get(ref, []), upcoming.get(ref), len(members(cache, record)))
        for ref, record in cache.all(VMSS).items()
    }


def _row(record: VMSS, runs: list[VMSSRun], upcoming: Upcoming | None, vms: int) -> ScheduleRow:
    told = [run for run in runs if is_a_run(run)]
    recent = tuple(STATUSES[run.status][2] for run in told[-RECENT:])
    busy = any(run.status is VMSSRunStatus.running for run in told)
    return ScheduleRow(record, vms, upcoming if record.enabled else None, latest(runs), recent, busy)


def columns() -> list[Column[ScheduleRow]]:
    """Name, status, VMs, next run here and there, last result, the last runs."""
    return [
        Column(
            title="Name",
            text=lambda row: row.record.name_label,
            icon=lambda row: "schedule",
            tooltip=lambda row: f"{when(row.record)}. {kind_of(row.record.type)}.",
        ),
        Column(title="Status", text=lambda row: row.status),
        Column(title="VMs", text=lambda row: str(row.vms), order=lambda row: row.vms, right=True),
        Column(
            title="Next run (here)",
            text=lambda row: until(row.upcoming.slot) if row.upcoming else "—",
            order=lambda row: row.upcoming.slot if row.upcoming else _NEVER,
            tooltip=lambda row: exact(row.upcoming.slot) if row.upcoming else "",
        ),
        Column(
            title="Server time",
            text=lambda row: f"{row.upcoming.local:%H:%M}" if row.upcoming else "—",
            order=lambda row: row.upcoming.local.time() if row.upcoming else _NEVER.time(),
            tooltip=lambda row: f"{row.upcoming.local:%a %d %b %H:%M}, {row.upcoming.zone}" if row.upcoming else "",
        ),
        Column(
            title="Last result",
            text=lambda row: outcome_of(row.last) if row.last else "Not yet run",
            icon=lambda row: STATUSES[row.last.status][0] if row.last else "",
            order=lambda row: row.last.started if row.last else _NEVER,
            tooltip=lambda row: (
                f"{STATUSES[row.last.status][1]}, {date_and_time(row.last.started)}" if row.last else ""
            ),
        ),
        Column(
            title=f"Last {RECENT} runs",
            text=lambda row: f"{row.recent.count('good')} of {len(row.recent)} good" if row.recent else "",
            order=lambda row: row.recent.count("bad"),
            roles={RECENT_ROLE: lambda row: row.recent},
        ),
    ]


class RecentDelegate(QStyledItemDelegate):
    """A square for each of the last runs, in the colour of how it went; the words are for screen readers."""

    _SIDE = 11

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        tones: Iterable[str] = index.data(RECENT_ROLE) or ()
        place = QRectF(option.rect).adjusted(8, 0, -8, 0)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        for number, tone in enumerate(tones):
            left = place.left() + number * (self._SIDE + 4)
            if left + self._SIDE > place.right():
                break
            painter.setBrush(QColor(getattr(theme.current(), tone)))
            painter.drawRoundedRect(QRectF(left, place.center().y() - self._SIDE / 2, self._SIDE, self._SIDE), 2, 2)
        painter.restore()


def history_columns() -> list[Column[VMSSRun]]:
    """When, what came of it, how long."""
    return [
        Column(
            title="When",
            text=lambda run: age(run.started),
            order=lambda run: run.started,
            tooltip=lambda run: exact(run.started),
        ),
        Column(title="Result", text=lambda run: STATUSES[run.status][1], icon=lambda run: STATUSES[run.status][0]),
        Column(title="What happened", text=outcome_of),
        Column(
            title="Begun",
            text=lambda run: {"schedule": "On time", "late": "Late", "manual": "By hand"}.get(run.trigger, ""),
        ),
    ]
