"""The scheduler of the engine: at each ring it asks the plan of every schedule what is due, and has it carried out.

The bell (`app.schedule.bell`) only wakes it. Rung too often it does nothing more; rung too late it follows the
schedule's policy for missed slots.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from app.api import VMSS, Failure, Ref, VMSSRun, VMSSRunStatus
from app.api.failure import not_allowed
from app.engine.schedule_alerts import ProtectionWatch
from app.engine.schedule_runs import Implementation, Runner, claim, forget_future, note, unfinished
from app.engine.schedule_state import Ledger, members_of, protected_by, schedule_of
from app.engine.tasks import Tasks
from app.log import get
from app.ops.context import Context
from app.schedule.bell import Bell
from app.schedule.plan import Kind, Plan, Run, Schedule, Visit, plan, run_for
from app.schedule.recurrence import next_slots

log = get(__name__)

CLOCK_ERROR: Final = timedelta(hours=25)
"""A slot further ahead than this was not run early: the clock was wrong when it ran."""


class Schedules:
    """All schedules of the engine."""

    def __init__(self, context: Context, tasks: Tasks, implementation: Implementation) -> None:
        self._context = context
        self._runner = Runner(context, tasks, implementation)
        self._watch = ProtectionWatch(context)
        self._runs: set[asyncio.Task[VMSSRunStatus]] = set()
        self._bell = Bell(self.tick, context.now)

    def open(self) -> None:
        """Go on with what was interrupted and begin to watch the clock."""
        for line, visits in unfinished(self._context):
            record = self._context.store.get(VMSS, self._context.store.get(VMSSRun, line).VMSS)
            log.info("a run goes on", schedule=record.name_label, vms=len(visits))
            self._start(line, record.type.value, visits)
        self._bell.open()

    def stop(self) -> None:
        """Stop watching the clock and begin nothing more; wait for what is under way with `idle`."""
        self._runner.stop()
        self._bell.close()

    def ring(self) -> None:
        """Something changed: look at the clock again."""
        self._bell.ring()

    async def idle(self) -> None:
        """Wait until no run is under way."""
        while self._runs:
            await asyncio.wait(self._runs)

    def tick(self) -> datetime | None:
        """Start what is due now, write down what was missed; answer when the next slot is, None if there is none."""
        upcoming: list[datetime] = []
        ledger = Ledger(self._context)
        for ref, record in list(self._context.store.all(VMSS).items()):
            try:
                schedule = schedule_of(ref, record)
                self._look_at(schedule, record, ledger)
                if schedule.enabled:
                    upcoming += next_slots(schedule.rule, schedule.zone, self._context.now(), 1)
            except Failure as failure:
                # One schedule that cannot be read or written must not keep the others from running.
                log.error("a schedule could not be looked at", schedule=record.name_label, error=str(failure))
        self._watch.look(ledger)
        return min(upcoming, default=None)

    async def run_now(self, ref: Ref[VMSS]) -> VMSSRunStatus:
        """Run a schedule by hand, also a disabled one. :raise Failure: OPERATION_NOT_ALLOWED."""
        record = self._context.store.get(VMSS, ref)
        if Ledger(self._context).is_under_way(ref):
            raise not_allowed(f"A run of “{record.name_label}” is under way already")
        now = self._context.now()
        schedule = schedule_of(ref, record)
        members = members_of(self._context, record, protected_by(self._context, ref, record))
        run = run_for(schedule, members, now, now)
        line = claim(self._context, run, "manual")
        return await asyncio.shield(self._start(line, schedule.kind, run.visits))

    def _look_at(self, schedule: Schedule, record: VMSS, ledger: Ledger) -> None:
        ref: Ref[VMSS] = Ref(schedule.ref)
        done = ledger.dealt_with(ref)
        if done > self._context.now() + CLOCK_ERROR:
            done = forget_future(self._context, ref)
        now = self._context.now()
        found = plan(schedule, (), done, now)
        if found.run is not None:  # only now is it worth looking at the VMs
            vms = protected_by(self._context, ref, record)
            found = plan(schedule, members_of(self._context, record, vms), done, now)
        if found.run is None:
            if found.missed:
                self._note_missed(ref, found.missed, found.dealt_with)
        elif not found.run.visits:
            note(self._context, ref, VMSSRunStatus.skipped, "schedule", found.dealt_with)
        elif ledger.is_under_way(ref):
            log.warning("a run is still under way", schedule=record.name_label)
            self._note_missed(ref, (*found.missed, found.run.slot), found.dealt_with)
        else:
            self._begin(schedule, found, found.run)

    def _begin(self, schedule: Schedule, found: Plan, run: Run) -> None:
        if found.missed:
            self._note_missed(Ref(schedule.ref), found.missed, found.missed[-1])
        line = claim(self._context, run, "late" if run.late else "schedule", len(found.missed))
        self._start(line, schedule.kind, run.visits)

    def _note_missed(self, ref: Ref[VMSS], missed: Sequence[datetime], upto: datetime) -> None:
        note(self._context, ref, VMSSRunStatus.missed, "missed", upto, len(missed))

    def _start(self, line: Ref[VMSSRun], kind: Kind, visits: Sequence[Visit]) -> asyncio.Task[VMSSRunStatus]:
        work = asyncio.ensure_future(self._runner.carry_out(line, kind, visits))
        self._runs.add(work)
        work.add_done_callback(self._runs.discard)
        return work
