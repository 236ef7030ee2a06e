"""Destroying VMs, snapshots and templates with their disks, after saying which and asking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from app.cli.errors import ServerFailure
from app.cli.inventory import Inventory, Object
from app.cli.invocation import Invocation

KEEP: Final = "keep-snapshots"
"""A parameter of ours: with it a VM goes alone, as the desktop does it unless told otherwise."""
SHARED: Final = "** WARNING: disk is shared by other VMs"


def uninstall(invocation: Invocation, vms: Sequence[str]) -> None:
    """Show what would go, ask unless forced, and destroy it. A VM goes with its snapshots, unless they are kept."""
    inventory = invocation.inventory
    alone = invocation.words.flag(KEEP)
    doomed = list(dict.fromkeys(ref for vm in vms for ref in (vm, *(() if alone else _snapshots(inventory, vm)))))
    invocation.print("The following items are about to be destroyed")
    disks = {ref: disks_of(inventory, ref) for ref in doomed}
    for ref in doomed:
        record = inventory.get("VM", ref) or {}
        invocation.print(f"VM : {record.get('uuid')} ({record.get('name_label')})")
        for vdi in disks[ref]:
            found = inventory.get("VDI", vdi) or {}
            suffix = SHARED if _is_shared(inventory, ref, found) else ""
            invocation.print(f"VDI: {found.get('uuid')} ({found.get('name_label')}) {suffix}")
    if not (invocation.words.flag("force") or invocation.dry_run or invocation.confirmed()):
        return
    for vm in vms:
        _remove(invocation, vm, [] if alone else _snapshots(inventory, vm), disks)
    invocation.note("All objects destroyed")


def _snapshots(inventory: Inventory, vm: str) -> list[str]:
    record = inventory.get("VM", vm) or {}
    return [] if record.get("is_a_snapshot") else [ref for ref in record.get("snapshots", ()) if ref]


def disks_of(inventory: Inventory, vm: str) -> list[str]:
    """The disks that go with a VM: those it owns, in the order of its devices, and its memory image."""
    record = inventory.get("VM", vm) or {}
    vbds = [vbd for ref in record.get("VBDs", ()) if (vbd := inventory.get("VBD", ref)) is not None]
    owned = [vbd for vbd in vbds if vbd["type"] == "Disk" and "owner" in vbd["other_config"]]
    found = [str(vbd["VDI"]) for vbd in sorted(owned, key=_device)]
    return [vdi for vdi in (*found, str(record.get("suspend_VDI", ""))) if inventory.get("VDI", vdi) is not None]


def _device(vbd: Object) -> tuple[int, str]:
    number = str(vbd["userdevice"])
    return (int(number), "") if number.isdigit() else (1 << 16, number)


def _is_shared(inventory: Inventory, vm: str, vdi: Object) -> bool:
    vbds = [inventory.get("VBD", ref) for ref in vdi.get("VBDs", ())]
    return any(vbd is not None and vbd["VM"] != vm for vbd in vbds)


def _remove(invocation: Invocation, vm: str, snapshots: Sequence[str], disks: dict[str, list[str]]) -> None:
    """In one message where the server has it, so that a failure leaves nothing half removed."""
    try:
        invocation.change("VM.uninstall", vm, bool(snapshots))
    except ServerFailure as failure:
        if failure.code != "MESSAGE_METHOD_UNKNOWN":
            raise
        for ref in (*snapshots, vm):
            _remove_step_by_step(invocation, ref, disks[ref])


def _remove_step_by_step(invocation: Invocation, vm: str, disks: Sequence[str]) -> None:
    record = invocation.inventory.get("VM", vm) or {}
    if record.get("power_state") != "Halted":
        invocation.change("VM.hard_shutdown", vm)
    invocation.change("VM.destroy", vm)
    for vdi in disks:
        # The memory image went with the power.
        if invocation.inventory.get("VDI", vdi) is not None:
            invocation.change("VDI.destroy", vdi)
