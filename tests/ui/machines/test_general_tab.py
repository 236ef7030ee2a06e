"""The General tab says what is known of a VM, follows the feed, and sends what is changed in place."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QScrollArea
from pytestqt.qtbot import QtBot

from app.api import VDI, VM, Failure, VMOperation, VMPowerState
from tests.support.settling import restless
from tests.ui.machines.windows import opened, until
from tests.ui.machines.world import MIB, NOW, World, billing_db, make_world
from ui.base import theme
from ui.base.dialogs import ErrorDialog
from ui.machines import commands
from ui.machines.facts import snapshot_facts, state_facts
from ui.machines.general_tab import GeneralTab
from ui.models.looking import Looking


def shown(world: World, qtbot: QtBot, ref: str) -> GeneralTab:
    tab = GeneralTab(world.workspace)
    qtbot.addWidget(tab)
    tab.resize(1000, 700)
    tab.show_object("VM", ref)
    tab.show()
    return tab


def sent(world: World) -> list[tuple[str, tuple[object, ...]]]:
    """What was sent to change something."""
    return [call for call in world.engine.calls if call[0] != "VM.get_chain_health"]


async def test_the_cards_say_what_is_known(world: World, qtbot: QtBot) -> None:
    tab = shown(world, qtbot, billing_db(world))
    assert tab.name.text() == "billing-db"
    assert tab.state.words() == "Running"
    assert ("Processors", "2 virtual CPUs, at most 4") in tab.facts("Processors and memory")
    assert ("Memory", "4\u00a0GiB") in tab.facts("Processors and memory")
    assert ("Boots from", "hard disk, then CD, then network") in tab.facts("Processors and memory")
    assert tab.facts("Disks") == [
        ("Disk 0", "20\u00a0GiB · billing-db system"),
        ("Disk 1", "200\u00a0GiB · billing-db data"),
        ("CD drive 2", "Empty"),
        ("Space used", "94\u00a0GiB of 220\u00a0GiB"),
    ]
    assert ("MAC address", "52:54:00:3a:7c:11") in tab.facts("Network")
    assert ("Snapshots", "3, 1 with memory") in tab.facts("Snapshots")
    assert ("Protection", "“Nightly”, every day, keeps 7") in tab.facts("Snapshots")


async def test_the_feed_changes_what_is_shown(world: World, qtbot: QtBot) -> None:
    ref = billing_db(world)
    tab = shown(world, qtbot, ref)
    world.set(ref, power_state=VMPowerState.Paused, name_label="billing")
    assert (tab.state.words(), tab.name.text()) == ("Paused", "billing")
    world.busy(ref, VMOperation.clean_shutdown)
    assert tab.state.words() == "Shutting down"
    world.add_snapshot(ref, "One more", NOW)
    assert ("Snapshots", "4, 1 with memory") in tab.facts("Snapshots")
    world.engine.remove(VM, ref)
    assert tab._gone.isVisible()


async def test_a_hidden_tab_waits(world: World, qtbot: QtBot) -> None:
    ref = billing_db(world)
    tab = shown(world, qtbot, ref)
    tab.hide()
    world.set(ref, name_label="later")
    assert tab.name.text() == "billing-db"
    tab.show()
    assert tab.name.text() == "later"


async def test_a_name_is_changed_where_it_stands(world: World, qtbot: QtBot) -> None:
    ref = billing_db(world)
    tab = shown(world, qtbot, ref)
    tab.name.begin()
    QTest.keyClicks(tab.name.editor, "billing")
    QTest.keyClick(tab.name.editor, Qt.Key.Key_Return)
    await until(lambda: world.engine.called("VM.set_name_label"))
    assert sent(world) == [("VM.set_name_label", (ref, "billing"))]
    assert tab.name.text() == "billing"


async def test_a_refused_name_goes_back(world: World, qtbot: QtBot) -> None:
    tab = shown(world, qtbot, billing_db(world))
    world.engine.answer("VM.set_name_label", Failure("OPERATION_NOT_ALLOWED", "The name is reserved."))
    tab.name.begin()
    QTest.keyClicks(tab.name.editor, "reserved")
    QTest.keyClick(tab.name.editor, Qt.Key.Key_Return)
    dialog = await opened(ErrorDialog)
    assert tab.name.text() == "billing-db"
    assert "reserved" in dialog.accessibleDescription()
    dialog.reject()


async def test_typing_is_not_disturbed(world: World, qtbot: QtBot) -> None:
    ref = billing_db(world)
    tab = shown(world, qtbot, ref)
    tab.description.begin()
    tab.description.editor.set_words("half a sent")
    world.set(ref, name_description="from elsewhere")
    assert tab.description.editor.words() == "half a sent"
    assert tab.description.is_editing()


async def test_a_template_has_no_state_and_a_built_in_one_no_editing(world: World, qtbot: QtBot) -> None:
    tab = shown(world, qtbot, world.sample)
    assert ("Kind", "Built-in template") in tab.facts("About")
    assert not tab.state.isVisible()
    tab.name.begin()
    assert not tab.name.is_editing()


async def test_the_uuid_is_copied_and_the_snapshots_are_asked_for(world: World, qtbot: QtBot) -> None:
    ref = billing_db(world)
    tab = shown(world, qtbot, ref)
    asked: list[tuple[str, str, str]] = []
    world.workspace.show_requested.connect(lambda *where: asked.append(where))
    tab.copy_uuid.click()
    assert QGuiApplication.clipboard().text() == world.vm(ref).uuid
    tab.show_snapshots.click()
    assert asked == [("VM", ref, "snapshots")]


async def test_facts_that_are_not_known_are_left_out(world: World) -> None:
    ref = world.add_vm("new", VMPowerState.Halted)
    look = Looking(world.engine.cache)
    assert [value for _, value, *_ in state_facts(look, world.vm(ref)) if value] == []
    assert snapshot_facts(look, world.vm(ref))[0] == ("Snapshots", "None yet")
    running = billing_db(world)
    facts = dict(fact[:2] for fact in state_facts(look, world.vm(running), NOW + timedelta(minutes=1)))
    assert facts["Up for"] == "2\u00a0days 4\u00a0h"


def test_it_comes_to_rest_at_every_height(qapp: QApplication, qtbot: QtBot, tmp_path: Path) -> None:
    theme.apply(qapp, theme.Theme.LIGHT)
    world = make_world(tmp_path)
    commands.register(world.workspace)
    ref = billing_db(world)
    world.engine.change(VM, ref, name_description="A description of several lines. " * 8)
    tab = shown(world, qtbot, ref)
    area = tab.findChild(QScrollArea)
    assert area is not None
    for width in (480, 760):
        assert not restless(area, partial(tab.resize, width), range(300, 800, 5))


async def test_the_engine_tells_how_the_chains_are(world: World, qtbot: QtBot) -> None:
    ref = billing_db(world)
    told = {"depth": "4", "depth-limit": "30", "head-room": "26", "pending-merges": "2", "missing": "0", "blocked": ""}
    world.engine.answer("VM.get_chain_health", {ref: told})
    tab = shown(world, qtbot, ref)
    await until(lambda: ("Chain", "4 of 30, 26 more snapshots fit") in tab.facts("Snapshots"))
    assert ("Merges", "2 merges pending") in tab.facts("Snapshots")
    asked: list[tuple[str, str, str]] = []
    world.workspace.show_requested.connect(lambda *what: asked.append(what))
    assert tab.show_chains.isVisible()
    tab.show_chains.click()
    assert asked == [("SR", world.sr, "chains")]
    worse = {**told, "head-room": "0", "blocked": "The storage is full.", "pending-merges": "0"}
    world.engine.answer("VM.get_chain_health", {ref: worse})
    disk = next(iter(world.engine.cache.all(VDI)))
    world.engine.change(VDI, disk, physical_utilisation=1)
    await until(lambda: ("Blocked", "The storage is full.") in tab.facts("Snapshots"))
    assert ("Chain", "4 of 30, 0 more snapshots fit") in tab.facts("Snapshots")
    tab.hide()


async def test_an_engine_that_does_not_know_of_chains_is_not_asked_twice(world: World, qtbot: QtBot) -> None:
    world.engine.answer("VM.get_chain_health", Failure("MESSAGE_METHOD_UNKNOWN", "VM.get_chain_health"))
    tab = shown(world, qtbot, billing_db(world))
    await until(lambda: tab.health.failure)
    assert not any(what == "Chain" for what, _ in tab.facts("Snapshots"))
    assert not tab.show_chains.isVisible()
    tab.hide()


async def test_a_suspended_vm_says_so_and_offers_to_go_on(world: World, qtbot: QtBot) -> None:
    ref = billing_db(world)
    memory = world.engine.put(VDI(name_label="Suspend image", SR=world.sr, physical_utilisation=768 * MIB))
    tab = shown(world, qtbot, ref)
    assert not tab.resume.isVisible()
    world.set(ref, power_state=VMPowerState.Suspended, suspend_VDI=memory)
    assert tab.state.words() == "Suspended"
    assert ("Memory image", "768\u00a0MiB on Local storage") in tab.facts("State")
    assert tab.resume.isVisible()
    tab.resume.click()
    await until(lambda: world.engine.called("VM.resume"))
    world.busy(ref, VMOperation.resume)
    assert not tab.resume.isEnabled()
    assert tab.resume.toolTip() == "It is resuming."
    tab.hide()
