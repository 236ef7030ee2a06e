"""Which cuts to make: at every point that the operations pass, or at random ones that a seed makes repeatable."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Final

from tests.faults.arming import Cut, Victim
from tests.faults.refusing import ERRORS
from tests.faults.workshop import Course

KILLED: Final[tuple[Victim, ...]] = ("engine", "qemu", "both")
VICTIMS: Final[tuple[Victim, ...]] = (*KILLED, "enospc", "eio")
_LONGEST_DELAY = 20_000
"""Microseconds after a point; most operations pass the next within a few hundred."""
_LONGEST_OPENING = 60_000
"""Microseconds; an engine opens in a third of that when nobody else wants the processor."""


def every_point(courses: Sequence[Course], victims: Sequence[Victim]) -> Iterator[Cut]:
    """A cut for each point of each operation and each victim; where no guest runs, there is no QEMU to kill."""
    for victim in victims:
        for course in courses:
            if victim in ERRORS:
                for number in range(1, course.calls + 1):
                    yield Cut(course.scenario, f"call:{number}", 0, victim)
            elif course.guest or victim == "engine":
                for point in course.points:
                    yield Cut(course.scenario, point, 0, victim)


def random_cuts(courses: Sequence[Course], count: int, seed: int, share: float) -> Iterator[Cut]:
    """`count` cuts, of which about `share` are of operations with a guest: those take ten times as long."""
    dice = random.Random(seed)
    with_guest = [course for course in courses if course.guest and course.points]
    without = [course for course in courses if not course.guest and course.points]
    for _ in range(count):
        chosen = with_guest if with_guest and (not without or dice.random() < share) else without
        course = dice.choice(chosen)
        victim = dice.choice(KILLED) if course.guest else "engine"
        yield _random_cut(dice, course, victim)


def _random_cut(dice: random.Random, course: Course, victim: Victim) -> Cut:
    """At a point, some time after one, or at any time at all; now and then the recovery is killed, too."""
    how, again = dice.random(), 0
    if victim != "qemu" and dice.random() < 0.25:
        again = 1 + int(dice.random() * _LONGEST_OPENING)
    if how < 0.25:
        return Cut(course.scenario, dice.choice(course.points), 0, victim, again)
    if how < 0.75:
        # As many within ten microseconds as within ten milliseconds.
        delay = int(_LONGEST_DELAY ** dice.random())
        return Cut(course.scenario, dice.choice(course.points), delay, victim, again)
    return Cut(course.scenario, "", 1 + int(dice.random() * course.seconds * 1e6), victim, again)
