"""Cron expressions: five fields as crontab(5) has them, names of days and months, `L` for the last day, and `@daily`.

Numbers of weekdays are crontab's: 0 and 7 are Sunday. (APScheduler counts from Monday, so it never reads them.)
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from typing import Final

from app.schedule.recurrence import ALL_MONTHS, Recurrence

MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
ALIASES: Final[Mapping[str, str]] = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_LONGEST: Final = 200
_FIELDS: Final = ("minute", "hour", "day of the month", "month", "day of the week")


class CronError(ValueError):
    """The expression cannot be read; the text says which part and why."""


def parse(expression: str) -> Recurrence:
    """The rule that a cron expression means. :raise CronError: it means none."""
    text = expression.strip()
    if len(text) > _LONGEST:
        raise CronError(f"A cron expression has at most {_LONGEST} characters.")
    if text.startswith("@"):
        if text.lower() not in ALIASES:
            raise CronError(f"“{text}” is not one of {', '.join(ALIASES)}.")
        text = ALIASES[text.lower()]
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise CronError(f"Five fields are needed ({', '.join(_FIELDS)}), and here are {len(fields)}.")
    minutes = _numbers(fields[0], "minute", 0, 59)
    hours = _numbers(fields[1], "hour", 0, 23)
    days, last_day = _month_days(fields[2])
    months = _numbers(fields[3], "month", 1, 12, MONTHS)
    sundays_first = _numbers(fields[4], "day of the week", 0, 7, WEEKDAYS)
    weekdays = None if fields[4] == "*" else frozenset((number - 1) % 7 for number in sundays_first)
    times = tuple(time(hour, minute) for hour in sorted(hours) for minute in sorted(minutes))
    rule = Recurrence(times, months or ALL_MONTHS, days, last_day, weekdays)
    if weekdays is None and not last_day and not _is_possible(days, rule.months):
        raise CronError("No month named has such a day.")
    return rule


def _month_days(field: str) -> tuple[frozenset[int] | None, bool]:
    if field == "*":
        return None, False
    parts = field.split(",")
    plain = [part for part in parts if part.upper() != "L"]
    days = _numbers(",".join(plain), "day of the month", 1, 31) if plain else None
    return days, len(plain) < len(parts)


def _is_possible(days: frozenset[int] | None, months: frozenset[int]) -> bool:
    longest = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
    return days is None or any(min(days) <= longest.get(month, 31) for month in months)


def _numbers(field: str, what: str, least: int, most: int, names: tuple[str, ...] = ()) -> frozenset[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, slash, step_text = part.partition("/")
        step = _number(step_text, f"step of the {what}", 1, most) if slash else 1
        if span == "*":
            low, high = least, most
        else:
            first, dash, second = span.partition("-")
            low = _named(first, what, least, most, names)
            high = _named(second, what, least, most, names) if dash else most if slash else low
        if low > high:
            raise CronError(f"“{part}” in the {what} runs backwards.")
        found.update(range(low, high + 1, step))
    return frozenset(found)


def _named(text: str, what: str, least: int, most: int, names: tuple[str, ...]) -> int:
    if text.lower() in names:
        return names.index(text.lower()) + (1 if names is MONTHS else 0)
    return _number(text, what, least, most)


def _number(text: str, what: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 5 and least <= int(text) <= most):
        raise CronError(f"“{text}” is no {what}: that is a number from {least} to {most}.")
    return int(text)
