"""What will be done, and whether the VM starts at once."""

from __future__ import annotations

from PySide6.QtWidgets import QCheckBox

from app.api import VMPowerState
from ui.base.dialogs import GAP, Consequence, ConsequenceList, label
from ui.base.sizes_and_dates import count, size
from ui.base.wizard import WizardPage
from ui.machines.creation import NewVM


class FinishPage(WizardPage):
    """The plan in sentences."""

    def __init__(self) -> None:
        super().__init__("Finish", "Ready to make it", "The wizard closes; the status bar shows how far it is.")
        self.steps = ConsequenceList()
        self.start = QCheckBox("Start the VM afterwards")
        self.start.setChecked(True)
        self.start.toggled.connect(self.changed)
        self._shown: list[Consequence] = []
        self.content.addWidget(self.steps)
        self.content.addSpacing(GAP)
        self.content.addWidget(self.start)
        self.content.addWidget(label("If a step fails, all that was made is removed again.", "secondary"))
        self.content.addStretch()

    def show_plan(self, plan: NewVM) -> None:
        """Say what will be done."""
        steps = steps_of(plan)
        if steps != self._shown:
            self._shown = steps
            self.steps.set(steps)


def steps_of(plan: NewVM) -> list[Consequence]:
    """The plan in sentences, each with its icon."""
    said: list[Consequence] = []
    if plan.image is not None:
        said.append(("import", f"{plan.image.path} is copied into a new disk; the file stays as it is."))
    snapshot = plan.template_record.is_a_snapshot
    of = f"{'the snapshot' if snapshot else 'the template'} “{plan.template_record.name_label}”"
    way = f"as a {'full copy' if plan.way.full else 'fast clone'} of {of}"
    kinds = {"sample": "with the sample guest on its disk", "template": way}
    kind = kinds.get(plan.source, "")
    said.append(("vm", " ".join(filter(None, (f"“{plan.name}” is made", kind))) + "."))
    if snapshot and plan.template_record.power_state is VMPowerState.Suspended:
        said.append(("memory", "The memory that the snapshot keeps is not copied: the VM starts afresh."))
    if plan.disks:
        total = size(sum(disk.size for disk in plan.disks))
        said.append(("disk", f"{count(len(plan.disks), 'empty disk')} of {total} in all, filled as the guest writes."))
    if plan.source == "iso":
        said.append(("cd", "The ISO is in its CD drive, to install from."))
    if plan.network is not None:
        said.append(("network", "It is connected to the network."))
    if plan.start:
        said.append(("play", "It starts."))
    return said
