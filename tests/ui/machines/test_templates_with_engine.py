"""Copies, templates, orphans and leftover disks in the window, over the real engine with simulated guests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.api import SR, VBD, VDI, VM, Ref
from app.hypervisor.simulated import SimulatedDriver
from tests.ui.machines.test_with_engine import Desk, open_desk
from tests.ui.machines.windows import opened, until
from ui.base import theme
from ui.base.dialogs import ConsequenceDialog
from ui.machines.copy_vm import CopyDialog
from ui.machines.orphans_tab import OrphansTab
from ui.models.states import is_template
from ui.storage import commands as storage_commands
from ui.storage.chains_tab import ChainsTab
from ui.storage.cleaning import CleanDialog
from ui.storage.unowned import orphaned


@pytest.fixture
async def desk(qapp: QApplication, data_dir: Path) -> AsyncIterator[Desk]:
    theme.apply(qapp, theme.Theme.LIGHT)
    async with open_desk(data_dir, SimulatedDriver()) as made:
        storage_commands.register(made.workspace)
        yield made


async def guest(desk: Desk) -> Ref[VM]:
    """The sample guest, Halted."""
    wizard = await desk.wizard()
    wizard.finish_page.start.setChecked(False)
    await desk.finish(wizard)
    return desk.vm("Sample guest")[0]


async def run(desk: Desk, command: str, *refs: str, cls: str = "VM") -> None:
    chosen = tuple((cls, ref) for ref in refs)
    await until(lambda: desk.workspace.commands.state(command, chosen).enabled)
    desk.workspace.commands.run(command, chosen)


async def idle(desk: Desk) -> None:
    await until(lambda: not desk.workspace.commands.running and not desk.workspace.history.running())
    assert not desk.workspace.history.failed(), [entry.error for entry in desk.workspace.history.failed()]


async def test_copied_fast_and_in_full_then_made_a_template_and_back(desk: Desk) -> None:
    ref = await guest(desk)
    for full, name in ((False, "fast"), (True, "full")):
        await run(desk, "vm.copy", ref)
        dialog = await opened(CopyDialog)
        dialog.name.setText(name)
        (dialog.choice.full if full else dialog.choice.fast).setChecked(True)
        dialog.accept()
        await idle(desk)
    parents = {}
    for name in ("fast", "full"):
        (_, vdi), *_ = desk.drives(desk.vm(name)[1])
        assert vdi is not None
        parents[name] = vdi.sm_config.get("vhd-parent", "")
    assert parents["fast"]
    assert not parents["full"]
    copy = desk.vm("full")[0]
    await run(desk, "vm.convert_to_template", copy)
    (await opened(ConsequenceDialog)).accept()
    await idle(desk)
    await until(lambda: (vm := desk.bench.cache.get(VM, copy)) is not None and is_template(vm))
    await run(desk, "template.quick_create", copy)
    await until(lambda: any(vm.name_label == "full (2)" for vm in desk.bench.cache.all(VM).values()))
    await idle(desk)
    assert not desk.vm("full (2)")[1].is_a_template
    await run(desk, "template.convert_to_vm", copy)
    await idle(desk)
    await until(lambda: desk.workspace.commands.state("vm.start", (("VM", copy),)).enabled)


async def test_a_vm_in_full_from_a_snapshot_by_the_wizard(desk: Desk) -> None:
    ref = await guest(desk)
    snapshot = await desk.bench.session.VM.snapshot(ref, "Before")
    await until(lambda: desk.bench.cache.get(VM, snapshot))
    wizard = await desk.wizard()
    wizard.source.cards["template"].setChecked(True)
    wizard.source.templates.choose(snapshot)
    wizard.disks.copying.full.setChecked(True)
    wizard.finish_page.start.setChecked(False)
    await desk.finish(wizard)
    _, vm = desk.vm("Sample guest (Before)")
    (_, vdi), *_ = desk.drives(vm)
    assert vdi is not None
    assert "vhd-parent" not in vdi.sm_config
    assert not vm.is_a_template
    assert len(vm.VIFs) == 1, "the snapshot's own"


async def test_a_deleted_vm_comes_back_from_its_snapshot(desk: Desk, qtbot: QtBot) -> None:
    ref = await guest(desk)
    uuid = desk.bench.store.get(VM, ref).uuid
    snapshot = await desk.bench.session.VM.snapshot(ref, "Before")
    await desk.bench.session.VM.uninstall(ref, False)
    tab = OrphansTab(desk.workspace)
    qtbot.addWidget(tab)
    tab.show()
    await until(lambda: snapshot in tab.model.items)
    assert tab.model.items[snapshot].of == "Sample guest"
    await run(desk, "snapshot.recreate_vm", snapshot)
    (await opened(ConsequenceDialog)).accept()
    await idle(desk)
    assert desk.vm("Sample guest")[1].uuid == uuid
    await until(lambda: not tab.model.items)
    tab.hide()


async def test_disks_left_by_destroyed_records_are_cleaned_up(desk: Desk) -> None:
    ref = await guest(desk)
    snapshot = await desk.bench.session.VM.snapshot(ref, "Before")
    await desk.bench.session.VM.destroy(snapshot)
    await desk.bench.session.VM.destroy(ref)
    await until(lambda: not desk.bench.cache.all(VBD))
    (sr,) = (ref for ref, sr in desk.bench.cache.all(SR).items() if sr.content_type != "iso")
    await until(lambda: len(orphaned(desk.bench.cache, sr)) == 2)
    assert {v.state for v in orphaned(desk.bench.cache, sr).values()} == {"No VM has it", "Left by a snapshot"}
    await run(desk, "sr.clean", sr, cls="SR")
    (await opened(CleanDialog)).accept()
    await idle(desk)
    await until(lambda: not [vdi for vdi in desk.bench.cache.all(VDI).values() if sr == vdi.SR])


async def test_the_chains_tab_shows_what_the_engine_tells(desk: Desk, qtbot: QtBot) -> None:
    ref = await guest(desk)
    for name in ("a", "b"):
        await desk.bench.session.VM.snapshot(ref, name)
    (sr,) = (ref for ref, sr in desk.bench.cache.all(SR).items() if sr.content_type != "iso")
    tab = ChainsTab(desk.workspace)
    qtbot.addWidget(tab)
    tab.show_object("SR", sr)
    tab.show()
    await until(lambda: ref in tab.model.items and tab.model.items[ref].depth == 3)
    family = tab.model.items[ref]
    assert (family.name, family.snapshots, family.depth_words) == ("Sample guest", 2, "3 of 30")
    assert tab.health.words() == "Healthy"
    assert "free" in tab.summary.text()
    await desk.bench.session.VM.snapshot(ref, "c")
    await until(lambda: tab.model.items[ref].depth == 4)
    tab.hide()


async def test_a_merge_is_seen_and_done_at_once(desk: Desk, qtbot: QtBot) -> None:
    ref = await guest(desk)
    session = desk.bench.session
    await session.VM.snapshot(ref, "a")
    middle = await session.VM.snapshot(ref, "b")
    (sr,) = (ref for ref, sr in desk.bench.cache.all(SR).items() if sr.content_type != "iso")
    tab = ChainsTab(desk.workspace)
    qtbot.addWidget(tab)
    tab.show_object("SR", sr)
    tab.show()
    await until(lambda: ref in tab.model.items and tab.model.items[ref].depth == 3)
    if not tab.merges.isVisible():
        tab.hide()
        pytest.skip("the engine does not merge yet")
    await session.VM.uninstall(middle, False)
    await until(lambda: tab.merges.model.items or tab.model.items[ref].depth == 2)
    desk.workspace.commands.run("sr.coalesce", (("SR", sr),))
    await until(lambda: tab.model.items[ref].depth == 2 and not tab.merges.model.items)
    await idle(desk)
    assert tab.merges.words.text() == "Nothing waits to be merged."
    tab.hide()
