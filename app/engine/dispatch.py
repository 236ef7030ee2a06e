"""From a method name and parameters to the operation that implements it, and back with a value or a Failure."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from app.api import Failure
from app.api.failure import parameter_count, unknown_method
from app.api.types import Calls, MessageSpec, classes, new_ref
from app.api.values import checked
from app.engine.accessors import Accessor, accessors
from app.engine.sessions import Sessions, caller
from app.engine.tasks import Tasks, own_failure
from app.store import Store

_LOGOUTS: Final = ("session.logout", "session.local_logout")
_REMOVED: Final = ("VMPP.", "VBD_metrics.", "VIF_metrics.", "VM.set_protection_policy")
_AT_THE_DOOR: Final = frozenset(
    {"session.login_with_password", "session.slave_local_login_with_password", "session.change_password"}
)
"""Answered where a connection arrives, because there alone is known who asks."""


class Dispatcher:
    """Knows every message of every class. One call, one answer; `Async.` answers a task at once."""

    def __init__(
        self,
        store: Store,
        tasks: Tasks,
        sessions: Sessions,
        operations: Sequence[Calls],
        written: Callable[[str, str], None],
    ) -> None:
        """:param written: told the class and reference of an object when a setter has changed it."""
        self._tasks = tasks
        self._written = written
        self._sessions = sessions
        self._messages = _implemented(operations)
        self._accessors = {
            f"{name}.{method}": accessor
            for name, declared in classes().items()
            if name != "event"
            for method, accessor in accessors(store, declared).items()
            # Whoever knows a session's reference has its rights.
            if not (name == "session" and method.startswith("get_all"))
        }

    def methods(self) -> list[str]:
        """The names of all messages, as system.listMethods answers them."""
        return sorted({*self._messages, *self._accessors, *_LOGOUTS, *_AT_THE_DOOR})

    async def call(self, session: str, method: str, params: Sequence[Any]) -> Any:
        """Do what the message says. `params` come after the session.

        :raise Failure: the message's own errors, SESSION_INVALID, MESSAGE_METHOD_UNKNOWN,
            MESSAGE_PARAMETER_COUNT_MISMATCH, FIELD_TYPE_ERROR, INTERNAL_ERROR.
        """
        self._sessions.check(session)
        caller.set(session)
        try:
            return await self._call(session, method, params)
        except Failure:
            raise
        except Exception as error:
            raise own_failure(error, new_ref()) from error

    async def _call(self, session: str, method: str, params: Sequence[Any]) -> Any:
        if method in _LOGOUTS:
            if params:
                raise parameter_count(method, 0, len(params))
            return self._sessions.logout(session)
        name = method.removeprefix("Async.")
        if name.startswith(_REMOVED):
            raise Failure("MESSAGE_REMOVED")
        message = self._messages.get(name)
        if message is not None:
            return await self._send(message, params, in_background=name != method)
        accessor = self._accessors.get(name)
        if accessor is None:
            raise unknown_method(name)
        if name != method:
            raise Failure("Fault", f"No async mode for this operation (rpc: {name})")
        return self._access(name, accessor, params)

    def _access(self, name: str, accessor: Accessor, params: Sequence[Any]) -> Any:
        value = accessor(name, params)
        if accessor.writes:
            self._written(name.partition(".")[0], params[0])
        return value

    def implementation(self, name: str) -> Callable[..., Awaitable[Any]]:
        """What implements a message, for work that the engine starts itself. :raise Failure: MESSAGE_METHOD_UNKNOWN."""
        if name not in self._messages:
            raise unknown_method(name)
        function: Callable[..., Awaitable[Any]] = self._messages[name].function
        return function

    def check_session(self, session: str) -> None:
        """:raise Failure: SESSION_INVALID."""
        self._sessions.check(session)

    def login(self, user: str, originator: str) -> str:
        """Begin a session of somebody whose right to it the caller has looked at."""
        return self._sessions.login(user, originator)

    def logout(self, session: str) -> None:
        """End a session."""
        self._sessions.logout(session)

    async def _send(self, message: _Message, params: Sequence[Any], *, in_background: bool) -> Any:
        arguments = _arguments(message.spec, params)
        if message.spec.read_only and not in_background:
            return await message.function(*arguments)
        label = message.spec.full_name
        handle = self._tasks.make(f"Async.{label}" if in_background else label)
        if in_background:
            self._tasks.start(handle, lambda: message.function(*arguments))
            return handle.ref
        return await self._tasks.run(handle, lambda: message.function(*arguments))


class _Message:
    def __init__(self, spec: MessageSpec, function: Any) -> None:
        self.spec = spec
        self.function = function


def _implemented(operations: Sequence[Calls]) -> Mapping[str, _Message]:
    found: dict[str, _Message] = {}
    for name, declared in classes().items():
        for wire_name, spec in declared.messages.items():
            attribute = "from_" if wire_name == "from" else wire_name
            owner = next((o for o in operations if _overrides(o, declared.calls, attribute)), None)
            if owner is not None:
                found[f"{name}.{wire_name}"] = _Message(spec, getattr(owner, attribute))
    return found


def _overrides(owner: Calls, declared: type[Calls], attribute: str) -> bool:
    return isinstance(owner, declared) and getattr(type(owner), attribute) is not getattr(declared, attribute)


def _arguments(spec: MessageSpec, params: Sequence[Any]) -> list[Any]:
    if not spec.required <= len(params) <= len(spec.parameters):
        raise parameter_count(spec.full_name, spec.required, len(params))
    return [_argument(spec, parameter, value) for parameter, value in zip(spec.parameters, params, strict=False)]


def _argument(spec: MessageSpec, parameter: inspect.Parameter, value: Any) -> Any:
    try:
        return checked(value, spec.types[parameter.name], parameter.name)
    except Failure:
        if isinstance(value, str) and parameter.name in ("token", "classes"):
            raise Failure("EVENT_SUBSCRIPTION_PARSE_FAILURE", value) from None
        raise
