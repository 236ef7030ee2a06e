"""A XenServer, an XCP-ng host or a Stillframe engine over HTTPS: JSON-RPC where it is spoken, else XML-RPC."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from app.api import ConnectionLost, Failure
from app.api.streams import Chunk, Download
from app.api.wire import parameter_types, result_type
from app.client import http_streams
from app.client.address import Address
from app.client.dialects import Dialect, JsonRpc, NotUnderstood, XmlRpc
from app.client.http_channel import HttpChannel
from app.client.reading import read
from app.client.trust import Trust
from app.log import conceal, stop_concealing

T = TypeVar("T")

LOGIN: Final = "session.login_with_password"
VERSION: Final = "1.0"
MOST_MOVES: Final = 3
LARGE: Final = 1 << 20
"""Bytes of an answer that is understood beside the loop."""
SILENCE_SECONDS: Final = 60.0
"""Longer than it was told to wait, and event.from counts as lost."""
_REFUSED_BEFORE_DOING: Final = ("SESSION_INVALID", "HOST_IS_SLAVE")
_NO_RENEWAL: Final = ("session.logout", "session.local_logout")


class HttpTransport:
    """See `app.client.transport.Transport`. Survives an expired session and a change of the pool's master: it logs in
    again by itself. Only calls that read are repeated when the connection was lost on the way."""

    def __init__(self, address: Address, trust: Trust, dialect: Dialect | None = None) -> None:
        """:param dialect: the language to speak; None: the first of the server's that we prefer."""
        self.address = address
        self._channel = HttpChannel(trust)
        self._dialect = dialect
        self._credentials: tuple[str, str, str] | None = None
        self._renewed: dict[str, str] = {}
        self._renewing = asyncio.Lock()

    async def login(self, user: str, password: str, originator: str) -> str:
        """Begin a session. The password stays in memory until the transport is closed, to renew the session.

        :raise Failure: SESSION_AUTHENTICATION_FAILED, SSL_VERIFY_ERROR.
        """
        conceal(password)
        self._credentials = (user, password, originator)
        return await self._login(self._credentials)

    async def call(self, session: str, method: str, params: Sequence[Any]) -> Any:
        if method == "system.listMethods":
            return tuple(await self._ask(method, [], Any))
        wanted = Any if _is_foreign(method) else result_type(method)
        sent = _with_floats(method, params)

        async def ask(ref: str) -> Any:
            return await self._ask(method, [ref, *sent], wanted)

        if method in _NO_RENEWAL:
            ended = self._current(session)
            result = await ask(ended)
            stop_concealing(ended)
            return result
        return await self._renewed_for(session, ask)

    async def read_blob(self, session: str, blob: str) -> bytes:
        return await self._content(session, "/blob", blob)

    async def screenshot(self, session: str, console: str) -> bytes:
        return await self._content(session, "/screenshot", console)

    async def open_console(self, session: str, console: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        location = str(await self.call(session, "console.get_location", [console]))
        address, path = http_streams.console_of(self.address, location, console)
        return await self._renewed_for(session, lambda ref: http_streams.connect(self._channel, address, path, ref))

    @asynccontextmanager
    async def download(self, session: str, path: str, query: Mapping[str, str]) -> AsyncIterator[Download]:
        async with contextlib.AsyncExitStack() as stack:

            async def begin(ref: str) -> Download:
                response = await stack.enter_async_context(self._channel.get(self.address, path, query, ref))
                task = query.get("task_id", "") or response.headers.get("task-id", "")
                look = lambda: self._failure_of(session, task)  # noqa: E731
                if response.status != 200:
                    raise await http_streams.refusal(response, path, ref, look)
                return http_streams.received(response, task, look)

            yield await self._renewed_for(session, begin)

    async def upload(
        self, session: str, path: str, query: Mapping[str, str], body: AsyncIterator[Chunk], length: int | None
    ) -> None:
        given = query.get("task_id", "")
        # Either call also renews an expired session, which the stream itself could not.
        if given:
            await self.call(session, "task.get_status", [given])
        task = given or str(await self.call(session, "task.create", [path.strip("/"), ""]))
        try:
            await self._upload(session, path, {**query, "task_id": task}, body, length)
        finally:
            if not given:
                with contextlib.suppress(Failure, ConnectionLost):
                    await self.call(session, "task.destroy", [task])

    async def close(self) -> None:
        """Forget the password and close all connections."""
        if self._credentials is not None:
            stop_concealing(self._credentials[1])
        self._credentials = None
        await self._channel.close()

    async def _upload(
        self, session: str, path: str, query: Mapping[str, str], body: AsyncIterator[Chunk], length: int | None
    ) -> None:
        task = query["task_id"]
        try:
            async with http_streams.sending(
                self._channel, self.address, path, query, self._current(session), body, length
            ) as said:
                failure = await self._outcome(session, task, said)
        except asyncio.CancelledError:
            with contextlib.suppress(Failure, ConnectionLost, TimeoutError):
                async with asyncio.timeout(http_streams.PATIENCE_SECONDS):
                    await self.call(session, "task.cancel", [task])
            raise
        if failure is not None:
            raise failure

    async def _outcome(
        self, session: str, task: str, said: Failure | ConnectionLost | None
    ) -> Failure | ConnectionLost | None:
        """How an upload ended: the task knows best, if the server came so far as to use it."""
        if isinstance(said, Failure):
            return await self._failure_of(session, task, wait=False) or said
        if said is None:
            return await self._failure_of(session, task)
        try:
            async with asyncio.timeout(http_streams.PATIENCE_SECONDS):
                return await self._failure_of(session, task)
        except TimeoutError:
            return said

    async def _failure_of(self, session: str, task: str, *, wait: bool = True) -> Failure | None:
        """What a task failed with; None: with nothing, or the server has forgotten the task."""
        if not task:
            return None
        asked = http_streams.task_end if wait else http_streams.task_now
        return await asked(lambda method, *params: self.call(session, method, params), task)

    async def _content(self, session: str, path: str, ref: str) -> bytes:
        async def get(session_ref: str) -> bytes:
            async with self._channel.get(self.address, path, {"ref": ref}, session_ref) as response:
                if response.status != 200:
                    raise await http_streams.refusal(response, path, session_ref)
                return await response.read()

        return await self._renewed_for(session, get)

    async def _login(self, credentials: tuple[str, str, str]) -> str:
        for _ in range(MOST_MOVES):
            try:
                ref = str(await self._login_here(*credentials))
            except Failure as failure:
                if failure.code != "HOST_IS_SLAVE" or not failure.params:
                    raise
                self.address = self.address.at(failure.params[0])
            else:
                conceal(ref)
                return ref
        raise ConnectionLost(f"{self.address} sends us round in circles")

    async def _login_here(self, user: str, password: str, originator: str) -> Any:
        try:
            return await self._ask(LOGIN, [user, password, VERSION, originator], str)
        except Failure as failure:
            if failure.code != "MESSAGE_PARAMETER_COUNT_MISMATCH":
                raise
        return await self._ask(LOGIN, [user, password], str)

    def _current(self, session: str) -> str:
        return self._renewed.get(session, session)

    async def _renewed_for(self, session: str, work: Callable[[str], Awaitable[T]]) -> T:
        """Do the work; with a new session once more if the server refused the old one before it did anything."""
        ref = self._current(session)
        try:
            return await work(ref)
        except Failure as failure:
            if failure.code not in _REFUSED_BEFORE_DOING or self._credentials is None:
                raise
            await self._renew(session, ref, failure)
        return await work(self._current(session))

    async def _renew(self, session: str, refused: str, failure: Failure) -> None:
        async with self._renewing:
            if self._current(session) != refused or self._credentials is None:
                return  # another call did it meanwhile
            if failure.code == "HOST_IS_SLAVE" and failure.params:
                self.address = self.address.at(failure.params[0])
            self._renewed[session] = await self._login(self._credentials)
            stop_concealing(refused)

    async def _ask(self, method: str, params: Sequence[Any], wanted: Any) -> Any:
        """The result of a message as the wanted type, in whatever language the server speaks."""
        if self._dialect is not None:
            return await self._ask_in(self._dialect, method, params, wanted)
        try:
            result = await self._ask_in(preferred := JsonRpc(), method, params, wanted)
        except _NotSpoken:
            self._dialect = XmlRpc()
            return await self._ask_in(self._dialect, method, params, wanted)
        except Failure:
            self._dialect = preferred
            raise
        self._dialect = preferred
        return result

    async def _ask_in(self, dialect: Dialect, method: str, params: Sequence[Any], wanted: Any) -> Any:
        body = dialect.request(method, params)
        for last in (False, True) if is_read(method) else (True,):
            try:
                status, content = await self._channel.post(
                    self.address, dialect.path, dialect.content_type, body, _silence(method, params)
                )
                break
            except ConnectionLost:
                if last:
                    raise
        if status != 200:
            raise _NotSpoken(f"{self.address} answered with HTTP status {status}")
        try:
            if len(content) < LARGE:
                return read(dialect.result(content), wanted)
            # A whole pool takes seconds to understand; a window has other things to do meanwhile.
            return await asyncio.to_thread(lambda: read(dialect.result(content), wanted))
        except NotUnderstood as error:
            raise _NotSpoken(f"{self.address} gave an answer that is none: {error}") from error


class _NotSpoken(ConnectionLost):
    """The server did not answer in the language; whether it did anything is not known."""


def is_read(method: str) -> bool:
    """Whether a message changes nothing, so that it may be sent again when the outcome is unknown."""
    name = method.rpartition(".")[2]
    return not method.startswith("Async.") and (
        name.startswith("get_") or method in ("event.from", "system.listMethods")
    )


def _is_foreign(method: str) -> bool:
    return not method.startswith("Async.") and not parameter_types(method) and result_type(method) is str


def _silence(method: str, params: Sequence[Any]) -> float | None:
    return float(params[3]) + SILENCE_SECONDS if method == "event.from" else None


def _with_floats(method: str, params: Sequence[Any]) -> list[Any]:
    """The parameters, whole numbers being floats where those are declared: XenServer tells them apart."""
    declared = parameter_types(method)
    return [
        float(value) if at < len(declared) and declared[at] is float and type(value) is int else value
        for at, value in enumerate(params)
    ]
