"""Many clients at once: each reads, some take and delete snapshots, all listen, and in the end all know the same.

What a client's cache holds when nothing changes any more is compared with what the engine answers: an event that was
lost would show there.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from app.api import VM, ConnectionLost, Failure, Ref, VMCalls, classes
from app.client import ObjectCache, Session, Watcher, wait_for

OpenSession = Callable[[int], Awaitable[Session]]
"""A session of its own for the client of this number."""
VOLATILE: Final = ("event", "task", "session", "host_metrics")
"""Classes whose objects come and go, or change, without anybody's doing."""
SETTLE_SECONDS: Final = 60.0
LOGINS_AT_ONCE: Final = 8
SNAPSHOTS_KEPT: Final = 2
"""By each client that takes any; the next one goes first."""


@dataclass
class Report:
    """What happened.

    :ivar seconds: how long each call took, by kind.
    :ivar refused: how often each error code came; concurrent snapshots of one VM may refuse each other.
    :ivar sizes: what `size` answered once a second.
    :ivar differences: what a cache held that the engine did not, or the other way round.
    """

    seconds: dict[str, list[float]] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)
    deltas: int = 0
    sizes: list[float] = field(default_factory=list)

    def took(self, kind: str, since: float) -> None:
        """Note a call."""
        self.seconds.setdefault(kind, []).append(time.perf_counter() - since)


def percentile(series: Sequence[float], part: float) -> float:
    """The value below which this part of a series lies."""
    ordered = sorted(series)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


async def run(
    open_session: OpenSession,
    clients: int,
    seconds: float,
    vms: Sequence[Ref[VM]],
    *,
    pause: float,
    size: Callable[[], float] = lambda: 0.0,
) -> Report:
    """Let `clients` work for `seconds`; one in four takes snapshots, each of a VM of its own while there are enough.

    :param pause: seconds that each client waits between two calls, on average.
    :param size: asked once a second, as for the memory that the engine takes.
    """
    report = Report()
    turn = asyncio.Semaphore(LOGINS_AT_ONCE)
    async with AsyncExitStack() as stack:

        async def enter(number: int) -> _Client:
            async with turn:
                client = _Client(await open_session(number), number, report, pause)
            stack.push_async_callback(client.close)
            await client.watcher.filled()
            return client

        entered = await asyncio.gather(*(enter(number) for number in range(clients)))
        watching = asyncio.ensure_future(_watch(report, size))
        stack.callback(watching.cancel)
        until = asyncio.get_running_loop().time() + seconds
        await asyncio.gather(*(client.work(until, vms[client.number // 4 % len(vms)]) for client in entered))
        report.differences = await _differences(entered)
    return report


async def _watch(report: Report, size: Callable[[], float]) -> None:
    while True:
        report.sizes.append(size())
        await asyncio.sleep(1.0)


async def _differences(entered: Sequence[_Client]) -> list[str]:
    """What caches and engine differ in when they had time enough to agree."""
    found = ["never compared"]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_SECONDS):
            while found:
                there = await _everything(entered[0].session)
                found = [difference for client in entered if (difference := client.difference(there))]
                await asyncio.sleep(0.2 if found else 0)
    return found


async def _everything(session: Session) -> dict[str, Mapping[Any, Any]]:
    return {
        name: await session.get_all_records(declared.record)
        for name, declared in classes().items()
        if name not in VOLATILE
    }


class _Client:
    def __init__(self, session: Session, number: int, report: Report, pause: float) -> None:
        self.session = session
        self.number = number
        self._report = report
        self._pause = pause
        self._random = random.Random(number)
        self._cache = ObjectCache()
        self._cache.listen(self._heard)
        self.watcher = Watcher(session, self._cache)
        self.watcher.start()

    def _heard(self, _delta: Any) -> None:
        self._report.deltas += 1

    async def close(self) -> None:
        await self.watcher.close()
        await self.session.close()

    async def work(self, until: float, vm: Ref[VM]) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._random.uniform(0, self._pause))
        while loop.time() < until:
            kind, call = self._next_call(vm)
            started = time.perf_counter()
            try:
                await call()
            except Failure as failure:
                self._report.refused[failure.code] += 1
            except ConnectionLost:
                self._report.refused["connection lost"] += 1
            else:
                self._report.took(kind, started)
            await asyncio.sleep(self._random.uniform(0.5, 1.5) * self._pause)

    def _next_call(self, vm: Ref[VM]) -> tuple[str, Callable[[], Awaitable[Any]]]:
        mine = len(self._of_mine(vm))
        change = "delete" if mine >= SNAPSHOTS_KEPT else "snapshot"
        reads = ["record"] * 5 + ["name"] * 4 + ["records"]
        kind = self._random.choice(reads + ([change] * 10 if self.number % 4 == 0 else []))
        calls: dict[str, Callable[[], Awaitable[Any]]] = {
            "record": lambda: self.session.get_record(VM, vm),
            "records": lambda: self.session.get_all_records(VM),
            "name": lambda: self.session.call("VM.get_by_name_label", "Sample guest"),
            "snapshot": lambda: self._snapshot(vm),
            "delete": lambda: self._delete(vm),
        }
        return kind, calls[kind]

    async def _snapshot(self, vm: Ref[VM]) -> None:
        """As the desktop does it: a task, and the feed tells its end."""
        task = await self.session.start(VMCalls.snapshot, vm, f"by {self.number}")
        snapshot = Ref[VM](await wait_for(self.session, self._cache, task))
        assert self._cache.get(VM, snapshot) is not None, "the feed told of the task before it told of the snapshot"

    async def _delete(self, vm: Ref[VM]) -> None:
        await self.session.VM.uninstall(self._of_mine(vm)[0])

    def _of_mine(self, vm: Ref[VM]) -> list[Ref[VM]]:
        """The snapshots that this client took."""
        name = f"by {self.number}"
        all_vms = self._cache.all(VM)
        return [ref for ref in self._cache.all(VM)[vm].snapshots if ref in all_vms and all_vms[ref].name_label == name]

    def difference(self, everything: Mapping[str, Mapping[Any, Any]]) -> str:
        """In words, what the cache holds and the engine does not, or the other way round; "" for nothing."""
        for name, there in everything.items():
            here = self._cache.all(classes()[name].record)
            wrong = {ref for ref in there.keys() | here.keys() if there.get(ref) != here.get(ref)}
            if wrong:
                return f"client {self.number}: {len(wrong)} of {len(there)} {name}, as {min(wrong)}"
        return ""
