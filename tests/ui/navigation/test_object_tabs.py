"""Tabs are made when looked at, and told of another object only when seen."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from ui.base.workspace import Workspace
from ui.navigation.object_tabs import ObjectTabs

LAYOUT = {
    "vm": (("general", "General"), ("console", "Console"), ("snapshots", "Snapshots")),
    "host": (("general", "General"),),
}


class Page(QWidget):
    def __init__(self, name: str, log: list[str]) -> None:
        super().__init__()
        self.name, self.log = name, log
        log.append(f"made {name}")

    def show_object(self, cls: str, ref: str) -> None:
        self.log.append(f"{self.name} shows {cls} {ref}")


class SnapshotsPage(QWidget):
    def __init__(self, log: list[str]) -> None:
        super().__init__()
        self.log = log

    def show_vm(self, vm: str) -> None:
        self.log.append(f"snapshots of {vm}")


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def tabs(qtbot: QtBot, workspace: Workspace, log: list[str]) -> ObjectTabs:
    return make(qtbot, workspace, log)


def make(qtbot: QtBot, workspace: Workspace, log: list[str]) -> ObjectTabs:
    def page(name: str) -> Callable[[Workspace], QWidget]:
        return lambda _workspace: Page(name, log)

    factories: dict[str, Callable[[Workspace], QWidget]] = {
        "vm.general": page("general"),
        "vm.snapshots": lambda _workspace: SnapshotsPage(log),
        "host.general": page("host"),
    }
    made = ObjectTabs(workspace, LAYOUT, factories)
    qtbot.addWidget(made)
    made.show()
    return made


def titles(tabs: ObjectTabs) -> list[str]:
    return [tabs.tabText(place) for place in range(tabs.count())]


def test_a_tab_without_a_page_is_left_out(tabs: ObjectTabs) -> None:
    tabs.show_object("vm", "VM", "a")
    assert titles(tabs) == ["General", "Snapshots"]
    tabs.show_object("host", "host", "h")
    assert titles(tabs) == ["General"]


def test_a_page_is_made_when_it_is_first_looked_at(tabs: ObjectTabs, log: list[str]) -> None:
    tabs.show_object("vm", "VM", "a")
    assert log == ["made general", "general shows VM a"]
    assert tabs.page("snapshots") is None
    assert tabs.choose("snapshots")
    assert log[-1] == "snapshots of a"
    assert isinstance(tabs.page("snapshots"), SnapshotsPage)


def test_a_hidden_page_hears_of_another_object_when_it_is_seen(tabs: ObjectTabs, log: list[str]) -> None:
    tabs.show_object("vm", "VM", "a")
    tabs.show_object("vm", "VM", "b", "snapshots")
    log.clear()
    tabs.show_object("vm", "VM", "c")
    assert log == ["snapshots of c"]
    tabs.choose("general")
    assert log == ["snapshots of c", "general shows VM c"]
    tabs.choose("snapshots")
    assert len(log) == 2  # it shows c already


def test_the_last_tab_of_each_kind_is_kept_over_restarts(
    qtbot: QtBot, workspace: Workspace, tabs: ObjectTabs, log: list[str]
) -> None:
    tabs.show_object("vm", "VM", "a", "snapshots")
    tabs.show_object("host", "host", "h")
    assert tabs.tab == "general"
    tabs.show_object("vm", "VM", "b")
    assert tabs.tab == "snapshots"
    again = make(qtbot, workspace, log)
    again.show_object("vm", "VM", "a")
    assert again.tab == "snapshots"


def test_an_unknown_tab_or_kind_changes_nothing(tabs: ObjectTabs) -> None:
    tabs.show_object("vm", "VM", "a", "performance")
    assert tabs.tab == "general"
    assert not tabs.choose("console")
    tabs.show_object("elephant", "x", "y")
    assert (tabs.count(), tabs.tab) == (0, "")
