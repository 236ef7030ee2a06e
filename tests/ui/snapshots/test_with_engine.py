"""The tab over the real engine and a simulated guest: take, revert, delete, all of it seen through the feed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtWidgets import QApplication

from app.api import VM, VMPowerState
from app.hypervisor.simulated import SimulatedDriver
from tests.support.engine import Bench, open_bench
from tests.ui.snapshots.conftest import OpenTab
from tests.ui.snapshots.waiting import opened, until
from ui.base.settings import Settings
from ui.base.workspace import Workspace
from ui.snapshots import commands
from ui.snapshots.delete_dialog import DeleteDialog
from ui.snapshots.revert_dialog import RevertDialog
from ui.snapshots.tab import SnapshotsTab
from ui.snapshots.take_dialog import TakeDialog


@dataclass
class Desk:
    """A running VM of the engine, and a workspace on it."""

    bench: Bench
    workspace: Workspace
    vm: str

    async def done(self) -> None:
        """Wait for the command that was begun."""
        await until(lambda: not self.workspace.commands.running, patience=200_000)

    def record(self) -> VM:
        found = self.bench.cache.get(VM, self.vm)
        assert found is not None
        return found

    async def take(self, tab: SnapshotsTab, name: str) -> str:
        before = set(tab.subject.shown)
        tab.toolbar.take.trigger()
        dialog = await opened(TakeDialog)
        dialog.name.setText(name)
        dialog.description.setPlainText(f"{name} in words")
        dialog.accept()
        await self.done()
        await until(lambda: set(tab.subject.shown) - before, patience=200_000)
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
        await until(lambda: bench.cache.get(VM, vm) is not None, patience=200_000)
        await until(lambda: desk.record().power_state is VMPowerState.Running, patience=200_000)
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
        await until(lambda: tab.subject.snapshots[first].name_description == "First in words", patience=200_000)
        second = await desk.take(tab, "Second")
        assert tab.chosen.refs == (first,)
        assert tab.subject.tree.nodes[second].parent == first
        assert tab.subject.now_facts.depth == 3
        assert tab.subject.facts[second].disks == 2

        tab.graph.activated.emit(first)
        (await opened(RevertDialog)).accept()
        await desk.done()
        await until(lambda: desk.record().power_state is VMPowerState.Running, patience=200_000)
        safety = next(r for r, s in tab.subject.snapshots.items() if s.name_label == "Before revert to First")
        assert tab.subject.tree.nodes[safety].parent == second
        assert tab.subject.tree.parent_of_now == first

        tab.chosen.choose((second, safety))
        desk.workspace.commands.run("snapshot.delete")
        (await opened(DeleteDialog)).accept()
        await desk.done()
        await until(lambda: tab.subject.shown == (first,), patience=200_000)
        assert tab.chosen.refs == (first,)
        assert [entry.state for entry in desk.workspace.history.entries] == ["done"] * 7
