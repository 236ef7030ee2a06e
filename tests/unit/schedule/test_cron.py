"""Cron expressions: what they mean, and what is refused with which words."""

from __future__ import annotations

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from app.schedule.cron import CronError, parse
from app.schedule.recurrence import next_slots

ZONE = ZoneInfo("UTC")


def following(expression: str, count: int = 3, after: str = "2026-11-26 12:07") -> list[str]:
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC)
    return [f"{slot:%m-%d %H:%M}" for slot in next_slots(parse(expression), ZONE, moment, count)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("*/15 * * * *", ["11-26 12:15", "11-26 12:30", "11-26 12:45"]),
        ("0 9-17/4 * * *", ["11-26 13:00", "11-26 17:00", "11-27 09:00"]),
        ("30 1 * * mon", ["11-30 01:30", "12-07 01:30", "12-14 01:30"]),
        ("30 1 * * 1", ["11-30 01:30", "12-07 01:30", "12-14 01:30"]),
        ("0 0 * * 0", ["11-29 00:00", "12-06 00:00", "12-13 00:00"]),
        ("0 0 * * 7", ["11-29 00:00", "12-06 00:00", "12-13 00:00"]),
        ("0 0 * * fri,sat", ["11-27 00:00", "11-28 00:00", "12-04 00:00"]),
        ("0 0 L * *", ["11-30 00:00", "12-31 00:00", "01-31 00:00"]),
        ("0 0 1,L * *", ["11-30 00:00", "12-01 00:00", "12-31 00:00"]),
        ("0 0 1 JAN,jul *", ["01-01 00:00", "07-01 00:00", "01-01 00:00"]),
        ("0 0 13 * fri", ["11-27 00:00", "12-04 00:00", "12-11 00:00"]),
        ("@hourly", ["11-26 13:00", "11-26 14:00", "11-26 15:00"]),
        ("@Monthly", ["12-01 00:00", "01-01 00:00", "02-01 00:00"]),
        ("5/20 3 * * *", ["11-27 03:05", "11-27 03:25", "11-27 03:45"]),
    ],
)
def test_what_they_mean(expression: str, expected: list[str]) -> None:
    assert following(expression) == expected


def test_times_are_whole_and_ascending() -> None:
    assert parse("45,0 8,6 * * *").times == (time(6), time(6, 45), time(8), time(8, 45))


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("", "Five fields"),
        ("* * * *", "here are 4"),
        ("* * * * * *", "here are 6"),
        ("60 * * * *", "“60” is no minute"),
        ("* 24 * * *", "“24” is no hour"),
        ("* * 0 * *", "day of the month"),
        ("* * * 13 *", "month"),
        ("* * * * 8", "day of the week"),
        ("* * * * moon", "“moon”"),
        ("10-5 * * * *", "runs backwards"),
        ("*/0 * * * *", "step of the minute"),
        ("1,,2 * * * *", "“” is no minute"),
        ("-1 * * * *", "“” is no minute"),
        ("٣ * * * *", "is no minute"),
        ("0 0 30 2 *", "No month named has such a day"),
        ("@fortnightly", "is not one of"),
        ("1" * 300, "at most 200"),
        ("00000000001 * * * *", "is no minute"),
    ],
)
def test_what_is_refused(expression: str, words: str) -> None:
    with pytest.raises(CronError) as caught:
        parse(expression)
    assert words in str(caught.value)
