"""Which snapshots of a schedule go after a new one was taken. A pure function of what there is.

Only snapshots that the schedule made are ever given to it; locked ones and the newest one never go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

COUNT_LEAST: Final = 1
COUNT_MOST: Final = 10
"""XenServer keeps one to ten snapshots of each VM."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A snapshot that the schedule made of one VM; `time` is UTC."""

    ref: str
    time: datetime
    locked: bool = False


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept of each VM: the union of the rules, less what is too old.

    :ivar count: this many newest ones.
    :ivar hourly: the newest of each of this many latest hours that have one; likewise days, ISO weeks and months.
    :ivar max_age: nothing older than this, whatever the other rules keep; None for no limit.
    """

    count: int = 7
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    max_age: timedelta | None = None


def _hour(moment: datetime) -> tuple[object, ...]:
    # The offset tells autumn's two hours of the same name apart.
    return (moment.date(), moment.hour, moment.utcoffset())


def _day(moment: datetime) -> tuple[object, ...]:
    return (moment.date(),)


def _week(moment: datetime) -> tuple[object, ...]:
    year, week, _ = moment.isocalendar()
    return (year, week)


def _month(moment: datetime) -> tuple[object, ...]:
    return (moment.year, moment.month)


def expired(taken: Iterable[Taken], retention: Retention, now: datetime, zone: ZoneInfo) -> tuple[Taken, ...]:
    """The snapshots that go, oldest first, with the new one among those given.

    :param zone: whose hours, days, weeks and months count.
    """
    newest_first = sorted(taken, key=lambda one: (one.time, one.ref), reverse=True)
    if not newest_first:
        return ()
    kept = {one.ref for one in newest_first[: max(1, retention.count)]}
    rules: tuple[tuple[int, Callable[[datetime], tuple[object, ...]]], ...] = (
        (retention.hourly, _hour),
        (retention.daily, _day),
        (retention.weekly, _week),
        (retention.monthly, _month),
    )
    for many, period in rules:
        kept |= _newest_of_periods(newest_first, many, period, zone)
    if retention.max_age is not None:
        oldest = now - retention.max_age
        kept -= {one.ref for one in newest_first if one.time < oldest}
    kept.add(newest_first[0].ref)
    return tuple(one for one in reversed(newest_first) if one.ref not in kept and not one.locked)


def _newest_of_periods(
    newest_first: Sequence[Taken], many: int, period: Callable[[datetime], tuple[object, ...]], zone: ZoneInfo
) -> set[str]:
    seen: dict[tuple[object, ...], str] = {}
    for one in newest_first:
        if len(seen) >= many:
            break
        seen.setdefault(period(one.time.astimezone(zone)), one.ref)
    return set(seen.values())
