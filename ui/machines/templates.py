"""Templates: made from VMs and back, and VMs made from them at once."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QWidget

from app.api import VM, Ref, Task, VMCalls, VMOperation
from app.client import ObjectCache
from ui.base.commands import ENABLED, CommandState, Selection, disabled
from ui.base.dialogs import Consequence, ConsequenceDialog, ask
from ui.base.sizes_and_dates import count
from ui.base.workspace import Workspace
from ui.base.xe_lines import together
from ui.machines.creation import NewVM
from ui.machines.making import make
from ui.machines.together import able, report, run_each, state_of
from ui.machines.xe_lines import template_line
from ui.models.names import unique_name, vm_names
from ui.models.reasons import why_not
from ui.models.states import Chosen, doing, is_template, machines

_NAMED = 5


def templates(cache: ObjectCache, selection: Selection) -> list[Chosen]:
    """The templates among what is chosen, in that order."""
    found = ((Ref[VM](ref), cache.get(VM, ref)) for cls, ref in selection if cls == "VM")
    return [(ref, vm) for ref, vm in found if vm is not None and is_template(vm)]


# ---- VM to template ---------------------------------------------------------------------------------------------


def can_convert_to_template(workspace: Workspace, selection: Selection) -> CommandState:
    """VMs, at least one of which is shut down and in no schedule."""
    return state_of(workspace, selection, VMOperation.make_into_template)


async def convert_to_template(workspace: Workspace, selection: Selection) -> None:
    """Ask, then make each a template that can be."""
    chosen = machines(workspace.cache, selection)
    can, left_out = able(chosen, VMOperation.make_into_template)
    if not await ask(convert_dialog(can, workspace.window)):
        return

    async def begin(vm: Ref[VM]) -> Ref[Task]:
        return await workspace.session.start(VMCalls.set_is_a_template, vm, True)

    failed = await run_each(workspace, can, lambda name: f"Converting {name} to a template", begin)
    await report(workspace, "Convert to Template", len(chosen), [*left_out, *failed])


def convert_dialog(chosen: Sequence[Chosen], parent: QWidget | None = None) -> ConsequenceDialog:
    """What becoming a template means."""
    one = len(chosen) == 1
    what = f"“{chosen[0][1].name_label}”" if one else count(len(chosen), "VM")
    said: list[Consequence] = []
    if not one:
        names = ", ".join(vm.name_label for _, vm in chosen[:_NAMED])
        said.append(("vm", names + (f" and {len(chosen) - _NAMED} more" if len(chosen) > _NAMED else "")))
    it = ("It", "it") if one else ("They", "them")
    said.append(("template", f"{it[0]} cannot be started; VMs are made from {it[1]}."))
    snapshots = sum(len(vm.snapshots) for _, vm in chosen)
    if snapshots:
        kept = "is kept" if snapshots == 1 else "are kept"
        said.append(("snapshot", f"{count(snapshots, 'snapshot')} {kept}, and can be used again once it is a VM."))
    said.append(("alert-good", "Convert to VM undoes this at any time."))
    title = f"Convert {what} to {'a template' if one else 'templates'}?"
    sentence = f"{what} {'becomes a template' if one else 'become templates'}, with the same disks and settings."
    lines = together(*(template_line(vm) for _, vm in chosen))
    return ConsequenceDialog(title, sentence, said, primary="Convert", xe=lines, parent=parent)


# ---- template to VM ---------------------------------------------------------------------------------------------


def why_not_to_vm(vm: VM) -> str:
    """Why this template cannot become a VM now; "" where it can."""
    if vm.is_default_template:
        return "It is a built-in template: make a VM from it instead."
    return f"It is {doing(vm)}." if vm.current_operations else ""


def can_convert_to_vm(workspace: Workspace, selection: Selection) -> CommandState:
    """Templates, at least one of which is somebody's own."""
    chosen = templates(workspace.cache, selection)
    reasons = [why_not_to_vm(vm) for _, vm in chosen]
    return ENABLED if "" in reasons else disabled(reasons[0] if reasons else "Choose a template first.")


async def convert_to_vm(workspace: Workspace, selection: Selection) -> None:
    """Make each a VM again. Nothing is lost by it, so nobody is asked."""
    can = [(ref, vm) for ref, vm in templates(workspace.cache, selection) if not why_not_to_vm(vm)]

    async def begin(vm: Ref[VM]) -> Ref[Task]:
        return await workspace.session.start(VMCalls.set_is_a_template, vm, False)

    failed = await run_each(workspace, can, lambda name: f"Converting {name} to a VM", begin)
    await report(workspace, "Convert to VM", len(can), failed)


# ---- VMs from a template ----------------------------------------------------------------------------------------


def can_quick_create(workspace: Workspace, selection: Selection) -> CommandState:
    """One template of somebody's own that can be cloned. (A built-in one has questions: the wizard asks them.)"""
    chosen = templates(workspace.cache, selection)
    if len(chosen) != 1 or len(selection) != 1:
        return disabled("Choose one template.")
    vm = chosen[0][1]
    if vm.is_default_template:
        return disabled("It is a built-in template: the New VM wizard asks what it needs.")
    reason = why_not(vm, VMOperation.clone)
    return disabled(reason) if reason else ENABLED


def quick_plan(cache: ObjectCache, ref: Ref[VM], template: VM) -> NewVM:
    """A VM just as the template says."""
    return NewVM(
        source="template",
        template=ref,
        template_record=template,
        name=unique_name(template.name_label, vm_names(cache)),
        description=template.name_description,
        start=False,
    )


async def quick_create(workspace: Workspace, selection: Selection) -> None:
    """A VM with the template's own settings, by a fast clone, without a question."""
    ((ref, template),) = templates(workspace.cache, selection)
    await make(workspace, quick_plan(workspace.cache, ref, template))


def can_make_from_template(workspace: Workspace, selection: Selection) -> CommandState:
    """One template."""
    chosen = templates(workspace.cache, selection)
    return ENABLED if len(chosen) == len(selection) == 1 else disabled("Choose one template.")


def can_delete_templates(workspace: Workspace, selection: Selection) -> CommandState:
    """Templates only, at least one of which can go."""
    chosen = templates(workspace.cache, selection)
    if not chosen or len(chosen) != len(selection):
        return disabled("Choose a template first.")
    reasons = [why_not(vm, VMOperation.destroy) for _, vm in chosen]
    return ENABLED if "" in reasons else disabled(reasons[0])
