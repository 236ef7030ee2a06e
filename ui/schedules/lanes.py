"""The pool's snapshots in time: a lane for each VM, its snapshots, gaps in its protection, and runs to come."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from app.api import VM, VMSS, VMOperation, VMPowerState
from app.client import ObjectCache
from ui.base.sizes_and_dates import count
from ui.models.protection import protector

TOLERATED: Final = 2.5
"""A gap is told when it is longer than this many of the schedule's own distances."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A snapshot on its lane."""

    ref: str
    time: datetime
    name: str
    scheduled: bool
    memory: bool
    locked: bool


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without a snapshot, longer than the schedule promises; `open` where it lasts until now."""

    start: datetime
    end: datetime
    open: bool

    def words(self) -> str:
        """``no snapshot for 3 days``."""
        hours = round((self.end - self.start).total_seconds() / 3600)
        return f"no snapshot for {count(hours // 24, 'day') if hours >= 48 else count(hours, 'hour')}"


@dataclass(frozen=True, slots=True)
class Lane:
    """One VM: its marks by time, its gaps, and the instants of runs to come."""

    vm: str
    name: str
    schedule: str
    marks: tuple[Mark, ...]
    gaps: tuple[Gap, ...]
    upcoming: tuple[datetime, ...]

    def between(self, start: datetime, end: datetime) -> Sequence[Mark]:
        """The marks from `start` to `end`."""
        times = [mark.time for mark in self.marks]
        return self.marks[bisect_left(times, start) : bisect_right(times, end)]


def lanes_of(cache: ObjectCache, upcoming: Mapping[str, Sequence[datetime]], now: datetime) -> list[Lane]:
    """A lane for each VM of the pool, those without protection last, else by name.

    :param upcoming: by schedule, when it runs next; at least two instants tell how far apart its runs are.
    """
    marks: dict[str, list[Mark]] = {}
    for ref, vm in cache.all(VM).items():
        if vm.is_a_snapshot:
            marks.setdefault(vm.snapshot_of, []).append(_mark(ref, vm))
    lanes = [
        _lane(cache, str(ref), vm, marks.get(ref, []), upcoming, now)
        for ref, vm in cache.all(VM).items()
        if not (vm.is_a_template or vm.is_control_domain)
    ]
    return sorted(lanes, key=lambda lane: (not lane.schedule, lane.name.casefold(), lane.vm))


def _mark(ref: str, snapshot: VM) -> Mark:
    return Mark(
        ref=ref,
        time=snapshot.snapshot_time,
        name=snapshot.name_label,
        scheduled=snapshot.is_vmss_snapshot,
        memory=snapshot.power_state is VMPowerState.Suspended,
        locked=VMOperation.destroy in snapshot.blocked_operations,
    )


def _lane(
    cache: ObjectCache,
    ref: str,
    vm: VM,
    marks: Iterable[Mark],
    upcoming: Mapping[str, Sequence[datetime]],
    now: datetime,
) -> Lane:
    ordered = tuple(sorted(marks, key=lambda mark: (mark.time, mark.ref)))
    protected_by = protector(cache, vm)
    schedule = cache.get(VMSS, protected_by) if protected_by is not None else None
    following = tuple(upcoming.get(protected_by or "", ())) if schedule is not None and schedule.enabled else ()
    return Lane(
        vm=ref,
        name=vm.name_label,
        schedule=schedule.name_label if schedule is not None else "",
        marks=ordered,
        gaps=tuple(gaps_of([mark.time for mark in ordered], following, now)),
        upcoming=following,
    )


def gaps_of(times: Sequence[datetime], upcoming: Sequence[datetime], now: datetime) -> list[Gap]:
    """The gaps between snapshots and until now, measured by how far apart the runs to come are at the most."""
    if len(upcoming) < 2 or not times:
        return []
    longest = max(later - earlier for earlier, later in pairwise(upcoming)) * TOLERATED
    found = [Gap(earlier, later, open=False) for earlier, later in pairwise(times) if later - earlier > longest]
    if now - times[-1] > longest:
        found.append(Gap(times[-1], now, open=True))
    return found


SPANS: Final[Mapping[str, timedelta]] = {
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=31),
    "quarter": timedelta(days=92),
}


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """From instants to places and back: `start` at 0, `start + span` at `width`."""

    start: datetime
    span: timedelta
    width: float

    def x(self, moment: datetime) -> float:
        """Where the instant is."""
        return (moment - self.start) / self.span * self.width

    def moment(self, x: float) -> datetime:
        """The instant of a place."""
        return self.start + self.span * (x / max(1.0, self.width))

    def ticks(self) -> list[tuple[datetime, str]]:
        """Local moments worth a line, each with its words: hours, days or weeks, at least 56 pixels apart."""
        for step in (timedelta(hours=h) for h in (1, 3, 6, 12, 24, 48, 168, 336)):
            if step / self.span * self.width >= _LEAST_APART:
                return list(self._every(step))
        return list(self._every(timedelta(days=28)))

    def _every(self, step: timedelta) -> Iterable[tuple[datetime, str]]:
        local = self.start.astimezone()
        moment = local.replace(hour=0, minute=0, second=0, microsecond=0)
        if step >= timedelta(days=7):
            moment -= timedelta(days=moment.weekday())
        while moment < self.start + self.span:
            if moment >= self.start:
                at_hour = step < timedelta(days=1) and moment.hour
                yield moment, f"{moment:%H:%M}" if at_hour else f"{moment:%a} {moment.day} {moment:%b}"
            moment = (moment + step).astimezone()


_LEAST_APART: Final = 72
