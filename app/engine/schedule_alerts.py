"""An alert for each protected VM that has had no good snapshot for longer than its schedule promises, and its end.

A schedule promises a snapshot at each slot. One that fails may be bad luck; when a second slot has passed as well, and
nothing newer than both is there, someone has to know.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from app.api import EPOCH, VM, VMSS, Failure, Ref
from app.engine.schedule_state import Ledger, is_made_by, protected_by, schedule_of
from app.ops.context import Context
from app.schedule.plan import GRACE, Schedule
from app.schedule.recurrence import slots_between

UNPROTECTED: Final = "VMSS_VM_UNPROTECTED"
PROTECTED: Final = "VMSS_VM_PROTECTED"
SINCE_KEY: Final = "stillframe.unprotected-since"
"""In a VM's other_config while its alert stands, so that dismissing the message does not bring it again."""
LOOK_EVERY: Final = timedelta(minutes=5)
PROMISED: Final = 2
"""Slots that may pass without a snapshot before it is an alert."""


class ProtectionWatch:
    """Looks at all protected VMs, every few minutes of ringing."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._looked = EPOCH

    def look(self, ledger: Ledger) -> None:
        """Raise and end alerts. Does nothing if that was done a moment ago."""
        now = self._context.now()
        if abs(now - self._looked) < LOOK_EVERY:
            return
        self._looked = now
        standing = {ref for ref, vm in self._context.store.all(VM).items() if SINCE_KEY in vm.other_config}
        for ref, record in list(self._context.store.all(VMSS).items()):
            try:
                schedule = schedule_of(ref, record)
                vms = protected_by(self._context, ref, record) if schedule.enabled else []
            except Failure:
                continue
            for vm in vms:
                last = self._last_snapshot(vm, record.uuid)
                if self._is_overdue(schedule, max(last, ledger.begun(ref)), now):
                    if vm not in standing:
                        self._raise(vm, record, last)
                    standing.discard(vm)
        for vm in standing:
            self._end(Ref(vm))

    def _last_snapshot(self, vm: str, uuid: str) -> datetime:
        found = (self._context.store.find(VM, ref) for ref in self._context.store.get(VM, vm).snapshots)
        return max((one.snapshot_time for one in found if one is not None and is_made_by(one, uuid)), default=EPOCH)

    def _is_overdue(self, schedule: Schedule, since: datetime, now: datetime) -> bool:
        if now <= since:
            return False
        return len(slots_between(schedule.rule, schedule.zone, since, now - GRACE, PROMISED)) >= PROMISED

    def _raise(self, vm: Ref[VM], schedule: VMSS, last: datetime) -> None:
        since = f"since {last:%Y-%m-%d %H:%M} UTC" if last > EPOCH else "yet"
        name = self._context.store.get(VM, vm).name_label
        body = f"VM '{name}' has had no snapshot by schedule '{schedule.name_label}' {since}."
        with self._context.store.transaction() as tx:
            other_config = {**tx.get(VM, vm).other_config, SINCE_KEY: self._context.now().isoformat()}
            tx.update(VM, vm, other_config=other_config)
            self._context.post(tx, UNPROTECTED, 2, vm, body)

    def _end(self, vm: Ref[VM]) -> None:
        with self._context.store.transaction() as tx:
            record = tx.get(VM, vm)
            tx.update(VM, vm, other_config={k: v for k, v in record.other_config.items() if k != SINCE_KEY})
            self._context.post(tx, PROTECTED, 5, vm, f"VM '{record.name_label}' is protected again.")
