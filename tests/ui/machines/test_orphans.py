"""Snapshots that outlived their VMs: found, described, made VMs again, deleted."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from app.api import VM, Failure, Ref, VMPowerState
from tests.ui.machines.test_commands import idle, of, state
from tests.ui.machines.windows import opened
from tests.ui.machines.world import NOW, World
from ui.base.commands import ENABLED, Command
from ui.base.dialogs import ConsequenceDialog, ErrorDialog
from ui.machines.orphans_tab import OrphansTab
from ui.models.orphans import name_of_gone


def shown(world: World, qtbot: QtBot) -> OrphansTab:
    deletes = Command(id="snapshot.delete", title="Delete…", run=lambda _w, _s: None, state=lambda _w, _s: ENABLED)
    world.workspace.commands.add(deletes)
    tab = OrphansTab(world.workspace)
    qtbot.addWidget(tab)
    tab.resize(900, 500)
    tab.show()
    return tab


def lines(tab: OrphansTab) -> list[tuple[str, str, str]]:
    return [(o.name, o.of, o.kept) for o in (tab.model.item(row) for row in range(tab.model.rowCount()))]


async def test_only_snapshots_without_a_vm_are_listed(world: World, qtbot: QtBot) -> None:
    vm = world.add_vm("web1", VMPowerState.Halted)
    kept = world.add_snapshot(vm, "Before", NOW)
    world.add_orphan("Nightly")
    world.add_orphan("Weekly", memory=True)
    tab = shown(world, qtbot)
    assert lines(tab) == [("Nightly", "old-db", "Disks"), ("Weekly", "old-db", "Disks and memory")]
    assert tab.summary.text().replace("\xa0", " ") == "2 snapshots · 4 GiB in own files"
    world.engine.remove(VM, vm)
    assert [name for name, _, _ in lines(tab)] == ["Before", "Nightly", "Weekly"]
    assert tab.model.items[kept].of == "a VM that is gone"


async def test_buttons_follow_what_is_chosen(world: World, qtbot: QtBot) -> None:
    world.add_orphan("Nightly")
    world.add_orphan("Weekly")
    tab = shown(world, qtbot)
    assert list(tab.buttons) == ["snapshot.recreate_vm", "snapshot.delete"], "nobody has registered the others"
    assert not tab.buttons["snapshot.recreate_vm"].isEnabled()
    tab.table.selectRow(0)
    assert tab.buttons["snapshot.recreate_vm"].isEnabled()
    tab.table.selectAll()
    assert not tab.buttons["snapshot.recreate_vm"].isEnabled()
    assert tab.buttons["snapshot.recreate_vm"].toolTip() == "Choose one orphaned snapshot."
    assert tab.buttons["snapshot.delete"].isEnabled()


async def test_recreating_asks_reverts_and_shows_the_vm(world: World, qtbot: QtBot) -> None:
    ref = world.add_orphan("Nightly", memory=True)
    world.add_orphan("Weekly")
    asked: list[tuple[str, str, str]] = []
    world.workspace.show_requested.connect(lambda *what: asked.append(what))
    back: Ref[VM] = Ref("OpaqueRef:gone")

    def revert(_snapshot: str) -> None:
        world.engine.put(VM(name_label="old-db"), back)

    world.engine.answer("VM.revert", revert)
    tab = shown(world, qtbot)
    tab.table.selectRow(0)
    QTest.keyClick(tab.table, Qt.Key.Key_Return)
    dialog = await opened(ConsequenceDialog)
    assert dialog.heading.text() == "Recreate “old-db”?"
    said = [words.text() for words in dialog.consequences.findChildren(QLabel)]
    assert "1 other snapshot of it belongs to it again." in said
    assert "It is suspended afterwards; resuming continues the guest's memory." in said
    dialog.accept()
    await idle(world)
    assert world.engine.calls == [("Async.VM.revert", (ref,))]
    assert asked == [("VM", back, "snapshots")]
    assert lines(tab) == [], "they have a VM again"


async def test_a_vm_that_cannot_be_made_again_says_why(world: World) -> None:
    ref = world.add_orphan("Nightly")
    world.engine.answer("VM.revert", Failure("SR_BACKEND_FAILURE_46", "", "image 7 is missing", ""))
    world.workspace.commands.run("snapshot.recreate_vm", of(ref))
    (await opened(ConsequenceDialog)).accept()
    error = await opened(ErrorDialog)
    assert "image 7 is missing" in error.accessibleDescription()
    error.reject()
    await idle(world)


async def test_a_snapshot_with_a_vm_is_reverted_to_instead(world: World) -> None:
    vm = world.add_vm("web1", VMPowerState.Halted)
    snapshot = world.add_snapshot(vm, "Before", NOW)
    assert "still exists" in state(world, "snapshot.recreate_vm", snapshot).reason
    assert state(world, "snapshot.recreate_vm", vm).reason == "Choose one orphaned snapshot."


@pytest.mark.parametrize("text", ["", "(('uuid' 'x'))", "[]", "7", '{"name_label": 3}', "{}"])
def test_what_another_toolstack_noted_is_no_name(text: str) -> None:
    assert name_of_gone(VM(snapshot_metadata=text)) == ""
