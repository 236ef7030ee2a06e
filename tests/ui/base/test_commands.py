"""Commands follow the selection, say why they cannot run, and never lose an error."""

from __future__ import annotations

import asyncio

import pytest
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from ui.base.commands import ENABLED, HIDDEN, Command, CommandState, Registry, Selection, disabled

VM: Selection = (("VM", "OpaqueRef:1"),)


class Recorder:
    """A context that notes what ran, and the errors it was told."""

    def __init__(self) -> None:
        self.ran: list[Selection] = []
        self.errors: list[tuple[str, Exception]] = []

    def on_error(self, command: Command, error: Exception) -> None:
        self.errors.append((command.id, error))


def note(context: Recorder, selection: Selection) -> None:
    context.ran.append(selection)


def needs_one_vm(_context: Recorder, selection: Selection) -> CommandState:
    return ENABLED if len(selection) == 1 else disabled("Choose one virtual machine.")


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def registry(qapp: QApplication, recorder: Recorder) -> Registry:
    made = Registry(recorder, recorder.on_error)
    made.add(
        Command(
            id="vm.snapshot", title="&Take Snapshot…", icon="camera", shortcut="Ctrl+T", run=note, state=needs_one_vm
        ),
        Command(id="vm.start", title="Start", run=note, tooltip="Power it on"),
    )
    return made


def test_an_action_follows_the_selection_and_gives_its_reason(registry: Registry) -> None:
    action = registry.action("vm.snapshot")
    assert not action.isEnabled()
    assert "Choose one virtual machine." in action.toolTip()
    registry.update(VM)
    assert action.isEnabled()
    assert action.toolTip() == "Take Snapshot (Ctrl+T)"
    assert not action.icon().isNull()


def test_there_is_one_action_for_a_command(registry: Registry, qtbot: QtBot) -> None:
    widget = QWidget()
    qtbot.addWidget(widget)
    assert registry.action("vm.start") is registry.action("vm.start", widget)
    assert registry.action("vm.start") in widget.actions()


def test_triggering_runs_on_the_selection(registry: Registry, recorder: Recorder) -> None:
    registry.update(VM)
    registry.action("vm.snapshot").trigger()
    assert recorder.ran == [VM]


def test_a_disabled_command_does_not_run_even_when_asked_by_id(registry: Registry, recorder: Recorder) -> None:
    registry.run("vm.snapshot")
    assert recorder.ran == []


def test_a_context_menu_acts_on_its_own_selection(registry: Registry, recorder: Recorder, qtbot: QtBot) -> None:
    registry.update(())
    menu = registry.menu(["vm.snapshot", "-", "vm.start"], VM)
    qtbot.addWidget(menu)
    first, line, last = menu.actions()
    assert line.isSeparator()
    assert (first.isEnabled(), last.text()) == (True, "Start")
    assert first is not registry.action("vm.snapshot")
    first.trigger()
    assert recorder.ran == [VM]


def test_a_menu_without_a_selection_shares_the_actions(registry: Registry, qtbot: QtBot) -> None:
    menu = registry.menu(["vm.snapshot"])
    qtbot.addWidget(menu)
    assert menu.actions() == [registry.action("vm.snapshot")]
    assert menu.toolTipsVisible()


def test_a_scope_has_a_selection_of_its_own(registry: Registry, recorder: Recorder) -> None:
    registry.add(Command(id="snapshot.revert", title="Revert To…", run=note, state=needs_one_vm, scope="snapshots"))
    action = registry.action("snapshot.revert")
    registry.update(VM)
    assert not action.isEnabled()
    snapshot: Selection = (("VM", "OpaqueRef:2"),)
    registry.update(snapshot, "snapshots")
    action.trigger()
    assert recorder.ran == [snapshot]
    assert registry.selection() == VM


def test_hidden_and_checked_states_are_shown(registry: Registry) -> None:
    states = iter([HIDDEN, CommandState(checked=True), CommandState(checked=False)])
    registry.add(Command(id="view.hidden", title="Hidden Objects", run=note, state=lambda *_: next(states)))
    action = registry.action("view.hidden")
    assert not action.isVisible()
    registry.refresh()
    assert (action.isVisible(), action.isCheckable(), action.isChecked()) == (True, True, True)
    registry.refresh()
    assert not action.isChecked()


def test_ids_and_shortcuts_are_taken_once(registry: Registry) -> None:
    with pytest.raises(ValueError, match=r"a command vm\.start already"):
        registry.add(Command(id="vm.new", title="New", run=note), Command(id="vm.start", title="Start", run=note))
    assert "vm.new" not in registry.ids(), "a refused registration changes nothing"
    with pytest.raises(ValueError, match=r"Ctrl\+T is the shortcut of vm.snapshot"):
        registry.add(Command(id="x", title="X", run=note, shortcut="Ctrl+T"))


@pytest.mark.parametrize("ask", ["get", "action", "run", "state"])
def test_an_unknown_id_is_refused(registry: Registry, ask: str) -> None:
    with pytest.raises(LookupError, match=r"there is no command vm\.explode"):
        getattr(registry, ask)("vm.explode")


def test_an_error_of_a_plain_function_is_reported(registry: Registry, recorder: Recorder) -> None:
    def fail(_context: Recorder, _selection: Selection) -> None:
        raise OSError("disk full")

    registry.add(Command(id="vm.fail", title="Fail", run=fail))
    registry.action("vm.fail").trigger()
    assert [(name, str(error)) for name, error in recorder.errors] == [("vm.fail", "disk full")]


def test_an_error_of_a_state_disables_the_command(registry: Registry, recorder: Recorder) -> None:
    def fail(_context: Recorder, _selection: Selection) -> CommandState:
        raise KeyError("gone")

    registry.add(Command(id="vm.fail", title="Fail", run=note, state=fail))
    assert not registry.action("vm.fail").isEnabled()
    assert recorder.errors
    assert isinstance(recorder.errors[0][1], KeyError)


async def test_a_coroutine_runs_as_a_task_once_at_a_time(registry: Registry, recorder: Recorder) -> None:
    go_on = asyncio.Event()

    async def slow(context: Recorder, selection: Selection) -> None:
        context.ran.append(selection)
        await go_on.wait()

    registry.add(Command(id="vm.slow", title="Slow", run=slow))
    ended = asyncio.Event()
    registry.ended.connect(lambda _id: ended.set())
    action = registry.action("vm.slow")
    action.trigger()
    action.trigger()
    registry.run("vm.slow", VM)
    assert list(registry.running) == ["vm.slow", "vm.slow"]
    await asyncio.sleep(0)
    assert recorder.ran == [(), VM], "the second click found the first still busy; another selection did not"
    go_on.set()
    await ended.wait()
    await registry.stop()
    assert list(registry.running) == []
    assert recorder.errors == []


async def test_an_error_of_a_coroutine_is_reported_and_a_cancellation_is_not(
    registry: Registry, recorder: Recorder
) -> None:
    async def fail(_context: Recorder, _selection: Selection) -> None:
        raise OSError("socket closed")

    async def forever(_context: Recorder, _selection: Selection) -> None:
        await asyncio.Event().wait()

    registry.add(Command(id="a.fail", title="Fail", run=fail), Command(id="a.wait", title="Wait", run=forever))
    ended = asyncio.Event()
    registry.ended.connect(lambda _id: ended.set())
    registry.run("a.fail")
    await ended.wait()
    registry.run("a.wait")
    await registry.stop()
    assert [(name, str(error)) for name, error in recorder.errors] == [("a.fail", "socket closed")]
    assert list(registry.running) == []


def test_a_name_is_not_read_as_html(registry: Registry) -> None:
    registry.add(Command(id="a.b", title="<b>web</b>", run=note))
    assert "&lt;b&gt;web" in registry.action("a.b").toolTip()


def test_the_spoken_title_has_no_mnemonic(registry: Registry) -> None:
    assert registry.get("vm.snapshot").plain_title == "Take Snapshot"
    assert Command(id="x", title="Copy && Move…", run=note).plain_title == "Copy & Move"


def test_a_tooltip_of_an_enabled_command_explains_it(registry: Registry) -> None:
    action: QAction = registry.action("vm.start")
    assert action.toolTip() == "Start\nPower it on"
