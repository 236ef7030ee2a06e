"""Sizes, ages, dates and durations in words, by the person's locale. Every moment has a time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from PySide6.QtCore import QDate, QLocale, QTime

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_STEP = 1024
_DAY = timedelta(days=1)
#: clocks of a server and a desktop differ a little: a moment this far in the future still is "just now"
_SKEW = timedelta(seconds=60)
#: no space in a number or between a number and its unit may break the line
_JOIN = "\u00a0"


def number(value: int) -> str:
    """A count, grouped: ``1,024``."""
    return QLocale().toString(value)


def count(value: int, singular: str, plural: str | None = None) -> str:
    """``1 snapshot``, ``3 snapshots``, ``2 entries``."""
    return f"{number(value)} {singular if value == 1 else plural or singular + 's'}"


def size(octets: int) -> str:
    """A size in bytes as people read it: ``0 bytes``, ``512 bytes``, ``64 KiB``, ``2.1 GiB``, ``412 GiB``.

    One decimal below 100 of a unit, where it is not zero.

    :raise ValueError: ``octets`` is negative (XenAPI's -1 means unknown: say so in words instead).
    """
    if octets < 0:
        raise ValueError(f"a size cannot be {octets} bytes")
    if octets < _STEP:
        return f"{octets}{_JOIN}{'byte' if octets == 1 else 'bytes'}"
    value, unit = octets / _STEP, 0
    while round(value, 1) >= _STEP and unit < len(_UNITS) - 1:
        value, unit = value / _STEP, unit + 1
    rounded = round(value, 1)
    decimals = 0 if rounded >= 100 or rounded == int(rounded) else 1
    return f"{QLocale().toString(rounded, 'f', decimals)}{_JOIN}{_UNITS[unit]}"


def rate(octets_per_second: float) -> str:
    """A speed: ``120 MiB/s``."""
    return f"{size(round(octets_per_second))}/s"


def percent(part: float, whole: float) -> str:
    """``42 %``; nothing of nothing is ``0 %``. Never 100 % before it is whole."""
    share = part / whole * 100 if whole else 0.0
    shown = 99 if 99 <= share < 100 else round(share)
    return f"{QLocale().toString(shown)}{_JOIN}%"


def duration(length: timedelta | float) -> str:
    """How long something took: ``14 ms``, ``2.4 s``, ``48 s``, ``1 min 20 s``, ``3 h 5 min``, ``2 days 4 h``.

    :param length: a timedelta or seconds.
    :raise ValueError: it is negative.
    """
    seconds = length.total_seconds() if isinstance(length, timedelta) else float(length)
    if seconds < 0:
        raise ValueError(f"a duration cannot be {seconds} s")
    if round(seconds * 1000) < 1000:
        return f"{round(seconds * 1000)}{_JOIN}ms"
    if round(seconds, 1) < 10:
        return f"{QLocale().toString(round(seconds, 1), 'f', 0 if round(seconds, 1) % 1 == 0 else 1)}{_JOIN}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{_JOIN}s"
    if whole < 3600:
        return _two(whole // 60, "min", whole % 60, "s")
    if whole < 86400:
        return _two(whole // 3600, "h", whole % 3600 // 60, "min")
    days = whole // 86400
    return _two(days, "day" if days == 1 else "days", whole % 86400 // 3600, "h")


def _two(large: int, unit: str, small: int, smaller: str) -> str:
    first = f"{number(large)}{_JOIN}{unit}"
    return f"{first} {small}{_JOIN}{smaller}" if small else first


def _local(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    return moment.astimezone()


def time(moment: datetime) -> str:
    """The local time of day: ``22:00``, or ``10:00 pm`` where people write that.

    :raise ValueError: ``moment`` has no time zone.
    """
    local = _local(moment)
    return QLocale().toString(QTime(local.hour, local.minute), QLocale.FormatType.ShortFormat)


def date(moment: datetime) -> str:
    """The local day: ``21 Nov 2026``.

    :raise ValueError: ``moment`` has no time zone.
    """
    local = _local(moment)
    return QLocale().toString(QDate(local.year, local.month, local.day), f"d{_JOIN}MMM{_JOIN}yyyy")


def date_and_time(moment: datetime) -> str:
    """Local day and time: ``21 Nov 2026, 09:41``.

    :raise ValueError: ``moment`` has no time zone.
    """
    return f"{date(moment)}, {time(moment)}"


def exact(moment: datetime) -> str:
    """For a tooltip, where the second and the zone matter: ``21 Nov 2026, 09:41:07 (+01:00)``.

    :raise ValueError: ``moment`` has no time zone.
    """
    local = _local(moment)
    zone = local.strftime("%z")
    return f"{date(moment)}, {local:%H:%M:%S} ({zone[:3]}:{zone[3:5]})"


def age(moment: datetime, now: datetime | None = None) -> str:
    """How long ago: ``just now``, ``5 minutes ago``, ``8 hours ago``, ``yesterday 22:00``, ``2 days ago``,
    ``3 weeks ago``, and the date beyond five weeks. A moment in the future is said by :func:`until`.

    :raise ValueError: a moment has no time zone.
    """
    then, today = _local(moment), _local(now or datetime.now(UTC))
    passed = today - then
    if passed < -_SKEW:
        return until(moment, now)
    minutes = int(passed.total_seconds() // 60)
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{count(minutes, 'minute')} ago"
    days = (today.date() - then.date()).days
    if minutes < 12 * 60 or days == 0:
        return f"{count(minutes // 60, 'hour')} ago"
    if days == 1:
        return f"yesterday {time(moment)}"
    if days < 14:
        return f"{count(days, 'day')} ago"
    return f"{count(days // 7, 'week')} ago" if days < 35 else date(moment)


def until(moment: datetime, now: datetime | None = None) -> str:
    """When something will happen: ``now``, ``today 22:00, in 12 h``, ``tomorrow 02:00, in 16 h``, ``Wed 25 Nov 22:00``.

    :raise ValueError: a moment has no time zone.
    """
    then, today = _local(moment), _local(now or datetime.now(UTC))
    left = then - today
    if left < timedelta(seconds=30):
        return "now"
    days = (then.date() - today.date()).days
    if days > 1:
        day = QDate(then.year, then.month, then.day)
        return f"{QLocale().toString(day, 'ddd d MMM')} {time(moment)}"
    minutes = round(left.total_seconds() / 60)
    wait = f"{minutes}{_JOIN}min" if minutes < 60 else f"{round(minutes / 60)}{_JOIN}h"
    return f"{'tomorrow' if days else 'today'} {time(moment)}, in {wait}"
