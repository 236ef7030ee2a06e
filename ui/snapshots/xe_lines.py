"""What a terminal would be told in place of the commands on snapshots, and of their dialogs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from app.api import SR, VM, Ref
from app.api.types import EPOCH
from app.client import ObjectCache
from ui.base.commands import Selection, XeLine
from ui.base.locks import lock_of
from ui.base.workspace import Workspace
from ui.base.xe_lines import Variable, keeping, line, of_each, records_of, together, uuid_of, vm_line
from ui.models.orphans import uuid_of_gone
from ui.snapshots import rules, words
from ui.snapshots.ways import DISKS, Way

_MADE: Final = Variable("vm")


def take_line(cache: ObjectCache, vm: str, name: str, way: Way, description: str = "") -> str:
    """One snapshot of one VM."""
    described = {"new_name_description": description} if description else {}
    command = f"vm-{way.operation.value.replace('_', '-')}"
    return vm_line(cache, vm, command, new_name_label=name, **described)


def group_line(cache: ObjectCache, vms: Sequence[str], name: str) -> str:
    """Several VMs at one instant."""
    uuids = ",".join(uuid_of(cache, VM, vm) for vm in vms)
    return line("snapshot-group-create", vm_uuids=uuids, new_name_label=name)


def revert_lines(cache: ObjectCache, snapshots: Sequence[str], name: str, keep: Way | None, *, start: bool) -> str:
    """Back to these snapshots, with what is kept first and what is started afterwards."""
    found = [(ref, snapshot) for ref in snapshots if (snapshot := cache.get(VM, Ref(ref))) is not None]
    vms = [snapshot.snapshot_of for _, snapshot in found]
    safety, back = f"Before revert to {name}", ""
    if len(found) > 1:
        kept = group_line(cache, vms, safety) if keep is not None else ""
        back = line("snapshot-group-revert", snapshot_uuids=",".join(snapshot.uuid for _, snapshot in found))
    else:
        kept = take_line(cache, vms[0], safety, keep) if keep is not None else ""
        back = together(*(line("snapshot-revert", snapshot_uuid=snapshot.uuid) for _, snapshot in found))
    return together(kept, back, *(_started(cache, snapshot) for _, snapshot in found if start))


def _started(cache: ObjectCache, snapshot: VM) -> str:
    """What starts or resumes the VM as it is after the revert; a VM that is made again gets its old uuid."""
    if not (words.ran_then(snapshot) or words.has_memory(snapshot)):
        return ""
    command = "vm-resume" if words.has_memory(snapshot) else "vm-start"
    uuid = uuid_of(cache, VM, snapshot.snapshot_of) or uuid_of_gone(snapshot)
    return line(command, uuid=uuid) if uuid else ""


def make_lines(snapshot: VM, kind: str, name: str, chosen_sr: Mapping[str, str] | None, *, start: bool) -> str:
    """A VM or template of a snapshot. :param chosen_sr: the parameter for the storage of a full copy; None: a clone."""
    named = {"snapshot_uuid": snapshot.uuid, "new_name_label": name}
    copied = line("snapshot-clone", **named) if chosen_sr is None else line("snapshot-copy", **named, **chosen_sr)
    if kind != "vm":
        return copied
    if chosen_sr is None:
        made = line("vm-install", template=snapshot.uuid, new_name_label=name)
        return together(keeping("vm", made), line("vm-start", uuid=_MADE)) if start else made
    provisioned = line("vm-provision", uuid=_MADE)
    return together(keeping("vm", copied), provisioned, line("vm-start", uuid=_MADE) if start else "")


def lock_lines(cache: ObjectCache, snapshots: Iterable[str], reason: str, owner: str, until: datetime) -> str:
    """A lock on each."""
    given = {"reason": reason, **({"owner": owner} if owner else {})}
    if until != EPOCH:
        given["until"] = until.astimezone(UTC).strftime("%Y%m%dT%H:%M:%SZ")
    found = records_of(cache, VM, snapshots)
    return together(*(line("snapshot-lock", snapshot_uuid=snapshot.uuid, **given) for snapshot in found))


def delete_lines(cache: ObjectCache, snapshots: Iterable[str], *, keep_disks: bool = False) -> str:
    """Each with its disks after a question, or its record alone."""
    command = "snapshot-destroy" if keep_disks else "snapshot-uninstall"
    return together(*(line(command, snapshot_uuid=snapshot.uuid) for snapshot in records_of(cache, VM, snapshots)))


def rename_line(snapshot: VM, changes: Mapping[str, str]) -> str:
    """Another name or description."""
    return line("snapshot-param-set", uuid=snapshot.uuid, **changes) if changes else ""


def drop_memory_line(snapshot: VM) -> str:
    """The disks alone."""
    return line("snapshot-drop-memory", snapshot_uuid=snapshot.uuid)


def merge_lines(cache: ObjectCache, repositories: Iterable[Ref[SR]]) -> str:
    """What waits to be merged in each of these."""
    return together(*(line("sr-coalesce", uuid=sr.uuid) for sr in records_of(cache, SR, repositories)))


def _refs(selection: Selection) -> list[str]:
    return [ref for cls, ref in selection if cls == "VM"]


def _take(workspace: Workspace, selection: Selection) -> str:
    now = datetime.now().astimezone()
    refs = _refs(selection)
    able = [ref for ref in refs if not rules.why_no_snapshot(workspace.cache, ref)] or refs
    names = {ref: words.proposed_name(words.name_of(workspace.cache, ref), now) for ref in able}
    return together(*(take_line(workspace.cache, ref, name, DISKS) for ref, name in names.items()))


def _delete(workspace: Workspace, selection: Selection) -> str:
    refs = _refs(selection)
    return delete_lines(workspace.cache, rules.deletable(workspace.cache, refs) or refs)


def _lock(workspace: Workspace, selection: Selection) -> str:
    refs = _refs(selection)
    able = [ref for ref in refs if not rules.why_no_lock(workspace.cache, ref)]
    return lock_lines(workspace.cache, able or refs, "REASON", "", EPOCH)


def _unlock(workspace: Workspace, selection: Selection) -> str:
    refs = _refs(selection)
    able = [ref for ref in refs if not rules.why_no_unlock(workspace.cache, ref)]
    return together(*(_unlock_line(snapshot) for snapshot in records_of(workspace.cache, VM, able or refs)))


def _unlock_line(snapshot: VM) -> str:
    """A plain block that another client has set is an entry in a map."""
    if lock_of(snapshot) is None and snapshot.blocked_operations:
        named = {"uuid": snapshot.uuid, "param_name": "blocked-operations"}
        return line("snapshot-param-remove", **named, param_key="destroy")
    return line("snapshot-unlock", snapshot_uuid=snapshot.uuid)


LINES: Final[Mapping[str, XeLine]] = {
    "vm.snapshot": _take,
    "vm.chain_health": of_each(VM, lambda vm: line("vm-chain-health", uuid=vm.uuid)),
    "snapshot.revert": of_each(VM, lambda snapshot: line("snapshot-revert", snapshot_uuid=snapshot.uuid)),
    "snapshot.rename": of_each(VM, lambda vm: rename_line(vm, {"name_label": vm.name_label})),
    "snapshot.new_vm": of_each(VM, lambda vm: make_lines(vm, "vm", f"{vm.name_label} copy", None, start=False)),
    "snapshot.new_template": of_each(VM, lambda vm: make_lines(vm, "template", vm.name_label, None, start=False)),
    "snapshot.lock": _lock,
    "snapshot.unlock": _unlock,
    "snapshot.drop_memory": of_each(VM, drop_memory_line),
    "snapshot.delete": _delete,
}
