"""The points that matter most, of those that `python -m tests.faults` kills the engine at."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.scenarios import SCENARIOS
from tests.faults.sweep import find_accelerators, kill_at

POINTS = [
    "snapshot_halted@store.write:1",
    "snapshot_running@vm_snapshot.overlays_written:1",
    "snapshot_running@vm_snapshot.switched:1",
    "snapshot_running@store.written:1",
    "revert_running@vm_revert.guest_stopped:1",
    "revert_halted@store.written:1",
    "uninstall_vm@storage.image_trashed:3",
    "clone_vm@vm_clone.overlays_written:1",
    "recreate_vm@vm_recreate.overlays_written:1",
    "recreate_vm@store.written:1",
    "copy_snapshot@vm_copy.images_written:1",
    "suspend@vm_suspend.memory_saved:1",
    "suspend@vm_suspend.recorded:1",
    "resume@vm_resume.guest_started:1",
    "resume@vm_resume.recorded:1",
    "start@vm_start.guest_started:1",
    "import_disk@storage.part_filled:1",
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("facts")


@pytest.mark.parametrize("case", POINTS)
async def test_what_is_left_after_a_kill_is_whole(case: str, cache: Path) -> None:
    name, _, point = case.partition("@")
    assert await kill_at(name, point, await find_accelerators(cache)), "the point was not reached"


def test_every_scenario_is_named_for_what_it_does() -> None:
    assert {case.partition("@")[0] for case in POINTS} < set(SCENARIOS)
