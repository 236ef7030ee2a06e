"""Failures in words: what went wrong, with names in place of references, and what to do about it. One table."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from app.api import SR, VDI, VM, ConnectionLost, Failure, Host, Record, Task
from app.client import ObjectCache
from app.client.manifests import ManifestError
from ui.base.locks import lock_of
from ui.base.sizes_and_dates import size


@dataclass(frozen=True, slots=True)
class Explanation:
    """`why` is a sentence that stands alone; `advice` is what to do, maybe empty; `details` is for support."""

    why: str
    advice: str = ""
    details: str = ""


@dataclass(frozen=True, slots=True)
class _Words:
    why: str
    advice: str = ""


_DAMAGED: Final = "The file is damaged: something in it does not match its checksum."
_AGAIN: Final = "Copy or download it again."
_BAD_BLOCK: Final = "Invalid_checksum"
"""What XenServer's general import error says of a block that does not match."""

# {0}, {1}… are the failure's parameters, references turned into names.
_TABLE: Final[Mapping[str, _Words]] = {
    "VM_BAD_POWER_STATE": _Words("{0} is {2}; this needs it {1}."),
    "OTHER_OPERATION_IN_PROGRESS": _Words(
        "Another operation ({2}) is under way on {1}.", "Try again when it has finished."
    ),
    "OPERATION_BLOCKED": _Words("{0} is locked against this: {1}.", "Unlock it first."),
    "OPERATION_NOT_ALLOWED": _Words("{0}"),
    "VM_IS_TEMPLATE": _Words("{0} is a template.", "Make a VM from it first."),
    "VM_IS_SNAPSHOT": _Words("{0} is a snapshot."),
    "VM_CANNOT_DELETE_DEFAULT_TEMPLATE": _Words("{0} is a built-in template and cannot be deleted."),
    "VM_SHUTDOWN_TIMEOUT": _Words(
        "The guest in {0} did not switch itself off.", "Use Force Shut Down: it is like pulling the plug."
    ),
    "VM_HYPERVISOR_FAILURE": _Words("{1}"),
    "VM_REVERT_FAILED": _Words("The revert did not happen; {1} is as it was."),
    "REVERT_ONLY_ALLOWED_ON_SNAPSHOT": _Words("Only a snapshot can be reverted to."),
    "PROVISION_ONLY_ALLOWED_ON_TEMPLATE": _Words("Only a template can be provisioned."),
    "VM_ASSIGNED_TO_SNAPSHOT_SCHEDULE": _Words(
        "{0} is protected by the schedule {1}.", "Take it out of the schedule first."
    ),
    "HANDLE_INVALID": _Words("The {0} no longer exists."),
    "UUID_INVALID": _Words("No {0} has the id {1}."),
    "INVALID_VALUE": _Words("{1} is not a possible value of {0}."),
    "FIELD_TYPE_ERROR": _Words("The value of {0} is of the wrong type."),
    "MEMORY_CONSTRAINT_VIOLATION_ORDER": _Words("The memory limits contradict each other."),
    "HOST_NOT_ENOUGH_FREE_MEMORY": _Words(
        "The host has {1} of memory free and {0} are needed.", "Stop another VM, or give this one less memory."
    ),
    "VM_START_FAILED": _Words("{0} could not be started. {1}"),
    "VM_HAS_NO_SUSPEND_VDI": _Words("{0} has no memory image.", "Shut it down by force, then start it afresh."),
    "VM_NO_SUSPEND_SR": _Words(
        "There is no storage for the memory of {0}.",
        "Set a default storage, then try again; disks can be kept without.",
    ),
    "VM_CHECKPOINT_SUSPEND_FAILED": _Words(
        "The memory of {0} could not be saved; the guest runs on.", "A snapshot of the disks alone may still work."
    ),
    "VM_CHECKPOINT_RESUME_FAILED": _Words(
        "The snapshot of {0} was taken, but the guest did not go on.", "Resume it by hand."
    ),
    "VM_SNAPSHOT_WITH_QUIESCE_NOT_SUPPORTED": _Words(
        "The files of {0} cannot be flushed: no guest agent answers in it.",
        "Install the QEMU guest agent in the guest, or take a snapshot without flushing.",
    ),
    "VM_SNAPSHOT_WITH_QUIESCE_FAILED": _Words(
        "The guest in {0} could not flush its files; no snapshot was taken.", "Take a snapshot without flushing."
    ),
    "VM_SNAPSHOT_WITH_QUIESCE_TIMEOUT": _Words(
        "The guest in {0} took too long to flush its files, and was let go on; no snapshot was taken.",
        "Try again when it is less busy, or take a snapshot without flushing.",
    ),
    "SR_BACKEND_FAILURE_24": _Words("The disk is in use: {1}"),
    "SR_BACKEND_FAILURE_38": _Words(
        "The storage cannot do this with a raw disk. {1}", "Import it as a new disk first."
    ),
    "SR_BACKEND_FAILURE_40": _Words("The storage could not be written. {1}", "Check its disk, then scan the storage."),
    "SR_BACKEND_FAILURE_44": _Words(
        "The storage is full. {2}", "Delete snapshots or disks that are not needed, or add space."
    ),
    "SR_BACKEND_FAILURE_46": _Words("A disk cannot be used. {1}", "Check the storage, then scan it again."),
    "SR_BACKEND_FAILURE_79": _Words("The disk's size is not possible. {1}"),
    "SR_BACKEND_FAILURE_109": _Words(
        "The disk has too many snapshots in a row. {2}", "Delete snapshots that are not needed."
    ),
    "SR_OPERATION_NOT_SUPPORTED": _Words("The storage {0} cannot do this."),
    "SR_HAS_NO_PBDS": _Words("The storage {0} is not connected to any host."),
    "DEFAULT_SR_NOT_FOUND": _Words("No default storage is set."),
    "VDI_IN_USE": _Words("The disk {0} is in use."),
    "VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION": _Words(
        "A disk of it forgets its changes at each boot, so its state cannot be kept.", "Take that disk from the VM."
    ),
    "VDI_NOT_MANAGED": _Words("{0} is a base copy that other disks build on."),
    "DEVICE_ALREADY_EXISTS": _Words("Device {0} is taken."),
    "MAC_INVALID": _Words("{0} is not a hardware address."),
    "VBD_IS_EMPTY": _Words("The drive is empty."),
    "VBD_NOT_EMPTY": _Words("There is a disc in the drive."),
    "VBD_NOT_REMOVABLE_MEDIA": _Words("This is not a drive for discs."),
    "TASK_CANCELLED": _Words("It was cancelled, and what it had begun was undone."),
    "EVENT_FROM_TOKEN_PARSE_FAILURE": _Words("The engine does not know how far this client has listened."),
    "EVENT_SUBSCRIPTION_PARSE_FAILURE": _Words("The engine does not know what this client wants to hear of."),
    "MESSAGE_PARAMETER_COUNT_MISMATCH": _Words("{0} takes {1} parameters, not {2}."),
    "MAP_DUPLICATE_KEY": _Words("{1} of the {0} has a key {3} already."),
    "SR_FULL": _Words("The storage is full.", "Delete snapshots or disks that are not needed, or add space."),
    "VDI_INCOMPATIBLE_TYPE": _Words("This cannot be done with {0}, because of what the disk is for."),
    "VMSS_HAS_VM": _Words("VMs are protected by the schedule {0}.", "Take them out of it first."),
    "VDI_MISSING": _Words("The file of {1} is missing.", "Put it back, then scan the storage."),
    "MAIL_NOT_SENT": _Words("{0}", "Check the mail settings, then send a test message."),
    "MAIL_PASSWORD_NOT_KEPT": _Words(
        "{0}", "Name a file with the password or a systemd credential to the service; docs/mail.md says how."
    ),
    "INTERRUPTED": _Words("The engine was stopped before its turn ended."),
    "SESSION_INVALID": _Words("The session has ended.", "Connect again."),
    "SESSION_AUTHENTICATION_FAILED": _Words("The user name or password is wrong."),
    "SSL_VERIFY_ERROR": _Words(
        "The server {0} cannot be trusted: {1}.",
        "Ask whoever runs it whether its certificate was replaced, and compare the fingerprints in the details.",
    ),
    "HOST_IS_SLAVE": _Words("That host does not answer for its pool; {0} does.", "Connect to that one."),
    "CHANGE_PASSWORD_REJECTED": _Words("The new password was refused. {0}"),
    "EVENTS_LOST": _Words("Some of what happened was not heard of.", "Everything is read again by itself."),
    "SESSION_NOT_REGISTERED": _Words("The session does not listen to what happens."),
    "XENAPI_MISSING_PLUGIN": _Words("The server has no plug-in {0}."),
    "MESSAGE_METHOD_UNKNOWN": _Words("The server does not know {0}."),
    "IMPORT_ERROR": _Words("The file could not be imported: {0}"),
    "IMPORT_ERROR_GENERIC": _Words("The file is not a valid export. {0}"),
    "IMPORT_ERROR_PREMATURE_EOF": _Words("The file ends too early, or is no export.", "Copy or download it again."),
    "IMPORT_ERROR_SOME_CHECKSUMS_FAILED": _Words(_DAMAGED, _AGAIN),
    "IMPORT_ERROR_UNEXPECTED_FILE": _Words("The file is no export: it holds “{1}” where “{0}” should be."),
    "IMPORT_ERROR_FAILED_TO_FIND_OBJECT": _Words("The file names something that it does not hold: {0}."),
    "IMPORT_ERROR_ATTACHED_DISKS_NOT_FOUND": _Words(
        "The disks that it needs are not here.", "Export it with its disks."
    ),
    "IMPORT_ERROR_CANNOT_HANDLE_CHUNKED": _Words("The server takes no file of unknown length."),
    "IMPORT_INCOMPATIBLE_VERSION": _Words("A newer program wrote this file, in a way that is not known here."),
    "VM_TO_IMPORT_IS_NOT_NEWER_VERSION": _Words(
        "{0} is here already, and not older than the one in the file.", "Import it as a new VM."
    ),
    "DUPLICATE_MAC_SEED": _Words("{0} has the same network addresses already.", "Import it as a new VM."),
    "INTERNAL_ERROR": _Words("Something went wrong inside Stillframe: {0}", "The log file has the details."),
}

#: the parameters of a code that are bytes
_BYTES: Final[Mapping[str, tuple[int, ...]]] = {"HOST_NOT_ENOUGH_FREE_MEMORY": (0, 1)}

NamedRecords: Final[tuple[type[Record], ...]] = (VM, VDI, SR, Host, Task)


def codes() -> frozenset[str]:
    """The codes that have words of their own."""
    return frozenset(_TABLE)


def explain(error: Exception, cache: ObjectCache) -> Explanation:
    """The error in words."""
    if isinstance(error, ConnectionLost):
        return Explanation(
            "The connection to the engine was lost before it answered; whether it happened is not known.",
            "It is looked up as soon as the connection is back.",
            str(error),
        )
    if isinstance(error, OSError):
        return _of_system(error)
    if isinstance(error, ManifestError):
        advice = "Import the file from its source again, or remove the manifest if you trust the file without it."
        return Explanation(error.params[0], advice, repr(error))
    if not isinstance(error, Failure):
        return Explanation(
            f"Something went wrong inside Stillframe: {error}", "The log file has the details.", repr(error)
        )
    return _locked(error, cache) or _damaged(error) or explain_failure(error, lambda value: name_of(cache, value))


def explain_failure(failure: Failure, name: Callable[[str], str]) -> Explanation:
    """A failure in words; `name` turns a reference into a name and leaves all else as it is."""
    details = "\n".join(failure.description())
    words = _TABLE.get(failure.code)
    if words is None:
        given = ", ".join(name(p) for p in failure.params if p)
        return Explanation(f"{failure.code}: {given}" if given else failure.code, "", details)
    octets = _BYTES.get(failure.code, ())
    params = [size(int(p)) if place in octets and p.isdigit() else name(p) for place, p in enumerate(failure.params)]
    why = words.why
    for place in range(8):
        why = why.replace(f"{{{place}}}", params[place] if place < len(params) else "")
    return Explanation(why.strip(), words.advice, details)


def _of_system(error: OSError) -> Explanation:
    """What the operating system refused, about a file of the person's own."""
    path = f": {error.filename}" if isinstance(error.filename, str) else ""
    if isinstance(error, FileExistsError):
        return Explanation(f"There is such a file already{path}.", "Choose another name.", repr(error))
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    advice = "Free some space, or choose another folder." if full else ""
    return Explanation(f"{error.strerror or error}{path}.", advice, repr(error))


def _damaged(failure: Failure) -> Explanation | None:
    """A block that does not match comes in the general error, and is told as what it is."""
    if failure.code != "IMPORT_ERROR" or not any(_BAD_BLOCK in param for param in failure.params):
        return None
    return Explanation(_DAMAGED, _AGAIN, "\n".join(failure.description()))


def _locked(failure: Failure, cache: ObjectCache) -> Explanation | None:
    """What forbids to delete a locked snapshot is what somebody wrote."""
    ref = failure.params[0] if failure.code == "OPERATION_BLOCKED" and failure.params else ""
    record = cache.get(VM, ref)
    lock = None if record is None else lock_of(record)
    if lock is None:
        return None
    why = f"{name_of(cache, ref)} is locked{lock.by_whom()}{f': {lock.reason}' if lock.reason else ''}."
    return Explanation(why, "Unlock it first, if you may.", "\n".join(failure.description()))


def name_of(cache: ObjectCache, value: str) -> str:
    """The name of the object behind a reference; any other text as it is."""
    if not value.startswith("OpaqueRef:"):
        return value
    for record_type in NamedRecords:
        record = cache.get(record_type, value)
        if record is not None:
            return f"“{getattr(record, 'name_label', '') or record.uuid}”"
    return "an object that is gone"
