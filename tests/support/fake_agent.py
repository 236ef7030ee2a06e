"""The guest's end of the agent's channel, played by a test: QEMU's socket with an agent of any manners behind it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

Manner = Callable[["FakeAgent", dict[str, Any]], Awaitable[None]]
SYNC = "guest-sync-delimited"


class FakeAgent:
    """Answers as qemu-ga does, except where `manners` has something else for a command.

    :ivar asked: the commands that arrived, synchronisation left out.
    :ivar connections: how often somebody connected.
    """

    def __init__(self) -> None:
        self.manners: dict[str, Manner] = {}
        self.results: dict[str, Any] = {"guest-ping": {}}
        self.asked: list[str] = []
        self.connections = 0
        self.greeting = b""
        self._writer: asyncio.StreamWriter | None = None
        self._talks: set[asyncio.Task[None]] = set()

    async def send(self, data: bytes) -> None:
        """Anything at all, to whoever is connected."""
        if self._writer is not None:
            self._writer.write(data)
            await self._writer.drain()

    async def say(self, message: object) -> None:
        await self.send(json.dumps(message).encode() + b"\n")

    async def behave(self, question: dict[str, Any]) -> None:
        """The answer of a well-behaved agent."""
        command = question["execute"]
        if command == SYNC:
            await self.send(b"\xff")
            await self.say({"return": question["arguments"]["id"]})
        elif command in self.results:
            await self.say({"return": self.results[command]})
        else:
            await self.say({"error": {"class": "CommandNotFound", "desc": f"The command {command} has not been found"}})

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client at a time, as QEMU does: a new one takes the place of the old."""
        self.connections += 1
        self._writer = writer
        talk = asyncio.ensure_future(self._talk(reader, writer))
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.send(self.greeting)
            while line := await reader.readline():
                question = json.loads(line.lstrip(b"\xff"))
                command = question["execute"]
                if command != SYNC:
                    self.asked.append(command)
                manner = self.manners.get(command)
                await (manner(self, question) if manner is not None else self.behave(question))
        except ConnectionError:
            pass  # the client let go in the middle
        finally:
            writer.close()

    async def end(self) -> None:
        for talk in list(self._talks):
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)


@asynccontextmanager
async def fake_agent(path: Path) -> AsyncIterator[FakeAgent]:
    """An agent that listens at `path`."""
    agent = FakeAgent()
    server = await asyncio.start_unix_server(agent.serve, path)
    try:
        yield agent
    finally:
        server.close()
        await agent.end()
        await server.wait_closed()


# Bad manners


async def silent(_agent: FakeAgent, _question: dict[str, Any]) -> None:
    """No answer."""


async def hang_up(agent: FakeAgent, _question: dict[str, Any]) -> None:
    if agent._writer is not None:
        agent._writer.close()


def saying(data: bytes) -> Manner:
    """These bytes in place of an answer."""

    async def say(agent: FakeAgent, _question: dict[str, Any]) -> None:
        await agent.send(data)

    return say


async def endless(agent: FakeAgent, _question: dict[str, Any]) -> None:
    """More and more, without end of line or mark."""
    while True:
        await agent.send(b"[" * 65536)
