"""Every command by name."""

from __future__ import annotations

from typing import Final

from app.cli import (
    control_commands,
    device_commands,
    disk_commands,
    extra_commands,
    file_commands,
    generated,
    install,
    schedule_commands,
    snapshot_commands,
    vm_commands,
)
from app.cli.command import Command

_MODULES: Final = (
    generated,
    vm_commands,
    install,
    snapshot_commands,
    disk_commands,
    device_commands,
    file_commands,
    schedule_commands,
    control_commands,
    extra_commands,
    file_commands,
)

COMMANDS: Final[dict[str, Command]] = {command.name: command for module in _MODULES for command in module.commands()}
