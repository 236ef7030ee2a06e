"""What the new VM is called."""

from __future__ import annotations

from PySide6.QtWidgets import QLineEdit, QPlainTextEdit

from ui.base.dialogs import GAP, label
from ui.base.wizard import WizardPage
from ui.base.workspace import Workspace
from ui.machines.names import unique_name, vm_names
from ui.widgets.notice import Notice


class NamePage(WizardPage):
    """Name and description. The suggestion follows the source until someone types a name."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__("Name", "What is it called?", "The name shows everywhere; it can be changed later.")
        self._workspace = workspace
        self._suggested = ""
        self.name = QLineEdit()
        self.name.setAccessibleName("Name")
        self.name.setMaxLength(255)
        self.description = QPlainTextEdit()
        self.description.setAccessibleName("Description")
        self.description.setTabChangesFocus(True)
        self.description.setFixedHeight(96)
        self.twin = Notice("There is a VM of this name already; both would be called the same.", "attention")
        self.content.addWidget(label("Name", "quiet"))
        self.content.addWidget(self.name)
        self.content.addWidget(self.twin)
        self.content.addSpacing(GAP)
        self.content.addWidget(label("Description", "quiet"))
        self.content.addWidget(self.description)
        self.content.addStretch()
        self.name.textChanged.connect(self._named)
        self.description.textChanged.connect(self.changed)
        self._named()

    def suggest(self, base: str) -> None:
        """Fill the name in, unless someone has typed another."""
        if self.name.text() in ("", self._suggested):
            self._suggested = unique_name(base, vm_names(self._workspace.cache))
            self.name.setText(self._suggested)

    def words(self) -> tuple[str, str]:
        """Name and description."""
        return self.name.text().strip(), self.description.toPlainText().strip()

    def why_incomplete(self) -> str:
        return "" if self.words()[0] else "A VM needs a name."

    def entered(self) -> None:
        self.name.selectAll()

    def _named(self) -> None:
        self.twin.setVisible(self.words()[0].casefold() in vm_names(self._workspace.cache))
        self.changed.emit()
