"""Errors of the floors below, turned into XenAPI failures that keep the cause and the tool's own words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from app.api import Failure
from app.api.failure import not_allowed, storage_failure, task_cancelled
from app.hypervisor.driver import DriverError
from app.log import get
from app.storage.errors import StorageError

log = get(__name__)

_NUMBERS = {"no_space": 44, "missing": 46, "corrupt": 46, "io": 46, "in_use": 24}


def from_storage(error: StorageError) -> Failure:
    """A storage error as SR_BACKEND_FAILURE_n, or OPERATION_NOT_ALLOWED where the input is to blame."""
    log.warning("storage error", cause=error.cause, text=error.message, command=error.command, stderr=error.stderr)
    if error.cause == "cancelled":
        return task_cancelled("")
    if error.cause in ("unsupported", "tool"):
        return not_allowed(error.message)
    number = _NUMBERS[error.cause]
    if error.cause == "no_space":
        return storage_failure(number, "There is insufficient space", error.message)
    return storage_failure(number, error.message, error.stderr)


def from_driver(error: DriverError, vm: str) -> Failure:
    """A hypervisor error as VM_HYPERVISOR_FAILURE[vm, sentence, QEMU's own text], an extension of ours; 44 if full."""
    log.warning("hypervisor error", cause=error.cause, text=error.message, command=error.command, detail=error.detail)
    if error.cause == "no_space":
        return storage_failure(44, "There is insufficient space", error.message)
    return Failure("VM_HYPERVISOR_FAILURE", vm, error.message, error.detail)


@contextmanager
def failures(vm: str = "") -> Iterator[None]:
    """Translate what the block raises from below."""
    try:
        yield
    except StorageError as error:
        raise from_storage(error) from error
    except DriverError as error:
        raise from_driver(error, vm) from error
    except OSError as error:
        raise from_storage(StorageError.from_os_error(error, "using the storage")) from error
