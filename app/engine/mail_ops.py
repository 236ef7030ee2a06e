"""The messages of a pool about mail."""

from __future__ import annotations

from collections.abc import Mapping

from app.api import Pool, PoolCalls, Ref
from app.api.failure import not_allowed
from app.engine.mailer import Mailer
from app.mail.settings import checked
from app.ops.context import Context, Operations


class PoolMailOps(Operations, PoolCalls):
    """Settings, password and a test message."""

    def __init__(self, context: Context, mailer: Mailer) -> None:
        super().__init__(context)
        self._mailer = mailer

    async def get_mail(self, pool: Ref[Pool]) -> dict[str, str]:
        self.store.get(Pool, pool)
        settings = self._mailer.settings()
        return {
            **(settings.told() if settings is not None else {}),
            "password": await self._mailer.source(),
            "keyring": await self._mailer.why_none_kept(),
            "error": self._mailer.error,
        }

    async def set_mail(self, pool: Ref[Pool], settings: Mapping[str, str]) -> None:
        self.store.get(Pool, pool)
        self._mailer.configure(checked(settings) if settings else None)

    async def set_mail_password(self, pool: Ref[Pool], password: str) -> None:
        self.store.get(Pool, pool)
        settings = self._mailer.settings()
        if settings is None or not settings.user:
            raise not_allowed("There is no mail account that could have a password")
        await self._mailer.keep_password(settings, password)

    async def send_test_mail(self, pool: Ref[Pool], settings: Mapping[str, str], password: str) -> None:
        self.store.get(Pool, pool)
        await self._mailer.send_trial(checked(settings), password)
