"""How long the scheduler looks at many schedules, with nothing due and with everything due."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from app.api import VM, VMSS, Ref, VMSSFrequency, VMSSRun, VMSSRunStatus
from app.engine.schedule_state import Ledger, members_of, protected_by, schedule_of
from app.hypervisor.simulated import SimulatedDriver
from app.ops.context import Context
from app.schedule.plan import plan
from app.store import Store, Transaction
from tests.bench.benchmark import Benchmark, Options
from tests.bench.engine import data_folder
from tests.bench.result import Result, medians, value
from tests.support.engine import open_bench

SCHEDULES = 1000
VMS = 3000
SNAPSHOTS = 3
ROUNDS = 5
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def benchmark() -> Benchmark:
    """The benchmark."""
    return Benchmark("schedules", f"planning {SCHEDULES} schedules over {VMS} VMs", measure)


def measure(options: Options) -> Sequence[Result]:
    """Run it."""
    samples = asyncio.run(_measure(options))
    return [
        value(
            "schedules-planned",
            medians(samples)["all due"],
            samples,
            unit="s",
            target=1.0,
            compared_with="none due: the same a minute before the slot",
            how=f"one look at {SCHEDULES} schedules over {VMS} VMs with {SNAPSHOTS} snapshots each",
        )
    ]


async def _measure(options: Options) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = {"all due": [], "none due": []}
    with data_folder(options) as folder:
        async with open_bench(folder / "data", SimulatedDriver()) as bench:
            context = bench.engine.context
            _fill(context.store)
            for _ in range(options.take(ROUNDS)):
                samples["none due"].append(_look(context, NOW - timedelta(minutes=1)))
                samples["all due"].append(_look(context, NOW))
    return samples


def _fill(store: Store) -> None:
    with store.transaction() as tx:
        for number in range(SCHEDULES):
            vmss = tx.create(
                VMSS(
                    name_label=f"schedule {number}",
                    frequency=VMSSFrequency.daily,
                    schedule={"hour": "12", "min": "0", "stillframe.zone": "UTC", "stillframe.keep": "daily=7"},
                )
            )
            noted = NOW - timedelta(hours=5)
            tx.create(VMSSRun(VMSS=vmss, status=VMSSRunStatus.noted, dealt_with=noted, started=noted))
            uuid = tx.get(VMSS, vmss).uuid
            for place in range(VMS // SCHEDULES):
                _vm(tx, vmss, uuid, f"vm {number}.{place}")


def _vm(tx: Transaction, vmss: Ref[VMSS], uuid: str, name: str) -> None:
    vm = tx.create(VM(name_label=name, snapshot_schedule=vmss))
    for day in range(SNAPSHOTS):
        tx.create(
            VM(
                is_a_snapshot=True,
                is_a_template=True,
                is_vmss_snapshot=True,
                snapshot_of=vm,
                snapshot_time=NOW - timedelta(days=day + 1),
                other_config={"stillframe.schedule": uuid},
            )
        )


def _look(context: Context, now: datetime) -> float:
    """One look as the scheduler takes it, up to but without carrying anything out."""
    started = time.perf_counter()
    ledger = Ledger(context)
    for ref, record in context.store.all(VMSS).items():
        schedule = schedule_of(ref, record)
        done = ledger.dealt_with(ref)
        if plan(schedule, (), done, now).run is not None:
            plan(schedule, members_of(context, record, protected_by(context, ref, record)), done, now)
    return time.perf_counter() - started
