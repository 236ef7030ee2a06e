"""A session: typed XenAPI calls over any transport."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from app.api import (
    EventCalls,
    Failure,
    HostCalls,
    PoolCalls,
    Record,
    Ref,
    SRCalls,
    Task,
    TaskCalls,
    VBDCalls,
    VDICalls,
    VIFCalls,
    VMCalls,
    VMSSCalls,
    class_of,
    classes,
)
from app.api.control import Blob, MessageCalls
from app.api.streams import Chunk, Download
from app.api.types import Calls
from app.api.vm import Console
from app.client.transport import Transport

P = ParamSpec("P")
R = TypeVar("R", bound=Record)


class Session:
    """One login. `session.VM.snapshot(vm, name)` waits for the answer; `session.start(VMCalls.snapshot, vm, name)`
    answers a task at once. Every call may raise Failure, or ConnectionLost when the outcome is unknown."""

    def __init__(self, transport: Transport, ref: str) -> None:
        self.ref = ref
        self._transport = transport
        self.VM = cast("VMCalls", _proxy(self, "VM"))
        self.VMSS = cast("VMSSCalls", _proxy(self, "VMSS"))
        self.VDI = cast("VDICalls", _proxy(self, "VDI"))
        self.VBD = cast("VBDCalls", _proxy(self, "VBD"))
        self.VIF = cast("VIFCalls", _proxy(self, "VIF"))
        self.SR = cast("SRCalls", _proxy(self, "SR"))
        self.pool = cast("PoolCalls", _proxy(self, "pool"))
        self.host = cast("HostCalls", _proxy(self, "host"))
        self.task = cast("TaskCalls", _proxy(self, "task"))
        self.event = cast("EventCalls", _proxy(self, "event"))
        self.message = cast("MessageCalls", _proxy(self, "message"))

    @classmethod
    async def open(cls, transport: Transport, user: str = "", password: str = "", originator: str = "") -> Session:
        """Log in. :raise Failure: SESSION_AUTHENTICATION_FAILED."""
        return cls(transport, await transport.login(user, password, originator))

    async def close(self) -> None:
        """Log out and let go of the engine."""
        try:
            await self.call("session.logout")
        finally:
            await self._transport.close()

    async def call(self, method: str, *params: Any) -> Any:
        """Send any message by name."""
        return await self._transport.call(self.ref, method, params)

    async def start(
        self, message: Callable[Concatenate[Any, P], Awaitable[Any]], *args: P.args, **kwargs: P.kwargs
    ) -> Ref[Task]:
        """Start a message as a task: `session.start(VMCalls.snapshot, vm, name)`."""
        if kwargs:
            raise TypeError("messages take positional parameters only")
        method = f"Async.{_name_of(message)}"
        return Ref(await self._transport.call(self.ref, method, args))

    async def set(self, record: type[R], ref: Ref[R], **fields: Any) -> None:
        """Set fields, one call each, in the order given."""
        for name, value in fields.items():
            await self.call(f"{class_of(record).name}.set_{name}", ref, value)

    async def get_record(self, record: type[R], ref: Ref[R]) -> R:
        """The object's record."""
        return cast("R", await self.call(f"{class_of(record).name}.get_record", ref))

    async def get_all_records(self, record: type[R]) -> Mapping[Ref[R], R]:
        """All records of a class."""
        return cast("Mapping[Ref[R], R]", await self.call(f"{class_of(record).name}.get_all_records"))

    async def by_name(self, record: type[R], name: str) -> Ref[R]:
        """The one object of this name. :raise Failure: INVALID_VALUE: none, or several."""
        found = await self.call(f"{class_of(record).name}.get_by_name_label", name)
        if len(found) != 1:
            raise Failure("INVALID_VALUE", "name_label", name)
        return Ref(found[0])

    async def read_blob(self, blob: Ref[Blob]) -> bytes:
        """The content of a blob."""
        return await self._transport.read_blob(self.ref, blob)

    def download(self, path: str, query: Mapping[str, str]) -> AbstractAsyncContextManager[Download]:
        """A stream from one of XenServer's GET handlers; see `Transport.download`. `app.client.exchange` has more."""
        return self._transport.download(self.ref, path, query)

    async def upload(
        self, path: str, query: Mapping[str, str], body: AsyncIterator[Chunk], length: int | None = None
    ) -> None:
        """A stream to one of XenServer's PUT handlers; see `Transport.upload`. `app.client.exchange` has more."""
        await self._transport.upload(self.ref, path, query, body, length)

    async def screenshot(self, console: Ref[Console]) -> bytes:
        """The picture on a console's screen now, PNG."""
        return await self._transport.screenshot(self.ref, console)

    async def open_console(self, console: Ref[Console]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A byte stream to a console that speaks RFB."""
        return await self._transport.open_console(self.ref, console)


def _name_of(message: Callable[..., Any]) -> str:
    owner, _, attribute = message.__qualname__.rpartition(".")
    for name, declared in classes().items():
        if declared.calls.__name__ == owner and attribute in declared.messages:
            return f"{name}.{attribute}"
    raise TypeError(f"{message.__qualname__} is no message")


def _proxy(session: Session, name: str) -> Calls:
    """An object of the class's declaration whose every message is sent over the session."""
    declared = classes()[name]
    members = {}
    for wire_name in declared.messages:
        attribute = "from_" if wire_name == "from" else wire_name
        members[attribute] = _sender(session, f"{name}.{wire_name}")
    proxy: Calls = type(f"{declared.calls.__name__}Proxy", (declared.calls,), members)()
    return proxy


def _sender(session: Session, method: str) -> Callable[..., Coroutine[Any, Any, Any]]:
    async def send(_self: Calls, *params: Any) -> Any:
        return await session.call(method, *params)

    send.__name__ = method.rpartition(".")[2]
    return send
