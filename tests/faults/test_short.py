"""The cuts that matter most, of those that `python -m tests.faults` makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future

import pytest

from tests.faults.arming import read_cut
from tests.faults.pool import workshops
from tests.faults.scenarios import SCENARIOS
from tests.faults.workshop import Outcome

# The first test that wants a Linux guest may have to download it.
pytestmark = pytest.mark.timeout(600)

CUTS = [
    "snapshot_halted@store.write:1",
    "snapshot_halted@vm_snapshot.overlays_written:1",
    "snapshot_running@vm_snapshot.overlays_written:1",
    "snapshot_running@vm_snapshot.overlays_written:1/qemu",
    "snapshot_running@vm_snapshot.switched:1",
    "snapshot_running@vm_snapshot.switched:1/both",
    "snapshot_quiesced@vm_freeze.frozen:1",
    "snapshot_quiesced@vm_freeze.frozen:1/both",
    "snapshot_group@vm_snapshot.overlays_written:1",
    "snapshot_group@together.standing:1",
    "snapshot_group@together.switched:1",
    "snapshot_group@vm_group.switched:1",
    "snapshot_group@vm_group.switched:1/both",
    "revert_group@vm_revert.committed:1",
    "checkpoint_running@hypervisor.checkpoint_stopped:1",
    "checkpoint_background@hypervisor.checkpoint_writing:1",
    "revert_to_checkpoint@vm_revert.memory_shared:1",
    "revert_running@vm_revert.overlays_written:1/qemu",
    "revert_running@vm_revert.guest_stopped:1",
    "revert_halted@store.written:1",
    "revert_halted@storage.image_trashed:1",
    "uninstall_vm@storage.image_trashed:3",
    "clone_vm@vm_clone.overlays_written:1",
    "recreate_vm@vm_recreate.overlays_written:1",
    "recreate_vm@store.written:1",
    "copy_snapshot@vm_copy.images_written:1",
    "suspend@vm_suspend.memory_saved:1",
    "suspend@vm_suspend.recorded:1",
    "resume@vm_resume.guest_started:1",
    "resume@vm_resume.recorded:1",
    "start@hypervisor.guest_launched:1",
    "start@vm_start.guest_started:1",
    "import_disk@storage.part_filled:1",
    "import_xva@storage.published:2",
    "import_suspended@vm_import.disks_written:1",
    "merge_halted_middle@storage.merge_copied:1",
    "merge_halted_root@merge.switched:2",
    "merge_with_clones@storage.parent_set:1",
    "merge_halted_top@merge.recorded:1",
    "merge_running_active@merge.finalized:1/qemu",
    "merge_running_active@merge.finalized:1/both",
    "merge_running_middle@merge.job_started:1",
    "merge_running_middle@merge.switched:1/both",
]
JOBS = 2


@pytest.fixture(scope="module")
def made() -> Iterator[Mapping[str, Future[Outcome]]]:
    with workshops(JOBS) as pool:
        cuts = {text: read_cut(text) for text in CUTS}
        yield {text: pool.cut(cut) for text, cut in cuts.items() if SCENARIOS[cut.scenario].missing() is None}


@pytest.mark.parametrize("text", CUTS)
def test_what_is_left_after_a_kill_is_whole(text: str, made: Mapping[str, Future[Outcome]]) -> None:
    if reason := SCENARIOS[read_cut(text).scenario].missing():
        pytest.skip(reason)
    outcome = made[text].result()
    assert outcome.problem == ""
    assert outcome.reached


def test_every_cut_is_of_a_scenario_and_reads_as_it_is_written() -> None:
    assert {read_cut(text).scenario for text in CUTS} < set(SCENARIOS)
    for text in [*CUTS, "start+5us/qemu", "start@a.b:2+7us", "start@a.b:1/both", "start@a.b:1~9us"]:
        assert str(read_cut(text)) == text
