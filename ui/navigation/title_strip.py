"""The strip above the tabs: icon, name, and where and how the object is."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from ui.base.dialogs import GAP, IconLabel
from ui.navigation.titles import Title
from ui.widgets.labels import ElidedLabel

_EDGE = 24


class TitleStrip(QWidget):
    """The name is cut only after the words beside it are."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("plane", "surface")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._mark = IconLabel("pool", 20)
        self.name = ElidedLabel("", "title")
        self.name.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.where = ElidedLabel("", "quiet")
        self.where.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        row = QHBoxLayout(self)
        row.setContentsMargins(_EDGE, 12, _EDGE, 4)
        row.setSpacing(GAP)
        row.addWidget(self._mark)
        row.addWidget(self.name, 100)
        row.addSpacing(GAP)
        row.addWidget(self.where, 1)

    def show_title(self, title: Title) -> None:
        """Show an object."""
        self._mark.set_icon(title.icon)
        self.name.setText(title.name)
        self.where.setText(title.where)
        self.setAccessibleName(f"{title.name}, {title.where}" if title.where else title.name)
