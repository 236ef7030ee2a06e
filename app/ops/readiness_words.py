"""Why a snapshot is not safe now, and what to do about it, as plain sentences for the API's answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.api import Failure

# {0}, {1}… are the failure's parameters.
_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "VM_BAD_POWER_STATE": ("The VM is {2}; this needs it {1}.", "Change its power state, or choose another kind."),
    "OTHER_OPERATION_IN_PROGRESS": (
        "Another operation ({2}) is under way on the VM.",
        "Try again when it has finished.",
    ),
    "OPERATION_BLOCKED": ("It is blocked on this VM: {1}.", "Take the block away first."),
    "OPERATION_NOT_ALLOWED": ("{0}.", ""),
    "INTERRUPTED": ("The engine was stopped before its turn ended.", "Run the schedule again if it cannot wait."),
    "VM_IS_TEMPLATE": ("This is a template.", "Make a VM from it first."),
    "VM_IS_SNAPSHOT": ("This is a snapshot already.", "Choose its VM."),
    "VM_HYPERVISOR_FAILURE": ("{1}", "Force the VM to shut down, and start it again."),
    "VM_SNAPSHOT_WITH_QUIESCE_NOT_SUPPORTED": (
        "No agent answers in the guest.",
        "Install and start the QEMU guest agent in it, or take a snapshot without flushing its files.",
    ),
    "VM_NO_SUSPEND_SR": ("There is no storage for the memory.", "Choose a default storage repository."),
    "VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION": (
        "One of its disks forgets its changes at each boot.",
        "Take that disk from the VM.",
    ),
    "SR_BACKEND_FAILURE_38": ("{1}", "Import the disk anew, or take it from the VM."),
    "VDI_NOT_MANAGED": ("One of its disks cannot be frozen.", "Take that disk from the VM."),
    "SR_OPERATION_NOT_SUPPORTED": (
        "One of its disks is in a storage without snapshots.",
        "Take that disk from the VM.",
    ),
    "SR_BACKEND_FAILURE_44": ("{1}. {2}", "Delete snapshots or disks that are not needed, or add space."),
    "SR_BACKEND_FAILURE_46": ("A disk cannot be read. {1}", "Put the file back, or take the disk from the VM."),
    "SR_BACKEND_FAILURE_109": (
        "The snapshot chain is too long. {2}",
        "Delete snapshots that are not needed, and let the merging finish.",
    ),
}


def sentence(failure: Failure) -> tuple[str, str]:
    """The reason and the advice, which may be empty."""
    reason, advice = _WORDS.get(failure.code, ("{code}", ""))
    parameters = [*failure.params, *[""] * 4]
    return reason.format(*parameters, code=str(failure)).strip(), advice
