"""What is written in the wizard, as the engine stores it, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api import VMSS, VMSSFrequency, VMSSType
from app.schedule.fields import checked_entries, definition
from ui.schedules.draft import DAYS, Draft, draft_of, month_days, monthly_of
from ui.schedules.words import kept_of, when_of

TIMES = st.lists(
    st.builds(lambda h, m: f"{h:02}:{m:02}", st.integers(0, 23), st.integers(0, 59)),
    min_size=1,
    max_size=4,
    unique=True,
).map(lambda times: tuple(sorted(times)))
DRAFTS = st.builds(
    Draft,
    name=st.text(max_size=9),
    kind=st.sampled_from(VMSSType),
    frequency=st.sampled_from(VMSSFrequency),
    minute=st.sampled_from([0, 15, 30, 45]),
    times=TIMES,
    days=st.lists(st.sampled_from(DAYS), min_size=1, unique=True).map(lambda days: tuple(d for d in DAYS if d in days)),
    cron=st.sampled_from(["", "30 2 * * mon-fri", "0 4 L * *"]),
    zone=st.sampled_from(["", "Europe/Paris"]),
    window=st.sampled_from(["", "22:00-06:00"]),
    retained=st.integers(1, 10),
    keep=st.dictionaries(st.sampled_from(["hourly", "daily", "weekly", "monthly"]), st.integers(1, 99)),
    max_age_days=st.integers(0, 900),
    missed=st.sampled_from(["run-once", "skip"]),
    tags=st.sampled_from([(), ("prod",), ("prod", "qa")]),
    only_running=st.booleans(),
)


@given(DRAFTS)
def test_the_engine_accepts_every_draft_and_gives_it_back(draft: Draft) -> None:
    entries = draft.entries()
    checked_entries(entries)
    definition(draft.frequency, entries, draft.retained)
    record = VMSS(
        name_label=draft.name,
        type=draft.kind,
        frequency=draft.frequency,
        schedule=entries,
        retained_snapshots=draft.retained,
    )
    again = draft_of(record)
    assert again.entries() == entries
    assert again.record() == draft.record()


def test_keys_that_the_form_does_not_show_survive() -> None:
    record = VMSS(schedule={"hour": "3", "min": "30", "stillframe.later": "1"})
    assert draft_of(record).entries() == {"hour": "3", "min": "30", "stillframe.later": "1"}


@pytest.mark.parametrize(
    ("draft", "words"),
    [
        (Draft(times=("22:00",)), "Every day at 22:00"),
        (Draft(times=("09:00", "17:30")), "Every day at 09:00 and 17:30"),
        (Draft(frequency=VMSSFrequency.hourly), "Every hour, on the hour"),
        (
            Draft(frequency=VMSSFrequency.hourly, minute=15, window="08:00-18:00"),
            "Every hour at 15 past, between 08:00 and 18:00",
        ),
        (
            Draft(frequency=VMSSFrequency.weekly, days=("Monday", "Friday"), times=("02:30",)),
            "Mondays and Fridays at 02:30",
        ),
        (Draft(frequency=VMSSFrequency.weekly, days=DAYS, times=("02:30",)), "Every day at 02:30"),
        (Draft(cron="0 4 L * *"), "On the last day of each month at 04:00"),
        (Draft(cron="30 22 1,15,L * *"), "On days 1 and 15 and the last day of each month at 22:30"),
        (Draft(cron="0 4 1 * *"), "On day 1 of each month at 04:00"),
        (Draft(cron="0 4 L * mon"), "By cron: 0 4 L * mon"),
        (Draft(cron="0 4 32 * *"), "By cron: 0 4 32 * *"),
    ],
)
def test_when_in_words(draft: Draft, words: str) -> None:
    assert when_of(draft) == words


@pytest.mark.parametrize("cron", ["0 4 L * *", "30 22 1,15,L * *", "5 0 31 * *"])
def test_a_monthly_rule_survives_the_form(cron: str) -> None:
    monthly = monthly_of(cron)
    assert monthly is not None and monthly.cron() == cron


@pytest.mark.parametrize("text", ["", "0", "32", "1, x", "first", "²"])
def test_days_that_no_month_has(text: str) -> None:
    assert month_days(text) == ()


def test_what_is_kept_in_words() -> None:
    assert kept_of(Draft(retained=1)) == "The last one of each VM"
    draft = Draft(retained=7, keep={"weekly": 4, "monthly": 12}, max_age_days=400)
    assert kept_of(draft) == "The last 7 of each VM, and 4 weekly and 12 monthly; none older than 400 days"


def test_the_number_kept_follows_the_frequency_until_someone_chooses() -> None:
    assert Draft().with_frequency(VMSSFrequency.weekly).retained == 4
    assert Draft(retained=3).with_frequency(VMSSFrequency.weekly).retained == 3
