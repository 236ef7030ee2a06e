"""The one exception that leaves the storage floor."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Literal

Cause = Literal["no_space", "io", "missing", "corrupt", "unsupported", "tool", "in_use", "cancelled"]

_CAUSES: dict[int, Cause] = {
    errno.ENOSPC: "no_space",
    errno.EDQUOT: "no_space",
    errno.EFBIG: "no_space",
    errno.ENOENT: "missing",
    errno.ENOTDIR: "missing",
    errno.EEXIST: "in_use",
    errno.EBUSY: "in_use",
}


class StorageError(Exception):
    """A disk operation did not happen, or did not happen fully and was taken back.

    ``message`` is one or two plain sentences that name the file; ``command`` and ``stderr`` are those of the tool that
    failed, empty when none ran. ``cause`` says what kind of trouble it is:

    ========== =========================================================
    no_space   the file system, a quota or a size limit is exhausted
    io         the file system failed or refused (permission included)
    missing    a file or image that should be there is not
    corrupt    the content contradicts itself or is cut short
    unsupported the content is sound but of a kind we refuse
    tool       qemu-img is absent or failed in a way of its own
    in_use     another process or image uses it, or the name is taken
    cancelled  the caller asked to stop
    ========== =========================================================
    """

    def __init__(self, message: str, cause: Cause, command: str = "", stderr: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cause: Cause = cause
        self.command = command
        self.stderr = stderr

    def __reduce__(self) -> tuple[type[StorageError], tuple[str, Cause, str, str]]:
        return (StorageError, (self.message, self.cause, self.command, self.stderr))

    @classmethod
    def no_space(cls, message: str, command: str = "", stderr: str = "") -> StorageError:
        return cls(message, "no_space", command, stderr)

    @classmethod
    def io(cls, message: str, command: str = "", stderr: str = "") -> StorageError:
        return cls(message, "io", command, stderr)

    @classmethod
    def missing(cls, message: str) -> StorageError:
        return cls(message, "missing")

    @classmethod
    def corrupt(cls, message: str, command: str = "", stderr: str = "") -> StorageError:
        return cls(message, "corrupt", command, stderr)

    @classmethod
    def unsupported(cls, message: str) -> StorageError:
        return cls(message, "unsupported")

    @classmethod
    def tool(cls, message: str, command: str = "", stderr: str = "") -> StorageError:
        return cls(message, "tool", command, stderr)

    @classmethod
    def in_use(cls, message: str, command: str = "", stderr: str = "") -> StorageError:
        return cls(message, "in_use", command, stderr)

    @classmethod
    def cancelled(cls, message: str, command: str = "") -> StorageError:
        return cls(message, "cancelled", command)

    @classmethod
    def from_os_error(cls, error: OSError, doing: str, path: Path | None = None) -> StorageError:
        """Translate *error*. *doing* completes "Cannot …": ``from_os_error(e, "write the disk image", path)``."""
        what = f"Cannot {doing}" + (f" {path}" if path is not None else "")
        reason = error.strerror or str(error) or type(error).__name__
        return cls(f"{what}: {reason}.", _CAUSES.get(error.errno or 0, "io"))
