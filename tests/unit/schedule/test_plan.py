"""What is due, what was missed, what will go: the plan and its preview."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.schedule.plan import GRACE, Kind, Member, Plan, Run, Schedule, plan, preview, upcoming_ref
from app.schedule.recurrence import Recurrence
from app.schedule.retention import Retention, Taken

ZONE = ZoneInfo("Europe/Paris")
NIGHTLY = Schedule("vmss", "Nightly", "snapshot", Recurrence((time(2),)), ZONE, Retention(count=3))
HOUR = timedelta(hours=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).astimezone(UTC)


def member(name: str = "db", **fields: object) -> Member:
    return replace(Member(name, name, "Running"), **fields)  # type: ignore[arg-type]


def due(schedule: Schedule = NIGHTLY, since: str = "2026-11-25 12:00", now: str = "2026-11-26 02:00") -> Plan:
    return plan(schedule, [member()], at(since), at(now))


def test_nothing_is_due_before_the_slot_and_one_run_at_it() -> None:
    assert due(now="2026-11-26 01:59").run is None
    found = due()
    assert found.run is not None and found.run.slot == at("2026-11-26 02:00") and not found.run.late
    assert found.dealt_with == at("2026-11-26 02:00") and found.missed == ()
    assert found.run.visits[0].snapshot_name == "Nightly 2026-11-26 02:00"


def test_a_slot_that_was_dealt_with_is_not_due_again() -> None:
    again = due(since="2026-11-26 02:00", now="2026-11-26 02:01")
    assert again.run is None and again.dealt_with == at("2026-11-26 02:00")


def test_a_clock_that_went_back_runs_nothing_twice() -> None:
    assert due(since="2026-11-26 02:00", now="2026-11-20 02:00") == Plan(None, (), at("2026-11-26 02:00"))


def test_a_disabled_schedule_is_never_due() -> None:
    assert due(replace(NIGHTLY, enabled=False)).run is None


def test_after_an_outage_it_runs_once_or_skips() -> None:
    once = due(since="2026-11-20 12:00", now="2026-11-26 09:00")
    assert once.run is not None and once.run.late and once.run.slot == at("2026-11-26 02:00")
    assert len(once.missed) == 5
    skipped = due(replace(NIGHTLY, missed="skip"), since="2026-11-20 12:00", now="2026-11-26 09:00")
    assert skipped.run is None and len(skipped.missed) == 6 and skipped.dealt_with == at("2026-11-26 02:00")
    on_time = due(replace(NIGHTLY, missed="skip"), since="2026-11-20 12:00", now="2026-11-26 02:04")
    assert on_time.run is not None and not on_time.run.late and len(on_time.missed) == 5


def test_a_year_of_outage_is_not_listed_minute_by_minute() -> None:
    every_minute = tuple(time(hour, minute) for hour in range(24) for minute in range(60))
    found = due(replace(NIGHTLY, rule=Recurrence(every_minute)), since="2025-11-26 02:00")
    assert found.run is not None and len(found.missed) == 999


@pytest.mark.parametrize(
    ("kind", "state", "skipped"),
    [
        ("snapshot", "Halted", False),
        ("checkpoint", "Halted", True),
        ("checkpoint", "Suspended", False),
        ("checkpoint", "Paused", False),
        ("snapshot_with_quiesce", "Running", False),
        ("snapshot_with_quiesce", "Paused", True),
    ],
)
def test_what_cannot_be_taken_is_skipped_with_a_reason(kind: Kind, state: str, skipped: bool) -> None:
    schedule = replace(NIGHTLY, kind=kind)
    found = plan(schedule, [member(state=state)], at("2026-11-25 12:00"), at("2026-11-26 02:00"))
    assert found.run is not None and bool(found.run.visits[0].skip) is skipped


def test_an_obstacle_skips_its_vm_alone_and_deletes_nothing() -> None:
    old = tuple(Taken(str(n), at("2026-11-01 02:00") + n * HOUR) for n in range(5))
    members = [member("a", obstacle="The chain is full.", taken=old), member("b", taken=old)]
    found = plan(NIGHTLY, members, at("2026-11-25 12:00"), at("2026-11-26 02:00"))
    assert found.run is not None
    first, second = found.run.visits
    assert (first.skip, first.deletes) == ("The chain is full.", ())
    assert (second.skip, second.deletes) == ("", ("0", "1", "2"))


def test_the_preview_strikes_out_what_will_go() -> None:
    taken = (Taken("one", at("2026-11-24 02:00")), Taken("two", at("2026-11-25 02:00")))
    runs = list(preview(NIGHTLY, [member(taken=taken)], at("2026-11-25 02:00"), at("2026-11-25 12:00"), 4))
    assert [run.visits[0].deletes for run in runs] == [(), ("one",), ("two",), (upcoming_ref(runs[0].slot),)]


TIMES = st.lists(st.times().map(lambda t: t.replace(second=0, microsecond=0)), min_size=1, max_size=4, unique=True)
SCHEDULES = st.builds(
    Schedule,
    ref=st.just("vmss"),
    name=st.just("S"),
    kind=st.sampled_from(["snapshot", "checkpoint"]),
    rule=st.builds(
        Recurrence,
        times=TIMES.map(lambda times: tuple(sorted(times))),
        weekdays=st.none() | st.frozensets(st.integers(0, 6), min_size=1),
    ),
    zone=st.sampled_from([ZoneInfo(z) for z in ("UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe")]),
    retention=st.builds(Retention, count=st.integers(1, 4), daily=st.integers(0, 3), weekly=st.integers(0, 2)),
    missed=st.sampled_from(["run-once", "skip"]),
)


def carry_out(run: Run, members: dict[str, Member], now: datetime) -> None:
    """What the runner does, on the model."""
    for visit in run.visits:
        known = members[visit.vm]
        if not visit.skip:
            left = tuple(one for one in known.taken if one.ref not in visit.deletes)
            members[visit.vm] = replace(known, taken=(*left, Taken(upcoming_ref(now), now)))


@given(SCHEDULES, st.datetimes(datetime(2026, 3, 1), datetime(2026, 11, 10)))
def test_what_the_preview_said_is_what_happens(schedule: Schedule, start: datetime) -> None:
    begun = start.replace(tzinfo=UTC)
    members = {"a": member("a"), "b": member("b", state="Halted")}
    promised = list(preview(schedule, list(members.values()), begun, begun, 12))
    dealt_with = begun
    for expected in promised:
        found = plan(schedule, list(members.values()), dealt_with, expected.slot)
        assert found.run == expected and found.missed == ()
        carry_out(expected, members, expected.slot)
        dealt_with = found.dealt_with


STEPS = st.lists(st.timedeltas(-timedelta(hours=30), timedelta(days=3)), min_size=1, max_size=30)


@given(SCHEDULES, st.datetimes(datetime(2026, 3, 1), datetime(2026, 11, 10)), STEPS)
def test_each_slot_runs_or_is_reported_at_most_once(
    schedule: Schedule, start: datetime, steps: list[timedelta]
) -> None:
    now = dealt_with = start.replace(tzinfo=UTC)
    done: list[datetime] = []
    for step in steps:
        now += step
        found = plan(schedule, [member()], dealt_with, now)
        if found.run is not None:
            assert found.run.late == (now - found.run.slot > GRACE)
            assert schedule.missed == "run-once" or not found.run.late
        done += [*found.missed, *([found.run.slot] if found.run else [])]
        assert found.dealt_with >= dealt_with
        dealt_with = found.dealt_with
    assert done == sorted(set(done))
    assert all(slot <= now + timedelta(days=90) for slot in done)


DAYS = st.lists(
    st.tuples(st.integers(0, 96), st.sampled_from(["", "a", "b", "ab"]), st.booleans()), min_size=1, max_size=8
)


@given(SCHEDULES, st.datetimes(datetime(2026, 3, 1), datetime(2026, 11, 10)), DAYS)
def test_outages_failures_and_locks_delete_no_more_than_the_preview_said(
    schedule: Schedule, start: datetime, days: list[tuple[int, str, bool]]
) -> None:
    now = dealt_with = start.replace(tzinfo=UTC)
    members = {"a": member("a"), "b": member("b")}
    for outage, failing, locks in days:
        promised = next(preview(schedule, list(members.values()), dealt_with, now + outage * HOUR, 1), None)
        if promised is None:
            return
        now = promised.slot  # what an outage let pass before it is missed, whatever the policy
        found = plan(schedule, list(members.values()), dealt_with, now)
        assert found.run == promised and found.dealt_with == now
        dealt_with = now
        before = dict(members)
        good = replace(promised, visits=tuple(visit for visit in promised.visits if visit.vm not in failing))
        carry_out(good, members, now)
        for vm, known in members.items():
            gone = {one.ref for one in before[vm].taken} - {one.ref for one in known.taken}
            assert gone == (set() if vm in failing else {r for v in promised.visits if v.vm == vm for r in v.deletes})
            assert not any(one.locked for one in before[vm].taken if one.ref in gone)
            assert known.taken or (vm in failing and not before[vm].taken) or any(v.skip for v in promised.visits)
            if locks and known.taken:
                members[vm] = replace(known, taken=(replace(known.taken[0], locked=True), *known.taken[1:]))
