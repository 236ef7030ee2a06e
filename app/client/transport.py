"""How calls travel. The session does not care whether the engine is in this process or behind a wire."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol


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

    async def close(self) -> None:
        """Let go of the engine; it goes on."""
        ...
