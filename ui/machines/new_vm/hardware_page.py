"""How many processors and how much memory."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFormLayout, QSpinBox

from app.api import HostMetrics
from app.client import ObjectCache
from ui.base.dialogs import GAP, GROUP, label
from ui.base.sizes_and_dates import count, size
from ui.base.wizard import WizardPage
from ui.base.workspace import Workspace
from ui.machines.facts import the_host
from ui.machines.properties import LEAST_MEMORY_MIB, MIB, MOST_CPUS, MOST_MEMORY_MIB, host_cpus, host_memory
from ui.widgets.notice import Notice


def free_memory(cache: ObjectCache) -> int:
    """Free memory of the host, bytes; 0 where that is not known."""
    host = the_host(cache)
    metrics = cache.get(HostMetrics, host.metrics) if host is not None else None
    return max(0, metrics.memory_free) if metrics is not None else 0


class HardwarePage(WizardPage):
    """Two numbers, within what the host has. Suggestions follow the source until someone changes a number."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__("CPU and memory", "How much does it get?", "Both can be changed while the VM is shut down.")
        self._cache = workspace.cache
        self._suggested = (0, 0)
        self.cpus = QSpinBox()
        self.memory = QSpinBox()
        self.host = label("", "secondary")
        self.warning = Notice("", "attention")
        self._set_up()
        for field in (self.cpus, self.memory):
            field.valueChanged.connect(self._changed)
        self._changed()

    def suggest(self, cpus: int, memory: int) -> None:
        """Processors and memory in bytes, unless someone has chosen others."""
        wanted = (cpus, max(LEAST_MEMORY_MIB, round(memory / MIB)))
        if (self.cpus.value(), self.memory.value()) == self._suggested or self._suggested == (0, 0):
            self.cpus.setValue(wanted[0])
            self.memory.setValue(wanted[1])
            self._suggested = (self.cpus.value(), self.memory.value())

    def cpu_count(self) -> int:
        """The chosen number of virtual CPUs."""
        return self.cpus.value()

    def memory_bytes(self) -> int:
        """The chosen memory."""
        return self.memory.value() * MIB

    def entered(self) -> None:
        self._changed()

    def _set_up(self) -> None:
        cpus, memory = host_cpus(self._cache), host_memory(self._cache)
        self.cpus.setRange(1, min(MOST_CPUS, cpus or MOST_CPUS))
        self.memory.setRange(LEAST_MEMORY_MIB, min(MOST_MEMORY_MIB, memory // MIB or MOST_MEMORY_MIB))
        self.memory.setSingleStep(256)
        self.memory.setSuffix(" MiB")
        self.memory.setGroupSeparatorShown(True)
        form = QFormLayout()
        form.setHorizontalSpacing(GROUP)
        form.setVerticalSpacing(GAP)
        for words, field in (("Virtual CPUs", self.cpus), ("Memory", self.memory)):
            field.setAccessibleName(words)
            field.setFixedWidth(150)
            said = label(words, "quiet")
            said.setMinimumHeight(field.sizeHint().height())
            form.addRow(said, field)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
        self.content.addLayout(form)
        self.content.addWidget(self.host)
        self.content.addSpacing(GAP)
        self.content.addWidget(self.warning)
        self.content.addStretch()

    def _changed(self) -> None:
        cpus, memory, free = host_cpus(self._cache), host_memory(self._cache), free_memory(self._cache)
        host = the_host(self._cache)
        parts = [count(cpus, "processor") if cpus else "", size(memory) if memory else ""]
        known = " and ".join(filter(None, parts))
        left = f", {size(free)} free" if memory and free else ""
        self.host.setText(f"{host.name_label} has {known}{left}." if host is not None and known else "")
        short = bool(free) and self.memory_bytes() > free
        self.warning.say(
            f"Only {size(free)} are free now: it can be made, but will not start until other VMs give memory back.",
            "attention",
        )
        self.warning.setVisible(short)
        self.changed.emit()
