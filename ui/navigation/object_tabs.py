"""The tabs of what is chosen. A page is made when it is first looked at, and told of another object only when seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias, runtime_checkable

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from ui.base.workspace import Workspace
from ui.widgets.tabs import Tabs

#: a tab that is alone stands where the first of several does
_ONLY_TAB: Final = "QTabBar::tab:only-one { margin-left: 14px; }"

TabFactory: TypeAlias = Callable[[Workspace], QWidget]


@runtime_checkable
class ShowsObjects(Protocol):
    """A page that shows any object of its kind."""

    def show_object(self, cls: str, ref: str) -> None: ...


@runtime_checkable
class ShowsVMs(Protocol):
    """A page that shows VMs only."""

    def show_vm(self, vm: str) -> None: ...


@dataclass
class _Page:
    """A tab: its holder, and what stands in it once it was looked at."""

    title: str
    holder: QWidget
    make: TabFactory
    content: QWidget | None = None
    shown: tuple[str, str] | None = None


class ObjectTabs(Tabs):
    """One set of tabs for each kind of object ("vm", "template", "host", "pool", "sr"); the last one of each is kept.

    :param layout: (tab id, title) pairs of each kind, in order.
    :param factories: what makes the page of ``kind.tab``, as ``vm.snapshots``; a tab without one is left out.
    """

    #: another tab is looked at: its id
    tab_shown = Signal(str)

    def __init__(
        self,
        workspace: Workspace,
        layout: Mapping[str, Sequence[tuple[str, str]]],
        factories: Mapping[str, TabFactory],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__("Tabs", parent)
        self._workspace = workspace
        self._kind = ""
        self._object: tuple[str, str] | None = None
        self._pages: dict[str, dict[str, _Page]] = {
            kind: {
                tab: _Page(title, _holder(self), factories[f"{kind}.{tab}"])
                for tab, title in tabs
                if f"{kind}.{tab}" in factories
            }
            for kind, tabs in layout.items()
        }
        self.tabBar().setStyleSheet(_ONLY_TAB)
        self.currentChanged.connect(self._looked_at)

    def show_object(self, kind: str, cls: str, ref: str, tab: str = "") -> None:
        """Show an object; ``tab`` looks at that tab of it, "" at the one that was last looked at for its kind."""
        self._object = (cls, ref)
        if kind != self._kind:
            self._switch_to(kind)
        if tab:
            self.choose(tab)
        self._show_current()

    def choose(self, tab: str) -> bool:
        """Look at a tab. False: the object has no such tab."""
        if tab not in self._pages.get(self._kind, {}):
            return False
        self.setCurrentIndex(list(self._pages[self._kind]).index(tab))
        return True

    @property
    def tab(self) -> str:
        """The id of the tab that is looked at; "" where there is none."""
        pages = list(self._pages.get(self._kind, {}))
        return pages[self.currentIndex()] if 0 <= self.currentIndex() < len(pages) else ""

    def page(self, tab: str) -> QWidget | None:
        """What stands in a tab of the present kind; None before it was looked at."""
        page = self._pages.get(self._kind, {}).get(tab)
        return None if page is None else page.content

    def _switch_to(self, kind: str) -> None:
        self.setUpdatesEnabled(False)
        self.blockSignals(True)
        self.clear()  # the holders stay: clear() deletes none
        self._kind = kind
        for page in self._pages.get(kind, {}).values():
            self.addTab(page.holder, page.title)
        self.choose(self._workspace.settings.get(f"tabs/{kind}", ""))
        self.blockSignals(False)
        self.setUpdatesEnabled(True)

    def _looked_at(self) -> None:
        if self.tab:
            self._workspace.settings.put(f"tabs/{self._kind}", self.tab)
            self._show_current()

    def _show_current(self) -> None:
        page = self._pages.get(self._kind, {}).get(self.tab)
        if page is None or self._object is None:
            return
        if page.content is None:
            page.content = page.make(self._workspace)
            layout = page.holder.layout()
            assert layout is not None
            layout.addWidget(page.content)
            page.content.show()
        if page.shown != self._object:
            page.shown = self._object
            cls, ref = self._object
            if isinstance(page.content, ShowsObjects):
                page.content.show_object(cls, ref)
            elif isinstance(page.content, ShowsVMs):
                page.content.show_vm(ref)
        self.tab_shown.emit(self.tab)


def _holder(parent: QWidget) -> QWidget:
    holder = QWidget(parent)
    holder.hide()
    rows = QVBoxLayout(holder)
    rows.setContentsMargins(0, 0, 0, 0)
    return holder
