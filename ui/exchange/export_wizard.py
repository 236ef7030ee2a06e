"""The export wizard: what goes into the file, how it is packed, where it goes, and what that amounts to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PySide6.QtWidgets import QWidget

from app.api import VM, ConnectionLost, Failure, Ref
from app.client import exchange
from app.client.exchange import Compression, ExportOptions, ExportPlan
from ui.base.dialogs import Consequence
from ui.base.failures import explain
from ui.base.sizes_and_dates import count, size
from ui.base.wizard import Wizard
from ui.base.workspace import Workspace
from ui.exchange.export_pages import ContentsPage, FilePage, FinishPage, PackingPage, manifest_name
from ui.exchange.subject import Subject
from ui.exchange.xe_lines import export_line
from ui.widgets.cards import Card
from ui.widgets.facts import Fact, FactGrid

PACKED: Final[Mapping[Compression, str]] = {"none": "Not compressed", "gzip": "With gzip", "zstd": "With Zstandard"}
"""How it is packed, for a summary."""


@dataclass(frozen=True, slots=True)
class ExportWish:
    """What the person asked for."""

    subject: Subject
    path: Path
    options: ExportOptions


class ExportWizard(Wizard):
    """Accepted: `wish()` is complete."""

    def __init__(self, workspace: Workspace, subject: Subject, parent: QWidget | None = None) -> None:
        self._workspace, self._subject = workspace, subject
        self._plan: ExportPlan | None = None
        self.contents = ContentsPage(workspace, subject)
        self.packing = PackingPage(workspace.settings)
        self.file = FilePage(workspace)
        self.finish_page = FinishPage()
        self.summary = FactGrid(name="Summary", label_width=64, wrap=True)
        card = Card("Summary", raised=True)
        card.content.addWidget(self.summary)
        card.content.addStretch()
        title = f"Export {subject.kind}"
        pages = (self.contents, self.packing, self.file, self.finish_page)
        super().__init__(title, pages, finish="Export", summary=card, parent=parent)
        self.contents.changed.connect(self._suggest)
        self.packing.changed.connect(self._suggest)
        self.changed.connect(self._summarise)
        self._summarise()
        self.resize(980, 640)
        self._looking = workspace.spawn(self._look(), "Looking at the disks")

    def options(self) -> ExportOptions:
        """How it is to be exported."""
        return ExportOptions(
            compression=self.packing.compression(),
            preserve_power_state=self.contents.with_memory(),
            metadata=self.contents.is_metadata(),
            include_snapshots=self.contents.with_snapshots(),
            verify=self.packing.verify.isChecked() and not self.contents.is_metadata(),
            manifest=self.packing.manifest.isChecked() and not self.contents.is_metadata(),
        )

    def wish(self) -> ExportWish:
        """What was asked for; remembered as what is proposed the next time."""
        self.packing.remember()
        self.file.target.remember()
        return ExportWish(self._subject, self.file.target.path(), self.options())

    def xe_line(self) -> str:
        wish = self.wish_now()
        return export_line(self._subject.record, os.fspath(wish.path), wish.options)

    def stop(self) -> None:
        """Ask the engine no more: the wizard goes."""
        self._looking.cancel()

    async def _look(self) -> None:
        ref: Ref[VM] = self._subject.ref
        try:
            self._plan = await exchange.plan_export(self._workspace.session, ref)
        except (Failure, ConnectionLost) as error:
            self.contents.show_failure(explain(error, self._workspace.cache).why)
            return
        self.file.target.propose(self._plan.file_name)
        self.contents.show_plan(self._plan)

    def _suggest(self) -> None:
        """Later pages follow what goes along and how it is packed."""
        needed, metadata = self.contents.needed(), self.contents.is_metadata()
        self.packing.show_needed(needed, packed=not metadata)
        self.file.target.set_needed(needed, compressed=self.packing.compression() != "none")

    def _summarise(self) -> None:
        options, plan, path = self.options(), self._plan, self.file.target.path()
        needed = self.contents.needed()
        disks = "" if plan is None else "None" if options.metadata or not plan.disks else count(plan.disks, "disk")
        free = self.file.target.place().free
        about = "" if not needed else f"{'At most' if options.compression != 'none' else 'About'} {size(needed)}"
        afterwards = [words for on, words in ((options.verify, "Verified"), (options.manifest, "Signed")) if on]
        facts: list[Fact] = [
            (self._subject.kind[0].upper() + self._subject.kind[1:], self._subject.name),
            ("Of", self._subject.owner),
            ("Disks", disks),
            ("Memory", "Comes along" if options.preserve_power_state else ""),
            ("Packed", "" if options.metadata else PACKED[options.compression]),
            ("Size", "A few KiB" if options.metadata else about),
            ("File", path.name if path.stem else "", str(path)),
            ("Folder", path.parent.name or str(path.parent), str(path.parent)),
            ("Free", "" if free is None else size(free)),
            ("Afterwards", ", ".join(afterwards).capitalize()),
        ]
        self.summary.set_facts(facts)
        self.finish_page.show_steps(steps_of(self.wish_now(), needed))

    def wish_now(self) -> ExportWish:
        """What is asked for as the answers stand."""
        return ExportWish(self._subject, self.file.target.path(), self.options())


def steps_of(wish: ExportWish, needed: int) -> list[Consequence]:
    """The plan in sentences, each with its icon."""
    subject, options = wish.subject, wish.options
    what = "The settings" if options.metadata else "Settings and disks"
    said: list[Consequence] = [("export", f"{what} of {subject.words} are written to {wish.path}.")]
    if options.include_snapshots:
        said.append(("snapshot", "The settings of its snapshots go along."))
    if options.preserve_power_state:
        said.append(("memory", "Its memory goes along: it goes on where it stood."))
    elif subject.has_memory and not options.metadata:
        said.append(("memory", "Its memory stays here: it starts afresh where it is imported."))
    said += packing_said(options.compression, needed)
    if options.verify:
        said.append(("check", "Then the file is read again and every block compared with what was exported."))
    if options.manifest:
        said.append(("shield", f"A signed manifest lies beside it: {manifest_name(wish.path.name)}."))
    if subject.kind == "snapshot":
        said.append(("template", "Where it is imported it becomes a template, to make VMs from."))
    return [*said, _meanwhile(subject)]


def _meanwhile(subject: Subject) -> Consequence:
    """What can be done with it while it is read."""
    if subject.kind == "VM":
        start = "go on" if subject.has_memory else "start"
        return "alert-info", f"The VM cannot {start} before that is done. Of a snapshot that would not matter."
    if subject.kind == "snapshot":
        return "alert-good", "The snapshot stays as it is, and its VM can be used meanwhile."
    return "alert-good", "The template stays as it is, and VMs can be made from it meanwhile."


def packing_said(compression: Compression, needed: int) -> list[Consequence]:
    """What is written, about `needed` bytes of it before it is compressed; nothing of settings alone."""
    if compression != "none":
        packed = PACKED[compression].removeprefix("With ")
        return [("bolt", f"Compressed with {packed}: at most {size(needed)}, usually much less.")]
    return [("disk", f"About {size(needed)} are written, uncompressed.")] if needed else []
