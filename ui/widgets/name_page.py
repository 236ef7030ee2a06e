"""The wizard page that asks for a name and a description."""

from __future__ import annotations

from collections.abc import Callable, Collection

from PySide6.QtWidgets import QLineEdit, QPlainTextEdit

from ui.base.dialogs import GAP, label
from ui.base.wizard import WizardPage
from ui.widgets.notice import Notice


class NamePage(WizardPage):
    """Name and description of a new `thing` ("VM"); `taken` gives the case-folded names that others have."""

    def __init__(
        self, thing: str, question: str, explanation: str, twin: str, taken: Callable[[], Collection[str]], longest: int
    ) -> None:
        super().__init__("Name", question, explanation)
        self._thing, self._taken = thing, taken
        self.name = QLineEdit()
        self.name.setAccessibleName("Name")
        self.name.setMaxLength(longest)
        self.description = QPlainTextEdit()
        self.description.setAccessibleName("Description")
        self.description.setTabChangesFocus(True)
        self.description.setFixedHeight(96)
        self.twin = Notice(twin, "attention")
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

    def words(self) -> tuple[str, str]:
        """Name and description."""
        return self.name.text().strip(), self.description.toPlainText().strip()

    def why_incomplete(self) -> str:
        return "" if self.words()[0] else f"A {self._thing} needs a name."

    def entered(self) -> None:
        self.name.selectAll()

    def _named(self) -> None:
        self.twin.setVisible(self.words()[0].casefold() in self._taken())
        self.changed.emit()
