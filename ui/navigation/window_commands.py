"""The commands of the window itself: what is in view, the theme, about, exit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from PySide6.QtWidgets import QApplication

from app import __version__
from app.api import SR, VM, Host, Pool, Ref
from ui.base import theme
from ui.base.commands import ENABLED, Command, CommandState, Selection, disabled
from ui.base.dialogs import Dialog, IconLabel, ask
from ui.base.theme import Theme
from ui.base.workspace import Workspace
from ui.base.xe_lines import line, together
from ui.navigation.placement import accelerator
from ui.navigation.pool_tree import DEFAULT_TEMPLATES
from ui.widgets.facts import Fact, FactGrid

TOOL_BAR: Final = "view/toolbar"
THEME: Final = "theme"

_NAMED: Final[Mapping[str, type[Pool | Host | SR | VM]]] = {"pool": Pool, "host": Host, "SR": SR, "VM": VM}

_SettingCommand = Callable[[Workspace, Selection], None]


def register(workspace: Workspace) -> None:
    """Register the commands of the window."""
    workspace.commands.add(
        Command(id="file.exit", title="E&xit", shortcut="Ctrl+Q", run=exit_window),
        _toggle("view.default_templates", "&Built-in Templates", DEFAULT_TEMPLATES, False),
        _toggle("view.toolbar", "&Tool Bar", TOOL_BAR, True),
        _theme("view.theme_light", "&Light Theme", Theme.LIGHT),
        _theme("view.theme_dark", "&Dark Theme", Theme.DARK),
        _theme("view.theme_system", "Theme of the &System", Theme.SYSTEM),
        Command(id="help.about", title="&About Stillframe", icon="info", run=about),
    )


def exit_window(workspace: Workspace, _selection: Selection) -> None:
    """Close the window, which asks first if something is under way."""
    if workspace.window is not None:
        workspace.window.close()


async def about(workspace: Workspace, _selection: Selection) -> None:
    """What this is, and what it runs guests with."""
    await ask(about_dialog(workspace))


def about_dialog(workspace: Workspace) -> Dialog:
    """Version, licence, and the facts that a report of a problem should have."""
    dialog = Dialog("About Stillframe", cancel="Close", parent=workspace.window)
    dialog.content.addWidget(IconLabel("stillframe", 48))
    dialog.add_sentence("Takes, keeps and brings back snapshots of virtual machines.")
    host = workspace.cache.one(Host)
    facts: list[Fact] = [("Version", __version__), ("Licence", "Apache 2.0")]
    if host is not None:
        facts += [("QEMU", host[1].software_version.get("qemu", "")), ("Accelerator", accelerator(host[1]))]
    dialog.content.addWidget(FactGrid(facts, "About Stillframe"))
    dialog.setMinimumWidth(380)
    return dialog


def _toggle(command: str, title: str, key: str, default: bool) -> Command:
    def run(workspace: Workspace, _selection: Selection) -> None:
        workspace.settings.put(key, not workspace.settings.get(key, default))
        workspace.commands.refresh("")

    def state(workspace: Workspace, _selection: Selection) -> CommandState:
        return CommandState(checked=workspace.settings.get(key, default))

    return Command(id=command, title=title, run=run, state=state)


def _theme(command: str, title: str, chosen: Theme) -> Command:
    def run(workspace: Workspace, _selection: Selection) -> None:
        workspace.settings.theme = chosen
        app = QApplication.instance()
        if isinstance(app, QApplication):
            theme.apply(app, chosen)
        workspace.commands.refresh("")

    def state(workspace: Workspace, _selection: Selection) -> CommandState:
        return CommandState(checked=workspace.settings.theme is chosen)

    return Command(id=command, title=title, run=run, state=state)


def rename_command(begin: Callable[[], None]) -> Command:
    """The command that renames what is chosen in the tree, where it stands."""

    def state(_workspace: Workspace, selection: Selection) -> CommandState:
        return ENABLED if len(selection) == 1 else disabled("Choose one object to rename.")

    return Command(
        id="tree.rename", title="Re&name", icon="edit", run=lambda _w, _s: begin(), state=state, xe=_rename_lines
    )


def _rename_lines(workspace: Workspace, selection: Selection) -> str:
    """With the names as they are now, for a person to change them."""
    lines = []
    for cls, ref in selection:
        record = workspace.cache.get(_NAMED[cls], Ref(ref)) if cls in _NAMED else None
        if record is not None:
            kind = "template" if isinstance(record, VM) and record.is_a_template else cls.lower()
            lines.append(line(f"{kind}-param-set", uuid=record.uuid, name_label=record.name_label))
    return together(*lines)
