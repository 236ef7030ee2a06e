"""Commands for what XenServer does not have: locks, readiness, chains and groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.cli.columns import unused
from app.cli.command import VM_SELECTORS, Command
from app.cli.errors import CommandError
from app.cli.inventory import Object
from app.cli.invocation import Invocation
from app.cli.snapshot_commands import snapshot

FOREVER: Final = "19700101T00:00:00Z"
_OPERATIONS: Final = ("snapshot", "checkpoint", "snapshot_with_quiesce")


def _facts(invocation: Invocation, facts: Mapping[str, str], **head: str) -> None:
    """A map, laid out as a record is."""
    shown = {**{name.replace("_", "-"): value for name, value in head.items()}, **facts}
    invocation.rows([[(unused(name), value) for name, value in shown.items()]])


def _lock(invocation: Invocation) -> None:
    words = invocation.words
    reason = words.required("reason")
    until = words.get("until", FOREVER)
    invocation.change("VM.lock_snapshot", snapshot(invocation), reason, words.get("owner"), until)


def _unlock(invocation: Invocation) -> None:
    invocation.change("VM.unlock_snapshot", snapshot(invocation))


def _drop_memory(invocation: Invocation) -> None:
    """What XenAPI has for it: a checkpoint that is shut down keeps its disks and lets its memory go."""
    ref = snapshot(invocation)
    record = invocation.inventory.get("VM", ref) or {}
    if record.get("power_state") != "Suspended":
        raise CommandError(f"The snapshot {record['uuid']} has no memory.")
    invocation.change("VM.hard_shutdown", ref)


def _provision(invocation: Invocation) -> None:
    invocation.change("VM.provision", invocation.inventory.by_uuid("VM", invocation.words.required("uuid")))


def _take_in(invocation: Invocation) -> None:
    words = invocation.words
    sr = invocation.inventory.by_uuid("SR", words.required("sr-uuid"))
    named = (words.required("filename"), words.required("name-label"))
    invocation.created("VDI", str(invocation.change("VDI.import_file", sr, *named, progress=True)))


def _readiness(invocation: Invocation) -> None:
    operation = invocation.words.get("operation", "snapshot")
    if operation not in _OPERATIONS:
        raise CommandError(f"Expected one of {', '.join(map(repr, _OPERATIONS))}, got {operation}")

    def act(ref: str, record: Object) -> None:
        facts = invocation.ask("VM.get_snapshot_readiness", ref, operation)
        _facts(invocation, facts, uuid=record["uuid"], name_label=record["name_label"])

    invocation.on_vms(("operation",), act)


def _health(invocation: Invocation) -> None:
    def act(ref: str, _record: Object) -> None:
        for each, facts in invocation.ask("VM.get_chain_health", ref).items():
            found = invocation.inventory.get("VM", each) or {}
            _facts(invocation, facts, uuid=found.get("uuid", ""), name_label=found.get("name_label", ""))

    invocation.on_vms((), act)


def _sr(invocation: Invocation) -> str:
    return invocation.inventory.by_uuid("SR", invocation.words.required("uuid"))


def _merges(invocation: Invocation) -> None:
    for ref, facts in invocation.ask("SR.get_pending_merges", _sr(invocation)).items():
        vm = invocation.inventory.uuid("VM", facts.get("vm", ""))
        task = invocation.inventory.uuid("task", facts.get("task", ""))
        shown = {**facts, "vm": vm, "task": task}
        _facts(invocation, shown, vdi_uuid=invocation.inventory.uuid("VDI", ref))


def _coalesce(invocation: Invocation) -> None:
    invocation.change("SR.coalesce", _sr(invocation), progress=True)


def _take_group(invocation: Invocation) -> None:
    name = invocation.words.required("new-name-label")
    uuids = [uuid for uuid in invocation.words.required("vm-uuids").split(",") if uuid]
    vms = [invocation.inventory.by_uuid("VM", uuid) for uuid in uuids]
    made = invocation.change("VM.snapshot_group", vms, name)
    for ref in made if isinstance(made, list) else ():
        invocation.created("VM", ref)


def _revert_group(invocation: Invocation) -> None:
    uuids = [uuid for uuid in invocation.words.required("snapshot-uuids").split(",") if uuid]
    invocation.change("VM.revert_group", [invocation.inventory.by_uuid("VM", uuid) for uuid in uuids])


def commands() -> list[Command]:
    """All of them."""
    names = ("uuid", "snapshot-uuid")
    return [
        Command(
            "snapshot-lock",
            _lock,
            "Forbid to delete a snapshot, by hand or by a schedule, until a time (20261231T00:00:00Z) or with no end.",
            required=("reason",),
            optional=(*names, "owner", "until"),
            ours=True,
        ),
        Command(
            "snapshot-drop-memory",
            _drop_memory,
            "Free the memory that a snapshot with memory keeps. Its disks stay; it cannot be resumed any more.",
            optional=names,
            ours=True,
        ),
        Command("snapshot-unlock", _unlock, "Allow to delete a locked snapshot again.", optional=names, ours=True),
        Command(
            "vm-snapshot-readiness",
            _readiness,
            "Tell whether the selected VM(s) can be snapshotted safely now, and what stands in the way.",
            optional=("operation", VM_SELECTORS),
            ours=True,
        ),
        Command(
            "vm-chain-health",
            _health,
            "Tell how the disk chains of the selected VM(s) are, and what each snapshot occupies.",
            optional=(VM_SELECTORS,),
            ours=True,
        ),
        *_group_and_merge_commands(),
        *_making_commands(),
    ]


def _group_and_merge_commands() -> list[Command]:
    return [
        Command(
            "snapshot-group-create",
            _take_group,
            "Snapshot several VMs as close to one instant as can be, all or none.",
            required=("new-name-label", "vm-uuids"),
            ours=True,
        ),
        Command(
            "snapshot-group-revert",
            _revert_group,
            "Revert several VMs to their snapshots of one group.",
            required=("snapshot-uuids",),
            ours=True,
        ),
        Command("sr-merge-list", _merges, "List the merges that an SR has yet to do.", required=("uuid",), ours=True),
        Command(
            "sr-coalesce",
            _coalesce,
            "Merge now what an SR has yet to merge, and wait for it.",
            required=("uuid",),
            optional=("progress",),
            ours=True,
        ),
    ]


def _making_commands() -> list[Command]:
    return [
        Command(
            "vm-provision",
            _provision,
            "Turn a copy of a template or snapshot (vm-clone, vm-copy) into a VM, with the disks that it describes.",
            required=("uuid",),
            ours=True,
        ),
        Command(
            "vdi-import-file",
            _take_in,
            "Make a VDI of a disk image that lies on the engine's own machine: qcow2, VHD, VMDK or raw.",
            required=("sr-uuid", "filename", "name-label"),
            optional=("progress",),
            ours=True,
        ),
    ]
