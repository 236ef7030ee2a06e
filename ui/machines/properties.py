"""Properties of one VM or template: its words at any time, its processors and memory while it is shut down."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFormLayout, QLineEdit, QPlainTextEdit, QSpinBox, QTabWidget, QVBoxLayout, QWidget

from app.api import VM, HostMetrics, Ref, VMOperation
from app.client import ObjectCache, Session
from ui.base.commands import ENABLED, CommandState, Selection, disabled
from ui.base.dialogs import GAP, GROUP, Dialog, ask, label
from ui.base.property_page import PropertyPage
from ui.base.workspace import Workspace
from ui.base.xe_lines import together
from ui.machines.facts import the_host
from ui.machines.hardware import Wanted, set_cpus, set_memory
from ui.machines.wizard_lines import properties_lines
from ui.models.reasons import why_not_states

MIB = 1024**2
#: QEMU's PC machine has no more (see `-machine pc,help`: max-cpus)
MOST_CPUS = 255
MOST_MEMORY_MIB = 16 * 1024**2
LEAST_MEMORY_MIB = 16


def can_show_properties(workspace: Workspace, selection: Selection) -> CommandState:
    """Enabled with one VM, template or snapshot chosen that is not built in."""
    if len(selection) != 1 or selection[0][0] != "VM":
        return disabled("Choose one VM.")
    vm = workspace.cache.get(VM, selection[0][1])
    if vm is None:
        return disabled("It no longer exists.")
    return disabled("It is a built-in template.") if vm.is_default_template else ENABLED


async def show_properties(workspace: Workspace, selection: Selection) -> None:
    """Ask, and send what differs."""
    ref: Ref[VM] = Ref(selection[0][1])
    vm = workspace.cache.get(VM, ref)
    if vm is None:
        return
    pages = [page for make in workspace.property_pages if (page := make(workspace, selection)) is not None]
    dialog = PropertiesDialog(vm, host_cpus(workspace.cache), host_memory(workspace.cache), pages, workspace.window)
    try:
        if await ask(dialog, keep=True):
            await save(workspace.session, ref, vm, dialog.wanted())
            for page in pages:
                await page.save()
    finally:
        for page in pages:
            page.stop()
        dialog.deleteLater()


async def save(session: Session, ref: Ref[VM], vm: VM, wanted: Wanted) -> None:
    """Send the changes, first those that may be refused. `vm` is the record the dialog began with.

    :raise Failure: a change was refused; those before it stay.
    """
    if wanted.cpus != vm.VCPUs_at_startup:
        await set_cpus(session, ref, wanted.cpus, vm.VCPUs_max)
    if wanted.memory != vm.memory_static_max:
        await set_memory(session, ref, wanted.memory)
    if wanted.tags != vm.tags:
        await session.set(VM, ref, tags=wanted.tags)
    if wanted.description != vm.name_description:
        await session.set(VM, ref, name_description=wanted.description)
    if wanted.name != vm.name_label:
        await session.set(VM, ref, name_label=wanted.name)


def host_cpus(cache: ObjectCache) -> int:
    """How many processors the host has; 0 where that is not known."""
    host = the_host(cache)
    count = host.cpu_info.get("cpu_count", "") if host is not None else ""
    return int(count) if count.isdecimal() else 0


def host_memory(cache: ObjectCache) -> int:
    """How much memory the host has in all, bytes; 0 where that is not known."""
    host = the_host(cache)
    metrics = cache.get(HostMetrics, host.metrics) if host is not None else None
    return max(0, metrics.memory_total) if metrics is not None else 0


class PropertiesDialog(Dialog):
    """Name, description, tags, processors, memory. What cannot be changed now is shown, and says why."""

    def __init__(
        self,
        vm: VM,
        cpus_of_host: int,
        memory_of_host: int,
        pages: Sequence[PropertyPage] = (),
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(f"Properties of “{vm.name_label}”", primary="Save", parent=parent)
        self._pages = tuple(pages)
        self._general = self._add_tabs()
        self.name = QLineEdit(vm.name_label)
        self.description = QPlainTextEdit(vm.name_description)
        self.tags = QLineEdit(", ".join(sorted(vm.tags)))
        self.cpus = QSpinBox()
        self.memory = QSpinBox()
        self._vm = vm
        self._memory_before = vm.memory_static_max
        self._set_up(vm, cpus_of_host, memory_of_host)
        self._add_form()
        why = self._why_fixed(vm)
        for field in (self.cpus, self.memory):
            field.setEnabled(not why)
            field.setToolTip(why)
        self.note = label(why, "secondary")
        self.note.setWordWrap(True)
        self.note.setVisible(bool(why))
        self._general.addWidget(self.note)
        self._general.addStretch()
        self.name.textChanged.connect(self._check)
        self._check()
        self.setMinimumWidth(500)

    def wanted(self) -> Wanted:
        """What the fields say."""
        kept = round(self._memory_before / MIB) == self.memory.value()
        return Wanted(
            name=self.name.text().strip(),
            description=self.description.toPlainText().strip(),
            tags=frozenset(filter(None, (tag.strip() for tag in self.tags.text().split(",")))),
            cpus=self.cpus.value(),
            memory=self._memory_before if kept else self.memory.value() * MIB,
        )

    def xe_line(self) -> str:
        return together(properties_lines(self._vm, self.wanted()), *(page.xe_line() for page in self._pages))

    def _add_tabs(self) -> QVBoxLayout:
        """A tab for each page that other features have; the answer is the layout of our own."""
        if not self._pages:
            return self.content
        general = QWidget()
        rows = QVBoxLayout(general)
        rows.setContentsMargins(0, GROUP, 0, 0)
        tabs = QTabWidget()
        tabs.addTab(general, "General")
        for page in self._pages:
            page.setContentsMargins(0, GROUP, 0, 0)
            page.changed.connect(self._check)
            tabs.addTab(page, page.title)
        self.content.addWidget(tabs, 1)
        self.resize(680, 620)
        return rows

    def _set_up(self, vm: VM, cpus_of_host: int, memory_of_host: int) -> None:
        self.description.setTabChangesFocus(True)
        self.description.setFixedHeight(72)
        self.tags.setPlaceholderText("production, web")
        # what the VM has already is never cut down by a limit
        self.cpus.setRange(1, max(vm.VCPUs_at_startup, min(MOST_CPUS, cpus_of_host or MOST_CPUS)))
        self.cpus.setValue(vm.VCPUs_at_startup)
        now = round(vm.memory_static_max / MIB)
        most = max(now, memory_of_host // MIB or MOST_MEMORY_MIB)
        self.memory.setRange(min(LEAST_MEMORY_MIB, now), min(most, MOST_MEMORY_MIB))
        self.memory.setSuffix(" MiB")
        self.memory.setSingleStep(256)
        self.memory.setGroupSeparatorShown(True)
        self.memory.setValue(now)
        for field in (self.cpus, self.memory):
            field.setFixedWidth(140)

    def _add_form(self) -> None:
        form = QFormLayout()
        form.setHorizontalSpacing(GROUP)
        form.setVerticalSpacing(GAP)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
        for words, field in (
            ("&Name", self.name),
            ("&Description", self.description),
            ("&Tags", self.tags),
            ("Virtual &CPUs", self.cpus),
            ("&Memory", self.memory),
        ):
            said = label(words, "quiet")
            said.setBuddy(field)
            said.setMinimumHeight(self.name.sizeHint().height())
            field.setAccessibleName(words.replace("&", ""))
            form.addRow(said, field)
        self._general.addLayout(form)

    @staticmethod
    def _why_fixed(vm: VM) -> str:
        if vm.is_a_snapshot:
            return "A snapshot keeps its processors and memory."
        reason = why_not_states(vm, VMOperation.changing_VCPUs)
        return f"Processors and memory cannot be changed now: {reason[0].lower()}{reason[1:]}" if reason else ""

    def _check(self) -> None:
        missing = next((reason for page in self._pages if (reason := page.why_incomplete())), "")
        self.set_problem(missing if self.name.text().strip() else "A VM needs a name.")
