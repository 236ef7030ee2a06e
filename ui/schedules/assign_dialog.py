"""Which schedule protects these VMs: one of those there are, a new one, or none."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QWidget

from app.api import VM, ConnectionLost, Failure, Ref
from ui.base.commands import Selection
from ui.base.dialogs import Dialog, ask
from ui.base.sizes_and_dates import count
from ui.base.workspace import Workspace
from ui.schedules.choice import ScheduleChoice
from ui.schedules.wizard import assign, new_schedule
from ui.schedules.xe_lines import assign_lines
from ui.widgets.buttons import button

_NEW = "new"


async def assign_schedule(workspace: Workspace, selection: Selection) -> None:
    """Ask, then assign."""
    vms: list[Ref[VM]] = [Ref(ref) for cls, ref in selection if cls == "VM"]
    dialog = AssignDialog(workspace, vms, workspace.window)
    chosen = dialog.chosen if await ask(dialog) else ""
    if chosen == _NEW:
        await new_schedule(workspace, selection)
    elif chosen:
        entry = workspace.history.begin("Assigning to a schedule", ("VM", vms[0]) if len(vms) == 1 else ("", ""))
        try:
            await assign(workspace, vms, Ref(chosen))
        except (Failure, ConnectionLost) as error:
            workspace.history.end(entry, error)
            raise
        workspace.history.end(entry)


class AssignDialog(Dialog):
    """`chosen` is the schedule's reference, the null reference for none, or `new`."""

    def __init__(self, workspace: Workspace, vms: Sequence[Ref[VM]], parent: QWidget | None = None) -> None:
        records = [record for vm in vms if (record := workspace.cache.get(VM, vm)) is not None]
        about = records[0].name_label if len(records) == 1 else count(len(records), "VM")
        super().__init__(f"Snapshot schedule of {about}", primary="Assign", parent=parent)
        self._cache, self._vms = workspace.cache, tuple(vms)
        self.choice = ScheduleChoice(workspace.cache, records)
        self.new = button("New Snapshot Schedule…", "plus", "link")
        self._asks_for_new = False
        self.content.addWidget(self.choice, 1)
        self.content.addWidget(self.new)
        self.new.clicked.connect(self._choose_new)
        self.choice.changed.connect(self._follow)
        self._follow()
        self.resize(540, min(640, 220 + 76 * len(self.choice.cards)))

    @property
    def chosen(self) -> str:
        """What was answered."""
        return _NEW if self._asks_for_new else self.choice.chosen

    def xe_line(self) -> str:
        return assign_lines(self._cache, self._vms, self.choice.chosen)

    def _choose_new(self) -> None:
        self._asks_for_new = True
        self.accept()

    def _follow(self) -> None:
        as_before = "It is assigned already." if self.choice.is_as_before() else ""
        self.set_problem(as_before if self.choice.chosen else "Choose a schedule.")
