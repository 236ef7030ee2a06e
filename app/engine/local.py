"""The engine in this process: on a thread and an event loop of its own, reached by the in-process transport."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from app.api import ConnectionLost
from app.api.streams import Chunk, Download, ThreadedChunks
from app.config import Config
from app.engine.engine import Engine
from app.hypervisor.driver import Driver
from app.log import get
from app.ops.coalescer import DELAY_SECONDS

log = get(__name__)
T = TypeVar("T")


class Counter(Protocol):
    """Where other programs reach an engine."""

    async def open(self) -> None:
        """Begin to answer. :raise OSError:"""
        ...

    async def close(self) -> None:
        """Answer no more."""
        ...


#: makes the counter of an engine, in a thread of its own: it may have to load a server first
Serve = Callable[[Engine], Counter]


class EngineThread:
    """Runs one engine. `open` and `close` may be awaited from any event loop.

    :param serve: what `serve` opens to other programs of the same user.
    """

    def __init__(
        self,
        config: Config,
        driver: Driver | None = None,
        *,
        merge_delay: float | None = DELAY_SECONDS,
        serve: Serve | None = None,
    ) -> None:
        self._serve = serve
        self._counter: Counter | None = None
        self._merge_delay = merge_delay
        self._config = config
        self._driver = driver
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.engine: Engine

    async def open(self) -> None:
        """Start the thread and open the engine. :raise: what Engine.open raises; the thread has ended then."""
        ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="engine", daemon=True)
        self._thread.start()
        await asyncio.wrap_future(ready)

    async def serve(self) -> None:
        """Open the engine to other programs of the same user. Where that fails it goes on without.

        By itself, after `open`: what it loads takes longer than the engine, and nobody waits for it.
        :raise ConnectionLost: the engine is closed.
        """
        await self.run(self._open_counter())

    async def close(self) -> None:
        """Close the engine and end the thread."""
        loop, self._loop = self._loop, None
        if loop is None or self._thread is None:
            return
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._end(), loop))
        loop.call_soon_threadsafe(loop.stop)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the engine's loop. :raise ConnectionLost: the engine is closed."""
        if self._loop is None:
            work.close()
            raise ConnectionLost("the engine is closed")
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def _open_counter(self) -> None:
        if self._serve is None:
            return
        counter = await asyncio.to_thread(self._serve, self.engine)
        try:
            await counter.open()
        except OSError as error:
            log.warning("other programs cannot reach the engine", error=str(error))
        else:
            self._counter = counter

    async def _end(self) -> None:
        if self._counter is not None:
            await self._counter.close()
        await self.engine.close()

    def _run(self, ready: Future[None]) -> None:
        # Not new_event_loop(): under the desktop's event loop policy that would make a Qt loop, which hangs here.
        loop = asyncio.SelectorEventLoop()
        asyncio.set_event_loop(loop)
        try:
            self.engine = Engine(self._config, self._driver, merge_delay=self._merge_delay)
            loop.run_until_complete(self.engine.open())
        except BaseException as error:
            loop.close()
            ready.set_exception(error)
            return
        self._loop = loop
        ready.set_result(None)
        try:
            loop.run_forever()
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()


class LocalTransport:
    """See `app.client.transport.Transport`. Records are immutable, so they cross the threads as they are."""

    def __init__(self, thread: EngineThread) -> None:
        self._thread = thread

    async def login(self, user: str, password: str, originator: str) -> str:
        return await self._thread.run(self._login(user, originator))

    async def call(self, session: str, method: str, params: Sequence[Any]) -> Any:
        return await self._thread.run(self._thread.engine.dispatcher.call(session, method, params))

    async def read_blob(self, session: str, blob: str) -> bytes:
        return await self._thread.run(self._thread.engine.read_blob(blob))

    async def screenshot(self, session: str, console: str) -> bytes:
        return await self._thread.run(self._thread.engine.screenshot(console))

    async def open_console(self, session: str, console: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        path = await self._thread.run(self._console_socket(console))
        try:
            return await asyncio.open_unix_connection(path)
        except OSError as error:
            raise ConnectionLost(f"the console does not answer: {error}") from error

    @asynccontextmanager
    async def download(self, session: str, path: str, query: Mapping[str, str]) -> AsyncIterator[Download]:
        run = self._thread.run
        given = await run(self._thread.engine.handlers.get(session, path, query))
        chunks = _across(given.chunks, run)

        async def close() -> None:
            await run(_call(given.close))

        try:
            yield replace(given, chunks=chunks, close=close)
        finally:
            await close()

    async def upload(
        self, session: str, path: str, query: Mapping[str, str], body: AsyncIterator[Chunk], length: int | None
    ) -> None:
        here = asyncio.get_running_loop()

        async def run_here(work: Coroutine[Any, Any, T]) -> T:
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, here))

        given = body if isinstance(body, ThreadedChunks) else _across(body, run_here)
        await self._thread.run(self._thread.engine.handlers.put(session, path, query, given, length))

    async def close(self) -> None:
        """The engine belongs to whoever opened it."""

    async def _login(self, user: str, originator: str) -> str:
        return self._thread.engine.dispatcher.login(user, originator)

    async def _console_socket(self, console: str) -> str:
        return str(self._thread.engine.console_socket(console))


class _Run(Protocol):
    """Runs a coroutine on another loop and answers its result."""

    async def __call__(self, work: Coroutine[Any, Any, T]) -> T: ...


async def _across(chunks: AsyncIterator[Chunk], run: _Run) -> AsyncIterator[Chunk]:
    """Chunks that are made on another loop."""
    while (chunk := await run(_next(chunks))) is not None:
        yield chunk


async def _next(chunks: AsyncIterator[Chunk]) -> Chunk | None:
    return await anext(chunks, None)


async def _call(function: Callable[[], Awaitable[None]]) -> None:
    await function()
