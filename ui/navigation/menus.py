"""The menus by command id. What no feature has registered is left out; what is not listed comes last in its menu."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from PySide6.QtWidgets import QMenu, QMenuBar

from ui.base.commands import Registry
from ui.navigation.pool_tree import existing

MENU_BAR: Final[Mapping[str, tuple[str, ...]]] = {
    "&File": ("pool.import", "-", "file.exit"),
    "&View": (
        "view.infrastructure",
        "view.notifications",
        "-",
        "view.default_templates",
        "view.toolbar",
        "-",
        "view.theme_light",
        "view.theme_dark",
        "view.theme_system",
    ),
    "&Pool": ("pool.schedules", "schedule.new", "-", "pool.keep_running", "pool.mail"),
    "&Server": ("host.properties",),
    "V&M": (
        "vm.new",
        "-",
        "vm.start",
        "vm.shutdown",
        "vm.reboot",
        "vm.suspend",
        "vm.resume",
        "vm.pause",
        "vm.unpause",
        "-",
        "vm.force_shutdown",
        "vm.force_reboot",
        "-",
        "vm.snapshot",
        "vm.schedules",
        "vm.chain_health",
        "-",
        "vm.copy",
        "vm.export",
        "vm.convert_to_template",
        "-",
        "vm.copy_uuid",
        "tree.rename",
        "vm.delete",
        "vm.properties",
    ),
    "&Storage": (
        "sr.scan",
        "sr.coalesce",
        "sr.clean",
        "-",
        "vdi.export",
        "vdi.destroy",
        "-",
        "vbd.insert",
        "vbd.eject",
    ),
    "&Templates": (
        "template.new_vm",
        "template.quick_create",
        "-",
        "template.copy",
        "template.export",
        "template.convert_to_vm",
        "-",
        "template.delete",
    ),
    "&Help": ("help.about",),
}
_PREFIXES: Final = {"&Pool": "pool.", "&Server": "host.", "V&M": "vm.", "&Storage": "sr.", "&Templates": "template."}
_NEED_ENGINE: Final = tuple(_PREFIXES)

CONTEXT: Final[Mapping[str, tuple[str, ...]]] = {
    "pool": ("vm.new", "pool.import", "-", "pool.schedules", "-", "tree.rename", "pool.properties"),
    "host": ("vm.new", "pool.import", "-", "tree.rename", "host.properties"),
    "VM": (
        "vm.start",
        "vm.shutdown",
        "vm.reboot",
        "vm.suspend",
        "vm.resume",
        "vm.pause",
        "vm.unpause",
        "-",
        "vm.force_shutdown",
        "vm.force_reboot",
        "-",
        "vm.snapshot",
        "vm.schedules",
        "vm.chain_health",
        "-",
        "vm.copy",
        "vm.export",
        "vm.convert_to_template",
        "-",
        "tree.rename",
        "vm.delete",
        "-",
        "vm.properties",
    ),
    "template": (
        "template.new_vm",
        "template.quick_create",
        "-",
        "template.copy",
        "template.export",
        "template.convert_to_vm",
        "-",
        "tree.rename",
        "template.delete",
        "-",
        "vm.properties",
    ),
    "SR": ("pool.import", "-", "sr.scan", "sr.coalesce", "sr.clean", "-", "tree.rename", "sr.properties"),
}


def fill(bar: QMenuBar, commands: Registry) -> None:
    """Build the menu bar from the commands there are. An empty menu is left out."""
    listed = {command for ids in MENU_BAR.values() for command in ids}
    for title, wanted in MENU_BAR.items():
        ids = existing(wanted, commands.ids())
        prefix = _PREFIXES.get(title)
        others = [
            c
            for c in commands.ids()
            if prefix and c.startswith(prefix) and c not in listed and not commands.get(c).scope
        ]
        if others:
            ids += ["-", *others] if ids else others
        if ids:
            bar.addMenu(commands.menu(ids, parent=bar, title=title))


def set_enabled(bar: QMenuBar, enabled: bool) -> None:
    """Whether the menus that need the engine open, and their shortcuts work."""
    for action in bar.actions():
        if action.text() in _NEED_ENGINE:
            action.setEnabled(enabled)


def titles(bar: QMenuBar) -> list[str]:
    """The titles of the menus there are, without mnemonics."""
    return [action.text().replace("&", "") for action in bar.actions() if isinstance(action.menu(), QMenu)]
