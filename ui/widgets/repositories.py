"""Where new disks may go: the repositories for disks, and the choice between them."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QComboBox, QStyle, QStyleOptionComboBox, QStylePainter, QWidget

from app.api import NULL, SR, Pool, Ref
from app.client import ObjectCache
from ui.base import icons
from ui.base.sizes_and_dates import size
from ui.base.text import tooltip

_NAME = Qt.ItemDataRole.UserRole + 1
_ICON_GAP = 8


def disk_repositories(cache: ObjectCache) -> list[tuple[Ref[SR], SR]]:
    """The repositories that take disks, the pool's default first, then by name."""
    pool = cache.one(Pool)
    default = pool[1].default_SR if pool is not None else ""
    found = [(ref, sr) for ref, sr in cache.all(SR).items() if "iso" not in (sr.type, sr.content_type)]
    return sorted(found, key=lambda item: (item[0] != default, item[1].name_label.casefold()))


def iso_repositories(cache: ObjectCache) -> list[tuple[Ref[SR], SR]]:
    """The repositories of ISOs, by name."""
    found = [(ref, sr) for ref, sr in cache.all(SR).items() if sr.type == "iso"]
    return sorted(found, key=lambda item: item[1].name_label.casefold())


def free_space(sr: SR) -> int | None:
    """Bytes free in a repository; None where that is not known."""
    if sr.physical_size <= 0 or sr.physical_utilisation < 0:
        return None
    return max(0, sr.physical_size - sr.physical_utilisation)


class RepositoryChoice(QComboBox):
    """Chooses a repository for a disk; each entry says how much is free. Where that does not fit the name is shown.

    :param elsewhere: the words of a first entry that means no repository at all, as "Where each disk is now".
    """

    def __init__(self, cache: ObjectCache, name: str, elsewhere: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(16)
        if elsewhere:
            self.addItem(icons.icon("objects"), elsewhere, NULL)
            self.setItemData(0, elsewhere, _NAME)
        for ref, sr in disk_repositories(cache):
            free = free_space(sr)
            words = sr.name_label if free is None else f"{sr.name_label} · {size(free)} free"
            self.addItem(icons.icon("sr-remote" if sr.shared else "sr-local"), words, ref)
            self.setItemData(self.count() - 1, sr.name_label, _NAME)
        self._describe()
        self.currentIndexChanged.connect(self._describe)

    def _describe(self) -> None:
        self.setToolTip(tooltip(self.currentText()))

    def ref(self) -> Ref[SR]:
        """The chosen repository; the empty reference where there is none, the null one for `elsewhere`."""
        return Ref(self.currentData() or "")

    def choose(self, ref: str) -> None:
        """Choose a repository, if it is among them."""
        self.setCurrentIndex(max(0, self.findData(ref)))

    def paintEvent(self, _event: QPaintEvent) -> None:
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        style, part = QStyle.ComplexControl.CC_ComboBox, QStyle.SubControl.SC_ComboBoxEditField
        room = self.style().subControlRect(style, option, part, self).width() - option.iconSize.width() - _ICON_GAP
        metrics = self.fontMetrics()
        if metrics.horizontalAdvance(option.currentText) > room:
            name = str(self.currentData(_NAME) or "")
            option.currentText = metrics.elidedText(name, Qt.TextElideMode.ElideRight, room)
        painter = QStylePainter(self)
        painter.drawComplexControl(style, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)
        painter.end()
