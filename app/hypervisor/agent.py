"""Talking to the agent inside a guest (qemu-ga) over its channel: one JSON object a line, one answer to each.

The guest is not trusted. An answer may never come, be endless, deep or no JSON at all, or belong to a question of long
ago: each has a limit here, and after anything odd the connection is made anew. Commands and their answers:
docs/interop/qemu-ga-ref of QEMU.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.hypervisor.driver import DriverError
from app.log import get

log = get(__name__)

ANSWER_LIMIT = 256 * 1024
"""Bytes of one answer. The longest, a list of network interfaces, takes some hundred for each."""
GREETING_SECONDS = 5.0
"""How long the agent may take to answer at all. Some look at their port only ten times a second."""
_WORDS_LIMIT = 200
_MARK = b"\xff"


class Agent:
    """The agent of one guest. Connects when it is needed; questions wait for each other."""

    def __init__(self, path: Path) -> None:
        """:param path: the socket behind the guest's port; it serves one client at a time."""
        self._path = path
        self._lock = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def greet(self) -> None:
        """Make sure that an agent answers, so that the next question reaches it at once.

        :raise DriverError: "agent".
        """
        async with self._lock:
            await self._connected()

    async def ask(self, command: str, arguments: Mapping[str, object] | None = None, *, timeout: float) -> Any:
        """The answer to a command.

        :param timeout: seconds for the answer; finding out whether an agent is there may take GREETING_SECONDS more.
        :raise DriverError: "agent", with the agent's own words if it refused. After a time-out the command may still
            be carried out later.
        """
        question: dict[str, object] = {"execute": command}
        if arguments is not None:
            question["arguments"] = arguments
        async with self._lock:
            reader, writer = await self._connected()
            try:
                async with asyncio.timeout(timeout):
                    await _send(writer, question)
                    return _result(command, await _answer(reader))
            except _Refused as refusal:
                raise _failure(f"The guest's agent refused: {refusal}.", command) from refusal
            except (OSError, EOFError, ValueError) as error:
                self._drop()
                raise _translated(error, command) from error
            except BaseException:
                self._drop()  # the answer that we no longer wait for must not be taken for another's
                raise

    def close(self) -> None:
        """Let go of the channel."""
        self._drop()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection on which the next line from the guest is the answer to our next question."""
        if self._streams is not None and self._streams[0].at_eof():
            self._drop()
        if self._streams is None:
            try:
                async with asyncio.timeout(GREETING_SECONDS):
                    self._streams = await asyncio.open_unix_connection(str(self._path), limit=ANSWER_LIMIT)
                    await _synchronize(*self._streams)
            except (OSError, EOFError, ValueError) as error:
                self._drop()
                raise _translated(error, "guest-sync-delimited") from error
            except BaseException:
                self._drop()
                raise
        return self._streams

    def _drop(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            # Not close(): that would wait for a guest that takes nothing more.
            streams[1].transport.abort()


class _Refused(Exception):
    """The agent understood the command and answered with an error."""


async def _synchronize(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Skip what was under way. The agent marks the answer to this one command with a byte that JSON cannot contain."""
    number = secrets.randbits(48)
    writer.write(_MARK)  # ends a half command that an earlier client may have left
    await _send(writer, {"execute": "guest-sync-delimited", "arguments": {"id": number}})
    while True:
        await _skip_to_mark(reader)
        with contextlib.suppress(_Refused):
            if _result("guest-sync-delimited", await _answer(reader)) == number:
                return


async def _skip_to_mark(reader: asyncio.StreamReader) -> None:
    """Throw away what comes before the mark, however much it is: the time is limited, and so is the memory."""
    while True:
        try:
            await reader.readuntil(_MARK)
            return
        except asyncio.LimitOverrunError as error:
            await reader.readexactly(max(error.consumed, 1))


async def _send(writer: asyncio.StreamWriter, question: Mapping[str, object]) -> None:
    writer.write(json.dumps(question).encode() + b"\n")
    await writer.drain()


async def _answer(reader: asyncio.StreamReader) -> Any:
    """:raise ValueError: no JSON, or too long; :raise EOFError: the channel ended."""
    try:
        return json.loads(await reader.readuntil(b"\n"))
    except asyncio.LimitOverrunError as error:
        raise ValueError("the answer is too long") from error
    except RecursionError as error:
        raise ValueError("the answer is nested too deeply") from error


def _result(command: str, answer: Any) -> Any:
    """:raise ValueError: not an answer at all; :raise _Refused: the agent's own words."""
    if not isinstance(answer, dict):
        raise ValueError(f"the answer to {command} is not an object")
    if "error" in answer:
        error = answer["error"]
        words = error.get("desc") if isinstance(error, dict) else error
        raise _Refused(plain(words) or "no reason given")
    if "return" not in answer:
        raise ValueError(f"the answer to {command} has no result")
    return answer["return"]


def plain(words: object, limit: int = _WORDS_LIMIT) -> str:
    """Text from a guest as it may be stored and shown: one line, printable, not long; "" if it is no text."""
    if not isinstance(words, str):
        return ""
    return "".join(letter if letter.isprintable() else " " for letter in words[:limit]).strip()


def _translated(error: OSError | EOFError | ValueError, command: str) -> DriverError:
    if isinstance(error, TimeoutError):
        return _failure("The guest's agent did not answer in time.", command)
    if isinstance(error, ValueError):
        return _failure(f"The guest's agent answered nonsense: {plain(str(error))}.", command)
    return _failure("The guest's agent cannot be reached.", command, str(error))


def _failure(message: str, command: str, detail: str = "") -> DriverError:
    return DriverError(message, cause="agent", command=command, detail=detail)
