"""Groups: shown, reverted as one, and taken; and several VMs at once without being one."""

from __future__ import annotations

import pytest

from app.api import NULL, VM, Failure, Ref, VMOperation, VMPowerState
from tests.ui.snapshots.driving import plain
from tests.ui.snapshots.estate import Estate, group_of_three
from tests.ui.snapshots.waiting import opened, until
from ui.base.dialogs import ErrorDialog
from ui.snapshots.group_dialog import GroupDialog
from ui.snapshots.revert_dialog import RevertDialog
from ui.snapshots.take_many_dialog import TakeManyDialog
from ui.widgets.results import ResultsDialog

THREE = ("vm", "web", "mail")
SNAPSHOTS = ("trial", "mail-trial", "web-trial")


def run(estate: Estate, command: str, *refs: str) -> None:
    estate.workspace.commands.run(command, tuple(("VM", ref) for ref in refs))


async def done(estate: Estate) -> None:
    await until(lambda: not estate.workspace.commands.running)


@pytest.fixture
def three(estate: Estate) -> Estate:
    group_of_three(estate)
    return estate


# ---- revert ---------------------------------------------------------------------------------------------------


async def test_one_of_a_group_reverts_alone_unless_asked(three: Estate) -> None:
    run(three, "snapshot.revert", "trial")
    dialog = await opened(RevertDialog)
    assert dialog.only_this.isChecked()
    dialog.keep_current.setChecked(False)
    dialog.start_afterwards.setChecked(False)
    dialog.accept()
    await done(three)
    assert three.calls == [("Async.VM.revert", ("trial",))]


async def test_the_whole_group_reverts_with_a_safety_group_first(three: Estate) -> None:
    def reverted(_snapshots: list[str]) -> None:
        for ref in THREE:
            back_to: Ref[VM] = Ref("trial" if ref == "vm" else f"{ref}-trial")
            three.engine.change(VM, ref, power_state=VMPowerState.Halted, parent=back_to)

    three.engine.answer("VM.revert_group", reverted)
    run(three, "snapshot.revert", "trial")
    dialog = await opened(RevertDialog)
    dialog.whole_group.click()
    assert dialog.heading.text() == "Revert 3 VMs?"
    said = [words for _, words in dialog.consequences.said()]
    assert said[0] == "billing-db, mail, web-01"
    assert "mail: the suspended memory is dropped" in said
    dialog.accept()
    await done(three)
    assert three.calls[:2] == [
        ("Async.VM.snapshot_group", (["vm", "mail", "web"], "Before revert to Trial of replica")),
        ("Async.VM.revert_group", (["trial", "mail-trial", "web-trial"],)),
    ]
    assert sorted(params[0] for method, params in three.calls if method == "Async.VM.start") == ["mail", "vm", "web"]


async def test_who_did_not_go_back_is_told_and_the_others_start(three: Estate) -> None:
    def partly(_snapshots: list[str]) -> Failure:
        three.engine.change(VM, "web", power_state=VMPowerState.Halted, parent=Ref("web-trial"))
        three.engine.change(VM, "mail", power_state=VMPowerState.Halted)
        return Failure("VM_REVERT_FAILED", "mail-trial", "mail", "1 of 3 is as it was: mail.")

    three.engine.answer("VM.revert_group", partly)
    run(three, "snapshot.revert", "trial")
    dialog = await opened(RevertDialog)
    dialog.whole_group.click()
    dialog.keep_current.setChecked(False)
    dialog.accept()
    told = await opened(ErrorDialog)
    assert told.heading.text() == "Not all VMs were reverted"
    assert told.accessibleDescription() == "1 of 3 is as it was: mail."
    told.reject()
    await done(three)
    assert [params[0] for method, params in three.calls if method == "Async.VM.start"] == ["web"]


async def test_without_a_safety_group_nothing_is_reverted(three: Estate) -> None:
    three.engine.answer("VM.snapshot_group", Failure("SR_BACKEND_FAILURE_44", "", "", "full"))
    run(three, "snapshot.revert", "trial")
    dialog = await opened(RevertDialog)
    dialog.whole_group.click()
    dialog.accept()
    (await opened(ErrorDialog)).reject()
    await done(three)
    assert [method for method, _ in three.calls] == ["Async.VM.snapshot_group"]


async def test_a_busy_member_stops_the_group_only(three: Estate) -> None:
    three.engine.change(VM, "web", current_operations={"t": VMOperation.suspend})
    run(three, "snapshot.revert", "trial")
    dialog = await opened(RevertDialog)
    assert dialog.primary is not None
    assert dialog.primary.isEnabled()
    dialog.whole_group.click()
    assert dialog.primary.toolTip() == "web-01: The VM is busy: suspending."
    dialog.reject()
    await done(three)


async def test_the_group_of_a_snapshot_is_shown_and_leads_on(three: Estate) -> None:
    shown: list[tuple[str, str, str]] = []
    three.workspace.show_requested.connect(lambda *what: shown.append(what))
    run(three, "snapshot.group", "trial")
    dialog = await opened(GroupDialog)
    assert dialog.members == SNAPSHOTS
    dialog.table.selectRow(1)
    dialog.go_to.click()
    await done(three)
    assert shown == [("VM", "mail", "snapshots")]
    run(three, "snapshot.group", "trial")
    (await opened(GroupDialog)).accept()
    (await opened(RevertDialog)).reject()
    await done(three)
    assert not three.workspace.commands.state("snapshot.group", (("VM", "before"),)).visible


# ---- a revert of one ------------------------------------------------------------------------------------------


async def test_memory_of_a_suspended_vm_is_kept_with_the_safety_snapshot(estate: Estate) -> None:
    estate.engine.change(VM, "vm", power_state=VMPowerState.Suspended)
    run(estate, "snapshot.revert", "trial")
    dialog = await opened(RevertDialog)
    assert dialog.keep_way.current() == "checkpoint"
    assert "The guest's memory of now stays in the new snapshot too" in [w for _, w in dialog.consequences.said()]
    dialog.accept()
    await done(estate)
    assert [method for method, _ in estate.calls][:2] == ["Async.VM.checkpoint", "Async.VM.revert"]


async def test_memory_of_a_running_guest_is_kept_on_request(estate: Estate) -> None:
    run(estate, "snapshot.revert", "before")
    dialog = await opened(RevertDialog)
    assert dialog.keep_way.current() == "snapshot"
    said = [plain(words) for _, words in dialog.consequences.said()]
    assert "The guest is cut off, as by pulling the plug; its memory is lost" in said
    assert "It takes a moment; resuming then reads 1.1 GiB of memory" in said
    dialog.keep_current.setChecked(False)
    assert not dialog.keep_way.isEnabled()
    dialog.reject()
    await done(estate)


async def test_a_vm_that_is_gone_is_made_again_and_started(estate: Estate) -> None:
    def made(snapshot: str) -> None:
        estate.engine.put(VM(name_label="billing-db", power_state=VMPowerState.Suspended), "again")
        estate.engine.change(VM, snapshot, snapshot_of=Ref("again"))

    estate.engine.answer("VM.revert", made)
    estate.engine.change(VM, "before", snapshot_of=Ref(NULL))
    run(estate, "snapshot.revert", "before")
    dialog = await opened(RevertDialog)
    assert dialog.primary is not None
    assert dialog.primary.text() == "Make VM"
    assert dialog.wish().keep is None
    dialog.accept()
    await done(estate)
    assert estate.calls == [("Async.VM.revert", ("before",)), ("Async.VM.resume", ("again", False, False))]


# ---- taking ---------------------------------------------------------------------------------------------------


async def test_each_gets_a_snapshot_of_its_own_name(three: Estate) -> None:
    run(three, "vm.snapshot", *THREE)
    dialog = await opened(TakeManyDialog)
    dialog.name.setText("{name} before")
    dialog.accept()
    await done(three)
    assert sorted(three.calls) == [
        ("Async.VM.snapshot", ("mail", "mail before")),
        ("Async.VM.snapshot", ("vm", "billing-db before")),
        ("Async.VM.snapshot", ("web", "web-01 before")),
    ]


async def test_results_tell_what_failed_and_what_was_left_out(three: Estate) -> None:
    def answer(vm: str, _name: str) -> Failure | str:
        return Failure("SR_BACKEND_FAILURE_44", "", "", "full") if vm == "web" else ""

    three.engine.answer("VM.snapshot", answer)
    busy = {"t": VMOperation.resume}
    three.engine.change(VM, "mail", allowed_operations=frozenset(), current_operations=busy)
    run(three, "vm.snapshot", *THREE)
    (await opened(TakeManyDialog)).accept()
    told = await opened(ResultsDialog)
    rows = [[told.table.model().index(row, column).data() for column in (0, 1)] for row in range(3)]
    assert [name for name, _ in rows] == ["web-01", "mail", "billing-db"]
    assert "storage is full" in rows[0][1]
    assert rows[1][1] == "It is busy: resuming."
    told.reject()
    await done(three)


async def test_a_group_is_taken_of_all_or_of_none(three: Estate) -> None:
    run(three, "vm.snapshot", *THREE)
    dialog = await opened(TakeManyDialog)
    dialog.together.click()
    assert dialog.name.text().startswith("Group 20")
    assert not dialog.way.isEnabled()
    three.engine.change(VM, "mail", allowed_operations=frozenset())
    assert dialog.primary is not None
    assert not dialog.primary.isEnabled()
    assert "of all VMs or of none" in dialog.primary.toolTip()
    three.engine.change(VM, "mail", allowed_operations=three.record("vm").allowed_operations)
    dialog.name.setText("Before")
    dialog.accept()
    await done(three)
    assert three.calls == [("Async.VM.snapshot_group", (["vm", "web", "mail"], "Before"))]


async def test_what_is_not_safe_is_left_out(three: Estate) -> None:
    three.answer_ready(checkpoint={"safe": "false", "reason": "No room.", "advice": "Make some."})
    run(three, "vm.snapshot", *THREE)
    dialog = await opened(TakeManyDialog)
    dialog.way.set_current("checkpoint")
    dialog.way.chosen.emit("checkpoint")
    await until(lambda: not any(asker.asking for asker in dialog.askers.values()))
    assert {row.reason for row in dialog.rows.items.values()} == {"No room. Make some."}
    assert dialog.primary is not None
    assert not dialog.primary.isEnabled()
    dialog.reject()
    await done(three)


def test_several_vms_can_be_taken_if_one_can(three: Estate) -> None:
    def reason(*refs: str) -> str:
        return three.workspace.commands.state("vm.snapshot", tuple(("VM", ref) for ref in refs)).reason

    assert reason("vm", "web") == ""
    assert reason("vm", "trial") == ""
    assert reason("trial", "before") == "No snapshot of any of them can be taken now."
