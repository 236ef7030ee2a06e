"""The server's refusals in words: a sentence for each code that has one, and its parameters by name."""

from __future__ import annotations

from typing import Final

from app.cli.errors import ServerFailure, Unreachable
from app.cli.inventory import Inventory, Object

_REFERENCE: Final = "OpaqueRef:"
_CLASS_OF: Final = {
    "vm": "VM",
    "snapshot": "VM",
    "sr": "SR",
    "vdi": "VDI",
    "vbd": "VBD",
    "vif": "VIF",
    "vmss": "VMSS",
    "host": "host",
    "task": "task",
    "network": "network",
}
_ANY: Final = ("VM", "VDI", "SR", "VBD", "VIF", "VMSS", "network", "host", "task", "pool", "PBD", "message")

_POWER: Final = (
    "You attempted an operation on a VM that was not in an appropriate power state at the time; for example, you "
    "attempted to start a VM that was already running. The parameters returned are the VM's handle, and the expected "
    "and actual VM state at the time of the call."
)

#: code -> the sentence, then what its parameters are called
SENTENCES: Final[dict[str, tuple[str, ...]]] = {
    "UUID_INVALID": ("The uuid you supplied was invalid.", "type", "uuid"),
    "HANDLE_INVALID": ("The object given does not exist, or is gone.", "class", "handle"),
    "VM_BAD_POWER_STATE": (_POWER, "vm", "expected", "actual"),
    "INVALID_VALUE": ("The value given is invalid", "field", "value"),
    "VALUE_NOT_SUPPORTED": ("This value is not supported.", "field", "value", "reason"),
    "FIELD_TYPE_ERROR": ("The value given is of the wrong type.", "field"),
    "MAP_DUPLICATE_KEY": (
        "You tried to add a key-value pair to a map, but that key is already there.",
        "type",
        "param_name",
        "uuid",
        "key",
    ),
    "INTERNAL_ERROR": (
        "The server failed to handle your request, due to an internal error. The given message may give details "
        "useful for debugging the problem.",
        "message",
    ),
    "MESSAGE_REMOVED": ("This function is no longer available.",),
    "MESSAGE_METHOD_UNKNOWN": ("This server does not know the message.", "method"),
    "MESSAGE_PARAMETER_COUNT_MISMATCH": (
        "The message was sent with the wrong number of parameters.",
        "method",
        "expected",
        "received",
    ),
    "VM_REVERT_FAILED": (
        "An error occured while reverting the specified virtual machine to the specified snapshot",
        "vm",
        "snapshot",
    ),
    "VM_TO_IMPORT_IS_NOT_NEWER_VERSION": (
        "The VM cannot be imported unforced because it is either the same version or an older version of an existing "
        "VM.",
        "vm",
        "existing_version",
        "version_to_import",
    ),
    "VMSS_HAS_VM": ("There is at least one VM assigned to snapshot schedule.",),
    "VM_ASSIGNED_TO_SNAPSHOT_SCHEDULE": ("The VM is assigned to a snapshot schedule.", "vm", "vmss"),
    "VM_IS_TEMPLATE": ("The operation cannot be done on a template.", "vm", "operation"),
    "VM_IS_SNAPSHOT": ("The operation cannot be done on a snapshot.", "vm", "operation"),
    "VM_CANNOT_DELETE_DEFAULT_TEMPLATE": ("A template that comes with the product cannot be deleted.",),
    "VM_LACKS_FEATURE": ("The guest does not support the operation; its tools may not be running.", "vm"),
    "VM_NON_SUSPENDABLE": ("The VM cannot be suspended.", "vm", "reason"),
    "VM_NO_SUSPEND_SR": ("There is no storage repository for the VM's memory image.", "vm"),
    "VM_SNAPSHOT_WITH_QUIESCE_NOT_SUPPORTED": ("The VM cannot be snapshotted with its file systems frozen.", "vm"),
    "VM_SHUTDOWN_TIMEOUT": ("The guest did not shut down in time.", "vm", "timeout"),
    "VM_START_FAILED": ("The VM could not be started.", "vm", "reason"),
    "HOST_NOT_ENOUGH_FREE_MEMORY": ("The host has not enough free memory for the VM.", "needed", "available"),
    "OPERATION_NOT_ALLOWED": ("You attempted an operation that was not allowed.", "reason"),
    "OPERATION_BLOCKED": ("You attempted an operation that was explicitly blocked.", "ref", "code"),
    "OTHER_OPERATION_IN_PROGRESS": ("Another operation holds the object.", "class", "object", "operation", "task"),
    "REVERT_ONLY_ALLOWED_ON_SNAPSHOT": ("Only a snapshot can be reverted to.",),
    "PROVISION_ONLY_ALLOWED_ON_TEMPLATE": ("Only a template can be made a VM.",),
    "SR_FULL": ("The storage repository is full.", "requested", "maximum"),
    "SR_HAS_NO_PBDS": ("The storage repository is not reachable.", "sr"),
    "SR_OPERATION_NOT_SUPPORTED": ("The storage repository does not support the operation.", "sr"),
    "SR_SUSPEND_SPACE_INSUFFICIENT": ("The storage repository has no room for the VM's memory.", "sr"),
    "VDI_IN_USE": ("The disk is in use.", "vdi", "operation"),
    "VDI_NOT_MANAGED": ("The disk is not one that can be worked with by itself.", "vdi"),
    "VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION": ("A disk that is reset at each start stands in the way.",),
    "VBD_IS_EMPTY": ("The drive is empty.", "vbd"),
    "VBD_NOT_EMPTY": ("The drive holds a medium already.", "vbd"),
    "VBD_NOT_REMOVABLE_MEDIA": ("The device is no drive whose medium can be changed.", "vbd"),
    "DEVICE_ALREADY_EXISTS": ("The device number is taken.", "device"),
    "MAC_INVALID": ("The hardware address is not valid.", "MAC"),
    "MEMORY_CONSTRAINT_VIOLATION_ORDER": ("The memory limits are not in their order.",),
    "DEFAULT_SR_NOT_FOUND": ("The pool has no default storage repository.", "sr"),
    "TASK_CANCELLED": ("The request was cancelled.", "task"),
    "SESSION_INVALID": ("The session has ended.", "handle"),
    "SESSION_AUTHENTICATION_FAILED": ("The user and password were not accepted.",),
    "SSL_VERIFY_ERROR": (
        "The server cannot be trusted. If its certificate was replaced on purpose, take it out of known_servers.json "
        "in the data folder.",
        "server",
        "reason",
        "known",
        "shown",
    ),
    "HOST_IS_SLAVE": ("The host is not the pool's master; ask that one.", "address"),
    "IMPORT_INCOMPATIBLE_VERSION": ("The archive was made by a newer version.",),
    "IMPORT_ERROR": ("The import failed.", "message"),
    "IMPORT_ERROR_PREMATURE_EOF": ("The archive ends too early.",),
    "IMPORT_ERROR_SOME_CHECKSUMS_FAILED": ("Parts of the archive are damaged.",),
    "IMPORT_ERROR_UNEXPECTED_FILE": ("The archive holds something else than it should.", "filename_expected", "found"),
    "DUPLICATE_MAC_SEED": ("Another VM has the same hardware addresses.", "seed"),
}


def lines(failure: ServerFailure, inventory: Inventory) -> list[str]:
    """What xe prints for a refusal."""
    sentence, *names = SENTENCES.get(failure.code, ("",))
    if not sentence:
        found = [f"Error code: {failure.code}"]
        return [*found, f"Error parameters: {', '.join(failure.params)}"]
    shown = [sentence]
    for at, param in enumerate(failure.params):
        name = names[at] if at < len(names) else "<extra>"
        shown.append(f"{name}: {reference(param, inventory, _CLASS_OF.get(name, ''))}")
    return shown


def reference(text: str, inventory: Inventory, likely: str = "") -> str:
    """A reference as `uuid (name)`; other text, and a reference that leads nowhere, as it is."""
    if not text.startswith(_REFERENCE):
        return text
    for cls in dict.fromkeys((likely, *_ANY)):
        found = _found(cls, text, inventory) if cls else None
        if found is not None:
            name = found.get("name_label", "")
            return f"{found['uuid']} ({name})" if name else str(found["uuid"])
    return text


def _found(cls: str, ref: str, inventory: Inventory) -> Object | None:
    try:
        return inventory.get(cls, ref)
    except (ServerFailure, Unreachable):
        return None
