"""The import wizard: which file, where its disks go, networks, name and identity, and what that amounts to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from PySide6.QtWidgets import QWidget

from app.api import SR, Network, Ref
from app.client.exchange import ImportOptions
from ui.base.dialogs import Consequence
from ui.base.sizes_and_dates import count, size
from ui.base.wizard import Wizard
from ui.base.workspace import Workspace
from ui.exchange.contents import Contents
from ui.exchange.import_pages import FilePage, FinishPage
from ui.exchange.place_pages import IdentityPage, NetworksPage, StoragePage
from ui.exchange.xe_lines import import_disk_lines, import_lines
from ui.widgets.cards import Card
from ui.widgets.facts import FactGrid

_START: Final[Mapping[bool, str]] = {False: "Start the VM afterwards", True: "Let the VM go on afterwards"}


@dataclass(frozen=True, slots=True)
class ImportWish:
    """What the person asked for."""

    contents: Contents
    sr: Ref[SR]
    networks: Mapping[str, Ref[Network]]
    name: str
    restore: bool
    start: bool

    def options(self) -> ImportOptions:
        """How the client is to import it."""
        return ImportOptions(sr=self.sr, restore=self.restore, networks=self.networks, name=self.name)


class ImportWizard(Wizard):
    """Accepted: `wish()` is complete.

    :param path: a file that was dropped or named, "" for none.
    :param sr: the storage that was chosen, "" for none.
    """

    def __init__(self, workspace: Workspace, path: str = "", sr: str = "", parent: QWidget | None = None) -> None:
        self._workspace = workspace
        self.file = FilePage(workspace, path)
        self.storage = StoragePage(workspace.cache, sr)
        self.networks = NetworksPage(workspace.cache)
        self.identity = IdentityPage(workspace.cache)
        self.finish_page = FinishPage()
        self.summary = FactGrid(name="Summary", label_width=64, wrap=True)
        card = Card("Summary", raised=True)
        card.content.addWidget(self.summary)
        card.content.addStretch()
        pages = (self.file, self.storage, self.networks, self.identity, self.finish_page)
        super().__init__("Import", pages, finish="Import", summary=card, parent=parent)
        self.file.changed.connect(self._suggest)
        self.changed.connect(self._summarise)
        self._suggest()
        self._summarise()
        self.resize(980, 640)

    def wish(self) -> ImportWish | None:
        """What was asked for; None while no file is known."""
        found = self.file.contents
        if found is None:
            return None
        return ImportWish(
            found,
            self.storage.sr(),
            self.networks.networks(),
            self.identity.words(),
            self.identity.restore(),
            start=self._may_start(found) and self.finish_page.start.isChecked(),
        )

    def xe_line(self) -> str:
        wish = self.wish()
        if wish is None:
            return ""
        found, cache = wish.contents, self._workspace.cache
        if found.kind == "disk":
            size = found.virtual_size
            return import_disk_lines(cache, found.path, found.carried_format, wish.sr, wish.name, size)
        start = "" if not wish.start else "vm-resume" if found.has_memory else "vm-start"
        return import_lines(cache, found.path, wish.options(), start)

    def stop(self) -> None:
        """Look at nothing any more: the wizard goes."""
        self.file.stop()

    @staticmethod
    def _may_start(found: Contents) -> bool:
        return found.what == "VM" and not found.metadata_only

    def _suggest(self) -> None:
        """Later pages follow the file."""
        found = self.file.contents
        self.storage.show_contents(found)
        self.identity.show_contents(found)
        self.networks.show_networks(found.networks if found is not None else ())

    def _summarise(self) -> None:
        wish = self.wish()
        if wish is None:
            self.summary.set_facts([("File", self.file.chosen().name)])
            return
        found = wish.contents
        disks = f"{count(len(found.disks), 'disk')}, {size(found.virtual_size)}" if found.disks else "None"
        identity = "Kept" if wish.restore else "New"
        self.finish_page.start.setVisible(self._may_start(found))
        steps = steps_of(wish, self._storage_name(), self.networks.words())
        self.finish_page.show_steps(steps, _START[found.has_memory])
        self.summary.set_facts(
            [
                ("File", found.path.name, str(found.path)),
                ("Becomes", f"A {found.what}"),
                ("Name", wish.name),
                ("Disks", disks),
                ("Storage", self._storage_name() if found.disks else ""),
                ("Networks", self.networks.words()),
                ("Identity", identity if found.kind == "xva" else ""),
                ("Afterwards", ("Started" if wish.start else "Left off") if self._may_start(found) else ""),
            ]
        )

    def _storage_name(self) -> str:
        record = self._workspace.cache.get(SR, self.storage.sr())
        return record.name_label if record is not None else ""


def steps_of(wish: ImportWish, storage: str, networks: str) -> list[Consequence]:
    """The plan in sentences, each with its icon."""
    found = wish.contents
    said: list[Consequence] = [("import", f"{found.path} is read, and every block checked; the file stays as it is.")]
    if found.kind == "disk":
        becomes = f"It becomes the disk “{wish.name}” of {size(found.virtual_size)} in “{storage}”."
        alone = "No VM has it then. To make a VM of it at once, choose New VM and there Disk image."
        return [*said, ("disk", becomes), ("alert-info", alone)]
    said.append((found.icon, f"“{wish.name}” is made, a {found.what} {_identity(wish)}."))
    if found.metadata_only:
        said.append(("alert-attention", "Its disks are not in the file, and must be here already."))
    elif found.disks:
        said.append(("disk", f"{count(len(found.disks), 'disk')} of {size(found.virtual_size)} go to “{storage}”."))
    if found.interfaces:
        joined = f"join {networks}" if networks else "stay unconnected: there is no network here"
        said.append(("network", f"{count(found.interfaces, 'network interface')} {joined}."))
    if found.has_memory:
        said.append(("memory", "Its memory comes along: it is suspended, and goes on where it stood."))
    said += [("alert-attention", note) for note in found.notes]
    if wish.start:
        said.append(("play", "It goes on." if found.has_memory else "It starts."))
    return said


def _identity(wish: ImportWish) -> str:
    if wish.contents.kind == "appliance":
        return "with new identifiers and addresses"
    return "with its old identifiers and addresses" if wish.restore else "with new identifiers and addresses"
