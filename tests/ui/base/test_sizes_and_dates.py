"""Numbers in words."""

from __future__ import annotations

import time as clock
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QLocale

from ui.base import sizes_and_dates as words

KIB, MIB, GIB = 1024, 1024**2, 1024**3


@pytest.fixture(autouse=True, scope="module")
def english() -> Iterator[None]:
    before = QLocale()
    QLocale.setDefault(QLocale(QLocale.Language.English, QLocale.Country.UnitedKingdom))
    yield
    QLocale.setDefault(before)


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if not hasattr(clock, "tzset"):
        pytest.skip("this system cannot change its zone for a test")
    monkeypatch.setenv("TZ", "Europe/Berlin")
    clock.tzset()
    yield
    monkeypatch.undo()
    clock.tzset()


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (512, "512 bytes"),
        (KIB, "1 KiB"),
        (64 * KIB, "64 KiB"),
        (MIB - 1, "1 MiB"),
        (int(2.1 * GIB), "2.1 GiB"),
        (412 * GIB, "412 GiB"),
        (int(99.96 * GIB), "100 GiB"),
        (2**63, "8 EiB"),
        (2**75, "32,768 EiB"),
    ],
)
def test_sizes(octets: int, text: str) -> None:
    assert plain(words.size(octets)) == text


def test_a_size_does_not_break_over_a_line() -> None:
    assert " " not in words.size(3 * GIB)


@given(st.integers(min_value=0, max_value=2**62))
def test_a_size_is_never_far_from_the_truth(octets: int) -> None:
    number, unit = plain(words.size(octets)).split()
    factor = {"byte": 1, "bytes": 1, "KiB": 1, "MiB": 2, "GiB": 3, "TiB": 4, "PiB": 5, "EiB": 6}[unit]
    shown = float(number.replace(",", "")) * (1024**factor if unit.endswith("iB") else 1)
    assert abs(shown - octets) <= max(0.051 * octets, 1)


@pytest.mark.parametrize("wrong", [-1, -4096])
def test_unknown_sizes_are_refused(wrong: int) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        words.size(wrong)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 ms"),
        (0.0144, "14 ms"),
        (0.9996, "1 s"),
        (2.44, "2.4 s"),
        (9.97, "10 s"),
        (48, "48 s"),
        (59.7, "1 min"),
        (80, "1 min 20 s"),
        (3600, "1 h"),
        (3 * 3600 + 301, "3 h 5 min"),
        (86400, "1 day"),
        (2 * 86400 + 4 * 3600, "2 days 4 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert plain(words.duration(seconds)) == text
    assert plain(words.duration(timedelta(seconds=seconds))) == text


def test_no_duration_is_negative() -> None:
    with pytest.raises(ValueError, match="cannot be"):
        words.duration(-1)


NOW = datetime(2026, 11, 23, 9, 41, 7, tzinfo=UTC)  # 10:41 in Berlin, a Monday


@pytest.mark.parametrize(
    ("passed", "text"),
    [
        (timedelta(seconds=-50), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(minutes=59), "59 minutes ago"),
        (timedelta(hours=8), "8 hours ago"),
        (timedelta(hours=11, minutes=30), "11 hours ago"),
        (timedelta(hours=13), "yesterday 21:41"),
        (timedelta(days=2), "2 days ago"),
        (timedelta(days=21), "3 weeks ago"),
        (timedelta(days=40), "14 Oct 2026"),
        (timedelta(hours=-2), "today 12:41, in 2 h"),
    ],
)
def test_ages(passed: timedelta, text: str) -> None:
    assert plain(words.age(NOW - passed, NOW)) == text


@pytest.mark.parametrize(
    ("left", "text"),
    [
        (timedelta(seconds=-5), "now"),
        (timedelta(minutes=34), "today 11:15, in 34 min"),
        (timedelta(hours=11, minutes=19), "today 22:00, in 11 h"),
        (timedelta(hours=16), "tomorrow 02:41, in 16 h"),
        (timedelta(days=2), "Wed 25 Nov 10:41"),
    ],
)
def test_what_is_to_come(left: timedelta, text: str) -> None:
    assert plain(words.until(NOW + left, NOW)) == text


def test_moments_are_local() -> None:
    assert plain(words.date_and_time(NOW)) == "23 Nov 2026, 10:41"
    assert plain(words.exact(NOW)) == "23 Nov 2026, 10:41:07 (+01:00)"
    assert words.time(NOW) == "10:41"


@pytest.mark.parametrize("ask", [words.age, words.until, words.date, words.time, words.exact, words.date_and_time])
def test_a_moment_without_a_zone_is_refused(ask: object) -> None:
    assert callable(ask)
    with pytest.raises(ValueError, match="needs a time zone"):
        ask(datetime(2026, 11, 23))


@pytest.mark.parametrize(
    ("part", "whole", "text"), [(0, 0, "0 %"), (1, 3, "33 %"), (999, 1000, "99 %"), (5, 5, "100 %")]
)
def test_percent_is_whole_only_when_it_is(part: float, whole: float, text: str) -> None:
    assert plain(words.percent(part, whole)) == text


def test_counts_and_rates() -> None:
    assert words.count(1, "snapshot") == "1 snapshot"
    assert words.count(1200, "entry", "entries") == "1,200 entries"
    assert plain(words.rate(120 * MIB)) == "120 MiB/s"
