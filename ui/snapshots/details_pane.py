"""Beside the graph: everything about the chosen snapshot; about several, their sum; about none, the VM's chain."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QImage, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from app.api import VM, VMSS, ConnectionLost, Failure, Ref, is_null
from ui.base import fonts
from ui.base.dialogs import GAP, GROUP, Consequence, IconLabel, label, separator
from ui.base.sizes_and_dates import count, date_and_time, exact, size
from ui.base.workspace import Workspace
from ui.models.chain import CHAIN_LIMIT, total
from ui.snapshots import words
from ui.snapshots.chosen import Chosen
from ui.snapshots.consequences import of_revert
from ui.snapshots.pictures import Pictures
from ui.snapshots.screen_dialog import ScreenDialog
from ui.snapshots.subject import Subject
from ui.widgets.buttons import ActionButton
from ui.widgets.cards import Card
from ui.widgets.facts import Fact, FactGrid
from ui.widgets.labels import EditableLabel
from ui.widgets.thumbnail import Thumbnail

WIDTH = 320


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
        self.follows = _Follows("Reverting to this snapshot")
        self.buttons = QWidget()
        self._lay_out()
        self.picture.opened.connect(self._enlarge)
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
        for widget in (self.picture, self.name, self.description, self._line, self.follows):
            widget.setVisible(bool(one))
        self.title.setVisible(not one)
        self.buttons.setVisible(bool(refs))
        if one:
            self._show_one(one, self._subject.snapshots[one])
        elif refs:
            self.title.setText(f"{count(len(refs), 'snapshot')} selected")
            self.facts.set_facts(self._facts_of_many(refs))
        else:
            self.title.setText("All snapshots" if self._subject.snapshots else "Details")
            self.facts.set_facts(self._facts_of_vm())

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
        for part in (self.facts, self._line, self.follows):
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
        self.facts.set_facts(self._facts_of_one(ref, record))
        self.follows.set(of_revert(self._workspace.cache, ref))

    def _facts_of_one(self, ref: str, record: VM) -> list[Fact]:
        facts = self._subject.facts[ref]
        locked = record.blocked_operations.get("destroy", "") if words.is_locked(record) else ""
        return [
            ("Created", date_and_time(record.snapshot_time), exact(record.snapshot_time)),
            ("Type", words.type_of(record)),
            ("Consistency", words.consistency(record, facts)),
            ("Guest paused" if words.has_memory(record) else "Disks waited", *words.pause(record)),
            ("State then", words.state_then(record)),
            ("Size", words.size_of(facts), "Own: what deleting it would free. Shared: what others need as well."),
            ("Chain depth", words.depth_of(facts.depth), f"Images in a row below its disks, at most {CHAIN_LIMIT}"),
            ("Made by", words.made_by(record)),
            ("Tags", ", ".join(sorted(record.tags))),
            ("Locked", locked or ("Yes" if words.is_locked(record) else "")),
        ]

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

    def _change(self, field: str, said: str) -> None:
        if self._ref:
            self._workspace.spawn(self._set(self._ref, field, said))

    async def _set(self, ref: str, field: str, said: str) -> None:
        try:
            await self._workspace.session.set(VM, Ref(ref), **{field: said})
        except (Failure, ConnectionLost) as error:
            self.follow()  # the words are again what they are
            await self._workspace.show_error(error, "Rename" if field == "name_label" else "Changing the description")

    # ---- several, or none -------------------------------------------------------------------------------------

    def _facts_of_many(self, refs: Sequence[str]) -> list[Fact]:
        records = [self._subject.snapshots[ref] for ref in refs]
        kinds = sorted({words.type_of(record) for record in records})
        scheduled = sum(words.is_scheduled(record) for record in records)
        return [
            ("Created", words.period([record.snapshot_time for record in records])),
            ("Type", ", ".join(kinds)),
            ("Total size", f"{size(total(self._subject.facts[ref] for ref in refs))} own"),
            ("Made by", _makers(scheduled, len(records))),
            ("Tags", ", ".join(sorted({tag for record in records for tag in record.tags}))),
        ]

    def _facts_of_vm(self) -> list[Fact]:
        subject = self._subject
        if subject.vm is None:
            return []
        records = list(subject.snapshots.values())
        scheduled = sum(words.is_scheduled(record) for record in records)
        moments = sorted(record.snapshot_time for record in records)
        health, _ = words.health(subject.now_facts, list(subject.facts.values()))
        return [
            ("Snapshots", _numbers(len(records), scheduled, len(subject.hidden))),
            ("Oldest", date_and_time(moments[0]) if moments else ""),
            ("Newest", date_and_time(moments[-1]) if moments else ""),
            ("Their size", size(total(subject.facts.values())) if records else ""),
            ("Current disks", words.size_of(subject.now_facts) if subject.now_facts.disks else ""),
            ("Chain depth", words.depth_of(subject.now_facts.depth)),
            ("Health", health[:1].upper() + health[1:] if subject.now_facts.disks else ""),
            ("Schedule", self._schedule(subject.vm)),
        ]

    def _schedule(self, vm: VM) -> str:
        if is_null(vm.snapshot_schedule):
            return "None"
        schedule = self._workspace.cache.get(VMSS, vm.snapshot_schedule)
        return schedule.name_label if schedule is not None else "None"


def _makers(scheduled: int, many: int) -> str:
    if scheduled == many:
        return "A schedule"
    return f"{scheduled} by a schedule, {many - scheduled} by hand" if scheduled else "By hand"


def _numbers(many: int, scheduled: int, hidden: int) -> str:
    said = str(many)
    if scheduled:
        said += f", {scheduled} scheduled"
    return f"{said} (hidden)" if hidden else said


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


class _Follows(QWidget):
    """A heading and the short list below it, for a narrow column."""

    def __init__(self, heading: str) -> None:
        super().__init__()
        self._said: list[Consequence] = []
        self._rows = QVBoxLayout(self)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setSpacing(6)
        self._rows.addWidget(label(heading, "strong"))
        self.setAccessibleName(heading)

    def set(self, consequences: list[Consequence]) -> None:
        """Show these instead."""
        if consequences == self._said:
            return
        self._said = consequences
        while (item := self._rows.takeAt(1)) is not None:
            if (row := item.widget()) is not None:
                row.hide()
                row.deleteLater()
        for icon, said in consequences:
            self._rows.addWidget(_line_of(icon, said))
        self.setAccessibleDescription(". ".join(said for _, said in consequences))


def _line_of(icon: str, said: str) -> QWidget:
    row = QWidget()
    line = QHBoxLayout(row)
    line.setContentsMargins(0, 0, 0, 0)
    line.setSpacing(GAP)
    shown = label(said, "quiet")
    shown.setWordWrap(True)
    shown.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
    line.addWidget(IconLabel(icon), 0, Qt.AlignmentFlag.AlignTop)
    line.addWidget(shown, 1)
    return row
