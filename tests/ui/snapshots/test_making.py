"""New VM and New Template from a snapshot: what is asked of the engine, and what is left when a step fails."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QLabel

from app.api import NULL, SR, VM, Failure, VMOperation
from tests.ui.snapshots.driving import plain
from tests.ui.snapshots.estate import GIB, ON_SNAPSHOT, Estate
from tests.ui.snapshots.waiting import opened, until
from ui.base.dialogs import ErrorDialog
from ui.snapshots.new_dialog import NewDialog

CLONE, COPY, PROVISION = "Async.VM.clone", "Async.VM.copy", "Async.VM.provision"
START, UNINSTALL = "Async.VM.start", "Async.VM.uninstall"


async def ask(estate: Estate, kind: str = "vm", snapshot: str = "before") -> NewDialog:
    estate.engine.answer("VM.clone", "made")
    estate.engine.answer("VM.copy", "made")
    estate.workspace.commands.run(f"snapshot.new_{kind}", (("VM", snapshot),))
    dialog = await opened(NewDialog)
    dialog.name.setText("web-02")
    return dialog


async def done(estate: Estate) -> None:
    await until(lambda: not estate.workspace.commands.running)


async def test_a_fast_clone_becomes_a_vm(estate: Estate) -> None:
    (await ask(estate)).accept()
    await done(estate)
    assert estate.calls == [(CLONE, ("before", "web-02")), (PROVISION, ("made",))]
    assert [entry.title for entry in estate.workspace.history.entries] == ["Copying to web-02", "Making the VM web-02"]


async def test_a_full_copy_goes_where_it_is_wanted_and_starts(estate: Estate) -> None:
    estate.engine.put(SR(name_label="Fast disks", type="file", physical_size=900 * GIB), "sr2")
    estate.engine.put(SR(name_label="Discs", type="iso"), "iso")
    dialog = await ask(estate)
    dialog.full.click()
    assert [dialog.where.itemData(n) for n in range(dialog.where.count())] == [NULL, "sr2", "sr"]
    dialog.where.setCurrentIndex(1)
    dialog.start.setChecked(True)
    dialog.accept()
    await done(estate)
    assert estate.calls == [
        (COPY, ("before", "web-02", "sr2")),
        (PROVISION, ("made",)),
        (START, ("made", False, False)),
    ]


@pytest.mark.parametrize(("full", "call"), [(False, (CLONE, ("before", "web-02"))),
                                            (True, (COPY, ("before", "web-02", NULL)))])  # fmt: skip
async def test_a_template_is_the_copy_itself(estate: Estate, full: bool, call: tuple[str, tuple[str, ...]]) -> None:
    dialog = await ask(estate, "template")
    assert not dialog.start.isVisibleTo(dialog)
    if full:
        dialog.full.click()
    dialog.accept()
    await done(estate)
    assert estate.calls == [call]


async def test_a_half_made_vm_is_removed_again(estate: Estate) -> None:
    estate.engine.answer("VM.provision", Failure("SR_BACKEND_FAILURE_44", "", "", "1 GiB is missing."))
    (await ask(estate)).accept()
    told = await opened(ErrorDialog)
    said = " ".join(row.text() for row in told.findChildren(QLabel))
    assert "“web-02” was not made" in said
    assert "What had been made was removed again." in said
    told.reject()
    await done(estate)
    assert [method for method, _ in estate.calls] == [CLONE, PROVISION, UNINSTALL]


async def test_what_cannot_be_removed_again_is_named(estate: Estate) -> None:
    estate.engine.answer("VM.provision", Failure("TASK_CANCELLED", "t"))
    estate.engine.answer("VM.uninstall", Failure("INTERNAL_ERROR", "oh"))
    (await ask(estate)).accept()
    told = await opened(ErrorDialog)
    assert "The unfinished template “web-02” could not be removed" in " ".join(
        r.text() for r in told.findChildren(QLabel)
    )
    told.reject()
    await done(estate)


async def test_a_cancelled_one_that_left_nothing_is_not_talked_about(estate: Estate) -> None:
    estate.engine.answer("VM.provision", Failure("TASK_CANCELLED", "t"))
    (await ask(estate)).accept()
    await done(estate)
    assert [method for method, _ in estate.calls] == [CLONE, PROVISION, UNINSTALL]


async def test_a_failed_copy_goes_no_further(estate: Estate) -> None:
    dialog = await ask(estate)
    estate.engine.answer("VM.clone", Failure("SR_BACKEND_FAILURE_109", "", "", "30 of 30."))
    dialog.accept()
    told = await opened(ErrorDialog)
    told.reject()
    await done(estate)
    assert [method for method, _ in estate.calls] == [CLONE]


async def test_a_vm_that_does_not_start_is_made_all_the_same(estate: Estate) -> None:
    estate.engine.answer("VM.start", Failure("HOST_NOT_ENOUGH_FREE_MEMORY", "2", "1"))
    dialog = await ask(estate)
    dialog.start.setChecked(True)
    dialog.accept()
    told = await opened(ErrorDialog)
    assert "was made, but could not be started" in " ".join(row.text() for row in told.findChildren(QLabel))
    told.reject()
    await done(estate)
    assert UNINSTALL not in [method for method, _ in estate.calls]


async def test_the_dialog_says_what_becomes_of_memory_and_space(estate: Estate) -> None:
    dialog = await ask(estate)
    said = [plain(words) for _, words in dialog.follows.said()]
    assert said[0] == "The memory is not taken over: its guest starts as after a power cut"
    assert "next to nothing" in said[2]
    dialog.full.click()
    assert plain(dialog.follows.said()[-1][1]).startswith("Takes up to 11.1 GiB at once")
    estate.engine.change(SR, "sr", physical_utilisation=499 * GIB)
    dialog.where.setCurrentIndex(1)
    assert dialog.primary is not None
    assert plain(dialog.primary.toolTip()) == "The copy may need 11.1 GiB, and Local storage has 1 GiB free."
    dialog.reject()
    await done(estate)


async def test_only_what_the_engine_offers_can_be_chosen(estate: Estate) -> None:
    estate.engine.change(VM, "before", allowed_operations=ON_SNAPSHOT - {VMOperation.copy})
    dialog = await ask(estate)
    assert not dialog.full.isEnabled()
    estate.engine.change(VM, "before", allowed_operations=frozenset(), current_operations={"t": VMOperation.revert})
    assert dialog.primary is not None
    assert dialog.primary.toolTip() == "It is busy: reverting."
    dialog.reject()
    await done(estate)
    assert estate.workspace.commands.state("snapshot.new_vm", (("VM", "before"),)).reason == "It is busy: reverting."
