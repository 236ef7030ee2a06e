"""The disks that are chosen in the table that is looked at: what commands on disks act on."""

from __future__ import annotations

from typing import Final

from ui.base.commands import Selection
from ui.base.workspace import Workspace
from ui.navigation.pool_tree import existing
from ui.storage.cleaning import DISKS
from ui.widgets.buttons import ActionButton

_MENU: Final = ("vdi.export", "-", "vdi.destroy")
_EXPORT: Final = "vdi.export"


class ChosenDisks:
    """One table's say on what is chosen. Of two tabs the one that hides must not take away what the other chose."""

    def __init__(self, workspace: Workspace) -> None:
        self._commands = workspace.commands
        self._mine: Selection = ()

    def choose(self, selection: Selection) -> None:
        """These are chosen here; nothing once the table is out of sight."""
        was_mine = self._commands.selection(DISKS) == self._mine
        self._mine = selection
        if selection or was_mine:
            self._commands.update(selection, DISKS)


def disk_menu(workspace: Workspace) -> list[str]:
    """The commands of a disk's context menu that there are."""
    return existing(_MENU, workspace.commands.ids())


def export_button(workspace: Workspace) -> ActionButton | None:
    """The button that exports the chosen disk, where there is such a command."""
    if _EXPORT not in workspace.commands.ids():
        return None
    return ActionButton(workspace.commands.action(_EXPORT), words="Export…")
