"""What can be done about notifications."""

from __future__ import annotations

from ui.base.commands import Command
from ui.base.workspace import Workspace
from ui.notifications.mail_dialog import set_up_mail


def register(workspace: Workspace) -> None:
    """Add the commands to the workspace."""
    workspace.commands.add(Command(id="pool.mail", title="E-mail about Schedules…", icon="bell", run=set_up_mail))
