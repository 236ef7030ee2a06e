"""The messages of pools and hosts. Clients ask them who they are speaking to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from app.api import Failure, Host, HostCalls, Pool, PoolCalls, Ref
from app.api.control import SessionCalls
from app.api.types import StringMap
from app.engine.bootstrap import memory_free
from app.ops.context import Operations


class PoolOps(Operations, PoolCalls):
    """The pool."""

    async def is_slave(self, host: Ref[Host]) -> bool:
        self.store.get(Host, host)
        return False

    async def sync_database(self) -> None:
        """Every change is on the disk before it is answered."""

    async def has_extension(self, pool: Ref[Pool], name: str) -> bool:
        self.store.get(Pool, pool)
        return False

    async def get_license_state(self, pool: Ref[Pool]) -> StringMap:
        self.store.get(Pool, pool)
        return {"edition": "free", "expiry": "never"}


class SessionOps(Operations, SessionCalls):
    """Sessions; those that log in and out are answered elsewhere."""

    async def get_all_subject_identifiers(self) -> Sequence[str]:
        return ()


class HostOps(Operations, HostCalls):
    """Hosts."""

    async def get_servertime(self, host: Ref[Host]) -> datetime:
        self.store.get(Host, host)
        return self.context.now()

    async def get_server_localtime(self, host: Ref[Host]) -> datetime:
        self.store.get(Host, host)
        # XenAPI sends the wall clock marked as UTC.
        local = self.context.now().astimezone()
        return datetime(*local.timetuple()[:6], tzinfo=self.context.now().tzinfo)

    async def call_plugin(self, host: Ref[Host], plugin: str, fn: str, args: StringMap) -> str:
        self.store.get(Host, host)
        raise Failure("XENAPI_MISSING_PLUGIN", plugin)

    async def has_extension(self, host: Ref[Host], name: str) -> bool:
        self.store.get(Host, host)
        return False

    async def compute_free_memory(self, host: Ref[Host]) -> int:
        self.store.get(Host, host)
        return memory_free()
