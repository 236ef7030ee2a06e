"""The Snapshots tab of a VM: toolbar, graph or list, footer, details."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QPoint, Qt, QTimer
from PySide6.QtGui import QHideEvent, QKeyEvent, QKeySequence, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QMenu, QStackedWidget, QVBoxLayout, QWidget

from app.api import Ref
from app.client import Delta
from ui.base import theme
from ui.base.dialogs import GROUP
from ui.base.sizes_and_dates import count
from ui.base.workspace import Workspace
from ui.navigation.pool_tree import existing
from ui.snapshots import words
from ui.snapshots.chosen import Chosen
from ui.snapshots.commands import SCOPE
from ui.snapshots.details_pane import DetailsPane
from ui.snapshots.footer import Footer
from ui.snapshots.graph_items import sizes
from ui.snapshots.graph_view import GraphView
from ui.snapshots.list_view import ListView
from ui.snapshots.merges import MergeWatch, summary
from ui.snapshots.pictures import Pictures
from ui.snapshots.subject import Subject
from ui.snapshots.toolbar import GRAPH, LIST, Toolbar
from ui.snapshots.tree import successor
from ui.snapshots.zoom import ZoomState
from ui.widgets.cards import Card, EmptyState
from ui.widgets.notice import Notice

_MINUTE_MS: Final = 60_000
MENU_OF_ONE: Final = (
    "snapshot.revert", "snapshot.group", "-", "snapshot.new_vm", "snapshot.new_template",
    "snapshot.export", "-", "snapshot.rename",
    "snapshot.lock", "snapshot.unlock", "-", "snapshot.drop_memory", "snapshot.delete",
)  # fmt: skip
MENU_OF_MANY: Final = ("snapshot.export", "-", "snapshot.lock", "snapshot.unlock", "-", "snapshot.delete")
_VIEW, _SCHEDULED, _DETAILS = "snapshots/view", "snapshots/scheduled", "snapshots/details"


class SnapshotsTab(QWidget):
    """Everything about the snapshots of one VM. `commands.register` must have been called."""

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self._stale = False
        self._behind = {GRAPH, LIST}
        self._tree_of = ""
        self._matching: frozenset[str] | None = None
        self._left: dict[str, tuple[tuple[str, ...], ZoomState]] = {}
        self.setAccessibleName("Snapshots")
        self.subject = Subject(workspace.cache, self)
        self.chosen = Chosen(self)
        self.pictures = Pictures(workspace, sizes().thumbnail.toSize(), self)
        self.toolbar = Toolbar(workspace.commands)
        self.graph = GraphView(self.chosen, self.pictures.thumbnail)
        self.list = ListView(self.subject, self.chosen, workspace.settings)
        self.footer = Footer()
        self.strip = Notice(act="Show")
        self.merges = MergeWatch(workspace, self)
        self.details = DetailsPane(workspace, self.subject, self.chosen, self.pictures)
        self.empty = EmptyState(
            "snapshot", "This VM has no snapshots yet.", self.toolbar.take, xe=self.toolbar.take.xe_line
        )
        self.only_hidden = EmptyState("snapshot-scheduled", "", "Show Scheduled Snapshots")
        self.views = QStackedWidget()
        self._minute = QTimer(self)
        self._lay_out()
        self._give_shortcuts()
        self._connect()
        self._remembered()

    def show_vm(self, vm_ref: str) -> None:
        """Be about this VM. What was chosen and seen of it before comes back."""
        if vm_ref == self.subject.ref:
            return
        if self.subject.ref:
            self._left[self.subject.ref] = (self.chosen.refs, self.graph.zoom.state())
        self.toolbar.search.clear()
        refs, zoom = self._left.get(vm_ref, ((), ZoomState()))
        self.chosen.choose((), "")
        self.subject.show(vm_ref)
        self.merges.follow(vm_ref if self.isVisible() else "")
        self.chosen.choose([ref for ref in refs if ref in self.subject.shown])
        self.graph.zoom.restore(zoom)

    # ---- the parts --------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        for widget in (self.graph, self.list, self.empty, self.only_hidden):
            self.views.addWidget(widget)
        plane = Card(margin=1)
        plane.content.setSpacing(0)
        plane.content.addWidget(self.views, 1)
        plane.content.addWidget(self.footer)
        columns = QHBoxLayout()
        columns.setSpacing(12)
        columns.addWidget(plane, 1)
        columns.addWidget(self.details)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(GROUP, 12, GROUP, GROUP)
        rows.setSpacing(12)
        rows.addWidget(self.toolbar)
        rows.addWidget(self.strip)
        rows.addLayout(columns, 1)

    def _give_shortcuts(self) -> None:
        """Del and F2 are this tab's only while the keyboard is in it."""
        for command in ("snapshot.delete", "snapshot.rename"):
            action = self._workspace.commands.action(command, self)
            action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)

    def _connect(self) -> None:
        commands = self._workspace.commands
        self._workspace.changed.connect(self._on_delta)
        self.subject.rebuilt.connect(self._show_tree)
        self.subject.refreshed.connect(self._show_contents)
        self.chosen.changed.connect(self._tell_chosen)
        self.pictures.loaded.connect(self.graph.repaint_screen)
        self.toolbar.view_chosen.connect(self.show_view)
        self.toolbar.scheduled_toggled.connect(self._show_scheduled)
        self.toolbar.details_toggled.connect(self._show_details)
        self.toolbar.search.searched.connect(self._filter)
        self.toolbar.search.returnPressed.connect(self._go_to_match)
        self.only_hidden.clicked.connect(lambda: self.toolbar.scheduled.setChecked(True))
        for asked in (self.footer.health_asked, self.strip.acted):
            asked.connect(lambda: commands.run("vm.chain_health", (("VM", self.subject.ref),)))
        self.merges.changed.connect(self._show_strip)
        self.graph.cancelled.connect(self._cancel)
        self.footer.stepped.connect(self.graph.zoom.step)
        self.footer.fitted.connect(self.graph.zoom.fit)
        self.graph.zoom.changed.connect(self.footer.set_zoom)
        self.graph.dropped.connect(lambda ref: commands.run("snapshot.revert", (("VM", ref),)))
        self.graph.activated.connect(lambda ref: commands.run("snapshot.revert", (("VM", ref),)))
        self.list.activated_ref.connect(lambda ref: commands.run("snapshot.revert", (("VM", ref),)))
        self.graph.menu_requested.connect(self._pop_up)
        self.list.menu_requested.connect(self._pop_up)
        self._minute.timeout.connect(self.subject.tick)
        theme.notifier.theme_changed.connect(self.graph.viewport().update)

    def _remembered(self) -> None:
        settings = self._workspace.settings
        self.toolbar.scheduled.setChecked(settings.get(_SCHEDULED, True))
        self.subject.show_scheduled = self.toolbar.scheduled.isChecked()
        self.toolbar.details.setChecked(settings.get(_DETAILS, True))
        self.details.setVisible(self.toolbar.details.isChecked())
        self.toolbar.switch.set_current(LIST if settings.get(_VIEW, GRAPH) == LIST else GRAPH)
        self._show_tree()

    # ---- what is shown ----------------------------------------------------------------------------------------

    def show_view(self, view: str) -> None:
        """Show the graph or the list; what is chosen stays chosen."""
        self.toolbar.switch.set_current(view)
        self._workspace.settings.put(_VIEW, view)
        had_focus = self.views.isAncestorOf(self.focusWidget()) if self.focusWidget() is not None else False
        self._catch_up()
        self._show_page()
        shown = self.graph if view == GRAPH else self.list
        shown.reveal(self.chosen.current)
        if had_focus:
            shown.setFocus(Qt.FocusReason.OtherFocusReason)

    def _show_page(self) -> None:
        subject = self.subject
        nothing = not subject.shown
        page: QWidget = self.list if self.toolbar.switch.current() == LIST else self.graph
        if nothing:
            page = self.only_hidden if subject.hidden else self.empty
        hidden = len(subject.hidden)
        self.only_hidden.set_sentence(f"{count(hidden, 'scheduled snapshot')} {'is' if hidden == 1 else 'are'} hidden.")
        self.views.setCurrentWidget(page)
        self.footer.setVisible(bool(subject.snapshots))
        self.footer.zoom.setVisible(page is self.graph)
        self.toolbar.switch.setEnabled(not nothing)
        self.toolbar.search.setEnabled(not nothing)

    def _on_delta(self, delta: Delta) -> None:
        if not self.isVisible():
            self._stale = True
            return
        self.subject.update(delta)
        self.merges.update(delta)
        self.toolbar.take.follow(self.subject.ref if self.subject.vm is not None else "")

    def _show_tree(self) -> None:
        """The tree is another one: what is chosen stays, or its neighbour is chosen where it went."""
        subject = self.subject
        before = self._order()
        known = frozenset(before)
        gone = known - frozenset(subject.shown)
        left = [ref for ref in self.chosen.refs if ref in subject.cards]
        wanted = left or ([successor(before, gone)] if self.chosen.refs and gone else [])
        came = [ref for ref in subject.shown if ref not in known]
        same, self._tree_of = self._tree_of == subject.ref, subject.ref
        if same and not self.chosen.refs and came and "vm.snapshot" in self._workspace.commands.running:
            wanted = [max(came, key=lambda ref: subject.snapshots[ref].snapshot_time)]
        self._matching = subject.matching(self.toolbar.search.text())
        self._behind = {GRAPH, LIST}
        self._catch_up()
        self.chosen.choose([ref for ref in wanted if ref], None if left else (wanted[0] if wanted else ""))
        self._show_page()
        self._follow()
        if wanted and not left:
            self._current_view().reveal(wanted[0])

    def _catch_up(self) -> None:
        """Bring the view that is shown in line with the subject; the other one waits until it is shown."""
        view = self.toolbar.switch.current()
        if view not in self._behind:
            return
        self._behind.discard(view)
        subject = self.subject
        if view == LIST:
            self.list.follow(self._matching)
        else:
            self.graph.show_tree(subject.tree, subject.cards, subject.now)
            self.graph.set_matching(self._matching)

    def _show_contents(self) -> None:
        self._filter(self.toolbar.search.text())
        if GRAPH not in self._behind:
            self.graph.set_contents(self.subject.cards, self.subject.now)

    def _follow(self) -> None:
        self.footer.follow(self.subject, None if self._matching is None else len(self._matching))
        self._show_strip()
        self.toolbar.take.follow(self.subject.ref if self.subject.vm is not None else "")

    def _show_strip(self) -> None:
        """Say what is not as it should be, or what is being done about it; nothing while all is well."""
        health, tone = words.health(self.subject.now_facts, list(self.subject.facts.values()))
        said, merging = summary(self.merges.merges)
        if tone != "good":
            self.strip.say(f"{health[:1].upper()}{health[1:]}{f'. {said}' if said else ''}.", tone, "Show")
        elif said:
            self.strip.say(f"{said}.", merging, "Show")
        self.strip.setVisible(bool(said) or tone != "good")

    def _cancel(self, task: str) -> None:
        """Stop what Now shows: by the history if this window began it, so that both tell the same."""
        entries = self._workspace.history.running()
        entry = next((entry for entry in entries if entry.task == task), None)
        asked = self._workspace.session.task.cancel(Ref(task)) if entry is None else self._workspace.cancel(entry)
        self._workspace.spawn(asked, "Cancel")

    def _order(self) -> tuple[str, ...]:
        """The snapshots as they stand in the view now, before the change."""
        if self.toolbar.switch.current() == LIST:
            return tuple(self.list.rows.shown_keys())
        tree = self.graph.graph.tree
        return tree.snapshots if tree is not None else ()

    def _current_view(self) -> GraphView | ListView:
        return self.list if self.toolbar.switch.current() == LIST else self.graph

    def _tell_chosen(self) -> None:
        self._workspace.commands.update(tuple(("VM", ref) for ref in self.chosen.refs), SCOPE)

    def _filter(self, said: str) -> None:
        self._matching = self.subject.matching(said)
        if LIST not in self._behind:
            self.list.follow(self._matching)
        if GRAPH not in self._behind:
            self.graph.set_matching(self._matching)
        self._follow()

    def _go_to_match(self) -> None:
        """Enter in the filter goes from one match to the next."""
        matching = [ref for ref in self.subject.shown if self._matching is not None and ref in self._matching]
        if matching:
            here = matching.index(self.chosen.current) if self.chosen.current in matching else -1
            there = matching[(here + 1) % len(matching)]
            self.chosen.choose((there,), there)
            self._current_view().reveal(there)

    def _show_scheduled(self, shown: bool) -> None:
        self._workspace.settings.put(_SCHEDULED, shown)
        self.subject.show_scheduled = shown

    def _show_details(self, shown: bool) -> None:
        self._workspace.settings.put(_DETAILS, shown)
        self.details.setVisible(shown)
        self.toolbar.details.setToolTip("Hide details" if shown else "Show details")

    def _pop_up(self, place: QPoint) -> None:
        menu = self.context_menu()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(place)

    def context_menu(self) -> QMenu:
        """The menu for what is chosen: one snapshot, several, or none."""
        many = len(self.chosen.refs)
        ids = MENU_OF_ONE if many == 1 else MENU_OF_MANY
        selection = tuple(("VM", ref) for ref in self.chosen.refs)
        there = existing(ids, self._workspace.commands.ids()) if many else ()
        menu = self._workspace.commands.menu(there, selection, self)
        if not many:
            menu.addAction(self.toolbar.take)
        menu.addSeparator()
        menu.addMenu(self.toolbar.view_menu(menu))
        return menu

    # ---- the tab itself ---------------------------------------------------------------------------------------

    def event(self, event: QEvent) -> bool:
        """Claim Ctrl+F while the keyboard is in here, before the window's own search does."""
        if (
            isinstance(event, QKeyEvent)
            and event.type() == QEvent.Type.ShortcutOverride
            and event.matches(QKeySequence.StandardKey.Find)
        ):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Find):
            self.toolbar.search.take_focus()
        else:
            super().keyPressEvent(event)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._minute.start(_MINUTE_MS)
        self.merges.follow(self.subject.ref)
        if self._stale:
            self._stale = False
            self.subject.reload()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._minute.stop()
        self.merges.follow("")
