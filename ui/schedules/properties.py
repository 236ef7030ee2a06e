"""A schedule's properties: the wizard's pages side by side, and saving only what was changed."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QTabWidget, QWidget

from app.api import NULL, VM, VMSS, ConnectionLost, Failure, Ref
from ui.base.dialogs import Dialog, ask
from ui.base.workspace import Workspace
from ui.schedules.draft import Draft, draft_of
from ui.schedules.pages import NamePage, TypePage, VMsPage
from ui.schedules.when_page import WhenPage
from ui.schedules.wizard import assign
from ui.schedules.xe_lines import changed_lines


async def show_properties(workspace: Workspace, ref: Ref[VMSS]) -> None:
    """Ask, then save what was changed."""
    record = workspace.cache.get(VMSS, ref)
    if record is None:
        return
    dialog = PropertiesDialog(workspace, ref, record, workspace.window)
    try:
        if not await ask(dialog, keep=True):
            return
        draft, vms = dialog.draft(), dialog.vms_page.vms()
    finally:
        dialog.when_page.preview.stop()
        dialog.deleteLater()
    entry = workspace.history.begin(f"Changing schedule “{record.name_label}”", ("", ""))
    try:
        await save(workspace, ref, record, draft, vms)
    except (Failure, ConnectionLost) as error:
        workspace.history.end(entry, error)
        raise
    workspace.history.end(entry)


async def save(workspace: Workspace, ref: Ref[VMSS], before: VMSS, draft: Draft, vms: Sequence[Ref[VM]]) -> None:
    """Send what differs from the record as it was when the dialog opened. :raise Failure: what was refused."""
    calls = workspace.session
    if draft.name != before.name_label:
        await calls.set(VMSS, ref, name_label=draft.name)
    if draft.description != before.name_description:
        await calls.set(VMSS, ref, name_description=draft.description)
    if draft.kind is not before.type:
        await calls.VMSS.set_type(ref, draft.kind)
    if draft.frequency is not before.frequency:
        await calls.VMSS.set_frequency(ref, draft.frequency)
    entries = draft.entries()
    if entries != dict(before.schedule):
        # Setting merges, so the keys that are to go have to be removed: after the new ones are accepted.
        await calls.VMSS.set_schedule(ref, entries)
        for key in sorted(set(before.schedule) - set(entries)):
            await calls.VMSS.remove_from_schedule(ref, key)
    if draft.retained != before.retained_snapshots:
        await calls.VMSS.set_retained_snapshots(ref, draft.retained)
    for vm in sorted(before.VMs - set(vms)):
        await calls.VM.set_snapshot_schedule(vm, Ref(NULL))
    await assign(workspace, [vm for vm in vms if vm not in before.VMs], ref)


class PropertiesDialog(Dialog):
    """Four tabs. Save is disabled with the reason while an answer is missing."""

    def __init__(self, workspace: Workspace, ref: Ref[VMSS], record: VMSS, parent: QWidget | None = None) -> None:
        super().__init__(f"Properties of “{record.name_label}”", primary="Save", parent=parent)
        self._cache, self._ref, self._record = workspace.cache, ref, record
        self._base = draft_of(record)
        self.name_page = NamePage(workspace, self._base, own=ref)
        self.vms_page = VMsPage(workspace, sorted(record.VMs), own=ref, tags=self._base.tags)
        self.type_page = TypePage(workspace, self._base)
        self.when_page = WhenPage(workspace, self._base, record.uuid)
        self._pages = (self.name_page, self.vms_page, self.type_page, self.when_page)
        self.tabs = QTabWidget()
        for page in self._pages:
            page.setContentsMargins(0, 12, 0, 0)
            self.tabs.addTab(page, page.title)
            page.changed.connect(self._follow)
        self.content.addWidget(self.tabs, 1)
        self._follow()
        self.resize(860, 720)

    def draft(self) -> Draft:
        """All answers now, and what this form does not show."""
        name, description = self.name_page.words()
        kind, only_running = self.type_page.kind(), self.type_page.only_running.isChecked()
        base = Draft(
            name=name, description=description, kind=kind, only_running=only_running, tags=self.vms_page.tags.tags(),
            extra=self._base.extra,
        )  # fmt: skip
        return self.when_page.applied(base)

    def xe_line(self) -> str:
        return changed_lines(self._cache, self._record, self.draft(), self.vms_page.vms(), self._ref)

    def _follow(self) -> None:
        vms = self.vms_page.members()
        self.type_page.show_vms(vms)
        self.when_page.set_base(self.draft())
        self.when_page.show_vms(vms)
        self.set_problem(next((reason for page in self._pages if (reason := page.why_incomplete())), ""))
