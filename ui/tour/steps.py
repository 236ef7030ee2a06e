"""The main job, step by step: make a VM, snapshot it, break it, revert it, see that it is back."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLineEdit

from app.api import VM, Ref, VMPowerState
from ui.machines.console_tab import ConsoleTab
from ui.snapshots.tab import SnapshotsTab
from ui.snapshots.take_dialog import TakeDialog
from ui.snapshots.words import screen_of
from ui.tour import exchange, protection
from ui.tour.stage import Counter, Stage, TourFailed

NAME = "billing-db"
SNAPSHOT = "Before the upgrade"
CHECKPOINT = "In the middle of things"


async def take(stage: Stage) -> None:
    """Take the whole tour. :raise TourFailed: a step did not happen."""
    counter = Counter(stage)
    try:
        await main_job(stage, counter)
    finally:
        await counter.stop()
        await clean_up(stage)


async def main_job(stage: Stage, counter: Counter) -> None:
    """Every step in order."""
    await stage.picture("welcome")
    vm = await make_vm(stage)
    await see_it_count(stage, counter, vm)
    await counter.reaches(40)
    snapshot, before = await take_snapshot(stage, counter, vm)
    await break_it(stage, counter, vm)
    await revert(stage, vm)
    await see_it_back(stage, counter, vm, snapshot, before)
    await branch_out(stage, counter, vm, snapshot)
    checkpoint, kept = await keep_memory(stage, counter, vm)
    await revert_to_memory(stage, counter, vm, checkpoint, kept)
    stage.window.show_object("VM", vm, "snapshots")
    await choose(stage, snapshot)
    await exchange.export_and_import(stage, snapshot)
    await protection.protect(stage, vm)
    await look_around(stage, vm)


async def make_vm(stage: Stage) -> Ref[VM]:
    """Through the New VM wizard: the sample guest, started at the end."""
    stage.run("vm.new")
    wizard = await stage.dialog("the New VM wizard opens")
    await stage.picture("new-vm-source")
    await stage.click(wizard, "Next")
    name = stage.find(wizard, QLineEdit)
    name.selectAll()
    QTest.keyClicks(name, NAME)
    while stage.open_dialog() is not None and stage.button_is_there(wizard, "Next"):
        await stage.click(wizard, "Next")
    await stage.picture("new-vm-finish")
    await stage.click(wizard, "Create VM")
    await stage.no_dialog()
    await stage.until(lambda: stage.is_in(NAME, VMPowerState.Running), f"{NAME} is made and runs")
    found = stage.vm(NAME)
    assert found is not None
    return found[0]


async def see_it_count(stage: Stage, counter: Counter, vm: Ref[VM]) -> None:
    """The live screen on the Console tab."""
    stage.window.show_object("VM", vm, "console")
    await counter.listen(vm)
    await counter.reaches(20)
    await stage.picture("console")


async def take_snapshot(stage: Stage, counter: Counter, vm: Ref[VM]) -> tuple[Ref[VM], int]:
    """Through the dialog, while the guest counts; answer the snapshot and the count heard before it."""
    stage.window.show_object("VM", vm, "snapshots")
    await stage.picture("no-snapshots")
    stage.run("vm.snapshot")
    dialog = await stage.dialog("the Take Snapshot dialog opens")
    name = stage.find(dialog, QLineEdit)
    name.selectAll()
    QTest.keyClicks(name, SNAPSHOT)
    await stage.picture("take-snapshot")
    before = counter.now
    await stage.click(dialog, "Take Snapshot")
    await stage.until(lambda: stage.vm(SNAPSHOT), "the snapshot is taken")
    await stage.no_dialog()
    found = stage.vm(SNAPSHOT)
    assert found is not None
    snapshot = found[0]
    await stage.until(lambda: stage.has_picture(snapshot), "the snapshot has its picture")
    await stage.picture("snapshot-taken")
    return snapshot, before


async def break_it(stage: Stage, counter: Counter, vm: Ref[VM]) -> None:
    """Let it run on, then press the sample guest's key that wipes its counter."""
    await counter.reaches(counter.now + 60)
    stage.window.show_object("VM", vm, "console")
    console = stage.find(stage.window, ConsoleTab)
    await stage.until(lambda: console.link.client is not None, "the console is connected")
    QTest.mouseClick(console.screen_view, Qt.MouseButton.LeftButton)
    QTest.keyClick(console.screen_view, Qt.Key.Key_F8)
    await stage.until(lambda: counter.broken, "the guest is broken")
    await stage.picture("broken")


async def revert(stage: Stage, vm: Ref[VM]) -> None:
    """Through the dialog, with a snapshot of the broken state first."""
    found = stage.vm(SNAPSHOT)
    assert found is not None
    stage.window.show_object("VM", vm, "snapshots")
    await choose(stage, found[0])
    stage.run("snapshot.revert")
    dialog = await stage.dialog("the Revert dialog opens")
    await stage.picture("revert")
    await stage.click(dialog, "Revert")
    await stage.no_dialog()


async def see_it_back(stage: Stage, counter: Counter, vm: Ref[VM], snapshot: Ref[VM], before: int) -> None:
    """The guest runs again and counts on from the snapshot's count."""

    def reverted() -> bool:
        record = stage.cache.get(VM, vm)
        back = record is not None and record.parent == snapshot and len(record.snapshots) == 2
        return back and stage.is_in(NAME, VMPowerState.Running)

    await stage.until(reverted, "a safety snapshot was taken, the VM was reverted and runs again")
    await counter.listen(vm)
    await stage.until(lambda: counter.now > 0, "the guest counts again")
    # The line is heard late on a busy machine, but in order: the snapshot lies between these two.
    if not before <= counter.started_at <= counter.broken_at:
        between = f"between {before} and {counter.broken_at}"
        raise TourFailed(f"the guest should count on from {between}, and began at {counter.started_at}")
    stage.window.show_object("VM", vm, "console")
    await counter.reaches(counter.now + 10)
    await stage.picture("back")


async def branch_out(stage: Stage, counter: Counter, vm: Ref[VM], snapshot: Ref[VM]) -> None:
    """A few more snapshots, so that the graph shows a branch."""
    for name in ("Upgraded to 16", "Replica works"):
        await counter.reaches(counter.now + 10)
        taken = await stage.desktop.session.VM.snapshot(vm, name)
        await stage.until(partial(stage.has_picture, taken), f"{name} has its picture")
    stage.window.show_object("VM", vm, "snapshots")
    await choose(stage, snapshot)
    tab = stage.find(stage.window, SnapshotsTab)
    screens = [screen_of(record) for record in tab.subject.snapshots.values()]
    await stage.until(lambda: all(map(tab.pictures.thumbnail, screens)), "the screens of the snapshots are shown")
    await stage.picture("branches")


async def keep_memory(stage: Stage, counter: Counter, vm: Ref[VM]) -> tuple[Ref[VM], int]:
    """A snapshot with memory, through the dialog; answer it and the count at about that moment."""
    stage.run("vm.snapshot")
    dialog = await stage.dialog("the Take Snapshot dialog opens")
    name = stage.find(dialog, QLineEdit)
    name.selectAll()
    QTest.keyClicks(name, CHECKPOINT)
    await stage.click(dialog, "Disks and memory")
    assert isinstance(dialog, TakeDialog)
    await stage.until(lambda: not dialog.asker.asking, "the engine says whether it is safe")
    await stage.picture("take-checkpoint")
    await stage.click(dialog, "Take Snapshot")
    await stage.until(lambda: stage.vm(CHECKPOINT), "the snapshot with memory is taken")
    kept = counter.now
    await stage.no_dialog()
    await stage.until(lambda: stage.is_in(NAME, VMPowerState.Running), "the guest runs on")
    found = stage.vm(CHECKPOINT)
    assert found is not None
    await stage.until(lambda: stage.has_picture(found[0]), "the snapshot has its picture")
    await choose(stage, found[0])
    await stage.picture("checkpoint-taken")
    return found[0], kept


async def revert_to_memory(stage: Stage, counter: Counter, vm: Ref[VM], checkpoint: Ref[VM], kept: int) -> None:
    """Back to the snapshot with memory: the guest goes on from there without having booted."""
    booted = counter.started_at
    await counter.reaches(kept + 25)
    stage.run("snapshot.revert")
    dialog = await stage.dialog("the Revert dialog opens")
    await stage.picture("revert-to-checkpoint")
    await stage.click(dialog, "Revert")
    await stage.no_dialog()

    def reverted() -> bool:
        # Now grew from the checkpoint before as well: what tells is that the safety snapshot lies in between.
        kept_first = stage.vm(f"Before revert to {CHECKPOINT}") is not None
        record = stage.cache.get(VM, vm)
        back = record is not None and record.parent == checkpoint
        return kept_first and back and stage.is_in(NAME, VMPowerState.Running)

    await stage.until(reverted, "the VM went back to its memory and was resumed")
    await counter.listen(vm)
    await stage.until(lambda: counter.now > 0, "the guest counts again")
    # A new QEMU runs it, so only the memory of the snapshot can know of the old boot.
    if counter.started_at != booted:
        raise TourFailed(f"the guest should go on, booted at {booted}, and booted anew at {counter.started_at}")
    await stage.picture("resumed")


async def choose(stage: Stage, snapshot: Ref[VM]) -> None:
    """Choose a snapshot's card in the graph."""
    tab = stage.find(stage.window, SnapshotsTab)
    await stage.until(lambda: tab.subject.ref, "the snapshots are shown")
    tab.chosen.choose((snapshot,), snapshot)
    tab.graph.reveal(snapshot)


async def look_around(stage: Stage, vm: Ref[VM]) -> None:
    """The health of the chains; the other tabs and pages."""
    stage.run("vm.chain_health")
    dialog = await stage.dialog("the chain health opens")
    await stage.picture("chain-health")
    dialog.reject()
    await stage.no_dialog()
    for tab in ("general", "storage"):
        stage.window.show_object("VM", vm, tab)
        await stage.picture(tab)
    stage.run("view.notifications")
    await stage.picture("notifications")
    stage.run("view.infrastructure")


async def clean_up(stage: Stage) -> None:
    """Nothing of the tour stays behind, whatever became of it."""
    await protection.clean_up(stage)
    found = stage.vm(NAME)
    if found is not None:
        await stage.desktop.session.VM.uninstall(found[0], True)
