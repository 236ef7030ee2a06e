"""A schedule as someone is writing it: the answers of the wizard or the properties, and the record they amount to."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, Final

from app.api import VMSS, VMSSFrequency, VMSSType

DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
LAST_DAY: Final = "L"
_MONTHLY: Final = re.compile(r"([0-9]{1,2}) ([0-9]{1,2}) ((?:[0-9]{1,2}|L)(?:,(?:[0-9]{1,2}|L))*) \* \*")
PREFIX: Final = "stillframe."
PERIODS: Final = ("hourly", "daily", "weekly", "monthly")
KEPT_AT_FIRST: Final = {VMSSFrequency.hourly: 10, VMSSFrequency.daily: 7, VMSSFrequency.weekly: 4}
"""As XenCenter proposes; a number that someone typed stays."""


@dataclass(frozen=True, slots=True)
class Draft:
    """All answers.

    :ivar times: times of day as `HH:MM`; the first one is XenAPI's, several need our engine.
    :ivar days: English names.
    :ivar cron: five fields; "" for a schedule without.
    :ivar keep: by period how many, beside the newest ones.
    :ivar extra: keys that this form does not show and that must survive it.
    """

    name: str = ""
    description: str = ""
    kind: VMSSType = VMSSType.snapshot
    frequency: VMSSFrequency = VMSSFrequency.daily
    minute: int = 0
    times: tuple[str, ...] = ("00:00",)
    days: tuple[str, ...] = ("Monday",)
    cron: str = ""
    zone: str = ""
    window: str = ""
    retained: int = 7
    keep: dict[str, int] = field(default_factory=dict)
    max_age_days: int = 0
    missed: str = "run-once"
    tags: tuple[str, ...] = ()
    only_running: bool = False
    extra: dict[str, str] = field(default_factory=dict)

    def entries(self) -> dict[str, str]:
        """The map `schedule`. What a plain XenAPI client understands of it comes as near as it can."""
        found = self._plain_entries()
        ours = {
            "cron": self.cron,
            "times": ",".join(self.times) if len(self.times) > 1 or not _is_quarter(self.times[0]) else "",
            "zone": self.zone,
            "window": self.window,
            "keep": ",".join(f"{period}={self.keep[period]}" for period in PERIODS if self.keep.get(period)),
            "max-age-days": str(self.max_age_days) if self.max_age_days else "",
            "missed": self.missed if self.missed != "run-once" else "",
            "tags": ",".join(self.tags),
            "only-running": "true" if self.only_running else "",
        }
        if self.frequency is VMSSFrequency.hourly or self.cron:
            ours["times"] = ""
        return {**self.extra, **found, **{f"{PREFIX}{key}": value for key, value in ours.items() if value}}

    def _plain_entries(self) -> dict[str, str]:
        if self.frequency is VMSSFrequency.hourly:
            return {"min": str(self.minute)}
        hour, minute = self.times[0].split(":")
        found = {"hour": str(int(hour)), "min": str(int(minute) // 15 * 15)}
        return {**found, "days": ",".join(self.days)} if self.frequency is VMSSFrequency.weekly else found

    def record(self, *, enabled: bool = True) -> dict[str, Any]:
        """For VMSS.create and VMSS.get_preview."""
        return {
            "name_label": self.name,
            "name_description": self.description,
            "enabled": enabled,
            "type": self.kind.value,
            "frequency": self.frequency.value,
            "schedule": self.entries(),
            "retained_snapshots": self.retained,
        }

    def with_frequency(self, frequency: VMSSFrequency) -> Draft:
        """Another frequency; the number kept follows where nobody has chosen one."""
        kept = KEPT_AT_FIRST[frequency] if self.retained == KEPT_AT_FIRST[self.frequency] else self.retained
        return replace(self, frequency=frequency, retained=kept)


@dataclass(frozen=True, slots=True)
class Monthly:
    """Days of each month, `1` to `31` or `L` for the last one, and a time of day. Kept as a cron expression."""

    days: tuple[str, ...]
    time: str

    def cron(self) -> str:
        """Five cron fields."""
        hour, minute = self.time.split(":")
        return f"{int(minute)} {int(hour)} {','.join(self.days)} * *"


def monthly_of(cron: str) -> Monthly | None:
    """What a cron expression means, where that is certain days of each month at one time; else None."""
    match = _MONTHLY.fullmatch(cron)
    if match is None or int(match[1]) > 59 or int(match[2]) > 23:
        return None
    days = month_days(match[3].replace(",", " "))
    return Monthly(days, f"{int(match[2]):02}:{int(match[1]):02}") if days else None


def month_days(text: str) -> tuple[str, ...]:
    """The days that `1, 15, last` names, ascending, the last one last; none where anything else is among them."""
    parts = text.replace(",", " ").split()
    if not all(part.casefold() in ("l", "last") or (part.isdecimal() and 0 < int(part) <= 31) for part in parts):
        return ()
    numbers = sorted({int(part) for part in parts if part.isdecimal()})
    last = (LAST_DAY,) if len(parts) > sum(part.isdecimal() for part in parts) else ()
    return (*(str(number) for number in numbers), *last)


def _is_quarter(moment: str) -> bool:
    return moment[-2:] in ("00", "15", "30", "45")


def draft_of(record: VMSS) -> Draft:
    """The answers that a schedule's record amounts to. Nothing that it holds is lost."""
    entries = dict(record.schedule)
    ours = {key.removeprefix(PREFIX): entries.pop(key) for key in list(entries) if key.startswith(PREFIX)}
    hour, minute = int(entries.get("hour", "0")), int(entries.get("min", "0"))
    times = tuple(filter(None, ours.pop("times", "").split(","))) or (f"{hour:02}:{minute:02}",)
    keep = dict(part.split("=") for part in ours.pop("keep", "").split(",") if "=" in part)
    known = Draft(
        name=record.name_label,
        description=record.name_description,
        kind=record.type,
        frequency=record.frequency,
        minute=minute,
        times=times,
        days=tuple(entries.get("days", "Monday").split(",")),
        cron=ours.pop("cron", ""),
        zone=ours.pop("zone", ""),
        window=ours.pop("window", ""),
        retained=record.retained_snapshots,
        keep={period: int(many) for period, many in keep.items()},
        max_age_days=int(ours.pop("max-age-days", "0")),
        missed=ours.pop("missed", "run-once"),
        tags=tuple(tag.strip() for tag in ours.pop("tags", "").split(",") if tag.strip()),
        only_running=ours.pop("only-running", "") == "true",
    )
    return replace(known, extra={f"{PREFIX}{key}": value for key, value in ours.items()})
