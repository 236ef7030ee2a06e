"""Two hundred clients over HTTPS: they read, take snapshots and listen, and in the end know what the engine knows.

The engine is a process of its own with simulated guests (real images, real journal, no QEMU); the clients are this one.
"""

from __future__ import annotations

import asyncio
import signal
import statistics
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from app.api import SR, VM, Ref, Task, TaskStatus
from app.client import Session
from app.client.address import Address
from app.client.dialects import XmlRpc
from app.client.http_transport import HttpTransport
from app.client.trust import KnownServers, Trust
from app.config import load as load_config
from app.hypervisor.simulated import SimulatedDriver
from tests.bench.benchmark import Benchmark, Options
from tests.bench.engine import data_folder
from tests.bench.result import Result, value
from tests.support import load
from tests.support.engine import open_bench
from tests.support.wire import PASSWORD, USER, serving

CLIENTS: Final = 200
SECONDS: Final = 60.0
VMS: Final = 50
PAUSE: Final = 4.0
"""Seconds between two calls of one client, on average: fifty calls a second in all, five of them snapshots."""
XML_EVERY: Final = 10
MOST_GROWTH_MIB: Final = 64.0
OWN_SESSIONS: Final = 2
"""The owner's, and the one that the engine's process has of itself."""


class Leak(Exception):
    """Something was lost or left behind; the text says what."""


def benchmark() -> Benchmark:
    """The benchmark."""
    about = f"{CLIENTS} clients for {SECONDS:.0f} s: latencies, no event lost, nothing left behind"
    return Benchmark("wire-load", about, lambda options: asyncio.run(_measure(options)))


async def _measure(options: Options) -> Sequence[Result]:
    with data_folder(options) as folder:
        trust = Trust(KnownServers(folder / "known_servers.json"))
        async with _server(folder) as (address, pid):

            async def open_session(number: int) -> Session:
                dialect = XmlRpc() if number % XML_EVERY == 0 else None
                return await Session.open(HttpTransport(address, trust, dialect), USER, PASSWORD, f"client {number}")

            owner = await open_session(CLIENTS)
            vms = await _make_vms(owner)
            report = await load.run(open_session, CLIENTS, SECONDS, vms, pause=PAUSE, size=lambda: _resident(pid))
            await _require_nothing_left(owner, report.differences)
            await owner.close()
    return [*_latencies(report), _memory(report.sizes), _deltas(report)]


def _latencies(report: load.Report) -> list[Result]:
    refused = ", ".join(f"{code} {count} times" for code, count in report.refused.items()) or "nothing"
    return [
        value(
            f"wire-load-{kind}",
            load.percentile(series, 0.95) * 1000,
            {f"p{part * 100:g}": [load.percentile(series, part) * 1000] for part in (0.5, 0.95, 0.99, 1.0)},
            unit="ms",
            target=None,
            compared_with=f"{len(series)} calls; the value is the 95th percentile; refused: {refused}",
        )
        for kind, series in sorted(report.seconds.items())
    ]


def _memory(sizes: Sequence[float]) -> Result:
    third = len(sizes) // 3
    early, late = statistics.median(sizes[third : third + 5]), statistics.median(sizes[-5:])
    return value(
        "wire-load-growth", late - early, {"early": [early], "late": [late]}, unit="MiB", target=MOST_GROWTH_MIB,
        compared_with="the engine's resident memory after a third of the time",
    )  # fmt: skip


def _deltas(report: load.Report) -> Result:
    return value(
        "wire-load-batches", report.deltas / SECONDS, {"batches": [report.deltas]}, unit="1/s", target=None,
        compared_with="batches of events that reached a cache, all clients together",
    )  # fmt: skip


async def _require_nothing_left(owner: Session, differences: Sequence[str]) -> None:
    if differences:
        raise Leak(f"events were lost: {'; '.join(differences[:3])}")
    counts = (await owner.event.from_(["session"], "", 0.0)).valid_ref_counts
    if counts["session"] != OWN_SESSIONS:
        raise Leak(f"{counts['session'] - OWN_SESSIONS} sessions are left")
    pending = [task for task in (await owner.get_all_records(Task)).values() if task.status is TaskStatus.pending]
    if pending:
        raise Leak(f"{len(pending)} tasks are left, as {pending[0].name_label}")


async def _make_vms(owner: Session) -> list[Ref[VM]]:
    template = await owner.by_name(VM, "Sample guest")
    vms = []
    for number in range(VMS):
        vms.append(await owner.VM.clone(template, f"of the load {number}"))
        await owner.VM.provision(vms[-1])
    assert await owner.get_all_records(SR)
    return vms


def _resident(pid: int) -> float:
    """Resident memory of a process, MiB (proc(5))."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise Leak("the server is gone")


@asynccontextmanager
async def _server(folder: Path) -> AsyncIterator[tuple[Address, int]]:
    """Where the other process answers, and its number."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.wire_load", str(folder / "data"), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield Address.parse((await process.stdout.readline()).decode()), process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def _serve(data_dir: Path) -> None:
    """The other process: print the address and answer until a signal comes."""
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    folder = load_config(data_dir).data_dir
    async with (
        open_bench(folder, SimulatedDriver(), merge_delay=2.0) as bench,
        serving(bench.engine, folder) as wire,
    ):
        print(wire.url, flush=True)
        await ending.wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
