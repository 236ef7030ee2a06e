"""A transport whose answers a test gives, one by one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from app.api import Event, EventBatch, EventOperation, Record, class_of
from app.api.streams import Chunk, Download


class FakeTransport:
    """Every call waits for the next answer put into `answers`; an exception among them is raised."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[Any] = asyncio.Queue()
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.closed = False

    async def login(self, user: str, password: str, originator: str) -> str:
        return "OpaqueRef:session"

    async def call(self, session: str, method: str, params: Sequence[Any]) -> Any:
        assert session == "OpaqueRef:session"
        self.calls.append((method, tuple(params)))
        answer = await self.answers.get()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def read_blob(self, session: str, blob: str) -> bytes:
        return blob.encode()

    async def screenshot(self, session: str, console: str) -> bytes:
        return console.encode()

    async def open_console(self, session: str, console: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        raise NotImplementedError

    def download(self, session: str, path: str, query: Mapping[str, str]) -> AbstractAsyncContextManager[Download]:
        raise NotImplementedError

    async def upload(
        self, session: str, path: str, query: Mapping[str, str], body: AsyncIterator[Chunk], length: int | None
    ) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        self.closed = True


def event(ref: str, record: Record | None, cls: str = "") -> Event:
    """A change of an object; None: it is gone."""
    name = cls or class_of(type(record)).name  # type: ignore[type-var]
    kind = EventOperation.delete if record is None else EventOperation.mod
    return Event(id="1", timestamp="0.0", cls=name, operation=kind, ref=ref, snapshot=record)


def batch(*events: Event, token: str = "1,0", **counts: int) -> EventBatch:
    """An answer of event.from; classes not counted are as the cache has them."""
    return EventBatch(events=events, valid_ref_counts=counts, token=token)
