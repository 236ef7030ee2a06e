"""A session whose engine is a table: it notes every call and answers from what the test gave it.

engine = FakeEngine()
vm = engine.put(VM(name_label="web1"))
engine.answer("VM.snapshot", "OpaqueRef:snapshot")
session = engine.session()
task = await session.start(VMCalls.snapshot, vm, "Before")   # a task in the cache, already finished
assert engine.calls == [("Async.VM.snapshot", (vm, "Before"))]
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec

from app.api import Event, EventBatch, EventOperation, Failure, Record, Ref, Task, TaskStatus, class_of
from app.api.streams import Chunk, Download
from app.api.types import new_ref, new_uuid
from app.client import ObjectCache, Session


class FakeEngine:
    """A transport and the cache behind it. Asynchronous calls become tasks, finished at once unless held."""

    def __init__(self) -> None:
        self.cache = ObjectCache()
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.blobs: dict[str, bytes] = {}
        self.held: dict[str, asyncio.Event] = {}
        self.consoles: list[tuple[asyncio.StreamReader, asyncio.StreamWriter] | Exception] = []
        self._answers: dict[str, Any] = {}
        self._running: set[asyncio.Task[None]] = set()

    def session(self) -> Session:
        """A session over this engine."""
        return Session(self, "OpaqueRef:session")

    def answer(self, method: str, answer: Any) -> None:
        """What a message answers: a value, an exception to raise, or a function of its parameters that gives either."""
        self._answers[method] = answer

    def hold(self, method: str) -> asyncio.Event:
        """Leave calls and tasks of this message pending until the answer is set."""
        self.held[method] = asyncio.Event()
        return self.held[method]

    def called(self, *methods: str) -> list[tuple[Any, ...]]:
        """The parameters of each call of these messages, the asynchronous ones included, in order."""
        return [params for method, params in self.calls if method.removeprefix("Async.") in methods]

    def put(self, record: Record, ref: str = "") -> Ref[Any]:
        """Add an object, or change the one with that reference, as an event of the feed."""
        key = ref or new_ref()
        if not record.uuid:
            record = msgspec.structs.replace(record, uuid=new_uuid())
        self._tell(EventOperation.add, class_of(type(record)).name, key, record)
        return Ref(key)

    def change(self, record: type[Record], ref: str, **fields: Any) -> None:
        """Change some fields of an object. :raise KeyError: there is none."""
        old = self.cache.get(record, ref)
        if old is None:
            raise KeyError(ref)
        self._tell(EventOperation.mod, class_of(record).name, ref, msgspec.structs.replace(old, **fields))

    def remove(self, record: type[Record], ref: str) -> None:
        """Take an object away."""
        self._tell(EventOperation.delete, class_of(record).name, ref, None)

    def _tell(self, operation: EventOperation, cls: str, ref: str, record: Record | None) -> None:
        event = Event(id="1", timestamp="0", cls=cls, operation=operation, ref=ref, snapshot=record)
        self.cache.apply(EventBatch(events=(event,), valid_ref_counts={}, token="1,0"))

    # ---- the transport ----------------------------------------------------------------------------------------

    async def login(self, user: str, password: str, originator: str) -> str:
        return "OpaqueRef:session"

    async def call(self, session: str, method: str, params: Sequence[Any]) -> Any:
        self.calls.append((method, tuple(params)))
        await asyncio.sleep(0)
        if not method.startswith("Async."):
            if method in self.held:
                await self.held[method].wait()
            return self._answer(method, params)
        task = new_ref()
        self.put(Task(name_label=method), task)
        work = asyncio.ensure_future(self._work(task, method.removeprefix("Async."), params))
        self._running.add(work)
        work.add_done_callback(self._running.discard)
        return task

    async def read_blob(self, session: str, blob: str) -> bytes:
        if blob not in self.blobs:
            raise Failure("HANDLE_INVALID", "blob", blob)
        return self.blobs[blob]

    async def screenshot(self, session: str, console: str) -> bytes:
        return b""

    async def open_console(self, session: str, console: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self.calls.append(("open_console", (console,)))
        if not self.consoles:
            raise Failure("HANDLE_INVALID", "console", console)
        given = self.consoles.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    def download(self, session: str, path: str, query: Mapping[str, str]) -> AbstractAsyncContextManager[Download]:
        raise NotImplementedError

    async def upload(
        self, session: str, path: str, query: Mapping[str, str], body: AsyncIterator[Chunk], length: int | None
    ) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        for work in list(self._running):
            work.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _answer(self, method: str, params: Sequence[Any]) -> Any:
        answer = self._answers.get(method)
        if callable(answer):
            answer = answer(*params)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _work(self, task: str, method: str, params: Sequence[Any]) -> None:
        if method in self.held:
            await self.held[method].wait()
        try:
            result = self._answer(method, params)
        except Failure as failure:
            cancelled = failure.code == "TASK_CANCELLED"
            status = TaskStatus.cancelled if cancelled else TaskStatus.failure
            self.change(Task, task, status=status, error_info=(failure.code, *failure.params))
        else:
            value = "" if result is None else f"<value>{result}</value>"
            self.change(Task, task, status=TaskStatus.success, progress=1.0, result=value)
