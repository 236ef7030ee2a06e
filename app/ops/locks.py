"""Locks on snapshots: who forbade to delete one, why and until when. Pure functions over records.

The one place that says what is locked: deletion by hand, in bulk and by schedules all ask here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from app.api import EPOCH, VM, VMOperation

LOCK_KEY: Final = "stillframe.lock"
"""In a snapshot's other_config: the lock as JSON; see `Lock`."""
BOUND: Final = frozenset({VMOperation.destroy, VMOperation.hard_shutdown})
"""What a lock forbids: to delete the snapshot, and to drop the memory of a checkpoint."""


class Lock(msgspec.Struct, frozen=True):
    """`until` and `since` are ISO 8601; an empty `until` has no end."""

    reason: str
    owner: str
    until: str
    since: str

    @property
    def end(self) -> datetime:
        """When it ends, UTC; the epoch for one without an end. :raise ValueError: it is not a date."""
        return datetime.fromisoformat(self.until) if self.until else EPOCH

    def pack(self) -> str:
        """The text that is stored."""
        return msgspec.json.encode(self).decode()


def lock_of(record: VM) -> Lock | None:
    """The lock on a snapshot, also one whose time is over; None for text that another client has damaged."""
    text = record.other_config.get(LOCK_KEY, "")
    if not text or not record.is_a_snapshot:
        return None
    try:
        lock = msgspec.json.decode(text, type=Lock)
        if lock.end.tzinfo is None:
            return None
    except (msgspec.DecodeError, ValueError):
        return None
    return lock


def is_over(lock: Lock, now: datetime) -> bool:
    """Whether a lock's time is over."""
    return bool(lock.until) and lock.end <= now


def is_locked(record: VM, now: datetime) -> bool:
    """Whether this snapshot must not be deleted: a lock that binds, or a block that another client has set."""
    return why_locked(record, now) is not None


def why_locked(record: VM, now: datetime) -> str | None:
    """The reason that `is_locked`; None if it is not."""
    lock = lock_of(record)
    if lock is not None and not is_over(lock, now):
        return lock.reason
    block = record.blocked_operations.get(VMOperation.destroy)
    return None if lock is not None and block == lock.reason else block


def locked_fields(record: VM, lock: Lock) -> Mapping[str, object]:
    """The fields of a snapshot under this lock. A block that another client has set stays as it is."""
    blocked = record.blocked_operations
    if VMOperation.destroy not in blocked or _is_ours(record):
        blocked = {**blocked, VMOperation.destroy: lock.reason}
    return {"other_config": {**record.other_config, LOCK_KEY: lock.pack()}, "blocked_operations": blocked}


def unlocked_fields(record: VM) -> Mapping[str, object]:
    """The fields of a snapshot without its lock. A block that another client has set stays as it is."""
    blocked = dict(record.blocked_operations)
    if _is_ours(record):
        del blocked[VMOperation.destroy]
    other_config = {key: value for key, value in record.other_config.items() if key != LOCK_KEY}
    return {"other_config": other_config, "blocked_operations": blocked}


def _is_ours(record: VM) -> bool:
    lock = lock_of(record)
    return lock is not None and record.blocked_operations.get(VMOperation.destroy) == lock.reason
