"""The schedule of a VM among its properties: which one, how its last run went, and what the next ones will do."""

from __future__ import annotations

from app.api import NULL, VM, VMSS, Ref
from ui.base.commands import Selection
from ui.base.dialogs import GAP
from ui.base.property_page import PropertyPage
from ui.base.sizes_and_dates import age
from ui.base.workspace import Workspace
from ui.schedules.choice import ScheduleChoice
from ui.schedules.draft import draft_of
from ui.schedules.preview import Preview
from ui.schedules.rows import runs_by_schedule
from ui.schedules.wizard import assign
from ui.schedules.words import OUTCOMES, VMResult, results_of
from ui.schedules.xe_lines import assign_lines
from ui.widgets.facts import FactGrid


def schedule_page(workspace: Workspace, selection: Selection) -> PropertyPage | None:
    """The page for one VM; none for templates and snapshots."""
    if len(selection) != 1 or selection[0][0] != "VM":
        return None
    record = workspace.cache.get(VM, selection[0][1])
    if record is None or record.is_a_template or record.is_a_snapshot or record.is_control_domain:
        return None
    return SchedulePage(workspace, Ref(selection[0][1]), record)


class SchedulePage(PropertyPage):
    """Saves the schedule that is chosen."""

    def __init__(self, workspace: Workspace, vm: Ref[VM], record: VM) -> None:
        super().__init__("Snapshot schedule", "Which schedule protects it?")
        self._workspace, self._vm, self._record = workspace, vm, record
        self.choice = ScheduleChoice(workspace.cache, [record])
        self.facts = FactGrid(name="Runs")
        self.preview = Preview(workspace)
        self.content.addWidget(self.choice, 1)
        self.content.addWidget(self.facts)
        self.content.addSpacing(GAP)
        self.content.addWidget(self.preview)
        self.choice.changed.connect(self._follow)
        self._follow()

    async def save(self) -> None:
        if self.choice.chosen and not self.choice.is_as_before():
            await assign(self._workspace, [self._vm], Ref(self.choice.chosen))

    def xe_line(self) -> str:
        changed = self.choice.chosen and not self.choice.is_as_before()
        return assign_lines(self._workspace.cache, [self._vm], self.choice.chosen) if changed else ""

    def stop(self) -> None:
        self.preview.stop()

    def _follow(self) -> None:
        schedule = self._workspace.cache.get(VMSS, self.choice.chosen) if self.choice.chosen != NULL else None
        runs = schedule is not None and schedule.enabled
        self.preview.setVisible(runs)
        if schedule is not None and runs:
            self.preview.show_draft(draft_of(schedule), [self._vm], schedule.uuid)
        off = "None: the schedule is turned off" if schedule is not None and not runs else ""
        self.facts.set_facts([("Last run", self._last_run()), ("Next run", off)])
        self.changed.emit()

    def _last_run(self) -> str:
        """How the last run of the chosen schedule went for this VM."""
        for run in reversed(runs_by_schedule(self._workspace.cache).get(self.choice.chosen, [])):
            result = next((result for result in results_of(run) if result.uuid == self._record.uuid), None)
            if result is not None:
                return f"{age(run.started)}: {_said(result)}"
        return "" if self.choice.chosen == NULL else "Not yet run for this VM"


def _said(result: VMResult) -> str:
    word = OUTCOMES.get(result.outcome, ("", result.outcome))[1].lower()
    return f"{word}. {result.reason}" if result.reason else word
