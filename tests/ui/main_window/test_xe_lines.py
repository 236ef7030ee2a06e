"""Every line for a terminal that the window offers is one that xe understands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMenu, QWidget
from pytestqt.qtbot import QtBot

from app.api import SR, VBD, VDI, VM, VMSS, Ref, VDIOperation
from app.cli.command import Command
from app.cli.completion import _kind_of
from app.cli.kinds import VM as VM_KIND
from app.cli.table import COMMANDS
from app.cli.words import parse
from tests.support.fake_session import FakeEngine
from ui.base.commands import COPY_XE, Selection
from ui.base.settings import Settings
from ui.base.wizard import Wizard, WizardPage
from ui.base.workspace import Workspace
from ui.base.xe_menu import xe_menu
from ui.main_window import MainWindow, register_commands
from ui.navigation import window_commands
from ui.navigation.tool_bar import ToolBar
from ui.schedules.list_dialog import SchedulesDialog
from ui.snapshots.take_dialog import TakeDialog
from ui.snapshots.xe_lines import lock_lines
from ui.widgets.buttons import ActionButton

NAME = 'web\'s "$HOME" 1/2'
# What acts on no server has no line: what shows something else, and what is this window's or this machine's own.
SHOWS = {"view.infrastructure", "view.notifications", "view.default_templates", "view.toolbar", "snapshot.group"}
THEMES = {"view.theme_light", "view.theme_dark", "view.theme_system"}
OWN = {"file.exit", "help.about", "vm.copy_uuid", "pool.keep_running", "pool.mail"}
WITHOUT = SHOWS | THEMES | OWN


class World:
    """A workspace with the commands of all features, and one object of each kind."""

    def __init__(self, folder: Path) -> None:
        engine = FakeEngine()
        self.workspace = Workspace(engine.session(), engine.cache, Settings(folder / "settings.ini"))
        register_commands(self.workspace)
        vmss = engine.put(VMSS(name_label=NAME), "vmss")
        engine.put(VM(name_label=NAME, snapshot_schedule=vmss), "vm")
        engine.put(VMSS(name_label=NAME, VMs=frozenset({Ref("vm")})), "vmss")
        engine.put(SR(name_label=NAME), "sr")
        engine.put(VDI(name_label=NAME), "vdi")
        engine.put(VBD(), "vbd")
        engine.put(
            VDI(name_label="left over", SR=Ref("sr"), allowed_operations=frozenset({VDIOperation.destroy})), "left"
        )
        self.all: Selection = (("VM", "vm"), ("VMSS", "vmss"), ("SR", "sr"), ("VBD", "vbd"), ("VDI", "vdi"))

    @property
    def lines(self) -> dict[str, str]:
        """The line of each command there is, for everything at once."""
        commands = self.workspace.commands
        return {command: commands.xe_line(command, self.all) for command in commands.ids()}


@pytest.fixture
def world(tmp_path: Path, qtbot: QtBot) -> World:
    return World(tmp_path)


def known(command: Command, name: str) -> bool:
    """Whether a command takes a parameter."""
    if name in command.parameters or name.partition(":")[0] + ":" in command.parameters or name in ("force", "format"):
        return True
    return command.selects_vms and (name == "vm" or VM_KIND.column(name) is not None)


def test_each_line_is_of_xes_grammar(world: World) -> None:
    for command_id, text in world.lines.items():
        for line in text.splitlines():
            program, *words = shlex.split(line)
            assert program == "xe", line
            given = parse(words, {}, Path("/nonexistent"))
            command = COMMANDS[given.command]
            assert set(command.required) <= {key for key, _ in given.given}, line
            assert [key for key, _ in given.given if not known(command, key)] == [], line
            assert given.rest == [] and _kind_of(command), command_id


async def test_every_command_of_the_window_has_one_or_a_reason_to_have_none(world: World, qtbot: QtBot) -> None:
    window = MainWindow(world.workspace, {})
    qtbot.addWidget(window)
    assert {command for command, text in world.lines.items() if not text} == WITHOUT
    await world.workspace.close()


def test_a_renamed_object_is_what_it_is_in_xes_words(world: World) -> None:
    rename = window_commands.rename_command(lambda: None).xe
    assert rename is not None
    lines = rename(world.workspace, (("VM", "vm"), ("SR", "sr"), ("VM", "gone"), ("VBD", "vbd"))).splitlines()
    assert [line.split()[1] for line in lines] == ["vm-param-set", "sr-param-set"]


def test_names_survive_the_shell(world: World) -> None:
    words = shlex.split(world.lines["snapshot.rename"])
    assert words[:2] == ["xe", "snapshot-param-set"] and f"name-label={NAME}" in words
    exported = shlex.split(world.lines["vm.export"])
    assert exported[-1] == f"filename={NAME.replace('/', '-')}.xva"


def test_what_is_chosen_counts(world: World) -> None:
    commands = world.workspace.commands
    uuid = world.workspace.cache.all(VM)[Ref("vm")].uuid
    twice = commands.xe_line("vm.start", (("VM", "vm"), ("VM", "vm")))
    assert twice.splitlines() == [f"xe vm-start uuid={uuid}"] * 2
    assert commands.xe_line("vm.start", ()) == "" and commands.xe_line("vm.start", (("VM", "gone"),)) == ""
    vmss = world.workspace.cache.all(VMSS)[Ref("vmss")].uuid
    assert world.lines["schedule.delete"].splitlines() == [
        f"xe vm-param-set uuid={uuid} snapshot-schedule=",
        f"xe vmss-destroy uuid={vmss}",
    ]
    assert re.fullmatch(rf"xe vm-param-set uuid={uuid} snapshot-schedule={vmss}", world.lines["vm.schedules"])


def copied() -> str:
    return QGuiApplication.clipboard().text()


@pytest.fixture
def menu(world: World, qtbot: QtBot) -> Iterator[QMenu]:
    made = world.workspace.commands.menu(("vm.start", "-", "vm.delete", "vm.copy_uuid"), (("VM", "vm"),))
    qtbot.addWidget(made)
    yield made


def test_a_context_menu_copies_the_line_of_each_of_its_commands(world: World, menu: QMenu) -> None:
    (lines,) = [action.menu() for action in menu.actions() if action.text() == COPY_XE]
    assert isinstance(lines, QMenu)
    entries = {entry.objectName(): entry for entry in lines.actions()}
    assert list(entries) == ["xe.vm.start", "xe.vm.delete"]
    entries["xe.vm.delete"].trigger()
    assert copied() == world.workspace.commands.xe_line("vm.delete", (("VM", "vm"),))


def test_a_menu_that_follows_the_selection_is_as_it_was(world: World, qtbot: QtBot) -> None:
    made = world.workspace.commands.menu(("vm.start",))
    qtbot.addWidget(made)
    assert [action.text() for action in made.actions()] == ["&Start"]


def test_a_button_copies_its_line(world: World, qtbot: QtBot) -> None:
    commands = world.workspace.commands
    button = ActionButton(commands.action("vm.start"))
    qtbot.addWidget(button)
    assert button.xe_line() == ""
    commands.update((("VM", "vm"),))
    assert button.xe_line() == commands.xe_line("vm.start")


def test_a_button_of_the_tool_bar_has_its_line_by_its_name(world: World, qtbot: QtBot) -> None:
    bar = ToolBar(world.workspace.commands)
    qtbot.addWidget(bar)
    world.workspace.commands.update((("VM", "vm"),))
    assert all(world.workspace.commands.xe_line(action.objectName()) for action in bar.actions())


def test_the_dialog_says_it_with_the_name_that_was_typed(world: World, qtbot: QtBot) -> None:
    dialog = TakeDialog(world.workspace, "vm")
    qtbot.addWidget(dialog)
    dialog.name.setText("before the 'upgrade'")
    dialog.description.setPlainText("two words")
    uuid = world.workspace.cache.all(VM)[Ref("vm")].uuid
    assert shlex.split(dialog.xe_line()) == [
        *("xe", "vm-snapshot", f"uuid={uuid}", "new-name-label=before the 'upgrade'"),
        "new-name-description=two words",
    ]


async def test_the_buttons_of_the_schedules_have_their_lines(world: World, qtbot: QtBot) -> None:
    dialog = SchedulesDialog(world.workspace)
    qtbot.addWidget(dialog)
    custom = Qt.ContextMenuPolicy.CustomContextMenu
    for made in (dialog.new, dialog.enable, dialog.run, dialog.delete, dialog.properties):
        assert made.contextMenuPolicy() == custom
    await world.workspace.close()


def test_the_menu_of_a_line_copies_it(world: World, qtbot: QtBot) -> None:
    parent = QWidget()
    qtbot.addWidget(parent)
    menu = xe_menu("xe vm-list", parent)
    assert menu is not None and xe_menu("", parent) is None
    menu.actions()[0].trigger()
    assert copied() == "xe vm-list"


def test_a_lock_ends_in_universal_time(world: World) -> None:
    end = datetime(2026, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=2)))
    line = lock_lines(world.workspace.cache, ["vm"], "why", "", end)
    assert line.endswith(" reason=why until=20261231T21:59:59Z")


@pytest.fixture
def unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A menu that pops up needs a real screen."""
    monkeypatch.setattr(QMenu, "popup", lambda _menu, _place: None)


def pop_up(button: QWidget) -> list[str]:
    """Ask for the menu of a button, and copy what it offers."""
    QGuiApplication.clipboard().clear()
    button.customContextMenuRequested.emit(QPoint())
    menus = button.findChildren(QMenu)
    for menu in menus:
        menu.actions()[0].trigger()
        menu.close()
    return [copied()] if menus else []


@pytest.mark.usefixtures("unseen")
def test_the_last_button_of_a_dialog_offers_its_line_and_other_buttons_none(world: World, qtbot: QtBot) -> None:
    dialog = TakeDialog(world.workspace, "vm")
    qtbot.addWidget(dialog)
    assert dialog.primary is not None
    assert pop_up(dialog.primary) == [dialog.xe_line()] != [""]
    assert pop_up(dialog.cancel) == []


@pytest.mark.usefixtures("unseen")
def test_a_wizard_offers_its_line_at_its_end_only(qtbot: QtBot) -> None:
    wizard = _TwoSteps("Make it", (WizardPage("One", "?"), WizardPage("Two", "?")), finish="Make")
    qtbot.addWidget(wizard)
    assert pop_up(wizard.next) == []
    wizard.go_next()
    assert pop_up(wizard.next) == ["xe vm-list"]


class _TwoSteps(Wizard):
    def xe_line(self) -> str:
        return "xe vm-list"
