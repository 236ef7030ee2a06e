"""Whether and how it is connected."""

from __future__ import annotations

import re
from typing import Final

from PySide6.QtWidgets import QCheckBox, QComboBox, QLineEdit

from app.api import Network, Ref
from ui.base import icons
from ui.base.dialogs import GAP, label
from ui.base.sizes_and_dates import count
from ui.base.wizard import WizardPage
from ui.base.workspace import Workspace

_MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.IGNORECASE)


class NetworkPage(WizardPage):
    """A box to tick, the network where there are several, and an address that is made up unless one is typed."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__("Network", "Is it connected?")
        self._workspace = workspace
        self._given = 0
        self.connected = QCheckBox("Connect it to the network")
        self.networks = QComboBox()
        self.networks.setAccessibleName("Network")
        found = sorted(workspace.cache.all(Network).items(), key=lambda item: item[1].name_label.casefold())
        for ref, network in found:
            self.networks.addItem(icons.icon("network"), network.name_label, ref)
        self.about = label("", "secondary")
        self.about.setWordWrap(True)
        self.mac = QLineEdit()
        self.mac.setAccessibleName("MAC address")
        self.mac.setPlaceholderText("Made up for you")
        self.mac.setMaxLength(17)
        for widget in (self.connected, self.networks, self.about):
            self.content.addWidget(widget)
        self.content.addSpacing(GAP)
        self._mac_label = label("MAC address", "quiet")
        self.content.addWidget(self._mac_label)
        self.content.addWidget(self.mac)
        self.content.addStretch()
        self.connected.setChecked(bool(found))
        self.connected.setEnabled(bool(found))
        self.networks.setVisible(len(found) > 1)
        self.connected.toggled.connect(self._changed)
        self.networks.currentIndexChanged.connect(self._changed)
        self.mac.textChanged.connect(self._changed)
        self._changed()

    def show_given(self, interfaces: int) -> None:
        """How many interfaces the copied template or snapshot brings along; with any, nothing is asked."""
        if interfaces != self._given:
            self._given = interfaces
            self.changed.emit()

    def is_relevant(self) -> bool:
        return not self._given

    def network(self) -> Ref[Network] | None:
        """The network it joins besides those that come with the source, None for none."""
        if self._given:
            return None
        return Ref(self.networks.currentData()) if self.connected.isChecked() and self.networks.count() else None

    def address(self) -> str:
        """The typed MAC address, "" for one that is made up."""
        return self.mac.text().strip().lower() if self.connected.isChecked() and not self._given else ""

    def words(self) -> str:
        """What is chosen, or comes with the source."""
        if self._given:
            return f"As the original, {count(self._given, 'interface')}"
        return self.networks.currentText() if self.network() is not None else "Not connected"

    def why_incomplete(self) -> str:
        address = self.address()
        if address and not _MAC.fullmatch(address):
            return "A MAC address has six pairs of digits, as in 52:54:00:12:34:56."
        if address and int(address[:2], 16) & 1:
            return f"{address} is an address of a group: the first pair must be even."
        return ""

    def _changed(self) -> None:
        on = self.connected.isChecked()
        record = self._workspace.cache.get(Network, self.networks.currentData() or "")
        if not self.networks.count():
            self.about.setText("There is no network.")
        else:
            said = record.name_description if record is not None else ""
            usual = "The guest reaches the network through this computer; nothing reaches the guest from outside."
            self.about.setText((said or usual) if on else "The guest has no network interface.")
        for widget in (self.networks, self.mac, self._mac_label):
            widget.setEnabled(on)
        self.changed.emit()
