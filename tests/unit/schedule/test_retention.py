"""Which snapshots go: by count, by periods, by age; never a locked one, never the newest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from app.schedule.retention import Retention, Taken, expired

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
ZONE = ZoneInfo("UTC")


def every(step: timedelta, count: int) -> list[Taken]:
    """Snapshots back from now, the newest called "0"."""
    return [Taken(str(number), NOW - number * step) for number in range(count)]


def going(taken: list[Taken], retention: Retention, zone: ZoneInfo = ZONE) -> list[str]:
    return [one.ref for one in expired(taken, retention, NOW, zone)]


def test_by_count_the_oldest_go_first() -> None:
    assert going(every(timedelta(hours=1), 5), Retention(count=3)) == ["4", "3"]
    assert going(every(timedelta(hours=1), 3), Retention(count=3)) == []
    assert going([], Retention(count=1)) == []


def test_locked_ones_stay_and_do_not_save_others() -> None:
    taken = every(timedelta(hours=1), 4)
    taken[3] = Taken("3", taken[3].time, locked=True)
    assert going(taken, Retention(count=1)) == ["2", "1"]


def test_periods_count_only_where_there_is_a_snapshot() -> None:
    taken = [
        Taken("now", NOW),
        Taken("may", datetime(2026, 5, 2, tzinfo=UTC)),
        Taken("old", datetime(2020, 1, 1, tzinfo=UTC)),
    ]
    assert going(taken, Retention(count=1, monthly=3)) == []
    assert going(taken, Retention(count=1, monthly=2)) == ["old"]


def test_grandfather_father_son() -> None:
    taken = every(timedelta(hours=6), 4 * 60)
    kept = {one.ref for one in taken} - set(going(taken, Retention(count=1, daily=3, weekly=2, monthly=2)))
    days = {one.time.date().isoformat() for one in taken if one.ref in kept}
    assert days == {"2026-11-26", "2026-11-25", "2026-11-24", "2026-11-22", "2026-10-31"}
    assert len(kept) == 5


def test_days_are_the_zones_days() -> None:
    """Two snapshots on one day in UTC are on two days in Tokyo."""
    taken = [
        Taken("late", datetime(2026, 11, 26, 16, tzinfo=UTC)),
        Taken("early", datetime(2026, 11, 26, 14, tzinfo=UTC)),
    ]
    assert going(taken, Retention(count=1, daily=2)) == ["early"]
    assert going(taken, Retention(count=1, daily=2), ZoneInfo("Asia/Tokyo")) == []


def test_age_ends_what_other_rules_keep_but_not_the_last() -> None:
    taken = every(timedelta(days=10), 4)
    assert going(taken, Retention(count=10, max_age=timedelta(days=15))) == ["3", "2"]
    ancient = [Taken("only", NOW - timedelta(days=900))]
    assert going(ancient, Retention(count=1, max_age=timedelta(days=1))) == []


MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2026, 12, 31)).map(lambda moment: moment.replace(tzinfo=UTC))
RETENTIONS = st.builds(
    Retention,
    count=st.integers(1, 10),
    hourly=st.integers(0, 5),
    daily=st.integers(0, 5),
    weekly=st.integers(0, 5),
    monthly=st.integers(0, 5),
    max_age=st.none() | st.timedeltas(timedelta(hours=1), timedelta(days=400)),
)


@given(st.lists(st.tuples(MOMENTS, st.booleans()), max_size=40), RETENTIONS, st.sampled_from(["UTC", "Europe/Paris"]))
def test_what_always_holds(given_ones: list[tuple[datetime, bool]], retention: Retention, zone: str) -> None:
    taken = [Taken(str(number), moment, locked) for number, (moment, locked) in enumerate(given_ones)]
    gone = expired(taken, retention, NOW, ZoneInfo(zone))
    refs = [one.ref for one in gone]
    assert len(refs) == len(set(refs)) and not any(one.locked for one in gone)
    left = [one for one in taken if one.ref not in refs]
    assert not taken or max(left, key=lambda one: (one.time, one.ref)) == max(
        taken, key=lambda one: (one.time, one.ref)
    )
    # Doing it again at once deletes nothing more.
    assert expired(left, retention, NOW, ZoneInfo(zone)) == ()
    if retention.max_age is None:
        assert len(left) >= min(len(taken), retention.count)
