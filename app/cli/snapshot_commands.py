"""Commands on snapshots and templates."""

from __future__ import annotations

from typing import Final

from app.cli.command import VM_SELECTORS, Command
from app.cli.errors import CommandError
from app.cli.inventory import NULL
from app.cli.invocation import Invocation
from app.cli.removal import KEEP, uninstall
from app.cli.vm_commands import reset_power_state

_NAMES: Final = ("uuid", "snapshot-uuid")


def snapshot(invocation: Invocation) -> str:
    """The snapshot that `snapshot-uuid` or `uuid` names. :raise CommandError: neither is given, or it is none."""
    words = invocation.words
    uuid = words.get("snapshot-uuid") or words.get("uuid")
    if not uuid:
        raise CommandError("Required parameter not found: snapshot-uuid or uuid.")
    ref = invocation.inventory.by_uuid("VM", uuid)
    record = invocation.inventory.get("VM", ref) or {}
    if not record.get("is_a_snapshot"):
        raise CommandError(
            f"This operation can only be performed on a VM snapshot. {record.get('uuid', uuid)} is not a VM snapshot."
        )
    return ref


def _revert(invocation: Invocation) -> None:
    invocation.change("VM.revert", snapshot(invocation))


def _copy(invocation: Invocation, *, full: bool) -> None:
    words = invocation.words
    name = words.required("new-name-label")
    source = snapshot(invocation)
    if full:
        sr = invocation.inventory.by_uuid("SR", words.get("sr-uuid")) if words.has("sr-uuid") else NULL
        made = str(invocation.change("VM.copy", source, name, sr))
    else:
        made = str(invocation.change("VM.clone", source, name))
    if words.get("new-name-description") and made != NULL:
        invocation.change("VM.set_name_description", made, words.get("new-name-description"))
    invocation.created("VM", made)


def _destroy(invocation: Invocation) -> None:
    ref = snapshot(invocation)
    record = invocation.inventory.get("VM", ref) or {}
    if record.get("power_state") == "Suspended":
        invocation.change("VM.hard_shutdown", ref)
    invocation.change("VM.destroy", ref)


def _template(invocation: Invocation) -> str:
    ref = invocation.inventory.by_uuid("VM", invocation.words.required("template-uuid"))
    record = invocation.inventory.get("VM", ref) or {}
    if not record.get("is_a_template"):
        raise CommandError(f"This operation can only be performed on a template. {record['uuid']} is not a template.")
    if record.get("is_default_template"):
        raise CommandError(f"The template {record['uuid']} comes with the product and cannot be uninstalled.")
    return ref


def commands() -> list[Command]:
    """All of them."""
    new = ("uuid", "new-name-description")
    return [
        Command(
            "snapshot-revert",
            _revert,
            "Revert an existing VM to a previous checkpointed or snapshotted state.",
            optional=(*_NAMES,),
            common=True,
        ),
        Command(
            "snapshot-clone",
            lambda invocation: _copy(invocation, full=False),
            "Create a new template by cloning an existing snapshot, using storage-level fast disk clone operation "
            "where available.",
            required=("new-name-label",),
            optional=new,
            common=True,
            unlisted=_NAMES[1:],
        ),
        Command(
            "snapshot-copy",
            lambda invocation: _copy(invocation, full=True),
            "Create a new template by copying an existing VM, but without using storage-level fast disk clone "
            "operation (even if this is available). The disk images of the copied VM are guaranteed to be 'full "
            "images' - i.e. not part of a CoW chain.",
            required=("new-name-label",),
            optional=(*new, "sr-uuid"),
            common=True,
            unlisted=_NAMES[1:],
        ),
        *_ending_commands(),
    ]


def _ending_commands() -> list[Command]:
    return [
        Command(
            "snapshot-destroy",
            _destroy,
            "Destroy a snapshot. This leaves the storage associated with the snapshot intact. To delete storage too, "
            "use snapshot-uninstall.",
            optional=_NAMES,
        ),
        Command(
            "snapshot-uninstall",
            lambda invocation: uninstall(invocation, [snapshot(invocation)]),
            "Uninstall a snapshot. This operation will destroy those VDIs that are marked RW and connected to this "
            "snapshot only. To simply destroy the VM record, use snapshot-destroy.",
            optional=(*_NAMES, "force"),
            common=True,
        ),
        Command(
            "snapshot-reset-powerstate",
            lambda invocation: reset_power_state(invocation, snapshot(invocation)),
            "Force the VM powerstate to halted in the management toolstack database only. This command is used to "
            "recover a snapshot that is marked as 'suspended'. This is a potentially dangerous operation: you must "
            "ensure that you do not need the memory image anymore (ie. you will not be able to resume your snapshot "
            "anymore).",
            optional=(*_NAMES, "force", VM_SELECTORS),
            common=True,
        ),
        Command(
            "template-uninstall",
            lambda invocation: uninstall(invocation, [_template(invocation)]),
            "Uninstall a custom template. This operation will destroy those VDIs that are marked RW and connected to "
            "this template only.",
            required=("template-uuid",),
            optional=("force",),
            common=True,
            unlisted=(KEEP,),
        ),
    ]
