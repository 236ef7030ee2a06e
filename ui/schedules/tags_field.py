"""Tags by which a schedule chooses VMs beside those that are ticked, and how many that are now."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QCompleter, QHBoxLayout, QLineEdit, QWidget

from app.api import VM, Ref
from app.client import ObjectCache
from ui.base.dialogs import GAP, label
from ui.base.sizes_and_dates import count
from ui.models.presets import why_presets_only
from ui.models.protection import split_tags, tagged


class TagsField(QWidget):
    """A line with commas between the tags."""

    changed = Signal()

    def __init__(self, cache: ObjectCache, tags: tuple[str, ...] = (), parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._cache = cache
        self.field = QLineEdit(", ".join(tags))
        self.field.setAccessibleName("Tags")
        self.field.setPlaceholderText("none")
        self.field.setMaxLength(400)
        self.said = label("", "quiet")
        known = sorted({tag for vm in cache.all(VM).values() if not vm.is_a_snapshot for tag in vm.tags})
        completer = QCompleter(known, self.field)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.field.setCompleter(completer)
        said = label("Also all &tagged")
        said.setBuddy(self.field)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(GAP)
        row.addWidget(said)
        row.addWidget(self.field, 1)
        row.addWidget(self.said)
        reason = why_presets_only(cache)
        self.setEnabled(not reason)
        self.setToolTip(
            reason or "VMs with one of these tags that have no schedule of their own, also those that get it later."
        )
        self.field.textChanged.connect(self._follow)
        self._follow()

    def tags(self) -> tuple[str, ...]:
        """The tags that are named."""
        return split_tags(self.field.text())

    def vms(self) -> list[Ref[VM]]:
        """The VMs that they choose now."""
        return tagged(self._cache, self.tags())

    def _follow(self) -> None:
        self.said.setText(f"{count(len(self.vms()), 'VM')} now" if self.tags() else "commas between several")
        self.changed.emit()
