"""A keyring in memory, for tests; and none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keyring
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from keyring.errors import PasswordDeleteError


class MemoryKeyring(KeyringBackend):
    """Keeps passwords as long as it lives. `locked`: it fails as one that its user does not open."""

    priority = 5.0

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise RuntimeError("Cannot unlock it")
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.locked:
            raise RuntimeError("Cannot unlock it")
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.kept.pop((service, username), None) is None:
            raise PasswordDeleteError("not there")


@contextmanager
def using(made: KeyringBackend) -> Iterator[None]:
    """The system's keyring for the time of the block."""
    before = keyring.get_keyring()
    keyring.set_keyring(made)
    try:
        yield
    finally:
        keyring.set_keyring(before)


def no_keyring() -> KeyringBackend:
    """What a machine without one has."""
    return NoKeyring()  # type: ignore[no-untyped-call]
