"""Beside the graph: everything about the chosen snapshot; about several, their sum; about none, the VM's chain."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QImage, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from app.api import VM, ConnectionLost, Failure, Ref
from ui.base import fonts
from ui.base.dialogs import GAP, GROUP, label, separator
from ui.base.sizes_and_dates import count
from ui.base.workspace import Workspace
from ui.navigation.pool_tree import existing
from ui.snapshots import words
from ui.snapshots.chosen import Chosen
from ui.snapshots.consequences import of_revert
from ui.snapshots.details_facts import facts_of_many, facts_of_one, facts_of_vm, notes_of_one
from ui.snapshots.figures import group_of
from ui.snapshots.line_list import LineList
from ui.snapshots.pictures import Pictures
from ui.snapshots.screen_dialog import ScreenDialog
from ui.snapshots.subject import Subject
from ui.widgets.buttons import ActionButton, button, icon_button
from ui.widgets.cards import Card
from ui.widgets.facts import FactGrid
from ui.widgets.labels import EditableLabel
from ui.widgets.thumbnail import Thumbnail

WIDTH = 320
#: what stands behind More, for the snapshots that are chosen
MORE: Final = (
    "snapshot.new_vm", "snapshot.new_template", "snapshot.export", "-", "snapshot.rename", "snapshot.lock",
    "snapshot.unlock", "-", "snapshot.drop_memory",
)  # fmt: skip


class DetailsPane(Card):
    """A column of 320 px that follows what is chosen."""

    def __init__(
        self,
        workspace: Workspace,
        subject: Subject,
        chosen: Chosen,
        pictures: Pictures,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(margin=0, parent=parent)
        self._workspace, self._subject, self._chosen, self._pictures = workspace, subject, chosen, pictures
        self._ref = ""
        self.setAccessibleName("Details")
        self.setFixedWidth(round(WIDTH * min(1.25, fonts.scale())))
        self.picture = Thumbnail("snapshot", "Screen at the snapshot")
        self.title = label("", "section")
        self.name = EditableLabel(what="Name", role="section", required=True)
        self.description = EditableLabel(
            what="Description", role="quiet", placeholder="Add a description", multiline=True
        )
        self.facts = FactGrid(name="Facts", label_width=80)
        self._line = separator()
        self.notes = LineList()
        self.group = button("Show the group…", kind="link")
        self.follows = LineList("Reverting to this snapshot")
        self.buttons = QWidget()
        self._lay_out()
        self.picture.opened.connect(self._enlarge)
        self.group.clicked.connect(self._show_group)
        self.name.committed.connect(lambda said: self._change("name_label", said))
        self.description.committed.connect(lambda said: self._change("name_description", said))
        subject.rebuilt.connect(self.follow)
        subject.refreshed.connect(self.follow)
        chosen.changed.connect(self.follow)
        pictures.loaded.connect(self._on_picture)

    def shows(self, ref: str) -> bool:
        """Whether this snapshot's details are shown."""
        return self._ref == ref

    def edit_name(self) -> None:
        """Begin to edit the name where it stands."""
        self.name.begin()

    def follow(self) -> None:
        """Show what is chosen now."""
        refs = [ref for ref in self._chosen.refs if ref in self._subject.snapshots]
        one = refs[0] if len(refs) == 1 else ""
        self._leave(one)
        self.setEnabled(self._subject.vm is not None)
        for widget in (self.picture, self.name, self.description, self.notes, self.group, self._line, self.follows):
            widget.setVisible(bool(one))
        self.title.setVisible(not one)
        self.buttons.setVisible(bool(refs))
        if one:
            self._show_one(one, self._subject.snapshots[one])
        elif refs:
            self.title.setText(f"{count(len(refs), 'snapshot')} selected")
            self.facts.set_facts(facts_of_many(self._subject, refs))
        else:
            self.title.setText("All snapshots" if self._subject.snapshots else "Details")
            self.facts.set_facts(facts_of_vm(self._workspace.cache, self._subject))

    # ---- the layout -------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        page = QWidget()
        page.setObjectName("page")
        rows = QVBoxLayout(page)
        rows.setContentsMargins(GROUP, GROUP, GROUP, GROUP)
        rows.setSpacing(GAP)
        self.title.setWordWrap(True)
        for widget in (self.picture, self.title, self.name, self.description):
            rows.addWidget(widget)
        rows.addSpacing(4)
        rows.addWidget(self.facts)
        rows.addWidget(self.notes)
        rows.addWidget(self.group, 0, Qt.AlignmentFlag.AlignLeft)
        for part in (self._line, self.follows):
            rows.addWidget(part)
        rows.addStretch()
        self.description.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        buttons = QHBoxLayout(self.buttons)
        buttons.setContentsMargins(GROUP, GAP, GROUP, 12)
        buttons.setSpacing(GAP)
        for command in ("snapshot.revert", "snapshot.delete"):
            shown = "Delete" if command == "snapshot.delete" else ""
            buttons.addWidget(ActionButton(self._workspace.commands.action(command), words=shown))
        buttons.addStretch()
        self.more, commands = icon_button("more", "More"), self._workspace.commands
        self.more.setMenu(commands.menu(existing(MORE, commands.ids()), parent=self))
        self.more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.more.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.more.setProperty("bare", True)
        buttons.addWidget(self.more)
        self.content.setSpacing(0)
        self.content.addWidget(_Column(page), 1)
        self.content.addWidget(self.buttons)

    # ---- one --------------------------------------------------------------------------------------------------

    def _leave(self, ref: str) -> None:
        """Another one is chosen: what was being typed belongs to the old one and is given up."""
        if ref != self._ref:
            for field in (self.name, self.description):
                if field.is_editing():
                    field.set_read_only(True)
                    field.set_read_only(False)
        self._ref = ref

    def _show_one(self, ref: str, record: VM) -> None:
        self.picture.set_icon(words.icon_of(record))
        self._show_picture(words.screen_of(record))
        if not self.name.is_editing():
            self.name.set_text(record.name_label)
        if not self.description.is_editing():
            self.description.set_text(record.name_description)
        members = len(group_of(self._workspace.cache, ref))
        self.facts.set_facts(facts_of_one(self._workspace.cache, record, self._subject.facts[ref]))
        self.notes.set(notes_of_one(record, members))
        self.group.setVisible(members > 1)
        self.follows.set(of_revert(self._workspace.cache, ref))

    def _show_picture(self, blob: str) -> None:
        self.picture.set_image(self._pictures.picture(blob) if blob else None)

    def _on_picture(self, blob: str) -> None:
        record = self._subject.snapshots.get(self._ref)
        if record is not None and words.screen_of(record) == blob:
            self._show_picture(blob)

    def _enlarge(self) -> None:
        record = self._subject.snapshots.get(self._ref)
        image: QImage | None = self._pictures.picture(words.screen_of(record)) if record is not None else None
        if record is not None and image is not None:
            ScreenDialog(record.name_label, image, self._workspace.window).open()

    def _show_group(self) -> None:
        """The snapshots taken with this one are those of other VMs, so they stand in a dialog."""
        self._workspace.commands.run("snapshot.group", (("VM", self._ref),))

    def _change(self, field: str, said: str) -> None:
        if self._ref:
            self._workspace.spawn(self._set(self._ref, field, said))

    async def _set(self, ref: str, field: str, said: str) -> None:
        try:
            await self._workspace.session.set(VM, Ref(ref), **{field: said})
        except (Failure, ConnectionLost) as error:
            self.follow()  # the words are again what they are
            await self._workspace.show_error(error, "Rename" if field == "name_label" else "Changing the description")


class _Column(QScrollArea):
    """Scrolls a page that is as wide as itself and as tall as its wrapped words need, which Qt does not ask for.

    Whether there is a scroll bar is settled here too: Qt would take it away, wrap anew and put it back, for ever.
    """

    def __init__(self, page: QWidget) -> None:
        super().__init__()
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWidget(page)
        page.installEventFilter(self)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._fit()
        super().resizeEvent(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.widget() and event.type() == QEvent.Type.LayoutRequest:
            self._fit()
        return super().eventFilter(watched, event)

    def _fit(self) -> None:
        page = self.widget()
        layout = page.layout() if page is not None else None
        if page is None or layout is None:
            return
        # From the outer size alone: the viewport's depends on the answer.
        policy, needed = Qt.ScrollBarPolicy.ScrollBarAlwaysOff, layout.totalHeightForWidth(self.width())
        if needed > self.height():
            policy = Qt.ScrollBarPolicy.ScrollBarAlwaysOn
            needed = layout.totalHeightForWidth(self.width() - self.verticalScrollBar().sizeHint().width())
        if (policy, needed) != (self.verticalScrollBarPolicy(), page.minimumHeight()):
            page.setMinimumHeight(needed)
            self.setVerticalScrollBarPolicy(policy)
