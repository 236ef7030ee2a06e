"""Name and description of a snapshot, where no details pane is at hand."""

from __future__ import annotations

from PySide6.QtWidgets import QLineEdit, QPlainTextEdit, QWidget

from app.api import VM
from ui.base.dialogs import Dialog, label
from ui.snapshots.xe_lines import rename_line


class RenameDialog(Dialog):
    """Asks for another name and description."""

    def __init__(self, record: VM, parent: QWidget | None = None) -> None:
        super().__init__(f"Rename “{record.name_label}”", primary="Rename", parent=parent)
        self._record = record
        self.name = QLineEdit(record.name_label)
        self.description = QPlainTextEdit(record.name_description)
        self.name.setAccessibleName("Name")
        self.description.setAccessibleName("Description")
        self.description.setTabChangesFocus(True)
        self.description.setFixedHeight(self.description.fontMetrics().lineSpacing() * 4 + 16)
        for title, field in (("Name", self.name), ("Description", self.description)):
            said = label(title, "quiet")
            said.setBuddy(field)
            self.content.addWidget(said)
            self.content.addWidget(field)
        self.setMinimumWidth(420)
        self.name.textChanged.connect(self._check)
        self.name.selectAll()
        self.name.setFocus()

    def changes(self) -> dict[str, str]:
        """The fields that are to be other than they were."""
        wanted = {
            "name_label": self.name.text().strip(),
            "name_description": self.description.toPlainText().strip(),
        }
        return {field: value for field, value in wanted.items() if value != getattr(self._record, field)}

    def xe_line(self) -> str:
        return rename_line(self._record, self.changes())

    def _check(self) -> None:
        self.set_problem("" if self.name.text().strip() else "Give it a name.")
