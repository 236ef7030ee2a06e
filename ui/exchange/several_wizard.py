"""The export wizard for several: a folder in place of a file, and a name for each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtWidgets import QWidget

from app.client import Delta
from app.client.exchange import ExportOptions
from ui.base.dialogs import Consequence
from ui.base.sizes_and_dates import count, size
from ui.base.wizard import Wizard
from ui.base.workspace import Workspace
from ui.base.xe_lines import together
from ui.exchange.export_pages import FinishPage, PackingPage
from ui.exchange.export_wizard import PACKED, packing_said
from ui.exchange.several import Item, called, items_of
from ui.exchange.several_pages import FilesPage, SeveralContentsPage
from ui.exchange.xe_lines import export_line, snapshot_and_export_lines
from ui.models.chain import Chains
from ui.widgets.cards import Card
from ui.widgets.facts import Fact, FactGrid

_HOW_IT_GOES = (
    "One after the other. Cancel it at any time: finished files stay, and of the one that is being written nothing is "
    "left. A file has its name only once it is whole."
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file that was asked for.

    :ivar needed: about how many bytes it takes as it is.
    """

    item: Item
    path: Path
    options: ExportOptions
    needed: int


@dataclass(frozen=True, slots=True)
class SeveralWish:
    """What the person asked for; `left_out` are (name, reason) of those that cannot be exported."""

    wanted: tuple[Wanted, ...]
    left_out: tuple[tuple[str, str], ...]
    options: ExportOptions


class SeveralWizard(Wizard):
    """Accepted: `wish()` is complete. It follows what becomes of them meanwhile."""

    def __init__(self, workspace: Workspace, refs: Sequence[str], parent: QWidget | None = None) -> None:
        self._workspace, self._refs = workspace, tuple(refs)
        self._chains = Chains(workspace.cache)
        items = items_of(workspace.cache, self._chains, self._refs)
        self.contents = SeveralContentsPage(items)
        self.packing = PackingPage(workspace.settings, several=True)
        self.files = FilesPage(workspace)
        self.finish_page = FinishPage(_HOW_IT_GOES)
        self.summary = FactGrid(name="Summary", label_width=64, wrap=True)
        card = Card("Summary", raised=True)
        card.content.addWidget(self.summary)
        card.content.addStretch()
        pages = (self.contents, self.packing, self.files, self.finish_page)
        title = f"Export {called(list(items.values()))}"
        super().__init__(title, pages, finish="Export", summary=card, parent=parent)
        self.contents.changed.connect(self._suggest)
        self.packing.changed.connect(self._suggest)
        self.changed.connect(self._summarise)
        workspace.changed.connect(self._meanwhile)
        self._suggest()
        self.resize(1060, 680)

    def options(self) -> ExportOptions:
        """How they are to be exported."""
        metadata = self.contents.is_metadata()
        return ExportOptions(
            compression=self.packing.compression(),
            preserve_power_state=self.contents.with_memory(),
            metadata=metadata,
            include_snapshots=self.contents.with_snapshots(),
            verify=self.packing.verify.isChecked() and not metadata,
            manifest=self.packing.manifest.isChecked() and not metadata,
        )

    def wish(self) -> SeveralWish:
        """What was asked for; remembered as what is proposed the next time."""
        self.packing.remember()
        self.files.remember()
        return self.wish_now()

    def wish_now(self) -> SeveralWish:
        """What is asked for as the answers stand."""
        options, paths, going = self.options(), self.files.paths(), self.contents.going()
        # While an answer changes, the page of the files hears of it last.
        there = [(item, paths[ref]) for ref, item in going.items() if ref in paths]
        wanted = [Wanted(item, path, options, self.contents.needed(item)) for item, path in there]
        return SeveralWish(tuple(wanted), tuple(self.contents.left_out()), options)

    def xe_line(self) -> str:
        return together(*(_lines(wanted) for wanted in self.wish_now().wanted))

    def _meanwhile(self, delta: Delta) -> None:
        self._chains.update(delta)
        if any(cls == "VM" and ref in self._refs for cls, ref in delta.changed | delta.removed):
            self.contents.show_items(items_of(self._workspace.cache, self._chains, self._refs))

    def _suggest(self) -> None:
        """Later pages follow what goes along and how it is packed."""
        going = self.contents.going()
        needed = {ref: (item, self.contents.needed(item)) for ref, item in going.items()}
        total = sum(octets for _, octets in needed.values())
        self.packing.show_needed(total, packed=not self.contents.is_metadata())
        self.files.show_items(needed, compressed=self.packing.compression() != "none")

    def _summarise(self) -> None:
        wish = self.wish_now()
        options, folder = wish.options, self.files.place().folder
        needed = sum(wanted.needed for wanted in wish.wanted)
        about = f"{'At most' if options.compression != 'none' else 'About'} {size(needed)}" if needed else ""
        afterwards = [words for on, words in ((options.verify, "Verified"), (options.manifest, "Signed")) if on]
        free = self.files.place().free
        facts: list[Fact] = [
            ("Export", called([wanted.item for wanted in wish.wanted]) if wish.wanted else "None"),
            ("Left out", str(len(wish.left_out)) if wish.left_out else ""),
            ("Memory", "Comes along" if options.preserve_power_state else ""),
            ("Packed", "" if options.metadata else PACKED[options.compression]),
            ("Size", "A few KiB each" if options.metadata else about),
            ("Folder", folder.name or str(folder), str(folder)),
            ("Free", "" if free is None else size(free)),
            ("Afterwards", ", ".join(afterwards).capitalize()),
        ]
        self.summary.set_facts(facts)
        self.finish_page.show_steps(steps_of(wish, folder))


def snapshot_name(name: str) -> str:
    """What the snapshot is called that leaves in place of a VM that runs."""
    return f"Export of {name}"[:255]


def _lines(wanted: Wanted) -> str:
    record, path = wanted.item.subject.record, os.fspath(wanted.path)
    if wanted.item.runs:
        return snapshot_and_export_lines(record, snapshot_name(record.name_label), path, wanted.options)
    return export_line(record, path, wanted.options)


def steps_of(wish: SeveralWish, folder: Path) -> list[Consequence]:
    """The plan in sentences, each with its icon."""
    options, items = wish.options, [wanted.item for wanted in wish.wanted]
    if not items:
        return []
    needed = sum(wanted.needed for wanted in wish.wanted)
    what = "The settings" if options.metadata else "Settings and disks"
    said: list[Consequence] = [
        ("export", f"{what} of {called(items)} are written to {count(len(items), 'file')} in {folder}.")
    ]
    runs = [item for item in items if item.runs]
    if runs:
        first, be = (
            ("A snapshot", "is taken first, and stays")
            if len(runs) == 1
            else ("Snapshots", "are taken first, and stay")
        )
        said.append(("camera", f"{first} of {_names(runs)} {be}: what leaves is that state."))
    if options.include_snapshots:
        said.append(("snapshot", "The settings of their snapshots go along."))
    if options.preserve_power_state:
        said.append(("memory", "Memory goes along where there is some: it goes on where it stood."))
    said += packing_said(options.compression, needed)
    if options.verify:
        said.append(("check", "Then each file is read again and every block compared with what was exported."))
    if options.manifest:
        said.append(("shield", "A signed manifest lies beside each."))
    if wish.left_out:
        names = [name for name, _ in wish.left_out]
        said.append(("alert-info", f"{_listed(names)} {'is' if len(names) == 1 else 'are'} left out."))
    if any(item.subject.kind == "VM" and not item.runs for item in items):
        said.append(("alert-info", "A VM that is exported as it stands cannot start before its file is written."))
    return said


_NAMED = 3
"""So many names are told; of more, how many more."""


def _names(items: Sequence[Item]) -> str:
    return _listed([item.subject.name for item in items])


def _listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b, c and 4 more``."""
    if len(names) > _NAMED:
        return f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
