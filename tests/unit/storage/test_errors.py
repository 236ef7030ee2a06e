from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path
from typing import get_args

import pytest

from app.storage.errors import Cause, StorageError


@pytest.mark.parametrize("cause", get_args(Cause))
def test_each_cause_has_a_constructor(cause: Cause) -> None:
    error = getattr(StorageError, cause)("It did not work.")
    assert (error.cause, error.message, str(error)) == (cause, "It did not work.", "It did not work.")


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        (errno.ENOSPC, "no_space"),
        (errno.EDQUOT, "no_space"),
        (errno.ENOENT, "missing"),
        (errno.EEXIST, "in_use"),
        (errno.EACCES, "io"),
        (errno.EIO, "io"),
    ],
)
def test_an_os_error_tells_cause_file_and_reason(number: int, cause: Cause) -> None:
    error = StorageError.from_os_error(OSError(number, os.strerror(number)), "write the disk image", Path("/sr/x"))
    assert error.cause == cause
    assert error.message == f"Cannot write the disk image /sr/x: {os.strerror(number)}."


def test_an_os_error_without_a_number_is_told_too() -> None:
    assert StorageError.from_os_error(OSError("odd"), "read").message == "Cannot read: odd."


def test_survives_a_trip_to_another_process() -> None:
    error = StorageError("It did not work.", "tool", "qemu-img convert", "why")
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.message, copy.cause, copy.command, copy.stderr) == (
        *("It did not work.", "tool"),
        *("qemu-img convert", "why"),
    )
