"""The engine of another process of the same user, by JSON-RPC over its private unix socket or its private port."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from app.api import ConnectionLost, Failure
from app.api.streams import Chunk, Download
from app.api.wire import plain, restored, result_type
from app.client.local_address import place_of

NO_HEADERS: Final[Mapping[str, str]] = {}
LOGIN: Final = "session.login_with_password"
CONNECT_SECONDS: Final = 5.0
_LOST: Final = (aiohttp.ClientError, OSError, asyncio.TimeoutError, msgspec.DecodeError)


class UnixTransport:
    """See `app.client.transport.Transport`. Survives a restart of the engine: it logs in again by itself."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._http: dict[Path | None, aiohttp.ClientSession] = {}
        self._originator = ""
        self._renewed: dict[str, str] = {}
        self._number = 0

    async def login(self, user: str, password: str, originator: str) -> str:
        self._originator = originator
        return str(await self._send(LOGIN, [user, password, "1.0", originator], str))

    async def call(self, session: str, method: str, params: Sequence[Any]) -> Any:
        wanted = result_type(method)
        sent = [plain(param) for param in params]
        try:
            return await self._send(method, [self._renewed.get(session, session), *sent], wanted)
        except Failure as failure:
            if failure.code != "SESSION_INVALID" or method == "session.logout":
                raise
        # The engine was started anew. It refused before it did anything, so this is not a repetition.
        self._renewed[session] = await self.login("", "", self._originator)
        return await self._send(method, [self._renewed[session], *sent], wanted)

    async def read_blob(self, session: str, blob: str) -> bytes:
        return await self._get("/blob", session, blob)

    async def screenshot(self, session: str, console: str) -> bytes:
        return await self._get("/screenshot", session, console)

    async def open_console(self, session: str, console: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        path = (await self._get("/console_socket", session, console)).decode()
        try:
            return await asyncio.open_unix_connection(path)
        except OSError as error:
            raise ConnectionLost(f"the console does not answer: {error}") from error

    @asynccontextmanager
    async def download(self, session: str, path: str, query: Mapping[str, str]) -> AsyncIterator[Download]:
        asked = {**query, "session_id": self._renewed.get(session, session)}
        try:
            async with self._request("GET", path, params=asked) as response:
                await _require_taken(response)
                yield received(response)
        except _LOST as error:
            raise ConnectionLost(f"the engine does not answer: {error}") from error

    async def upload(
        self, session: str, path: str, query: Mapping[str, str], body: AsyncIterator[Chunk], length: int | None
    ) -> None:
        asked = {**query, "session_id": self._renewed.get(session, session)}
        headers = {} if length is None else {"Content-Length": str(length)}
        try:
            async with self._request("PUT", path, params=asked, data=body, headers=headers) as response:
                await _require_taken(response)
        except _LOST as error:
            raise ConnectionLost(f"the engine does not answer: {error}") from error

    async def close(self) -> None:
        while self._http:
            await self._http.popitem()[1].close()

    async def _send(self, method: str, params: Sequence[Any], wanted: Any) -> Any:
        self._number += 1
        body = msgspec.json.encode({"jsonrpc": "2.0", "method": method, "params": params, "id": self._number})
        try:
            async with self._request("POST", "/jsonrpc", data=body) as response:
                reply = msgspec.json.decode(await response.read())
        except _LOST as error:
            raise ConnectionLost(f"the engine does not answer: {error}") from error
        if not isinstance(reply, dict) or not ("result" in reply or "error" in reply):
            raise ConnectionLost("the engine gave an answer that is none")
        if "error" in reply:
            raise Failure(reply["error"]["message"], *reply["error"]["data"])
        return restored(reply["result"], wanted)

    async def _get(self, path: str, session: str, ref: str) -> bytes:
        query = {"session_id": self._renewed.get(session, session), "ref": ref}
        try:
            async with self._request("GET", path, params=query) as response:
                content = await response.read()
                await _require_taken(response)
                return content
        except _LOST as error:
            raise ConnectionLost(f"the engine does not answer: {error}") from error

    def _request(
        self, method: str, path: str, *, headers: Mapping[str, str] = NO_HEADERS, **more: Any
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        # Looked up anew each time: an engine that was started again answers on another port.
        place = place_of(self._path)
        http = self._client(place.socket)
        return http.request(method, f"{place.url}{path}", headers={**place.headers, **headers}, **more)

    def _client(self, socket: Path | None) -> aiohttp.ClientSession:
        if socket not in self._http:
            # Of one time-out only: event.from waits as long as it is told to.
            limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
            connector: aiohttp.BaseConnector = aiohttp.TCPConnector(limit=0)
            if socket is not None:
                connector = aiohttp.UnixConnector(path=str(socket), limit=0)
            self._http[socket] = aiohttp.ClientSession(connector=connector, timeout=limits)
        return self._http[socket]


def received(response: aiohttp.ClientResponse) -> Download:
    """The download in a response whose head has come."""
    disposition = response.content_disposition
    return Download(
        content_type=response.content_type,
        file_name=(disposition.filename if disposition is not None else None) or "",
        length=response.content_length,
        chunks=_chunks(response),
        task=response.headers.get("task-id", ""),
    )


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[Chunk]:
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except _LOST as error:
        raise ConnectionLost(f"the stream broke off: {error}") from error


async def _require_taken(response: aiohttp.ClientResponse) -> None:
    """:raise Failure: what the engine refused with."""
    if response.status == 422:
        raise Failure(*json.loads(await response.read()))
    response.raise_for_status()
