"""The one exception that crosses the seam, and named constructors for the codes we raise."""

from __future__ import annotations

from typing import Any


class Failure(Exception):
    """A XenAPI error: a code and its parameters, all strings, exactly as a client receives them."""

    def __init__(self, code: str, *params: object) -> None:
        self.code = code
        self.params = tuple(str(p) for p in params)
        super().__init__(code, *self.params)

    def __str__(self) -> str:
        return f"{self.code}({', '.join(self.params)})" if self.params else self.code

    def description(self) -> list[str]:
        """The error as XenAPI's ErrorDescription: code first, then the parameters."""
        return [self.code, *self.params]


class ConnectionLost(Exception):
    """The client lost its server: whether the last call took effect is not known."""


def handle_invalid(cls: str, ref: str) -> Failure:
    """No object of this class has this reference."""
    return Failure("HANDLE_INVALID", cls, ref)


def uuid_invalid(cls: str, uuid: str) -> Failure:
    """No object of this class has this uuid."""
    return Failure("UUID_INVALID", cls, uuid)


def bad_power_state(vm: str, expected: str, actual: str) -> Failure:
    """The VM is not in a power state that the operation needs; both lists in lower case."""
    return Failure("VM_BAD_POWER_STATE", vm, expected, actual.lower())


def other_operation(cls: str, ref: str, op: str, task: str) -> Failure:
    """Another operation holds the object."""
    return Failure("OTHER_OPERATION_IN_PROGRESS", cls, ref, op, task)


def not_allowed(reason: str) -> Failure:
    """The operation makes no sense here; `reason` is a sentence."""
    return Failure("OPERATION_NOT_ALLOWED", reason)


def invalid_value(field: str, value: object) -> Failure:
    """A value outside what the field accepts."""
    return Failure("INVALID_VALUE", field, value)


def type_error(field: str) -> Failure:
    """A value of the wrong type."""
    return Failure("FIELD_TYPE_ERROR", field)


def unknown_method(method: str) -> Failure:
    """No such message."""
    return Failure("MESSAGE_METHOD_UNKNOWN", method)


def parameter_count(method: str, expected: int, received: int) -> Failure:
    """Wrong number of parameters, the session not counted."""
    return Failure("MESSAGE_PARAMETER_COUNT_MISMATCH", method, expected, received)


def duplicate_key(cls: str, field: str, ref: str, key: str) -> Failure:
    """add_to_ on a key that the map already has."""
    return Failure("MAP_DUPLICATE_KEY", cls, field, ref, key)


def session_invalid(ref: str) -> Failure:
    """The session is unknown or has ended."""
    return Failure("SESSION_INVALID", ref)


def task_cancelled(task: str) -> Failure:
    """The task was cancelled, and what it had begun was undone."""
    return Failure("TASK_CANCELLED", task)


def storage_failure(number: int, text: str, detail: str = "") -> Failure:
    """A storage error with XenServer's number: 44 no space, 46 unavailable, 79 bad size, 109 chain too long."""
    return Failure(f"SR_BACKEND_FAILURE_{number}", "", text, detail)


def internal_error(text: str, *more: Any) -> Failure:
    """A bug of ours: the text names the log entry that has the traceback."""
    return Failure("INTERNAL_ERROR", text, *more)
