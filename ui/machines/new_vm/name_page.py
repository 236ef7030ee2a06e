"""What the new VM is called."""

from __future__ import annotations

from ui.base.workspace import Workspace
from ui.models.names import unique_name, vm_names
from ui.widgets import name_page


class NamePage(name_page.NamePage):
    """Name and description. The suggestion follows the source until someone types a name."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(
            "VM",
            "What is it called?",
            "The name shows everywhere; it can be changed later.",
            "There is a VM of this name already; both would be called the same.",
            lambda: vm_names(workspace.cache),
            255,
        )
        self._workspace = workspace
        self._suggested = ""

    def suggest(self, base: str) -> None:
        """Fill the name in, unless someone has typed another."""
        if self.name.text() in ("", self._suggested):
            self._suggested = unique_name(base, vm_names(self._workspace.cache))
            self.name.setText(self._suggested)
