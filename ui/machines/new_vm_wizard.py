"""The New VM wizard: six questions, a live summary, and the plan they amount to."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from app.client import Delta
from ui.base.commands import ENABLED, CommandState, Selection, disabled
from ui.base.dialogs import ask
from ui.base.sizes_and_dates import count, size
from ui.base.wizard import Wizard
from ui.base.workspace import Workspace
from ui.machines.creation import ImportedDisk, NewVM
from ui.machines.making import make
from ui.machines.new_vm.disks_page import DisksPage
from ui.machines.new_vm.finish_page import FinishPage
from ui.machines.new_vm.hardware_page import HardwarePage
from ui.machines.new_vm.name_page import NamePage
from ui.machines.new_vm.network_page import NetworkPage
from ui.machines.new_vm.source_page import SourcePage
from ui.machines.wizard_lines import new_vm_lines
from ui.widgets.cards import Card
from ui.widgets.facts import Fact, FactGrid

GIB = 1024**3
#: what an operating system is content with
_USUAL = (2, 2 * GIB)
_SOURCES = {"sample": "Sample guest", "iso": "ISO", "image": "Disk image", "template": "Template"}


def can_make_vm(workspace: Workspace, _selection: Selection) -> CommandState:
    """Enabled once the engine has told what there is."""
    return ENABLED if workspace.cache.filled else disabled("The engine has not answered yet.")


async def new_vm(workspace: Workspace, selection: Selection) -> None:
    """Ask, then make it in the background. A chosen template or snapshot is offered as the source."""
    chosen = selection[0][1] if len(selection) == 1 and selection[0][0] == "VM" else ""
    wizard = NewVmWizard(workspace, chosen, workspace.window)
    try:
        plan = wizard.plan() if await ask(wizard, keep=True) else None
    finally:
        wizard.stop()
        wizard.deleteLater()
    if plan is not None:
        workspace.spawn(make(workspace, plan), "New VM")


class NewVmWizard(Wizard):
    """Accepted: `plan()` is complete.

    :param preselected: the VM record that was chosen; a template or snapshot is offered as the source.
    """

    def __init__(self, workspace: Workspace, preselected: str = "", parent: QWidget | None = None) -> None:
        self._workspace = workspace
        self.source = SourcePage(workspace, preselected)
        self.name_page = NamePage(workspace)
        self.hardware = HardwarePage(workspace)
        self.disks = DisksPage(workspace)
        self.network = NetworkPage(workspace)
        self.finish_page = FinishPage()
        self.summary = FactGrid(name="Summary", label_width=64, wrap=True)
        card = Card("Summary", raised=True)
        card.content.addWidget(self.summary)
        card.content.addStretch()
        pages = (self.source, self.name_page, self.hardware, self.disks, self.network, self.finish_page)
        super().__init__("New VM", pages, finish="Create VM", summary=card, parent=parent)
        self.source.changed.connect(self._suggest)
        self.changed.connect(self._summarise)
        workspace.changed.connect(self._on_delta)
        self._suggest()
        self._summarise()
        self.resize(1000, 640)
        self.source.entered()

    def plan(self) -> NewVM | None:
        """What the answers amount to; None while the source is incomplete."""
        template = self.source.template()
        if template is None or self.source.why_incomplete():
            return None
        ref, record = template
        kind = self.source.source()
        name, description = self.name_page.words()
        image = None
        if kind == "image":
            path = self.source.image.chosen()
            image = ImportedDisk(f"{name} disk 0", path, self.disks.image_repository())
        return NewVM(
            source=kind,
            template=ref,
            template_record=record,
            name=name,
            description=description,
            cpus=self.hardware.cpu_count(),
            memory=self.hardware.memory_bytes(),
            bus=self.disks.chosen_bus(),
            way=self.disks.way(),
            image=image,
            iso=self.source.isos.iso() if kind == "iso" else None,
            disks=tuple(self.disks.new_disks(name)),
            network=self.network.network(),
            mac=self.network.address(),
            start=self.finish_page.start.isChecked(),
        )

    def xe_line(self) -> str:
        plan = self.plan()
        return new_vm_lines(self._workspace.cache, plan) if plan is not None else ""

    def stop(self) -> None:
        """Look at nothing any more: the wizard goes."""
        self._workspace.changed.disconnect(self._on_delta)
        self.source.image.stop()

    def _on_delta(self, delta: Delta) -> None:
        self.source.on_delta(delta)

    def _suggest(self) -> None:
        """Later pages follow the source, where nobody has answered them."""
        kind, template = self.source.source(), self.source.template()
        self.name_page.suggest(self.source.suggested_name())
        if kind in ("sample", "template") and template is not None:
            self.hardware.suggest(template[1].VCPUs_at_startup, template[1].memory_static_max)
        else:
            self.hardware.suggest(*_USUAL)
        self.network.show_given(len(template[1].VIFs) if kind == "template" and template is not None else 0)
        self.disks.show_source(kind, self.source.image.virtual_size(), template[1] if template is not None else None)

    def _summarise(self) -> None:
        plan = self.plan()
        if plan is not None:
            self.finish_page.show_plan(plan)
        disks = self.disks.new_disks("")
        total = sum(disk.size for disk in disks) + self.source.image.virtual_size()
        kind = self.source.source()
        number = len(disks) + self.disks.given_count()
        said = count(number, "disk") + (f", {size(total)}" if total else "") if number else "None"
        copied = "Full copy" if self.disks.way().full else "Fast clone"
        facts: list[Fact] = [
            ("From", self._from()),
            ("Name", self.name_page.words()[0]),
            ("CPU", count(self.hardware.cpu_count(), "virtual CPU")),
            ("Memory", size(self.hardware.memory_bytes())),
            ("Disks", said),
            ("Copied", copied if kind == "template" else ""),
            ("Attached by", {"virtio": "virtio", "sata": "SATA", "ide": "IDE"}[self.disks.chosen_bus()]),
            ("Network", self.network.words()),
            ("MAC address", self.network.address() or ("automatic" if self.network.network() else "")),
            ("Afterwards", "Started" if self.finish_page.start.isChecked() else "Left off"),
        ]
        self.summary.set_facts(facts)

    def _from(self) -> str:
        kind = self.source.source()
        if kind == "iso":
            return self.source.isos.chosen_name() or _SOURCES[kind]
        if kind == "template":
            return self.source.full_name() or _SOURCES[kind]
        return _SOURCES[kind]
