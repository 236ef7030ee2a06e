"""The General tab says what is known of a VM, follows the feed, and sends what is changed in place."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QScrollArea
from pytestqt.qtbot import QtBot

from app.api import VM, Failure, VMOperation, VMPowerState
from tests.support.settling import restless
from tests.ui.machines.windows import opened, until
from tests.ui.machines.world import NOW, World, billing_db
from ui.base.dialogs import ErrorDialog
from ui.machines.facts import Looking, snapshot_facts, state_facts
from ui.machines.general_tab import GeneralTab


def shown(world: World, qtbot: QtBot, ref: str) -> GeneralTab:
    tab = GeneralTab(world.workspace)
    qtbot.addWidget(tab)
    tab.resize(1000, 700)
    tab.show_object("VM", ref)
    tab.show()
    return tab


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
    assert world.engine.calls == [("VM.set_name_label", (ref, "billing"))]
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


async def test_it_comes_to_rest_at_every_height(world: World, qtbot: QtBot) -> None:
    ref = billing_db(world)
    world.engine.change(VM, ref, name_description="A description of several lines. " * 8)
    tab = shown(world, qtbot, ref)
    area = tab.findChild(QScrollArea)
    assert area is not None
    for width in (480, 760):
        assert not restless(area, partial(tab.resize, width), range(300, 800, 5))
