"""Where the password comes from, and that it stays there."""

from __future__ import annotations

from pathlib import Path

import pytest

from app import log
from app.mail.passwords import CREDENTIAL, FILE_VARIABLE, Found, PasswordError, find, keep, why_none_kept
from app.mail.settings import checked
from tests.support.keyrings import MemoryKeyring, no_keyring, using
from tests.unit.mail.test_settings import GIVEN

SETTINGS = checked(GIVEN)


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (FILE_VARIABLE, "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


def test_the_keyring_keeps_gives_and_forgets() -> None:
    ring = MemoryKeyring()
    with using(ring):
        assert why_none_kept() == ""
        with pytest.raises(PasswordError, match="No password is kept for robot"):
            find(SETTINGS)
        keep(SETTINGS, "wonderfully secret")
        assert find(SETTINGS) == Found("wonderfully secret", "keyring")
        assert list(ring.kept) == [("stillframe mail", "robot at smtp.example.com")]
        keep(SETTINGS, "")
        keep(SETTINGS, "")
        assert ring.kept == {}
        ring.locked = True
        for attempt in (lambda: find(SETTINGS), lambda: keep(SETTINGS, "x")):
            with pytest.raises(PasswordError, match="Cannot unlock it"):
                attempt()
    assert log._redact_text("it is wonderfully secret") == "it is [concealed]"
    log.stop_concealing("wonderfully secret")


def test_without_a_keyring_it_says_so() -> None:
    with using(no_keyring()):
        assert why_none_kept()
        for attempt in (lambda: find(SETTINGS), lambda: keep(SETTINGS, "x")):
            with pytest.raises(PasswordError, match="keyring"):
                attempt()
    log.stop_concealing("x")


def test_a_private_file_and_a_credential_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "password"
    monkeypatch.setenv(FILE_VARIABLE, str(file))
    with pytest.raises(PasswordError, match="cannot be read"):
        find(SETTINGS)
    file.write_text("from the file\n")
    file.chmod(0o644)
    with pytest.raises(PasswordError, match="chmod 600"):
        find(SETTINGS)
    file.chmod(0o600)
    assert find(SETTINGS) == Found("from the file", "file")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert find(SETTINGS).source == "file"  # that folder has no credential of ours
    (tmp_path / CREDENTIAL).write_text("from systemd")
    assert find(SETTINGS) == Found("from systemd", "credential")
    (tmp_path / CREDENTIAL).write_text("\n")
    with pytest.raises(PasswordError, match="no password on its first line"):
        find(SETTINGS)
    for known in ("from the file", "from systemd"):
        log.stop_concealing(known)
