"""Exports, imports and consoles over HTTP, as XenServer does them.

An import is answered with 200 before its body is read, and an export of unknown length ends like one that broke off. So
only the task tells how either ended; it is asked in the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import aiohttp

from app.api import ConnectionLost, Failure, Task, TaskStatus
from app.api.failure import session_invalid, task_cancelled, unknown_method
from app.api.streams import Chunk, Download
from app.client.address import Address
from app.client.http_channel import LOST, HttpChannel, translated

PATIENCE_SECONDS: Final = 10.0
ENDLESS: Final = 1 << 50
"""Announced as the length of a body whose length is not known: XenServer takes no chunks and reads until the archive
ends."""
TASK_WAIT_SECONDS: Final = 30.0
_ERROR_IN_PAGE: Final = re.compile(r"\b([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+): \[(.*?) \]", re.DOTALL)
_UNDER_WAY: Final = (TaskStatus.pending, TaskStatus.cancelling)

Call = Callable[..., Awaitable[Any]]
Look = Callable[[], Awaitable[Failure | None]]


async def task_end(call: Call, task: str) -> Failure | None:
    """Wait until a task has ended; answer what it failed with, None for nothing or for a task that is not there."""
    token = ""
    while True:
        batch = await call("event.from", [f"task/{task}"], token, TASK_WAIT_SECONDS)
        token = batch.token
        try:
            record = await call("task.get_record", task)
        except Failure as failure:
            if failure.code == "HANDLE_INVALID":
                return None
            raise
        if record.status not in _UNDER_WAY:
            return _failure(task, record)


async def task_now(call: Call, task: str) -> Failure | None:
    """What a task has failed with already; None for nothing."""
    try:
        return _failure(task, await call("task.get_record", task))
    except Failure as failure:
        if failure.code == "HANDLE_INVALID":
            return None
        raise


def _failure(task: str, record: Task) -> Failure | None:
    if record.status is TaskStatus.cancelled:
        return task_cancelled(task)
    if record.status is TaskStatus.failure:
        return Failure(*record.error_info) if record.error_info else Failure("INTERNAL_ERROR", "no error was recorded")
    return None


async def refusal(response: aiohttp.ClientResponse, path: str, session: str, look: Look | None = None) -> Failure:
    """What a response that is not 200 means, in XenAPI's codes."""
    if response.status == 401:
        return session_invalid(session)
    content = await response.read()
    with contextlib.suppress(ValueError, TypeError):
        return Failure(*json.loads(content))  # what an engine of ours says on its private socket
    told = await look() if look is not None else None
    return told or _in_page(content) or _by_status(response.status, path)


def _in_page(content: bytes) -> Failure | None:
    """The error that a page tells, as `CODE: [ parameter; parameter ]`."""
    match = _ERROR_IN_PAGE.search(html.unescape(content.decode(errors="replace")))
    return Failure(match[1], *(match[2].strip().split("; ") if match[2].strip() else ())) if match else None


def _by_status(status: int, path: str) -> Failure:
    if status in (403, 404, 501):
        return unknown_method(path)
    return Failure("INTERNAL_ERROR", f"{path} was answered with HTTP status {status}")


def received(response: aiohttp.ClientResponse, task: str, look: Look) -> Download:
    """The download in a response whose head has come."""
    disposition = response.content_disposition
    return Download(
        content_type=response.content_type,
        file_name=(disposition.filename if disposition is not None else None) or "",
        length=response.content_length,
        chunks=_chunks(response, look),
        task=task,
    )


async def _chunks(response: aiohttp.ClientResponse, look: Look) -> AsyncIterator[Chunk]:
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except LOST as error:
        failure = None
        with contextlib.suppress(ConnectionLost, Failure, TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                failure = await look()
        raise failure or ConnectionLost(f"the stream broke off: {error}") from error
    if response.content_length is None and (failure := await look()) is not None:
        raise failure


@asynccontextmanager
async def sending(
    channel: HttpChannel,
    address: Address,
    path: str,
    query: Mapping[str, str],
    session: str,
    body: AsyncIterator[Chunk],
    length: int | None,
) -> AsyncIterator[Failure | ConnectionLost | None]:
    """Send a body by PUT; enters when it is sent, or when the server took no more, with what is wrong, if anything.

    The connection stays open for the block: a server may stop its work when it closes. But where no length was known
    its end is the body's end.
    """
    reader, writer = await channel.stream(address)
    size = ENDLESS if length is None else length
    answer = asyncio.ensure_future(_status(reader))
    try:
        writer.write(_head("PUT", address, path, query, session, f"Content-Length: {size}\r\n"))
        await _pour(writer, body, answer)
        if length is None:
            await _end(writer, answer)
        yield _said(answer, address, path, session)
    finally:
        answer.cancel()
        await asyncio.wait({answer})
        _said(answer, address, path, session)
        writer.transport.abort()


def _said(answer: asyncio.Future[int], address: Address, path: str, session: str) -> Failure | ConnectionLost | None:
    """What is wrong as far as the server has answered."""
    if not answer.done() or answer.cancelled():
        return None
    if (error := answer.exception()) is not None:
        return ConnectionLost(f"{address} has closed the connection: {error}")
    status = answer.result()
    # Only a refusal comes before the work is done for certain.
    return None if status == 200 else session_invalid(session) if status == 401 else _by_status(status, path)


async def _pour(writer: asyncio.StreamWriter, body: AsyncIterator[Chunk], answer: asyncio.Future[int]) -> None:
    """Write the body until its end, or until the server refuses it or closes."""
    async for chunk in body:
        if answer.done() and (answer.exception() is not None or answer.result() != 200):
            return
        writer.write(chunk)
        try:
            await writer.drain()
        except OSError:
            # It has all it wants, or has failed: the task tells. What it said before is worth a moment's wait.
            await asyncio.wait({answer}, timeout=1.0)
            return


async def _end(writer: asyncio.StreamWriter, answer: asyncio.Future[int]) -> None:
    """Close the connection when all is sent and the server has begun to answer."""
    await asyncio.wait({answer}, timeout=PATIENCE_SECONDS)
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            await writer.wait_closed()


async def connect(
    channel: HttpChannel, address: Address, path: str, session: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A tunnel by CONNECT: after its head the connection is the console's.

    :raise Failure: SESSION_INVALID, or the server refused.
    """
    reader, writer = await channel.stream(address)
    try:
        target, _, query = path.partition("?")
        with translated(address):
            writer.write(_head("CONNECT", address, target, query, session))
            async with asyncio.timeout(PATIENCE_SECONDS):
                status = await _status(reader)
    except BaseException:
        writer.transport.abort()
        raise
    if status != 200:
        writer.transport.abort()
        raise session_invalid(session) if status == 401 else _by_status(status, target)
    return reader, writer


def console_of(address: Address, location: str, console: str) -> tuple[Address, str]:
    """Where a console is found: its location is a URL, which may name another host of the pool, or only a path."""
    parts = urlsplit(location)
    path = f"{parts.path}?{parts.query}" if parts.path else f"/console?ref={quote(console, safe=':')}"
    if not parts.netloc:
        return address, path
    found = Address.parse(f"{parts.scheme}://{parts.netloc}")
    # Hosts name themselves without a port; a port of ours, and plain HTTP, are how that one host is reached.
    return (address if found.host == address.host else found if found.secure >= address.secure else address), path


def _head(
    method: str, address: Address, path: str, query: Mapping[str, str] | str, session: str, more: str = ""
) -> bytes:
    asked = query if isinstance(query, str) else urlencode(query)
    target = f"{path}?{asked}" if asked else path
    return (
        f"{method} {target} HTTP/1.1\r\nHost: {address}\r\nCookie: session_id={session}\r\n{more}"
        "User-Agent: stillframe\r\nConnection: close\r\n\r\n"
    ).encode()


async def _status(reader: asyncio.StreamReader) -> int:
    """The status of the response that comes; its head is read, no more. :raise OSError: it is none."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1])
    except (asyncio.LimitOverrunError, IndexError, ValueError) as error:
        raise OSError(f"no HTTP response: {error}") from error
    except asyncio.IncompleteReadError as error:
        raise ConnectionResetError("closed without an answer") from error
