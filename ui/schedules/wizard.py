"""The New Snapshot Schedule wizard, and making what it amounts to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from PySide6.QtWidgets import QWidget

from app.api import VM, VMSS, ConnectionLost, Failure, Ref, VMSSCalls, is_null
from ui.base.commands import Selection
from ui.base.dialogs import ask
from ui.base.sizes_and_dates import until
from ui.base.wizard import Wizard
from ui.base.workspace import Workspace
from ui.schedules.draft import Draft
from ui.schedules.keep_running import offer
from ui.schedules.pages import FinishPage, NamePage, TypePage, VMsPage
from ui.schedules.when_page import WhenPage
from ui.schedules.words import kept_of, kind_of, when_of, whose
from ui.schedules.xe_lines import new_lines
from ui.widgets.cards import Card
from ui.widgets.facts import FactGrid


@dataclass(frozen=True, slots=True)
class Wish:
    """What the person asked for."""

    draft: Draft
    vms: tuple[Ref[VM], ...]
    run_now: bool


async def new_schedule(workspace: Workspace, selection: Selection) -> None:
    """Ask, then make it. VMs that are chosen are ticked."""
    vms = [ref for cls, ref in selection if cls == "VM"]
    wizard = ScheduleWizard(workspace, vms, workspace.window)
    try:
        wish = wizard.wish() if await ask(wizard, keep=True) else None
    finally:
        wizard.stop()
        wizard.deleteLater()
    if wish is not None:
        await make(workspace, wish)
        if wish.vms or wish.draft.tags:
            await offer(workspace)


async def make(workspace: Workspace, wish: Wish) -> Ref[VMSS]:
    """Create the schedule, assign its VMs, run it if wished. What was made goes again if a VM cannot be assigned."""
    entry = workspace.history.begin(f"New schedule “{wish.draft.name}”", ("", ""))
    calls = workspace.session
    try:
        enabled = bool(wish.vms or wish.draft.tags)
        schedule = await calls.VMSS.create(wish.draft.record(enabled=enabled))
        try:
            await assign(workspace, wish.vms, schedule)
        except Failure:
            await calls.VMSS.destroy(schedule)
            raise
    except (Failure, ConnectionLost) as error:
        workspace.history.end(entry, error)
        raise
    workspace.history.end(entry)
    if wish.run_now:
        started = calls.start(VMSSCalls.snapshot_now, schedule)
        workspace.spawn(workspace.run_task(f"Running “{wish.draft.name}”", started, ("VMSS", schedule)))
    return schedule


async def assign(workspace: Workspace, vms: Sequence[Ref[VM]], schedule: Ref[VMSS]) -> None:
    """Let the schedule protect these VMs. :raise Failure: one cannot be; those before it are put back."""
    before: list[tuple[Ref[VM], Ref[VMSS]]] = []
    try:
        for vm in vms:
            record = workspace.cache.get(VM, vm)
            if record is not None:
                before.append((vm, record.snapshot_schedule))
            await workspace.session.VM.set_snapshot_schedule(vm, schedule)
    except Failure:
        for vm, was in before[:-1]:
            await workspace.session.VM.set_snapshot_schedule(vm, was if not is_null(was) else Ref("OpaqueRef:NULL"))
        raise


class ScheduleWizard(Wizard):
    """Accepted: `wish()` is complete."""

    def __init__(self, workspace: Workspace, vms: Sequence[str] = (), parent: QWidget | None = None) -> None:
        draft = Draft()
        self._workspace = workspace
        self.name_page = NamePage(workspace, draft)
        self.vms_page = VMsPage(workspace, vms)
        self.type_page = TypePage(workspace, draft)
        self.when_page = WhenPage(workspace, draft)
        self.finish_page = FinishPage()
        self.summary = FactGrid(name="Summary", label_width=64, wrap=True)
        pages = (self.name_page, self.vms_page, self.type_page, self.when_page, self.finish_page)
        card = Card("Summary", raised=True)
        card.content.addWidget(self.summary)
        card.content.addStretch()
        super().__init__("New snapshot schedule", pages, finish="Create Schedule", summary=card, parent=parent)
        self.changed.connect(self._follow)
        self._follow()
        self.resize(1080, 720)

    def draft(self) -> Draft:
        """All answers now."""
        name, description = self.name_page.words()
        kind, only_running = self.type_page.kind(), self.type_page.only_running.isChecked()
        tags = self.vms_page.tags.tags()
        base = Draft(name=name, description=description, kind=kind, only_running=only_running, tags=tags)
        return self.when_page.applied(base)

    def wish(self) -> Wish:
        """What was asked for."""
        return Wish(self.draft(), self.vms_page.vms(), self.finish_page.run_now.isChecked())

    def xe_line(self) -> str:
        wish = self.wish()
        return new_lines(self._workspace.cache, wish.draft, wish.vms, run_now=wish.run_now)

    def stop(self) -> None:
        """Ask the engine no more: the wizard goes."""
        self.when_page.preview.stop()

    def _follow(self) -> None:
        draft, vms, members = self.draft(), self.vms_page.vms(), self.vms_page.members()
        self.type_page.show_vms(members)
        self.when_page.set_base(replace(draft))
        self.when_page.show_vms(members)
        runs = self.when_page.preview.runs
        following = until(runs[0].local) if runs else ""
        self.finish_page.show_plan(draft, vms, self.vms_page.taken_over(), following)
        self.summary.set_facts(
            [
                ("Name", draft.name),
                ("Protects", whose(draft, len(vms)) if vms or draft.tags else "No VM yet"),
                ("Type", kind_of(draft.kind)),
                ("Runs", when_of(draft)),
                ("Next run", following),
                ("Keeps", kept_of(draft)),
                ("If missed", "One on return" if draft.missed == "run-once" else "Left out, and told"),
            ]
        )
