"""The General tab of a VM or template: cards of facts, name and description changed where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtGui import QGuiApplication, QHideEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from app.api import VDI, VM, Ref, VMOperation, VMPowerState
from app.client import Delta
from ui.base.dialogs import GROUP, MARGIN
from ui.base.text import tooltip
from ui.base.workspace import Workspace
from ui.base.xe_menu import offer_xe
from ui.machines.facts import (
    about_facts,
    disk_facts,
    disks,
    hardware_facts,
    health_facts,
    memory_facts,
    network_facts,
    snapshot_facts,
    state_facts,
)
from ui.models.chain import disks_of
from ui.models.looking import Looking
from ui.models.question import Question
from ui.models.reasons import why_not
from ui.models.states import STATE_TONES, is_machine, state_words
from ui.widgets.buttons import button
from ui.widgets.cards import Card, EmptyState
from ui.widgets.facts import Fact, FactGrid
from ui.widgets.labels import EditableLabel
from ui.widgets.marks import Pill

#: below this width the cards stand in one column
_TWO_COLUMNS: Final = 720
_MINUTE_MS: Final = 60_000


class GeneralTab(QWidget):
    """Shows one VM; nothing else than the feed changes what it shows. Hidden, it waits until it is shown."""

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self._ref = ""
        self._look = Looking(workspace.cache)
        self.setProperty("plane", "background")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName("General")
        self.name = EditableLabel(what="name", role="section", required=True)
        self.description = EditableLabel(what="description", placeholder="Add a description", multiline=True)
        self.state = Pill("")
        self.cards: dict[str, FactGrid] = {}
        self._sides: list[list[Card]] = []
        self.show_snapshots = button("Show snapshots", kind="link")
        self.show_chains = button("Show chains", kind="link")
        self.resume = button("Resume", "resume", "primary")
        self.health: Question[Mapping[str, Mapping[str, str]]] = Question(
            workspace, lambda ref: workspace.session.VM.get_chain_health(Ref(ref)), self
        )
        self.copy_uuid = button("Copy UUID", kind="link")
        self._gone = EmptyState("vm", "This VM no longer exists.")
        self._page = QWidget()
        self._columns = QHBoxLayout()
        self._lay_out()
        self.name.committed.connect(lambda words: self._set("name_label", words))
        self.description.committed.connect(lambda words: self._set("name_description", words))
        self.show_snapshots.clicked.connect(lambda: workspace.show("VM", self._ref, "snapshots"))
        self.show_chains.clicked.connect(self._show_chains)
        self.resume.clicked.connect(lambda: workspace.commands.run("vm.resume", (("VM", self._ref),)))
        offer_xe(self.resume, lambda: workspace.commands.xe_line("vm.resume", (("VM", self._ref),)))
        self.copy_uuid.clicked.connect(self._copy_uuid)
        self.health.answered.connect(self._show_health)
        self._minute = QTimer(self)
        self._minute.setInterval(_MINUTE_MS)
        self._minute.setTimerType(Qt.TimerType.VeryCoarseTimer)
        self._minute.timeout.connect(self._refresh)
        workspace.changed.connect(self._on_delta)

    def show_object(self, cls: str, ref: str) -> None:
        """Show the VM of that reference; any other class shows nothing."""
        self._ref = ref if cls == "VM" else ""
        self.health.ref = ""
        if self.isVisible():
            self._refresh()
            self._ask()

    def facts(self, card: str) -> list[tuple[str, str]]:
        """What a card says now. :raise KeyError: there is no such card."""
        return self.cards[card].facts()

    # ---- layout -----------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        rows = QVBoxLayout(self._page)
        rows.setContentsMargins(MARGIN, MARGIN - 4, MARGIN, MARGIN)
        rows.setSpacing(GROUP)
        self._columns.setSpacing(GROUP)
        for titles in (("About", "State", "Processors and memory"), ("Snapshots", "Disks", "Network")):
            column = QVBoxLayout()
            column.setSpacing(GROUP)
            side = [self._card(title) for title in titles]
            for card in side:
                column.addWidget(card)
            column.addStretch()
            self._sides.append(side)
            self._columns.addLayout(column, 1)
        rows.addLayout(self._columns)
        rows.addStretch()
        self._page.setObjectName("page")
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(self._page)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(area)
        whole.addWidget(self._gone)
        self._area = area

    def _card(self, title: str) -> Card:
        card = Card(title)
        grid = FactGrid(name=title)
        if title == "About":
            card.content.addWidget(self.name)
            card.content.addWidget(self.description)
        card.content.addWidget(grid)
        if title == "About":
            card.content.addWidget(self.copy_uuid, 0, Qt.AlignmentFlag.AlignLeft)
        if title == "State":
            grid.set_widget("State", _at_left(self.state))
            card.content.addWidget(self.resume, 0, Qt.AlignmentFlag.AlignLeft)
        if title == "Snapshots":
            card.content.addWidget(_at_left(self.show_snapshots, self.show_chains))
        self.cards[title] = grid
        return card

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        filled = all(any(not card.isHidden() for card in side) for side in self._sides)
        wide = self.width() >= _TWO_COLUMNS and filled
        direction = QBoxLayout.Direction.LeftToRight if wide else QBoxLayout.Direction.TopToBottom
        if self._columns.direction() != direction:
            self._columns.setDirection(direction)

    def minimumSizeHint(self) -> QSize:
        return QSize(320, 200)

    # ---- what is shown ----------------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._minute.start()
        self._refresh()
        self._ask()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._minute.stop()
        self.health.stop()

    def _ask(self) -> None:
        """How the chains are: only of a VM, which has a future."""
        vm = self._workspace.cache.get(VM, self._ref)
        if vm is not None and is_machine(vm):
            self.health.about(self._ref)

    def _on_delta(self, delta: Delta) -> None:
        if self.isVisible() and delta.touches(VDI):
            self.health.again()
        if not self._ref or not self._look.matters(delta):
            return
        if self.isVisible():
            self._refresh()

    def _refresh(self) -> None:
        """Read everything again: a VM has a handful of objects, and the grids change only what differs."""
        look = Looking(self._workspace.cache)
        vm = look.get(VM, self._ref)
        self._area.setVisible(vm is not None)
        self._gone.setVisible(vm is None)
        if vm is not None:
            self._show_editable(vm)
            for title, facts in self._facts(look, vm).items():
                self._fill(title, facts)
        self._look = look
        self._arrange()

    def _fill(self, title: str, facts: list[Fact]) -> None:
        grid = self.cards[title]
        if title == "State":
            for fact in facts:  # this grid holds a widget too, which stays
                grid.set_fact(*fact)
        else:
            grid.set_facts(facts)
        card = grid.parentWidget()
        if card is not None:
            card.setVisible(bool(facts))

    def _facts(self, look: Looking, vm: VM) -> dict[str, list[Fact]]:
        real = is_machine(vm)
        return {
            "About": about_facts(look, self._ref, vm),
            "State": [*state_facts(look, vm), *memory_facts(look, vm)] if real else [],
            "Processors and memory": hardware_facts(look, vm),
            "Disks": disk_facts(disks(look, vm)),
            "Network": network_facts(look, vm),
            "Snapshots": [*snapshot_facts(look, vm), *health_facts(self._told())] if real else [],
        }

    def _show_health(self) -> None:
        """The answer has come; nothing else is looked at, since what was typed just now may be on its way."""
        vm = self._workspace.cache.get(VM, self._ref)
        if vm is not None and is_machine(vm):
            for fact in health_facts(self._told()):
                self.cards["Snapshots"].set_fact(*fact)
            self.show_chains.setVisible(bool(self._told()))

    def _told(self) -> Mapping[str, str] | None:
        answer = self.health.answer if self.health.ref == self._ref else None
        return None if not answer else answer.get(self._ref)

    def _show_chains(self) -> None:
        """The repository of the VM's first disk."""
        vm = self._workspace.cache.get(VM, self._ref)
        found = [] if vm is None else disks_of(self._workspace.cache, vm)
        if found:
            self._workspace.show("SR", found[0].SR, "chains")

    def _show_editable(self, vm: VM) -> None:
        if not self.name.is_editing():
            self.name.set_text(vm.name_label)
        if not self.description.is_editing():
            self.description.set_text(vm.name_description)
        for field in (self.name, self.description):
            field.set_read_only(vm.is_default_template)
        self.description.setHidden(vm.is_default_template and not vm.name_description)
        suspended = vm.power_state is VMPowerState.Suspended and is_machine(vm)
        self.resume.setVisible(suspended)
        self.resume.setEnabled(VMOperation.resume in vm.allowed_operations)
        self.resume.setToolTip(tooltip(why_not(vm, VMOperation.resume)) if suspended else "")
        self.show_chains.setVisible(bool(self._told()))
        tone = "accent" if vm.current_operations else STATE_TONES[vm.power_state]
        self.state.set_state(state_words(vm).capitalize(), tone)
        self.setAccessibleDescription(vm.name_label)

    # ---- what can be changed ----------------------------------------------------------------------------------

    def _set(self, field: str, words: str) -> None:
        self._workspace.spawn(self._send(self._ref, field, words), "Change of the VM")

    async def _send(self, ref: str, field: str, words: str) -> None:
        try:
            await self._workspace.session.set(VM, Ref(ref), **{field: words})
        except Exception:
            self._refresh()  # it was refused: the old words are the true ones
            raise

    def _copy_uuid(self) -> None:
        vm = self._workspace.cache.get(VM, self._ref)
        if vm is not None:
            QGuiApplication.clipboard().setText(vm.uuid)


def _at_left(*widgets: QWidget) -> QWidget:
    """Widgets in their own size, at the left of a wider place."""
    place = QWidget()
    row = QHBoxLayout(place)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(GROUP)
    for widget in widgets:
        row.addWidget(widget)
    row.addStretch()
    return place
