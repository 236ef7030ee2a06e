"""What the object store does in a second, and how soon a client hears of it. No targets: these figures inform."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from app.api import VM, Ref
from app.store import Store
from tests.bench.benchmark import Benchmark, Options
from tests.bench.engine import EngineBench, data_folder, opened
from tests.bench.result import Result, medians, value

ROUNDS = 9
TRANSACTIONS = 40
VMS = 500
EVENTS = 100


def benchmark() -> Benchmark:
    """The benchmark."""
    return Benchmark("store", "transactions in a second, and the time until a client hears of a change", measure)


def measure(options: Options) -> Sequence[Result]:
    """Run it."""
    rates = _rates(options)
    latencies = _latencies(options)
    return [
        value(
            "store-transactions",
            medians(rates)["synced"],
            rates,
            unit="1/s",
            target=None,
            compared_with="in-memory: the same without a file",
            how=f"one changed field of one VM each, among {VMS} VMs; each durable when it returns",
        ),
        value(
            "event-latency",
            medians(latencies)["event.from"],
            latencies,
            unit="ms",
            target=None,
            compared_with="call: the answer to the call that makes the change",
            how="from the call that changes a field until an event.from that waits for it answers, both in-process",
        ),
    ]


def _rates(options: Options) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = {"synced": [], "in-memory": []}
    with data_folder(options) as folder:
        stores = {"synced": Store(folder / "store.db"), "in-memory": Store()}
        vms = {name: _fill(store) for name, store in stores.items()}
        for _ in range(options.take(ROUNDS)):
            for name, store in stores.items():
                samples[name].append(TRANSACTIONS / _change(store, vms[name]))
        for store in stores.values():
            store.close()
    return samples


def _fill(store: Store) -> Ref[VM]:
    with store.transaction() as tx:
        vms = [tx.create(VM(name_label=f"VM {number}")) for number in range(VMS)]
    return vms[0]


def _change(store: Store, vm: Ref[VM]) -> float:
    started = time.perf_counter()
    for number in range(TRANSACTIONS):
        with store.transaction() as tx:
            tx.update(VM, vm, name_description=f"{started} {number}")
    return time.perf_counter() - started


def _latencies(options: Options) -> dict[str, list[float]]:
    async def work() -> dict[str, list[float]]:
        with data_folder(options) as folder:
            async with opened(folder) as bench:
                return await _listen(bench, options.take(EVENTS))

    return asyncio.run(work())


async def _listen(bench: EngineBench, rounds: int) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = {"event.from": [], "call": []}
    vm = await bench.sample_vm("changed")
    token = (await bench.session.event.from_([f"VM/{vm}"], "", 0.0)).token
    for number in range(rounds):
        waiting = asyncio.ensure_future(_heard(bench, vm, token))
        await asyncio.sleep(0.01)  # until the engine has the call and waits itself
        started = time.perf_counter()
        await bench.session.set(VM, vm, name_description=str(number))
        samples["call"].append((time.perf_counter() - started) * 1000)
        token, heard = await waiting
        samples["event.from"].append((heard - started) * 1000)
    return samples


async def _heard(bench: EngineBench, vm: Ref[VM], token: str) -> tuple[str, float]:
    batch = await bench.session.event.from_([f"VM/{vm}"], token, 30.0)
    return batch.token, time.perf_counter()
