"""Copying a VM or template under another name: fast, or in full to a repository."""

from __future__ import annotations

from typing import Final

from PySide6.QtWidgets import QLineEdit, QWidget

from app.api import VM, Ref, VMCalls, VMOperation
from app.client import ObjectCache
from ui.base.commands import ENABLED, CommandState, Selection, disabled
from ui.base.dialogs import GAP, Dialog, ask, label
from ui.base.workspace import Workspace
from ui.machines.copy_choice import CopyChoice
from ui.machines.creation import Way
from ui.machines.xe_lines import copy_line
from ui.models.names import unique_name, vm_names
from ui.models.reasons import why_not
from ui.models.states import Chosen, is_machine, is_own_template
from ui.widgets.notice import toast

_WIDTH: Final = 500


def _one(workspace: Workspace, selection: Selection) -> Chosen | None:
    if len(selection) != 1 or selection[0][0] != "VM":
        return None
    ref: Ref[VM] = Ref(selection[0][1])
    vm = workspace.cache.get(VM, ref)
    return (ref, vm) if vm is not None and (is_machine(vm) or is_own_template(vm)) else None


def can_copy(workspace: Workspace, selection: Selection) -> CommandState:
    """One VM or template that the engine allows to be cloned or copied."""
    chosen = _one(workspace, selection)
    if chosen is None:
        return disabled("Choose one VM or template of your own.")
    if {VMOperation.clone, VMOperation.copy} & chosen[1].allowed_operations:
        return ENABLED
    return disabled(why_not(chosen[1], VMOperation.copy))


async def copy(workspace: Workspace, selection: Selection) -> None:
    """Ask for name and way, then copy."""
    chosen = _one(workspace, selection)
    if chosen is None:
        return
    ref, vm = chosen
    dialog = CopyDialog(workspace.cache, vm, workspace.window)
    accepted = await ask(dialog, keep=True)
    name, way = dialog.name.text().strip(), dialog.choice.way()
    dialog.deleteLater()
    if accepted:
        await copy_to(workspace, ref, vm.name_label, name, way)


async def copy_to(workspace: Workspace, ref: Ref[VM], old: str, name: str, way: Way) -> Ref[VM]:
    """Copy, and offer to show the result. :raise Failure: it was not copied."""
    session = workspace.session
    begun = session.start(VMCalls.copy, ref, name, way.sr) if way.full else session.start(VMCalls.clone, ref, name)
    made: Ref[VM] = Ref(await workspace.run_task(f"Copying {old} to {name}", begun, subject=("VM", ref)))
    if workspace.window is not None:
        toast(workspace.window, f"“{name}” is made.", act="Show", on_act=lambda: workspace.show("VM", made))
    return made


class CopyDialog(Dialog):
    """Name and way of the copy."""

    def __init__(self, cache: ObjectCache, vm: VM, parent: QWidget | None = None) -> None:
        what = "template" if vm.is_a_template else "VM"
        self._cache, self._vm = cache, vm
        super().__init__(f"Copy “{vm.name_label}”", primary="Copy", parent=parent)
        self.add_sentence(f"A {what} with the same settings and disks is made. Its snapshots are not copied.", "quiet")
        self._taken = vm_names(cache)
        self.name = QLineEdit(unique_name(f"Copy of {vm.name_label}"[:240], self._taken))
        self.name.setMaxLength(255)
        self.name.setAccessibleName("Name")
        self.name.selectAll()
        self.twin = label("", "secondary")
        self.choice = CopyChoice(cache)
        self.content.addWidget(label("Name", "quiet"))
        self.content.addWidget(self.name)
        self.content.addWidget(self.twin)
        self.content.addSpacing(GAP)
        self.content.addWidget(self.choice)
        self.content.addStretch()
        self.name.textChanged.connect(self._check)
        self.choice.changed.connect(self._check)
        self.choice.show_source(vm)
        self.setMinimumWidth(_WIDTH)
        self.name.setFocus()

    def xe_line(self) -> str:
        return copy_line(self._cache, self._vm, self.name.text().strip(), self.choice.way())

    def _check(self) -> None:
        name = self.name.text().strip()
        twin = name.casefold() in self._taken
        self.twin.setText("There is one of this name already; both would be called the same." if twin else "")
        self.twin.setVisible(twin)
        self.set_problem(self.choice.why_impossible() or ("" if name else "It needs a name."))
