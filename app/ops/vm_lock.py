"""VM.lock_snapshot and VM.unlock_snapshot, and the end of locks whose time is over.

A lock is one store transaction, so it survives restarts. Anyone with a session may lock and unlock: a lock guards
against mistakes and schedules, not against people.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from app.api import EPOCH, VM, Failure, Ref, VMCalls, VMOperation
from app.api.failure import invalid_value, not_allowed, other_operation
from app.log import get
from app.ops.context import Context, Operations
from app.ops.locking import refresh_vm
from app.ops.locks import BOUND, Lock, is_over, lock_of, locked_fields, unlocked_fields, why_locked
from app.store import Transaction

log = get(__name__)

LONGEST_REASON: Final = 500
LONGEST_OWNER: Final = 200


class VMLockOps(Operations, VMCalls):
    """Locks on snapshots."""

    async def lock_snapshot(self, snapshot: Ref[VM], reason: str, owner: str, until: datetime) -> None:
        record = _snapshot(self.context, snapshot)
        for task, op in record.current_operations.items():
            # Its deletion has begun: a lock now would be a promise that is not kept.
            if op in BOUND:
                raise other_operation("VM", snapshot, op.value, task)
        now = self.context.now()
        lock = Lock(
            reason=_text("reason", reason, LONGEST_REASON, required=True),
            owner=_text("owner", owner, LONGEST_OWNER),
            until=_end(until, now),
            since=now.isoformat(),
        )
        with self.store.transaction() as tx:
            tx.update(VM, snapshot, **locked_fields(record, lock))
            by = f" by {lock.owner}" if lock.owner else ""
            _tell(self.context, tx, snapshot, "SNAPSHOT_LOCKED", f"was locked{by}: {lock.reason}")
        refresh_vm(self.context, snapshot)

    async def unlock_snapshot(self, snapshot: Ref[VM]) -> None:
        record = _snapshot(self.context, snapshot)
        if lock_of(record) is None:
            if VMOperation.destroy in record.blocked_operations:
                raise not_allowed("Another client forbids to delete this snapshot; only its block can be taken away")
            return
        _lift(self.context, [snapshot], "was unlocked")


def lift_expired(context: Context, snapshots: Iterable[str] | None = None) -> None:
    """Take away the locks whose time is over: of these snapshots, or of all. :raise Failure: it cannot be recorded."""
    known = context.store.all(VM)
    now = context.now()
    candidates = list(known) if snapshots is None else [ref for ref in snapshots if ref in known]
    over = [ref for ref in candidates if (lock := lock_of(known[Ref(ref)])) is not None and is_over(lock, now)]
    if over:
        _lift(context, over, "is no longer locked: the lock's time is over")


def require_unlocked(context: Context, vm: Ref[VM], snapshots: Iterable[Ref[VM]]) -> None:
    """Refuse to delete a VM with these snapshots as long as one of them is locked; nothing is changed.

    :raise Failure: OPERATION_BLOCKED, with the names and reasons of all that are.
    """
    now = context.now()
    block = why_locked(context.store.get(VM, vm), now)
    if block is not None:
        raise Failure("OPERATION_BLOCKED", vm, block)
    found = {ref: (context.store.get(VM, ref), why_locked(context.store.get(VM, ref), now)) for ref in snapshots}
    reasons = {ref: (record.name_label, reason) for ref, (record, reason) in found.items() if reason is not None}
    if len(reasons) == 1:
        ((_, (name, reason)),) = reasons.items()
        raise Failure("OPERATION_BLOCKED", vm, f"its snapshot “{name}” is locked: {reason}")
    if reasons:
        names = "; ".join(f"“{name}”: {reason}" for name, reason in sorted(reasons.values()))
        raise Failure("OPERATION_BLOCKED", vm, f"{len(reasons)} of its snapshots are locked ({names})")


def _snapshot(context: Context, ref: Ref[VM]) -> VM:
    record = context.store.get(VM, ref)
    if not record.is_a_snapshot:
        raise not_allowed("Only a snapshot can be locked")
    return record


def _text(field: str, text: str, longest: int, *, required: bool = False) -> str:
    found = text.strip()
    if (required and not found) or len(found) > longest or any(c < " " and c != "\n" for c in found):
        raise invalid_value(field, text[:80])
    return found


def _end(until: datetime, now: datetime) -> str:
    end = until if until.tzinfo is not None else until.replace(tzinfo=UTC)
    if end == EPOCH:
        return ""
    if end <= now:
        raise invalid_value("until", end.isoformat())
    return end.astimezone(UTC).isoformat()


def _lift(context: Context, snapshots: Iterable[str], news: str) -> None:
    refs = list(snapshots)
    with context.store.transaction() as tx:
        for ref in refs:
            tx.update(VM, ref, **unlocked_fields(tx.get(VM, ref)))
            _tell(context, tx, ref, "SNAPSHOT_UNLOCKED", news)
    for ref in refs:
        refresh_vm(context, ref)


def _tell(context: Context, tx: Transaction, snapshot: str, name: str, news: str) -> None:
    """Leave a message on the VM, where its history is; on the snapshot itself when the VM is gone."""
    record = tx.get(VM, snapshot)
    about = record.snapshot_of if context.store.find(VM, record.snapshot_of) is not None else snapshot
    context.post(tx, name, 5, about, f"Snapshot '{record.name_label}' (uuid: {record.uuid}) {news}")
