"""The pages of the import wizard on where things go: storage, networks, name and identity."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from PySide6.QtWidgets import QComboBox, QGridLayout, QLabel, QLineEdit, QWidget

from app.api import SR, VM, Network, Ref
from app.client import ObjectCache
from ui.base import icons
from ui.base.dialogs import GAP, label
from ui.base.sizes_and_dates import size
from ui.base.wizard import WizardPage
from ui.exchange.contents import Contents
from ui.exchange.room import Verdict
from ui.models.names import unique_name, vm_names
from ui.widgets.cards import ChoiceCard
from ui.widgets.labels import ElidedLabel
from ui.widgets.notice import Notice
from ui.widgets.progress import CapacityBar
from ui.widgets.repositories import RepositoryChoice, free_space

_LONGEST: Final = 255
_USER_BRIDGE: Final = "user"
"""The bridge of the network that the engine makes: every guest can use it."""


def judge_storage(sr: SR | None, found: Contents) -> Verdict:
    """Whether what is in the file fits into a repository: its data now, and its disks once guests fill them."""
    free = None if sr is None else free_space(sr)
    if free is None:
        return Verdict("info", "How much is free there is not known.")
    most, least = found.virtual_size, _least(found)
    if free < least:
        return Verdict("bad", f"It does not fit: {size(free)} are free, and {size(least)} are needed.", refuses=True)
    if free >= most:
        return Verdict("good", f"It fits, even when its disks are full: {size(free)} are free.")
    now = f"It takes about {size(least)} now. " if found.compressed == "none" else ""
    return Verdict("attention", f"{now}Full disks would need {size(most)}, and {size(free)} are free.")


def _least(found: Contents) -> int:
    """What it takes at least: what is in the file, where that is known to be all of it."""
    if found.metadata_only:
        return 0
    return min(found.file_size, found.virtual_size) if found.virtual_size else found.file_size


class StoragePage(WizardPage):
    """Which repository."""

    def __init__(self, cache: ObjectCache, preselected: str = "") -> None:
        super().__init__("Storage", "Where do its disks go?", "Disks take space only as far as they hold data.")
        self._cache = cache
        self._found: Contents | None = None
        self.where = RepositoryChoice(cache, "Storage")
        self.space = CapacityBar("Space in the storage")
        self.verdict = Notice()
        self.content.addWidget(label("Storage", "quiet"))
        self.content.addWidget(self.where)
        self.content.addSpacing(GAP)
        self.content.addWidget(self.space)
        self.content.addWidget(self.verdict)
        self.content.addStretch()
        if preselected:
            self.where.choose(preselected)
        self.where.currentIndexChanged.connect(self._follow)
        self.verdict.hide()

    def show_contents(self, found: Contents | None) -> None:
        """What is to be imported."""
        if found != self._found:
            self._found = found
            self._follow()

    def sr(self) -> Ref[SR]:
        """The chosen repository."""
        return self.where.ref()

    def is_relevant(self) -> bool:
        return self._found is None or bool(self._found.disks)

    def why_incomplete(self) -> str:
        if self._found is None:
            return ""
        verdict = judge_storage(self._record(), self._found)
        return verdict.words if verdict.refuses else ""

    def _record(self) -> SR | None:
        return self._cache.get(SR, self.where.ref())

    def _follow(self) -> None:
        record, found = self._record(), self._found
        free = None if record is None else free_space(record)
        self.space.setVisible(free is not None)
        if found is not None:
            verdict = judge_storage(record, found)
            self.verdict.say(verdict.words, verdict.tone)
            if record is not None and free is not None:
                self.space.set_values(record.physical_utilisation, record.physical_size, min(_least(found), free))
        self.verdict.setVisible(found is not None)
        self.changed.emit()


class NetworksPage(WizardPage):
    """For each network in the file, one here."""

    def __init__(self, cache: ObjectCache) -> None:
        super().__init__("Networks", "Which networks does it join?", "On the left those it was on, on the right ours.")
        self._here = sorted(cache.all(Network).items(), key=lambda item: item[1].name_label.casefold())
        self._shown: tuple[str, ...] = ()
        self._plane = QWidget()
        self._grid = QGridLayout(self._plane)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(16)
        self._grid.setVerticalSpacing(GAP)
        self._grid.setColumnStretch(0, 1)
        self._grid.setColumnStretch(1, 1)
        self.choices: dict[str, QComboBox] = {}
        self.content.addWidget(self._plane)
        self.content.addStretch()

    def show_networks(self, names: Sequence[str]) -> None:
        """The names in the file. One of the same name here is proposed, else the first."""
        if tuple(names) == self._shown:
            return
        self._shown = tuple(names)
        while (item := self._grid.takeAt(0)) is not None:
            if (old := item.widget()) is not None:
                old.hide()
                old.deleteLater()
        self.choices = {name: self._choice(name) for name in names}
        for row, (name, choice) in enumerate(self.choices.items()):
            self._grid.addWidget(_network_label(name), row, 0)
            self._grid.addWidget(choice, row, 1)
        self.changed.emit()

    def networks(self) -> dict[str, Ref[Network]]:
        """What is chosen, by the names in the file."""
        return {name: Ref(str(c.currentData())) for name, c in self.choices.items() if c.currentData()}

    def words(self) -> str:
        """The networks it joins, each once."""
        return ", ".join(dict.fromkeys(choice.currentText() for choice in self.choices.values() if choice.count()))

    def is_relevant(self) -> bool:
        return bool(self._shown) and len(self._here) > 1

    def _like(self, name: str) -> int:
        """The place of ours that is called the same; else of the one that every guest can use; else the first."""
        names = [network.name_label.casefold() for _, network in self._here]
        usual = [index for index, (_, network) in enumerate(self._here) if network.bridge == _USER_BRIDGE]
        return names.index(name.casefold()) if name.casefold() in names else next(iter(usual), 0)

    def _choice(self, name: str) -> QComboBox:
        made = QComboBox()
        made.setAccessibleName(f"Network in place of {name}")
        made.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        for ref, network in self._here:
            made.addItem(icons.icon("network"), network.name_label, ref)
        made.setCurrentIndex(self._like(name))
        made.currentIndexChanged.connect(self.changed)
        return made


def _network_label(name: str) -> QLabel:
    made = ElidedLabel(name)
    made.setMinimumHeight(32)
    return made


class IdentityPage(WizardPage):
    """What it is called, and whether it is a new VM or the same one again."""

    def __init__(self, cache: ObjectCache) -> None:
        super().__init__("Name", "What is it called here?")
        self._cache = cache
        self._found: Contents | None = None
        self._proposed = ""
        self.name = QLineEdit()
        self.name.setAccessibleName("Name")
        self.name.setMaxLength(_LONGEST)
        self.twin = Notice("There is one of this name already; both would be called the same.", "attention")
        self.fresh = ChoiceCard("plus", "", "", self)
        self.same = ChoiceCard("revert", "", "", self)
        self._heading = label("Identity", "quiet")
        for widget in (label("Name", "quiet"), self.name, self.twin):
            self.content.addWidget(widget)
        self.content.addSpacing(GAP)
        for part in (self._heading, self.fresh, self.same):
            self.content.addWidget(part)
        self.content.addStretch()
        self.fresh.setChecked(True)
        self.name.textChanged.connect(self._follow)
        for card in (self.fresh, self.same):
            card.toggled.connect(self._identity_chosen)
        self._follow()

    def show_contents(self, found: Contents | None) -> None:
        """What is to be imported; a name that was typed stays."""
        if found is None or found == self._found:
            return
        self._found = found
        has_identity = found.kind == "xva"
        for widget in (self._heading, self.fresh, self.same):
            widget.setVisible(has_identity)
        self.fresh.set_words(*_fresh(found.what))
        self.same.set_words(*_same(found.what))
        self.same.set_unavailable(self._why_not_same(found))
        if not self.same.isEnabled() or not has_identity:
            self.fresh.setChecked(True)
        if self.name.text() in ("", self._proposed):
            self._propose()
        self._follow()

    def restore(self) -> bool:
        """Whether it keeps its identity."""
        return self._found is not None and self._found.kind == "xva" and self.same.isChecked()

    def words(self) -> str:
        """The name."""
        return self.name.text().strip()

    def why_incomplete(self) -> str:
        return "" if self.words() else f"A {self._found.what if self._found else 'VM'} needs a name."

    def entered(self) -> None:
        self.name.selectAll()

    def _why_not_same(self, found: Contents) -> str:
        owner = next((vm for vm in self._cache.all(VM).values() if found.uuid and vm.uuid == found.uuid), None)
        if owner is None:
            return ""
        return f"“{owner.name_label}” has this identity here already. Delete it first, or import a new {found.what}."

    def _taken(self) -> Collection[str]:
        if self._found is None or self._found.kind == "disk":
            return frozenset()
        return vm_names(self._cache)

    def _propose(self) -> None:
        assert self._found is not None, "a name is proposed for a file"
        name = self._found.name[:_LONGEST]
        self._proposed = name if self.restore() else unique_name(name, self._taken())
        self.name.setText(self._proposed)

    def _identity_chosen(self, on: bool) -> None:
        if on and self._found is not None and self.name.text() == self._proposed:
            self._propose()
        self.changed.emit()

    def _follow(self) -> None:
        self.twin.setVisible(self.words().casefold() in self._taken())
        self.changed.emit()


def _fresh(what: str) -> tuple[str, str]:
    return f"A new {what}", "New identifiers and network addresses: it can run beside the one it was made from."


def _same(what: str) -> tuple[str, str]:
    return f"The same {what} again", "Keeps identifiers and network addresses. Never run it while the first one runs."
