"""The tab over the real engine and a simulated guest: take, revert, delete, all of it seen through the feed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtWidgets import QApplication

from app.api import VM, VMOperation, VMPowerState
from app.hypervisor.simulated import SimulatedDriver
from tests.support.engine import Bench, open_bench
from tests.ui.snapshots.conftest import OpenTab
from tests.ui.snapshots.waiting import opened, until
from ui.base.settings import Settings
from ui.base.workspace import Workspace
from ui.snapshots import commands, words
from ui.snapshots.delete_dialog import DeleteDialog, DropMemoryDialog
from ui.snapshots.figures import figures_of, group_of
from ui.snapshots.health_dialog import HealthDialog
from ui.snapshots.lock_dialog import LockDialog
from ui.snapshots.new_dialog import NewDialog
from ui.snapshots.revert_dialog import RevertDialog
from ui.snapshots.tab import SnapshotsTab
from ui.snapshots.take_dialog import TakeDialog
from ui.snapshots.take_many_dialog import TakeManyDialog
from ui.snapshots.ways import DISKS, MEMORY, Way

SLOW = 200_000


@dataclass
class Desk:
    """A running VM of the engine, and a workspace on it."""

    bench: Bench
    workspace: Workspace
    vm: str

    async def done(self) -> None:
        """Wait for the command that was begun."""
        await until(lambda: not self.workspace.commands.running, patience=SLOW)

    def record(self) -> VM:
        found = self.bench.cache.get(VM, self.vm)
        assert found is not None
        return found

    def may_be_snapshotted(self, vm: str) -> bool:
        """Whether the cache has heard that the VM is complete."""
        found = self.bench.cache.get(VM, vm)
        return found is not None and VMOperation.snapshot in found.allowed_operations

    async def take(self, tab: SnapshotsTab, name: str, way: Way = DISKS) -> str:
        before = set(tab.subject.shown)
        tab.toolbar.take.trigger()
        dialog = await opened(TakeDialog)
        dialog.name.setText(name)
        dialog.description.setPlainText(f"{name} in words")
        dialog.card(way).click()
        dialog.accept()
        await self.done()
        await until(lambda: set(tab.subject.shown) - before, patience=SLOW)
        (made,) = set(tab.subject.shown) - before
        return made


@asynccontextmanager
async def open_desk(data_dir: Path, folder: Path) -> AsyncIterator[Desk]:
    async with open_bench(data_dir, SimulatedDriver()) as bench:
        workspace = Workspace(bench.session, bench.cache, Settings(folder / "settings.ini"))
        commands.register(workspace)
        vm = await bench.sample_vm("web-01", disks=2)
        await bench.session.VM.start(vm)
        desk = Desk(bench, workspace, vm)
        await until(lambda: bench.cache.get(VM, vm) is not None, patience=SLOW)
        await until(lambda: desk.record().power_state is VMPowerState.Running, patience=SLOW)
        try:
            yield desk
        finally:
            await workspace.close()


async def test_take_revert_delete(open_tab: OpenTab, qapp: QApplication, data_dir: Path, tmp_path: Path) -> None:
    async with open_desk(data_dir, tmp_path) as desk:
        tab = open_tab(desk)
        assert tab.views.currentWidget() is tab.empty
        first = await desk.take(tab, "First")
        assert tab.chosen.refs == (first,)
        await until(lambda: tab.subject.snapshots[first].name_description == "First in words", patience=SLOW)
        second = await desk.take(tab, "Second")
        assert tab.chosen.refs == (first,)
        assert tab.subject.tree.nodes[second].parent == first
        assert tab.subject.now_facts.depth == 3
        assert tab.subject.facts[second].disks == 2

        tab.graph.activated.emit(first)
        (await opened(RevertDialog)).accept()
        await desk.done()
        await until(lambda: desk.record().power_state is VMPowerState.Running, patience=SLOW)
        safety = next(r for r, s in tab.subject.snapshots.items() if s.name_label == "Before revert to First")
        assert tab.subject.tree.nodes[safety].parent == second
        assert tab.subject.tree.parent_of_now == first

        tab.chosen.choose((second, safety))
        desk.workspace.commands.run("snapshot.delete")
        (await opened(DeleteDialog)).accept()
        await desk.done()
        await until(lambda: tab.subject.shown == (first,), patience=SLOW)
        assert tab.chosen.refs == (first,)
        assert [entry.state for entry in desk.workspace.history.entries] == ["done"] * 7


async def test_checkpoint_lock_revert_and_resume(
    open_tab: OpenTab, qapp: QApplication, data_dir: Path, tmp_path: Path
) -> None:
    async with open_desk(data_dir, tmp_path) as desk:
        tab = open_tab(desk)
        kept = await desk.take(tab, "With memory", MEMORY)
        record = tab.subject.snapshots[kept]
        assert words.type_of(record) == "Disks and memory"
        tab.chosen.choose((kept,))
        facts = dict(tab.details.facts.facts())
        assert {"Memory", "Took", "Guest paused"} <= set(facts)

        desk.workspace.commands.run("snapshot.lock", (("VM", kept),))
        lock = await opened(LockDialog)
        lock.reason.setText("the good one")
        lock.accept()
        await desk.done()
        await until(lambda: words.is_locked(tab.subject.snapshots[kept]), patience=SLOW)
        assert "the good one" in desk.workspace.commands.state("snapshot.delete", (("VM", kept),)).reason

        tab.graph.activated.emit(kept)
        revert = await opened(RevertDialog)
        assert revert.start_afterwards.text() == "Resume the VM afterwards"
        revert.accept()
        await desk.done()
        await until(lambda: desk.record().power_state is VMPowerState.Running, patience=SLOW)
        assert desk.record().parent == kept

        desk.workspace.commands.run("snapshot.unlock", (("VM", kept),))
        await desk.done()
        dropping = (("VM", kept),)
        await until(lambda: desk.workspace.commands.state("snapshot.drop_memory", dropping).enabled, patience=SLOW)
        desk.workspace.commands.run("snapshot.drop_memory", (("VM", kept),))
        (await opened(DropMemoryDialog)).accept()
        await desk.done()
        await until(lambda: not words.has_memory(tab.subject.snapshots[kept]), patience=SLOW)
        assert {entry.state for entry in desk.workspace.history.entries} == {"done"}


async def test_what_the_engine_says_reaches_the_dialog(
    open_tab: OpenTab, qapp: QApplication, data_dir: Path, tmp_path: Path
) -> None:
    async with open_desk(data_dir, tmp_path) as desk:
        tab = open_tab(desk)
        tab.toolbar.take.trigger()
        dialog = await opened(TakeDialog)
        await until(lambda: not dialog.asker.asking, patience=SLOW)
        ready = dialog.asker.get(MEMORY.operation)
        assert ready is not None
        assert ready.safe
        assert ready.method in ("background", "stop")
        assert ready.needed > 0
        dialog.reject()
        await desk.done()
        desk.workspace.commands.run("vm.chain_health", (("VM", desk.vm),))
        health = await opened(HealthDialog)
        await until(lambda: health._answer, patience=SLOW)
        assert health.notice.property("notice") == "good"
        health.reject()
        await desk.done()


async def test_a_vm_and_a_template_come_of_a_snapshot(
    open_tab: OpenTab, qapp: QApplication, data_dir: Path, tmp_path: Path
) -> None:
    async with open_desk(data_dir, tmp_path) as desk:
        tab = open_tab(desk)
        kept = await desk.take(tab, "Golden")
        for command, name, full in (("new_vm", "web-02", False), ("new_template", "web template", True)):
            desk.workspace.commands.run(f"snapshot.{command}", (("VM", kept),))
            dialog = await opened(NewDialog)
            dialog.name.setText(name)
            (dialog.full if full else dialog.fast).click()
            dialog.accept()
            await desk.done()
        made = {vm.name_label: vm for vm in desk.bench.cache.all(VM).values()}
        assert (made["web-02"].is_a_template, made["web template"].is_a_template) == (False, True)
        assert len(made["web-02"].VBDs) == len(desk.record().VBDs)


async def test_a_group_is_taken_and_reverted_as_one(
    open_tab: OpenTab, qapp: QApplication, data_dir: Path, tmp_path: Path
) -> None:
    async with open_desk(data_dir, tmp_path) as desk:
        tab = open_tab(desk)
        other = await desk.bench.sample_vm("mail")
        await until(lambda: desk.may_be_snapshotted(other), patience=SLOW)
        desk.workspace.commands.run("vm.snapshot", (("VM", desk.vm), ("VM", other)))
        take = await opened(TakeManyDialog)
        take.together.click()
        take.name.setText("Together")
        take.accept()
        await desk.done()
        await until(lambda: tab.subject.shown, patience=SLOW)
        (kept,) = tab.subject.shown
        assert len(group_of(desk.bench.cache, kept)) == 2
        assert figures_of(tab.subject.snapshots[kept]).spread >= 0
        tab.chosen.choose((kept,))
        assert tab.details.group.isVisibleTo(tab.details)

        desk.workspace.commands.run("snapshot.revert", (("VM", kept),))
        revert = await opened(RevertDialog)
        revert.whole_group.click()
        revert.accept()
        await desk.done()
        await until(lambda: desk.record().power_state is VMPowerState.Running, patience=SLOW)
        assert {entry.state for entry in desk.workspace.history.entries} == {"done"}
        found = [vm for vm in desk.bench.cache.all(VM).values() if vm.name_label == "Before revert to Together"]
        assert len(found) == 2
