"""What can be done now, and the reason for what cannot. An empty reason means it can.

The engine's `allowed_operations` decides; the reason is worked out from the record afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable

from app.api import VM, VMOperation, is_null
from app.client import ObjectCache
from ui.base.commands import ENABLED, CommandState, disabled
from ui.snapshots.figures import lock_on, lock_words
from ui.snapshots.words import doing, has_memory

GONE = "It no longer exists."
_ONLY = "Choose snapshots only."


def state(reason: str) -> CommandState:
    """Enabled, or disabled for this reason."""
    return disabled(reason) if reason else ENABLED


def why_no_snapshot(cache: ObjectCache, vm: str) -> str:
    """Why no snapshot of this VM can be taken now."""
    record = cache.get(VM, vm)
    if record is None:
        return GONE
    if VMOperation.snapshot in record.allowed_operations or VMOperation.checkpoint in record.allowed_operations:
        return ""
    if record.is_a_snapshot:
        return "This is a snapshot already."
    if record.is_a_template:
        return "This is a template. Make a VM from it first."
    return _busy(record) or _blocked(record, VMOperation.snapshot) or "The engine does not allow a snapshot now."


def why_no_revert(cache: ObjectCache, snapshot: str) -> str:
    """Why the VM cannot be reverted to this snapshot now."""
    record = _snapshot(cache, snapshot)
    if isinstance(record, str):
        return record
    vm = cache.get(VM, record.snapshot_of) if not is_null(record.snapshot_of) else None
    if vm is not None and vm.current_operations:
        return f"The VM is busy: {_operations(vm)}."
    if VMOperation.revert in record.allowed_operations:
        return ""
    return _busy(record) or _blocked(record, VMOperation.revert) or "The engine does not allow a revert now."


def why_no_delete(cache: ObjectCache, snapshot: str) -> str:
    """Why this snapshot cannot be deleted now."""
    record = _snapshot(cache, snapshot, _ONLY)
    if isinstance(record, str):
        return record
    if VMOperation.destroy in record.allowed_operations:
        return ""
    locked = _locked(record)
    return locked or _busy(record) or "The engine does not allow to delete it now."


def why_no_lock(cache: ObjectCache, snapshot: str) -> str:
    """Why this snapshot cannot be locked now."""
    record = _snapshot(cache, snapshot, _ONLY)
    if isinstance(record, str):
        return record
    if VMOperation.destroy in record.current_operations.values():
        return _busy(record)
    return _locked(record) if lock_on(record) is not None else ""


def why_no_unlock(cache: ObjectCache, snapshot: str) -> str:
    """Why this snapshot cannot be unlocked now."""
    record = _snapshot(cache, snapshot, _ONLY)
    if isinstance(record, str):
        return record
    return "It is not locked." if lock_on(record) is None else ""


def why_no_drop(cache: ObjectCache, snapshot: str) -> str:
    """Why the memory cannot be dropped from this snapshot now."""
    record = _snapshot(cache, snapshot)
    if isinstance(record, str):
        return record
    if not has_memory(record):
        return "It has no memory."
    if VMOperation.hard_shutdown in record.allowed_operations:
        return ""
    return _locked(record) or _busy(record) or "The engine does not allow this now."


def why_no_copy(cache: ObjectCache, snapshot: str, operation: VMOperation) -> str:
    """Why no VM or template can be made from this snapshot now, by `clone` or `copy`."""
    record = _snapshot(cache, snapshot)
    if isinstance(record, str):
        return record
    if operation in record.allowed_operations:
        return ""
    return _busy(record) or _blocked(record, operation) or "The engine does not offer this now."


def why_no_rename(cache: ObjectCache, snapshot: str) -> str:
    """Why this snapshot cannot be renamed."""
    record = _snapshot(cache, snapshot)
    return record if isinstance(record, str) else ""


def deletable(cache: ObjectCache, snapshots: Iterable[str]) -> tuple[str, ...]:
    """Those that can be deleted now."""
    return tuple(ref for ref in snapshots if not why_no_delete(cache, ref))


def _snapshot(cache: ObjectCache, ref: str, otherwise: str = "Choose a snapshot.") -> VM | str:
    """The snapshot of that reference, or why there is none."""
    record = cache.get(VM, ref)
    if record is None:
        return GONE
    return record if record.is_a_snapshot else otherwise


def _operations(vm: VM) -> str:
    return ", ".join(sorted({doing(operation).lower() for operation in vm.current_operations.values()}))


def _busy(record: VM) -> str:
    return f"It is busy: {_operations(record)}." if record.current_operations else ""


def _locked(record: VM) -> str:
    lock = lock_on(record)
    if lock is None:
        return ""
    return f"It is {lock_words(lock)[0].lower()}{lock_words(lock)[1:]}."


def _blocked(record: VM, operation: VMOperation) -> str:
    reason = record.blocked_operations.get(operation)
    if reason is None:
        return ""
    return f"It is blocked: {reason}." if reason else "It is blocked."
