"""When a schedule is due: wall-clock rules, and the instants they mean in a zone.

A rule names local dates and times of day. Each becomes one slot, an instant in UTC, so that a slot is the same thing
for whoever looks at it. Where a zone's clock jumps ahead, a time that does not exist runs at the first minute after
the jump; where it falls back, a time that exists twice runs the first time only.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

ALL_MONTHS = frozenset(range(1, 13))
MONDAY_TO_SUNDAY = frozenset(range(7))
LONGEST_SEARCH_DAYS = 366 * 8 + 2
"""29 February can be eight years away: 1896 to 1904, 2096 to 2104."""
_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the day, from `start` up to but without `end`; past midnight if `end` is earlier, all day if equal."""

    start: time
    end: time

    def holds(self, moment: time) -> bool:
        """Whether the time of day is in it."""
        if self.start == self.end:
            return True
        if self.start < self.end:
            return self.start <= moment < self.end
        return moment >= self.start or moment < self.end


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Times of day on certain dates.

    :ivar times: times of day, whole minutes, ascending, at least one.
    :ivar months: 1 to 12.
    :ivar days: days of the month, 1 to 31; None for no rule about them.
    :ivar last_day: the last day of the month counts as one of `days`.
    :ivar weekdays: 0 Monday to 6 Sunday; None for no rule about them.
    :ivar window: times outside of it are left out.

    With rules about both days of the month and weekdays a date has to satisfy one of them, as cron has it.
    """

    times: tuple[time, ...]
    months: frozenset[int] = ALL_MONTHS
    days: frozenset[int] | None = None
    last_day: bool = False
    weekdays: frozenset[int] | None = None
    window: Window | None = None

    def is_on(self, day: date) -> bool:
        """Whether the rule names this date."""
        if day.month not in self.months:
            return False
        by_month_day = self.days is not None or self.last_day
        if not by_month_day and self.weekdays is None:
            return True
        if by_month_day and self._is_month_day(day):
            return True
        return self.weekdays is not None and day.weekday() in self.weekdays

    def _is_month_day(self, day: date) -> bool:
        if self.last_day and day.day == monthrange(day.year, day.month)[1]:
            return True
        return self.days is not None and day.day in self.days

    def moments(self) -> tuple[time, ...]:
        """The times of day that the window leaves."""
        window = self.window
        return self.times if window is None else tuple(moment for moment in self.times if window.holds(moment))


def instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The instant, UTC, at which clocks in the zone show `wall`, a naive local time.

    The first of two; where there is none, the first minute after the jump.
    """
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == wall:
        return first
    # In a gap, fold 1 counts with the offset after the jump and so lands before it, fold 0 lands after it.
    early = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return _jump(early, first, zone)


def _jump(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first whole minute with the offset of `after`, between the two."""
    offset = after.astimezone(zone).utcoffset()
    low, high = 0, -(-(after - before) // _MINUTE)
    while high - low > 1:
        middle = (low + high) // 2
        if (before + middle * _MINUTE).astimezone(zone).utcoffset() == offset:
            high = middle
        else:
            low = middle
    return before + high * _MINUTE


def slots_after(rule: Recurrence, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """The slots later than `after`, ascending, UTC, each once; ends where none comes within eight years.

    :param after: any instant with a zone.
    """
    moments = rule.moments()
    if not moments:
        return
    day = after.astimezone(zone).date() - _DAY
    last = after.astimezone(UTC)
    found_on = day
    while (day - found_on).days <= LONGEST_SEARCH_DAYS and day < date.max - _DAY:
        if rule.is_on(day):
            for moment in moments:
                slot = instant(datetime.combine(day, moment), zone)
                if slot > last:
                    last, found_on = slot, day
                    yield slot
        day += _DAY


def next_slots(rule: Recurrence, zone: ZoneInfo, after: datetime, count: int) -> list[datetime]:
    """The next `count` slots later than `after`, fewer if there are no more."""
    return list(islice(slots_after(rule, zone, after), count))


def slots_between(rule: Recurrence, zone: ZoneInfo, after: datetime, until: datetime, most: int) -> list[datetime]:
    """The slots later than `after` and not later than `until`; the latest `most` of them, if there are more."""
    found: list[datetime] = []
    for slot in slots_after(rule, zone, after):
        if slot > until:
            break
        found.append(slot)
        if len(found) > most:
            del found[0]
    return found
