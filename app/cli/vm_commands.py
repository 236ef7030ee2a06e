"""Commands on VMs: snapshots of them, copies, power, and their end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from app.cli.command import VM_SELECTORS, Command
from app.cli.errors import CommandError
from app.cli.inventory import NULL, Object
from app.cli.invocation import Invocation
from app.cli.removal import KEEP, uninstall

FORCE_NEEDED: Final = (
    "This operation is dangerous and may cause data loss. This operation must be forced (use --force)."
)
_NEW_NAME: Final = "new-name-label"
_NEW_TEXT: Final = "new-name-description"
_PROGRESS: Final = "progress"


def _describe(invocation: Invocation, ref: str) -> None:
    text = invocation.words.get(_NEW_TEXT)
    if text and ref != NULL:
        invocation.change("VM.set_name_description", ref, text)


def _snapshot(command: Command, message: str, invocation: Invocation) -> None:
    words = invocation.words
    name = words.required(_NEW_NAME)
    ignored = [uuid for uuid in words.get("ignore-vdi-uuids").split(",") if uuid]
    vdis = [invocation.inventory.by_uuid("VDI", uuid) for uuid in ignored]

    def act(ref: str, _record: Object) -> None:
        made = str(invocation.change(message, ref, name, *([vdis] if vdis else [])))
        _describe(invocation, made)
        invocation.created("VM", made)

    invocation.on_vms(command.parameters, act)


def _clone(command: Command, invocation: Invocation) -> None:
    name = invocation.words.required(_NEW_NAME)

    def act(ref: str, _record: Object) -> None:
        made = str(invocation.change("VM.clone", ref, name))
        _describe(invocation, made)
        invocation.created("VM", made)

    invocation.on_vms(command.parameters, act, templates=True)


def _copy(command: Command, invocation: Invocation) -> None:
    words = invocation.words
    name = words.required(_NEW_NAME)
    sr = invocation.inventory.by_uuid("SR", words.get("sr-uuid")) if words.has("sr-uuid") else NULL

    def act(ref: str, _record: Object) -> None:
        made = str(invocation.change("VM.copy", ref, name, sr, progress=True))
        _describe(invocation, made)
        invocation.created("VM", made)

    invocation.on_vms(command.parameters, act, templates=True)


def _start(command: Command, invocation: Invocation) -> None:
    words = invocation.words
    paused, force = words.flag("paused"), words.flag("force")
    host = find_host(invocation, words.get("on")) if words.has("on") else ""

    def act(ref: str, _record: Object) -> None:
        if host:
            invocation.change("VM.start_on", ref, host, paused, force, progress=True)
        else:
            invocation.change("VM.start", ref, paused, force, progress=True)

    invocation.on_vms(command.parameters, act)


def find_host(invocation: Invocation, name: str) -> str:
    """The host of that name or uuid. :raise CommandError: none."""
    for ref, record in invocation.inventory.all("host").items():
        if name in (record["uuid"], record["name_label"], record.get("hostname")):
            return ref
    raise CommandError(f"Host {name} not found")


def _resume(command: Command, invocation: Invocation) -> None:
    force = invocation.words.flag("force")
    invocation.on_vms(
        command.parameters, lambda ref, _record: invocation.change("VM.resume", ref, False, force, progress=True)
    )


def _power(command: Command, gentle: str, hard: str, invocation: Invocation) -> None:
    message = hard if invocation.words.flag("force") else gentle
    invocation.on_vms(command.parameters, lambda ref, _record: invocation.change(message, ref, progress=True))


def _uninstall(command: Command, invocation: Invocation) -> None:
    found: list[str] = []
    invocation.on_vms(command.parameters, lambda ref, _record: found.append(ref))
    uninstall(invocation, found)


def _destroy(invocation: Invocation) -> None:
    invocation.change("VM.destroy", invocation.inventory.by_uuid("VM", invocation.words.required("uuid")))


def reset_power_state(invocation: Invocation, ref: str) -> None:
    """Record a VM as Halted. :raise CommandError: not with force."""
    if not invocation.words.flag("force"):
        raise CommandError(FORCE_NEEDED)
    invocation.change("VM.power_state_reset", ref)


def _reset(command: Command, invocation: Invocation) -> None:
    invocation.on_vms(command.parameters, lambda ref, _record: reset_power_state(invocation, ref))


def _limits(command: Command, invocation: Invocation) -> None:
    words = invocation.words
    names = ("static-min", "static-max", "dynamic-min", "dynamic-max")
    sizes = [words.size(name) for name in names]
    invocation.on_vms(command.parameters, lambda ref, _record: invocation.change("VM.set_memory_limits", ref, *sizes))


def _memory(command: Command, invocation: Invocation) -> None:
    octets = invocation.words.size("memory")
    invocation.on_vms(command.parameters, lambda ref, _record: invocation.change("VM.set_memory", ref, octets))


def _dynamic_range(command: Command, invocation: Invocation) -> None:
    least, most = invocation.words.size("min"), invocation.words.size("max")
    invocation.on_vms(
        command.parameters, lambda ref, _record: invocation.change("VM.set_memory_dynamic_range", ref, least, most)
    )


def _static_range(command: Command, invocation: Invocation) -> None:
    """The dynamic limits stay as they are: all four are one message, for they depend on one another."""
    least, most = invocation.words.size("min"), invocation.words.size("max")

    def act(ref: str, record: Object) -> None:
        dynamic = (int(record["memory_dynamic_min"]), int(record["memory_dynamic_max"]))
        invocation.change("VM.set_memory_limits", ref, least, most, *dynamic)

    invocation.on_vms(command.parameters, act)


def _bound(
    function: Callable[[Command, Invocation], None],
    name: str,
    about: str,
    *optional: str,
    required: tuple[str, ...] = (),
    common: bool = True,
    unlisted: tuple[str, ...] = (),
) -> Command:
    """A command that selects VMs; its function gets the command, to know its own parameters."""
    made: Command

    def run(invocation: Invocation) -> None:
        function(made, invocation)

    made = Command(name, run, about, required, (*optional, VM_SELECTORS), common, unlisted)
    return made


def _snapshot_command(name: str, message: str, about: str, *optional: str) -> Command:
    return _bound(
        lambda command, invocation: _snapshot(command, message, invocation),
        name,
        about,
        _NEW_TEXT,
        *optional,
        required=(_NEW_NAME,),
    )


def _power_command(name: str, gentle: str, hard: str, about: str) -> Command:
    optional = ("force",) if gentle != hard else ()
    return _bound(
        lambda command, invocation: _power(command, gentle, hard, invocation),
        name,
        about,
        *optional,
        unlisted=(_PROGRESS,),
    )


def commands() -> list[Command]:
    """All of them."""
    fast = "using storage-level fast disk snapshot operation where available."
    return [
        _snapshot_command("vm-snapshot", "VM.snapshot", f"Snapshot an existing VM, {fast}", "ignore-vdi-uuids"),
        _snapshot_command("vm-checkpoint", "VM.checkpoint", f"Checkpoint an existing VM, {fast}"),
        _snapshot_command(
            "vm-snapshot-with-quiesce",
            "VM.snapshot_with_quiesce",
            "Snapshot an existing VM with its file systems frozen by the guest's agent.",
        ),
        *_copy_commands(),
        *_power_commands(),
        *_ending_commands(),
        *_memory_commands(),
    ]


def _copy_commands() -> list[Command]:
    return [
        _bound(
            _clone,
            "vm-clone",
            "Clone an existing VM, using storage-level fast disk clone operation where available.",
            _NEW_TEXT,
            required=(_NEW_NAME,),
        ),
        _bound(
            _copy,
            "vm-copy",
            "Copy an existing VM, but without using storage-level fast disk clone operation (even if this is "
            "available). The disk images of the copied VM are guaranteed to be 'full images' - i.e. not part of a CoW "
            "chain.",
            _NEW_TEXT,
            "sr-uuid",
            required=(_NEW_NAME,),
            unlisted=(_PROGRESS,),
        ),
    ]


def _power_commands() -> list[Command]:
    return [
        _bound(
            _start,
            "vm-start",
            "Start the selected VM(s). Where pooling is enabled, the host on which to start can be specified with the "
            "'on' parameter that takes a uuid. The optional parameter '--force' will bypass any hardware-compatibility "
            "warnings.",
            "force",
            "on",
            "paused",
            unlisted=(_PROGRESS,),
        ),
        _power_command(
            "vm-shutdown", "VM.clean_shutdown", "VM.hard_shutdown", "Shutdown the selected VM(s); with --force at once."
        ),
        _power_command(
            "vm-reboot", "VM.clean_reboot", "VM.hard_reboot", "Reboot the selected VM(s); with --force at once."
        ),
        _power_command("vm-suspend", "VM.suspend", "VM.suspend", "Suspend the selected VM(s)."),
        _bound(_resume, "vm-resume", "Resume the selected suspended VM(s).", "force", "on", unlisted=(_PROGRESS,)),
        _power_command("vm-pause", "VM.pause", "VM.pause", "Pause the selected running VM(s)."),
        _power_command("vm-unpause", "VM.unpause", "VM.unpause", "Unpause the selected paused VM(s)."),
    ]


def _ending_commands() -> list[Command]:
    return [
        _bound(
            _uninstall,
            "vm-uninstall",
            "Uninstall a VM. This operation will destroy those VDIs that are marked RW and connected to this VM only. "
            "To simply destroy the VM record, use vm-destroy.",
            "force",
            unlisted=(KEEP,),
        ),
        Command(
            "vm-destroy",
            _destroy,
            "Destroy a VM. This leaves the storage associated with the VM intact. To delete storage too, use "
            "vm-uninstall.",
            required=("uuid",),
        ),
        _bound(
            _reset,
            "vm-reset-powerstate",
            "Force the VM powerstate to halted in the management toolstack database only. This is for a VM that is "
            "known to be halted and is not recorded so.",
            "force",
        ),
    ]


def _memory_commands() -> list[Command]:
    found = (
        (_memory, "vm-memory-set", "Configure the memory allocation of a VM.", ("memory",)),
        (_dynamic_range, "vm-memory-dynamic-range-set", "Configure the dynamic memory range of a VM.", ("min", "max")),
        (_static_range, "vm-memory-static-range-set", "Configure the static memory range of a VM.", ("min", "max")),
        (
            _limits,
            "vm-memory-limits-set",
            "Configure the memory limits of a VM.",
            ("static-min", "static-max", "dynamic-min", "dynamic-max"),
        ),
    )
    return [_bound(run, name, about, required=required, common=False) for run, name, about, required in found]
