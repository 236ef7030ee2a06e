"""Slots: dates, times, windows, and what zones do with them."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from app.schedule.recurrence import Recurrence, Window, instant, next_slots, slots_after, slots_between

PARIS = ZoneInfo("Europe/Paris")
NEW_YORK = ZoneInfo("America/New_York")
QUARTERS = tuple(time(hour, minute) for hour in range(24) for minute in (0, 15, 30, 45))


def at(text: str, zone: ZoneInfo | None = None) -> datetime:
    """An instant, UTC, from a local time, or from UTC."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=zone or UTC).astimezone(UTC)


def wall(moments: list[datetime], zone: ZoneInfo) -> list[str]:
    return [f"{moment.astimezone(zone):%m-%d %H:%M %z}" for moment in moments]


def test_daily() -> None:
    rule = Recurrence((time(2, 30),))
    assert next_slots(rule, ZoneInfo("UTC"), at("2026-11-26 02:30"), 2) == [
        at("2026-11-27 02:30"),
        at("2026-11-28 02:30"),
    ]


def test_weekdays_and_times() -> None:
    rule = Recurrence((time(9), time(18)), weekdays=frozenset({0, 4}))
    found = next_slots(rule, PARIS, at("2026-11-26 12:00"), 4)
    assert wall(found, PARIS) == ["11-27 09:00 +0100", "11-27 18:00 +0100", "11-30 09:00 +0100", "11-30 18:00 +0100"]


def test_days_of_the_month_and_the_last_one() -> None:
    rule = Recurrence((time(0),), days=frozenset({15}), last_day=True)
    found = next_slots(rule, ZoneInfo("UTC"), at("2027-02-01 00:00"), 4)
    assert [f"{moment:%m-%d}" for moment in found] == ["02-15", "02-28", "03-15", "03-31"]


def test_a_date_needs_one_of_both_rules() -> None:
    rule = Recurrence((time(0),), days=frozenset({13}), weekdays=frozenset({4}))
    assert [f"{moment:%m-%d}" for moment in next_slots(rule, ZoneInfo("UTC"), at("2026-12-05 00:00"), 3)] == [
        "12-11",
        "12-13",
        "12-18",
    ]


def test_leap_days_are_found_over_a_century_without_one() -> None:
    rule = Recurrence((time(0),), months=frozenset({2}), days=frozenset({29}))
    found = next_slots(rule, ZoneInfo("UTC"), at("2095-01-01 00:00"), 2)
    assert [f"{moment:%Y-%m-%d}" for moment in found] == ["2096-02-29", "2104-02-29"]


def test_a_day_that_never_comes_ends_the_search() -> None:
    rule = Recurrence((time(0),), months=frozenset({2}), days=frozenset({30}))
    assert next_slots(rule, ZoneInfo("UTC"), at("2026-01-01 00:00"), 1) == []


@pytest.mark.parametrize(
    ("window", "hours"),
    [
        (Window(time(22), time(2)), [0, 1, 22, 23]),
        (Window(time(8), time(10)), [8, 9]),
        (Window(time(5), time(5)), list(range(24))),
    ],
)
def test_windows(window: Window, hours: list[int]) -> None:
    rule = Recurrence(tuple(time(hour) for hour in range(24)), window=window)
    found = next_slots(rule, ZoneInfo("UTC"), at("2026-01-01 23:30"), len(hours))
    assert sorted(moment.hour for moment in found) == hours


def test_nothing_is_left_of_an_empty_window() -> None:
    rule = Recurrence((time(12),), window=Window(time(1), time(2)))
    assert next_slots(rule, PARIS, at("2026-01-01 00:00"), 1) == []


# Clocks that jump


def test_spring_runs_at_the_first_minute_that_exists() -> None:
    found = next_slots(Recurrence((time(2, 30),)), PARIS, at("2026-03-28 12:00"), 2)
    assert wall(found, PARIS) == ["03-29 03:00 +0200", "03-30 02:30 +0200"]


def test_spring_runs_a_quarter_hourly_schedule_once_for_the_missing_hour() -> None:
    found = slots_between(
        Recurrence(QUARTERS), PARIS, at("2026-03-29 01:30", PARIS), at("2026-03-29 03:15", PARIS), 100
    )
    assert wall(found, PARIS) == ["03-29 01:45 +0100", "03-29 03:00 +0200", "03-29 03:15 +0200"]


def test_autumn_runs_once() -> None:
    found = next_slots(Recurrence((time(2, 30),)), PARIS, at("2026-10-24 12:00"), 2)
    assert wall(found, PARIS) == ["10-25 02:30 +0200", "10-26 02:30 +0100"]


def test_a_jump_at_midnight() -> None:
    """In Santiago the day of the change begins at one o'clock."""
    zone = ZoneInfo("America/Santiago")
    found = next_slots(Recurrence((time(0, 15),)), zone, at("2026-09-05 12:00"), 1)
    assert wall(found, zone) == ["09-06 01:00 -0300"]


def test_a_day_that_a_zone_left_out() -> None:
    """Samoa had no 30 December 2011."""
    zone = ZoneInfo("Pacific/Apia")
    found = next_slots(Recurrence((time(12),)), zone, at("2011-12-29 00:00", zone), 3)
    assert wall(found, zone) == ["12-29 12:00 -1000", "12-31 00:00 +1400", "12-31 12:00 +1400"]


def test_a_jump_of_half_an_hour() -> None:
    zone = ZoneInfo("Australia/Lord_Howe")
    assert instant(datetime(2026, 10, 4, 2, 10), zone).astimezone(zone).strftime("%H:%M") == "02:30"


@pytest.mark.parametrize(
    "name", ["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "UTC"]
)
def test_years_of_days_have_one_slot_each(name: str) -> None:
    """Ten years of clock changes: one slot a day, never less than 22 or more than 26 hours apart."""
    zone = ZoneInfo(name)
    found = slots_between(Recurrence((time(2, 15),)), zone, at("2020-01-01 00:00"), at("2030-01-01 00:00"), 100_000)
    days = {moment.astimezone(zone).date() for moment in found}
    assert len(found) == len(days) == (max(days) - min(days)).days + 1
    gaps = {later - earlier for earlier, later in pairwise(found)}
    assert timedelta(hours=22) < min(gaps) and max(gaps) < timedelta(hours=26)


def test_slots_ascend_and_come_once() -> None:
    generated = slots_after(Recurrence(QUARTERS), NEW_YORK, at("2026-10-31 00:00"))
    found = [next(generated) for _ in range(500)]
    assert found == sorted(set(found))


def test_only_the_latest_are_kept_of_too_many() -> None:
    found = slots_between(Recurrence(QUARTERS), PARIS, at("2026-06-01 00:00"), at("2026-06-02 00:00"), 3)
    assert found == [at("2026-06-01 23:30"), at("2026-06-01 23:45"), at("2026-06-02 00:00")]
