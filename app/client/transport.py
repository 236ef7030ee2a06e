"""How calls travel. The session does not care whether the engine is in this process or behind a wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from app.api.streams import Chunk, Download


class Transport(Protocol):
    """One way to reach one engine. Every method may raise Failure, or ConnectionLost when the outcome is unknown."""

    async def login(self, user: str, password: str, originator: str) -> str:
        """Begin a session and answer its reference."""
        ...

    async def call(self, session: str, method: str, params: Sequence[Any]) -> Any:
        """Send a message and answer its result, with records as the declared types."""
        ...

    async def read_blob(self, session: str, blob: str) -> bytes:
        """The content of a blob."""
        ...

    async def screenshot(self, session: str, console: str) -> bytes:
        """The picture on a console's screen now, PNG."""
        ...

    async def open_console(self, session: str, console: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A byte stream that speaks the console's protocol, RFB."""
        ...

    def download(self, session: str, path: str, query: Mapping[str, str]) -> AbstractAsyncContextManager[Download]:
        """What XenServer's GET handler at `path` answers: /export, /export_metadata, /export_raw_vdi.

        `task_id` in the query names a task of `task.create` that shows progress and outcome. Leaving the context early
        ends the engine's work.

        :raise Failure: on entering, or while the chunks are read.
        """
        ...

    async def upload(
        self, session: str, path: str, query: Mapping[str, str], body: AsyncIterator[Chunk], length: int | None
    ) -> None:
        """Give the body to XenServer's PUT handler at `path`: /import, /import_metadata, /import_raw_vdi.

        Returns when the engine has taken it in; results are in the task that `task_id` in the query names. When this is
        cancelled, the engine undoes what it did.

        :param length: bytes in all; None where that is not known beforehand.
        :raise Failure: and nothing was imported.
        """
        ...

    async def close(self) -> None:
        """Let go of the engine; it goes on."""
        ...
