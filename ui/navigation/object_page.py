"""The right side of the window: the title of what is chosen, a notice when the connection is lost, and its tabs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from app.api import SR, VM
from app.client import Delta
from ui.base.commands import Selection
from ui.base.dialogs import GAP, separator
from ui.base.sizes_and_dates import count
from ui.base.workspace import Workspace
from ui.navigation.object_tabs import ObjectTabs, TabFactory
from ui.navigation.title_strip import TitleStrip
from ui.navigation.titles import Title, title_of
from ui.widgets.cards import EmptyState
from ui.widgets.notice import Notice

_KINDS = {"pool": "pool", "host": "host", "orphans": "orphans"}


class ObjectPage(QWidget):
    """Follows a selection: one object has tabs, several have only a count."""

    def __init__(
        self,
        workspace: Workspace,
        layout: Mapping[str, Sequence[tuple[str, str]]],
        factories: Mapping[str, TabFactory],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self._selection: Selection = ()
        self.strip = TitleStrip()
        self.tabs = ObjectTabs(workspace, layout, factories)
        self.several = EmptyState("objects", "Nothing to show yet.")
        self.several.sentence.setMinimumWidth(420)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.tabs)
        self._stack.addWidget(_below_line(self.several))
        self.setMinimumWidth(480)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(0)
        rows.addWidget(self.strip)
        rows.addWidget(self._stack, 1)
        workspace.changed.connect(self._follow)

    def show_selection(self, selection: Selection, tab: str = "") -> None:
        """Show what is chosen; ``tab`` looks at that tab."""
        self._selection = selection
        self._show_title()
        if len(selection) == 1:
            cls, ref = selection[0]
            self._stack.setCurrentWidget(self.tabs)
            self.tabs.show_object(self.kind(), cls, ref, tab)
            return
        many = f"{count(len(selection), 'object')} chosen. The menus and the tool bar act on all of them."
        self.several.set_sentence(many if selection else "Nothing to show yet.")
        self._stack.setCurrentIndex(1)

    def kind(self) -> str:
        """The kind of the one object shown: "vm", "template", "host", "pool", "sr", "iso" or "orphans"."""
        cls, ref = self._selection[0]
        if cls == "SR":
            sr_rec = self._workspace.cache.get(SR, ref)
            return "iso" if sr_rec is not None and sr_rec.content_type == "iso" else "sr"
        if cls != "VM":
            return _KINDS.get(cls, "")
        vm_rec = self._workspace.cache.get(VM, ref)
        return "template" if vm_rec is not None and vm_rec.is_a_template and not vm_rec.is_a_snapshot else "vm"

    def _follow(self, delta: Delta) -> None:
        self._show_title()
        if len(self._selection) == 1 and self._selection[0] in delta.changed:
            cls, ref = self._selection[0]
            self.tabs.show_object(self.kind(), cls, ref)  # a VM may have become a template

    def _show_title(self) -> None:
        if len(self._selection) == 1:
            title = title_of(self._workspace.cache, self._selection[0])
            if title is not None:
                self.strip.show_title(title)
            return
        names = [t.name for key in self._selection if (t := title_of(self._workspace.cache, key)) is not None]
        self.strip.show_title(
            Title("objects", count(len(names), "object") if names else "Stillframe", ", ".join(names))
        )


def _below_line(widget: QWidget) -> QWidget:
    made = QWidget()
    rows = QVBoxLayout(made)
    rows.setContentsMargins(0, 0, 0, 0)
    rows.addWidget(separator())
    rows.addWidget(widget, 1)
    return made


class LostNotice(QWidget):
    """Says that the engine does not answer, for as long as it does not."""

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("plane", "background")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.notice = Notice(
            "The engine does not answer. What you see may be out of date; the connection is tried again by itself.",
            "bad",
        )
        rows = QVBoxLayout(self)
        rows.setContentsMargins(GAP, GAP, GAP, GAP)
        rows.addWidget(self.notice)
        self.hide()
        workspace.status_changed.connect(lambda status: self.setVisible(status == "lost"))
