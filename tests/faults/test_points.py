"""Every crash point is passed by a scenario of the fault sweep, or says why it is not."""

from __future__ import annotations

from tests.contracts.tree import ROOT
from tests.faults.points import declared, recorded

HOW = "add a scenario to tests/faults/scenarios, then run: python -m tests.faults --points SCENARIO"


def test_no_point_is_forgotten() -> None:
    said = recorded()
    assert declared() - said.passed.keys() - said.excused.keys() == set(), HOW
    assert said.passed.keys() & said.excused.keys() == set()


def test_no_point_is_left_that_went() -> None:
    said = recorded()
    assert (said.passed.keys() | said.excused.keys()) - declared() == set(), HOW


def test_points_are_found_however_they_are_named() -> None:
    assert {"store.write", "vm_snapshot.switched", "storage.image_frozen"} <= declared()
    assert all(recorded().excused.values())


def test_the_record_names_scenarios_that_exist() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests/faults/scenarios").glob("*.py"))
    assert [name for name in set(recorded().passed.values()) if f'"{name}": Scenario(' not in text] == []
