"""Accounts and logins: what is kept of a password, and what guessing one costs."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from app.api import Failure
from app.server.accounts import Accounts, AccountsError
from app.server.door import Door
from tests.support.wire import PASSWORD, USER


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    made = Accounts(tmp_path / "accounts.json")
    made.set(USER, PASSWORD)
    return made


def test_a_password_is_not_kept(accounts: Accounts, tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first = path.read_text()
    assert PASSWORD not in first and not list(tmp_path.glob("*.new"))
    accounts.set(USER, PASSWORD)
    # The same password has another hash each time.
    assert path.read_text() != first
    again = Accounts(path)
    assert again and again.right(USER, PASSWORD) and again.right(USER, PASSWORD)
    for user, password in ((USER, "wrong"), (USER, ""), ("nobody", PASSWORD), ("", ""), (USER, PASSWORD + "\0")):
        assert not again.right(user, password)
    assert not again.right(USER, "\ud800")


def test_names_and_passwords_that_are_refused(accounts: Accounts) -> None:
    for user, password in (("", PASSWORD), ("a:b", PASSWORD), ("a\nb", PASSWORD), ("a", "short"), ("a", "x" * 2000)):
        with pytest.raises(AccountsError):
            accounts.set(user, password)
    assert not Accounts(Path("/nonexistent/accounts.json"))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"root": 5}', '{"root": {"salt": "x"}}', "\xff"])
def test_a_file_that_is_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "accounts.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(AccountsError):
        Accounts(path)
    with pytest.raises(AccountsError):
        Accounts(tmp_path)


class Patience:
    """Remembers how long somebody had to wait."""

    def __init__(self) -> None:
        self.waited: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.waited.append(seconds)


async def refused(door: Door, address: str, password: str = "wrong", user: str = USER) -> None:
    with pytest.raises(Failure) as caught:
        await door.admit(user, password, address)
    assert caught.value.description() == ["SESSION_AUTHENTICATION_FAILED", user, "Authentication failure"]


async def test_guessing_takes_longer_each_time(accounts: Accounts) -> None:
    patience = Patience()
    door = Door(accounts, pause=patience)
    for _ in range(6):
        await refused(door, "192.0.2.1")
    assert patience.waited == [1, 2, 4, 8, 16, 16]
    await door.admit(USER, PASSWORD, "192.0.2.1")
    await refused(door, "192.0.2.1", user="nobody")
    assert patience.waited[6:] == [1]


async def test_others_do_not_wait_for_who_guesses(accounts: Accounts) -> None:
    never = asyncio.Event()

    async def pause(_seconds: float) -> None:
        await never.wait()

    door = Door(accounts, pause=pause)
    guesses = [asyncio.ensure_future(refused(door, "192.0.2.1")) for _ in range(5)]
    await asyncio.sleep(0)
    # Neither another machine, nor a right password elsewhere.
    await door.admit(USER, PASSWORD, "192.0.2.2")
    await door.admit(USER, PASSWORD, "2001:db8:0:1::1")
    never.set()
    await asyncio.gather(*guesses)


async def test_an_address_that_is_changed_at_will_is_one(accounts: Accounts) -> None:
    patience = Patience()
    door = Door(accounts, pause=patience)
    for address in ("2001:db8::1", "2001:db8::2", "2001:db8::dead:beef%eth0", "2001:db8:1::1", "no address", ""):
        await refused(door, address)
    assert patience.waited == [1, 2, 4, 1, 1, 1]


async def test_many_addresses_are_forgotten(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.server.door._ADDRESSES_KEPT", 2)
    door = Door(accounts, pause=Patience())
    for number in range(5):
        await door.admit(USER, PASSWORD, f"192.0.2.{number}")
    assert len(door._visitors) == 2


async def test_a_password_is_changed_by_who_knows_it(accounts: Accounts) -> None:
    door = Door(accounts, pause=Patience())
    with pytest.raises(Failure, match="SESSION_AUTHENTICATION_FAILED"):
        await door.change_password(USER, "wrong", "a new horse", "192.0.2.1")
    with pytest.raises(Failure, match="CHANGE_PASSWORD_REJECTED"):
        await door.change_password(USER, PASSWORD, "short", "192.0.2.1")
    await door.change_password(USER, PASSWORD, "a new horse", "192.0.2.1")
    await refused(door, "192.0.2.1", PASSWORD)
    await door.admit(USER, "a new horse", "192.0.2.1")
