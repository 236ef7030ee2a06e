"""The sweep itself: it sees what is wrong, and its failing writes hit what they should."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults import acting, checking, workshop
from tests.faults.arming import Cut
from tests.faults.pool import Pool, cut_here, workshops
from tests.faults.refusing import compiler
from tests.faults.scenarios import SCENARIOS, Facts
from tests.faults.workshop import Outcome
from tests.support.engine import Bench
from tests.support.guest_disk import write_bytes

POINT = "storage.journal_written:1"


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with workshops(1, refusing=compiler() is not None) as pool:
        yield pool


def damaged(how: str) -> Outcome:
    """In a worker: a cut of a revert that does harm before it begins."""
    kept = SCENARIOS["revert_halted"]

    async def act(bench: Bench, facts: Facts) -> None:
        frozen = bench.image(facts["root"])
        if how == "a byte of a snapshot":
            frozen.chmod(0o600)
            write_bytes(frozen, 1 << 20, b"harm")
            frozen.chmod(0o444)
        elif how == "a byte of the VM":
            write_bytes(bench.image(facts["vm"]), 1 << 20, b"harm")
        elif how == "a file without a record":
            Path(f"{frozen.parent}/00000000-0000-4000-8000-000000000000.qcow2").write_bytes(frozen.read_bytes())
        elif how == "a record without its file":
            frozen.unlink()
        await kept.act(bench, facts)

    changed = {**SCENARIOS, "revert_halted": replace(kept, act=act)}
    before = [(module, module.SCENARIOS) for module in (acting, checking, workshop)]
    for module, _ in before:
        vars(module)["SCENARIOS"] = changed
    try:
        return cut_here(Cut("revert_halted", POINT))
    finally:
        for module, scenarios in before:
            vars(module)["SCENARIOS"] = scenarios


@pytest.mark.parametrize(
    "how", ["a byte of a snapshot", "a byte of the VM", "a file without a record", "a record without its file"]
)
def test_harm_is_seen(pool: Pool, how: str) -> None:
    assert pool.submit(damaged, how).result().problem != ""


def test_without_harm_all_is_well(pool: Pool) -> None:
    outcome = pool.submit(damaged, "nothing").result()
    assert (outcome.problem, outcome.reached) == ("", True)


def test_a_point_that_is_not_passed_is_told(pool: Pool) -> None:
    outcome = pool.cut(Cut("create_disk", "no.such_point:1")).result()
    assert (outcome.problem, outcome.reached) == ("", False)


@pytest.mark.skipif(compiler() is None, reason="no C compiler for the library that refuses writes")
@pytest.mark.parametrize("victim", ["enospc", "eio"])
@pytest.mark.parametrize("scenario", ["snapshot_halted", "import_disk"])
def test_writes_that_fail(pool: Pool, scenario: str, victim: str) -> None:
    """Some of them: `python -m tests.faults` lets every one fail."""
    calls = pool.course(scenario).result().calls
    assert calls > 20
    made = [pool.cut(Cut(scenario, f"call:{number}", 0, victim)) for number in range(1, calls, 7)]  # type: ignore[arg-type]
    outcomes = [future.result() for future in made]
    assert [outcome.problem for outcome in outcomes if outcome.problem] == []
    assert all(outcome.reached for outcome in outcomes[:3])
