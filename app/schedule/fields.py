"""The map `VMSS.schedule`: which keys and values it may have, its defaults, and the rule it means.

XenAPI's part is checked as a XenServer toolstack does (tests/data/vmss.jsonl); keys that begin with `stillframe.` are
ours and are described in `app.api.schedule`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import time, timedelta
from typing import Final, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tzlocal import get_localzone

from app.api import Failure, VMSSFrequency
from app.api.failure import invalid_value
from app.schedule.cron import CronError, parse
from app.schedule.plan import MissedPolicy
from app.schedule.recurrence import Recurrence, Window
from app.schedule.retention import COUNT_LEAST, COUNT_MOST, Retention

DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MINUTES: Final = ("0", "15", "30", "45")
DEFAULTS: Final[Mapping[VMSSFrequency, Mapping[str, str]]] = {
    VMSSFrequency.hourly: {"min": "0"},
    VMSSFrequency.daily: {"hour": "0", "min": "0"},
    VMSSFrequency.weekly: {"hour": "0", "min": "0", "days": "Monday"},
}
OURS: Final = "stillframe."
MOST_TIMES: Final = 48
MOST_KEPT: Final = 1000
MOST_AGE_DAYS: Final = 3650
_PERIODS: Final = ("hourly", "daily", "weekly", "monthly")
_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


@dataclass(frozen=True, slots=True)
class Definition:
    """What a schedule's fields mean."""

    rule: Recurrence
    zone: ZoneInfo
    retention: Retention
    missed: MissedPolicy
    tags: frozenset[str]
    only_running: bool


def server_zone() -> ZoneInfo:
    """The zone of this machine's clock."""
    return get_localzone()


def check_retained(value: int) -> int:
    """:raise Failure: INVALID_VALUE outside 1 to 10."""
    if not COUNT_LEAST <= value <= COUNT_MOST:
        raise invalid_value("retained_snapshots", value)
    return value


def checked_entries(entries: Mapping[str, str], frequency: VMSSFrequency | None = None) -> dict[str, str]:
    """The entries in the form that is stored. :raise Failure: INVALID_VALUE names the key and the value.

    :param frequency: whose keys alone are accepted; None accepts those of all.
    """
    known = {"min", "hour", "days"} if frequency is None else set(DEFAULTS[frequency])
    found: dict[str, str] = {}
    for key, value in entries.items():
        if key not in known and key not in _OUR_CHECKS:
            raise invalid_value(f"schedule:{key}", value)
        found[key] = _CHECKS[key](value)
    return found


def with_defaults(entries: Mapping[str, str], frequency: VMSSFrequency) -> dict[str, str]:
    """The entries that the frequency uses, and defaults for those that are missing; ours stay."""
    kept = {key: value for key, value in entries.items() if key in DEFAULTS[frequency] or key.startswith(OURS)}
    return {**DEFAULTS[frequency], **kept}


def definition(frequency: VMSSFrequency, entries: Mapping[str, str], retained: int) -> Definition:
    """What the fields mean. :raise Failure: INVALID_VALUE, where nobody checked them before."""
    full = with_defaults(checked_entries(entries), frequency)
    zone = full.get("stillframe.zone", "")
    return Definition(
        rule=_rule(frequency, full),
        zone=ZoneInfo(zone) if zone else server_zone(),
        retention=_retention(full, check_retained(retained)),
        missed=cast("MissedPolicy", full.get("stillframe.missed", "run-once")),
        tags=frozenset(_listed(full.get("stillframe.tags", ""))),
        only_running=full.get("stillframe.only-running") == "true",
    )


def _rule(frequency: VMSSFrequency, full: Mapping[str, str]) -> Recurrence:
    span = full.get("stillframe.window", "")
    window = _window(span) if span else None
    if cron := full.get("stillframe.cron", ""):
        rule = parse(cron)
        return Recurrence(rule.times, rule.months, rule.days, rule.last_day, rule.weekdays, window)
    minute = int(full["min"])
    if frequency is VMSSFrequency.hourly:
        return Recurrence(tuple(time(hour, minute) for hour in range(24)), window=window)
    wanted = [_moment(text) for text in _listed(full.get("stillframe.times", ""))]
    times = tuple(sorted(set(wanted))) or (time(int(full["hour"]), minute),)
    if frequency is VMSSFrequency.daily:
        return Recurrence(times, window=window)
    days = frozenset(DAYS.index(day) for day in full["days"].split(","))
    return Recurrence(times, weekdays=days, window=window)


def _retention(full: Mapping[str, str], retained: int) -> Retention:
    kept = dict(_kept(full.get("stillframe.keep", "")))
    age = full.get("stillframe.max-age-days", "")
    return Retention(
        count=retained,
        hourly=kept.get("hourly", 0),
        daily=kept.get("daily", 0),
        weekly=kept.get("weekly", 0),
        monthly=kept.get("monthly", 0),
        max_age=timedelta(days=int(age)) if age else None,
    )


# XenAPI's keys


def _minute(value: str) -> str:
    if value not in MINUTES:
        raise invalid_value("schedule:min", value)
    return value


def _hour(value: str) -> str:
    # "07" is accepted and kept as it is, as a XenServer does.
    if not _is_number(value, 0, 23):
        raise invalid_value("schedule:hour", value)
    return value


def _days(value: str) -> str:
    found = []
    for day in value.split(","):
        if day.capitalize() not in DAYS:
            raise invalid_value("schedule:days", day)
        found.append(day.capitalize())
    if len(set(found)) < len(found):
        raise invalid_value("schedule:days", value)
    return ",".join(found)


# Ours


def _ours(key: str, check: Callable[[str], bool], advice: str) -> Callable[[str], str]:
    def checked(value: str) -> str:
        try:
            good = len(value) <= 500 and check(value)
        except (ValueError, ZoneInfoNotFoundError, OSError) as error:
            reason = str(error) if isinstance(error, CronError) else advice
            raise Failure("INVALID_VALUE", f"schedule:{key}", value[:500], reason) from error
        if not good:
            raise Failure("INVALID_VALUE", f"schedule:{key}", value[:500], advice)
        return value

    return checked


def _is_number(text: str, least: int, most: int) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 4 and least <= int(text) <= most


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _moment(text: str) -> time:
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text} is no time of day")
    return time(int(match[1]), int(match[2]))


def _window(text: str) -> Window:
    start, dash, end = text.partition("-")
    if not dash:
        raise ValueError(f"{text} is no window")
    return Window(_moment(start.strip()), _moment(end.strip()))


def _kept(text: str) -> list[tuple[str, int]]:
    found = []
    for part in _listed(text):
        period, equals, many = part.partition("=")
        if period not in _PERIODS or not equals or not _is_number(many, 0, MOST_KEPT):
            raise ValueError(f"{part} is no rule")
        found.append((period, int(many)))
    if len(dict(found)) < len(found):
        raise ValueError("a period is named twice")
    return found


_OUR_CHECKS: Final[Mapping[str, Callable[[str], str]]] = {
    f"{OURS}{name}": _ours(f"{OURS}{name}", check, advice)
    for name, check, advice in (
        ("cron", lambda text: bool(parse(text)), "Five cron fields are needed."),
        (
            "times",
            lambda text: 0 < len([_moment(part) for part in _listed(text)]) <= MOST_TIMES,
            f"Times of day are needed, as in 09:00,17:30; at most {MOST_TIMES}.",
        ),
        ("zone", lambda text: bool(ZoneInfo(text)), "The name of a time zone is needed, as in Europe/Paris."),
        ("window", lambda text: bool(_window(text)), "Two times of day are needed, as in 22:00-06:00."),
        ("keep", lambda text: bool(_kept(text)), "Numbers by period are needed, as in daily=7,weekly=4."),
        (
            "max-age-days",
            lambda text: _is_number(text, 1, MOST_AGE_DAYS),
            f"A number of days from 1 to {MOST_AGE_DAYS} is needed.",
        ),
        ("missed", lambda text: text in ("run-once", "skip"), "Either run-once or skip is needed."),
        ("tags", lambda text: bool(_listed(text)), "At least one tag is needed."),
        ("only-running", lambda text: text in ("true", "false"), "Either true or false is needed."),
    )
}
_CHECKS: Final[Mapping[str, Callable[[str], str]]] = {"min": _minute, "hour": _hour, "days": _days, **_OUR_CHECKS}
