"""Mails what schedules have to say: gathered for a moment, sent as one message, tried again until it arrives.

It never holds anything up: it works beside the engine, and what blocks (SMTP, the keyring) in a thread that the end of
the process does not wait for. What was not sent before the engine ended is sent by the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from app.api import SR, VDI, VM, VMSS, Failure, Host, Message, MessageClass, Pool, Record, Ref
from app.api.run_errors import read_errors
from app.log import get
from app.mail import passwords
from app.mail.delivery import MailError, send
from app.mail.digest import KINDS, Notice, compose, trial_message
from app.mail.passwords import PasswordError
from app.mail.settings import KEYS, MailSettings, stored
from app.ops.context import Context
from app.ops.readiness_words import sentence
from app.schedule.fields import server_zone
from app.store import Transaction

log = get(__name__)
T = TypeVar("T")

GATHER_SECONDS: Final = 30.0
"""What happens within this time after the first notice is told in the same mail."""
RETRY_SECONDS: Final = (60.0, 300.0, 900.0, 3600.0)
"""Between attempts; the last one again and again."""
PATIENCE_SECONDS: Final = 60.0
GLANCE_SECONDS: Final = 5.0
"""For a keyring that is only asked how things are; one that waits for its user counts as not answering."""
MOST_PENDING: Final = 1000
SENT_KEY: Final = "stillframe.mailed-until"
"""In the pool's other_config: the time of the newest message that was mailed, or since when mail is on."""
NOT_SENT: Final = "MAIL_NOT_SENT"
SENT_AGAIN: Final = "MAIL_SENT_AGAIN"
_SUBJECTS: Final[Mapping[MessageClass, type[Record]]] = {
    MessageClass.VMSS: VMSS,
    MessageClass.VM: VM,
    MessageClass.SR: SR,
    MessageClass.VDI: VDI,
}


class Mailer:
    """The mail of one engine.

    :ivar gather_seconds: see GATHER_SECONDS.
    :ivar retry_seconds: see RETRY_SECONDS.
    :ivar error: why the last attempt failed, "" if it did not.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._pending: list[Ref[Message]] = []
        self._wake = asyncio.Event()
        self.gather_seconds = GATHER_SECONDS
        self.retry_seconds: Sequence[float] = RETRY_SECONDS
        self.error = ""

    def open(self) -> None:
        """Begin with what the last engine did not send, and listen."""
        self._pending = self._unsent()
        if self._pending:
            self._wake.set()
        self._context.on_message = self._hear
        self._context.in_background(asyncio.ensure_future(self._run()))

    def settings(self) -> MailSettings | None:
        """As they are now; None where mail is off."""
        return stored(self._context.store.get(Pool, self._context.pool).other_config)

    def configure(self, settings: MailSettings | None) -> None:
        """Turn mail on with these settings, or off. What happened before is not mailed."""
        with self._context.store.transaction() as tx:
            before = tx.get(Pool, self._context.pool).other_config
            kept = {key: value for key, value in before.items() if key not in (*KEYS, SENT_KEY)}
            if settings is not None:
                kept |= {**settings.kept(), SENT_KEY: before.get(SENT_KEY, self._context.now().isoformat())}
            tx.update(Pool, self._context.pool, other_config=kept)
        self.error = ""
        self.try_again()

    def try_again(self) -> None:
        """Something that stood against sending may have changed."""
        self._wake.set()

    async def keep_password(self, settings: MailSettings, password: str) -> None:
        """Put it into the keyring; an empty one is forgotten. :raise Failure: MAIL_PASSWORD_NOT_KEPT."""
        try:
            await in_thread(lambda: passwords.keep(settings, password))
        except (PasswordError, TimeoutError) as error:
            raise Failure("MAIL_PASSWORD_NOT_KEPT", _reason(error)) from error
        self.try_again()

    async def send_trial(self, settings: MailSettings, password: str) -> None:
        """Send a test message now, by these settings; an empty password is looked up.

        :raise Failure: MAIL_NOT_SENT.
        """
        message = trial_message(settings, self._host_name(), self._context.now())
        try:
            refused = await in_thread(lambda: send(settings, password or _password(settings), message))
        except (MailError, PasswordError, TimeoutError) as error:
            raise Failure(NOT_SENT, _reason(error)) from error
        if refused:
            raise Failure(NOT_SENT, f"The server refused {', '.join(refused)}; the others get it.")

    async def source(self) -> str:
        """Where the password comes from: `credential`, `file`, `keyring`, or "" where there is none."""
        settings = self.settings()
        if settings is not None and settings.user:
            with contextlib.suppress(PasswordError, TimeoutError):
                return (await in_thread(lambda: passwords.find(settings), GLANCE_SECONDS)).source
        return ""

    async def why_none_kept(self) -> str:
        """Why the keyring can keep no password, "" if it can."""
        try:
            return await in_thread(passwords.why_none_kept, GLANCE_SECONDS)
        except TimeoutError:
            return "The system's keyring does not answer."

    def _hear(self, ref: Ref[Message], message: Message) -> None:
        """The transaction may still fail: whether the message is there is looked up before it is told."""
        if message.name in KINDS and self.settings() is not None:
            self._pending = [*self._pending, ref][-MOST_PENDING:]
            self._wake.set()

    def _unsent(self) -> list[Ref[Message]]:
        marked = self._context.store.get(Pool, self._context.pool).other_config.get(SENT_KEY, "")
        try:
            since = datetime.fromisoformat(marked)
            found = {
                r: m for r, m in self._context.store.all(Message).items() if m.name in KINDS and m.timestamp > since
            }
        except (ValueError, TypeError):
            return []
        return sorted(found, key=lambda ref: found[ref].timestamp)[-MOST_PENDING:]

    async def _run(self) -> None:
        attempts = 0
        while True:
            waiting = self.retry_seconds[min(attempts, len(self.retry_seconds)) - 1] if attempts else None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(waiting):
                    await self._wake.wait()
            await asyncio.sleep(self.gather_seconds)
            self._wake.clear()
            try:
                await self._send_pending()
                attempts = 0
            except (MailError, PasswordError, TimeoutError) as error:
                attempts += 1
                self._fail(_reason(error))
            except Exception:  # a bug here must not end the mail for good
                log.exception("mail could not be made")
                attempts += 1

    async def _send_pending(self) -> None:
        settings, pending = self.settings(), self._pending
        known = {ref: m for ref in pending if (m := self._context.store.find(Message, ref)) is not None}
        if settings is None or not known:
            self._pending = [ref for ref in self._pending if ref not in pending]
            return
        notices = [self._notice(message) for message in known.values()]
        letter = compose(settings, notices, self._host_name(), self._context.now(), server_zone())
        refused = await in_thread(lambda: send(settings, _password(settings) if settings.user else "", letter))
        log.info("mail sent", notices=len(notices), refused=len(refused))
        self._pending = [ref for ref in self._pending if ref not in pending]
        self._mark(max(message.timestamp for message in known.values()))

    def _mark(self, until: datetime) -> None:
        pool = self._context.pool
        with self._context.store.transaction() as tx:
            other_config = {**tx.get(Pool, pool).other_config, SENT_KEY: until.isoformat()}
            tx.update(Pool, pool, other_config=other_config)
            if self.error:
                self._post(tx, SENT_AGAIN, 5, "Mail is delivered again.")
        self.error = ""

    def _fail(self, reason: str) -> None:
        log.warning("mail could not be sent", reason=reason)
        if not self.error:  # one alert for each time it begins to fail
            with self._context.store.transaction() as tx:
                self._post(tx, NOT_SENT, 3, f"{reason} It is tried again.")
        self.error = reason

    def _post(self, tx: Transaction, name: str, priority: int, body: str) -> None:
        uuid = tx.get(Pool, self._context.pool).uuid
        message = Message(
            name=name, priority=priority, cls=MessageClass.Pool, obj_uuid=uuid, timestamp=self._context.now(), body=body
        )
        self._context.leave_message(tx, message)

    def _notice(self, message: Message) -> Notice:
        errors = read_errors(message.body)
        lines = tuple(f"{e.vm}: {sentence(e.failure)[0]}" for e in errors) or tuple(message.body.splitlines())
        return Notice(message.timestamp, message.name, self._subject(message), lines)

    def _subject(self, message: Message) -> str:
        record, known = _SUBJECTS.get(message.cls), None
        if record is not None:
            with contextlib.suppress(Failure):
                store = self._context.store
                known = store.find(record, store.by_uuid(record, message.obj_uuid))
        return str(getattr(known, "name_label", "")) or "an object that is gone"

    def _host_name(self) -> str:
        host = self._context.store.get(Host, self._context.host)
        return host.name_label or host.hostname or "this machine"


def _password(settings: MailSettings) -> str:
    return passwords.find(settings).password if settings.user else ""


def _reason(error: Exception) -> str:
    return "It took too long." if isinstance(error, TimeoutError) else str(error)


async def in_thread(work: Callable[[], T], seconds: float = PATIENCE_SECONDS) -> T:
    """Do what blocks in a thread of its own; a keyring may wait for its user for ever, and nobody waits for that.

    :raise TimeoutError: it has not ended in time.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def settle(act: Callable[[Any], None], value: Any) -> None:
        if not done.done():
            act(value)

    def run() -> None:
        try:
            result = work()
        except BaseException as error:
            answer: tuple[Callable[[Any], None], Any] = (done.set_exception, error)
        else:
            answer = (done.set_result, result)
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, *answer)

    threading.Thread(target=run, name="mail", daemon=True).start()
    async with asyncio.timeout(seconds):
        result: T = await done
        return result
