"""Delivery against a real server: each way of TLS, logins, and every refusal in a sentence."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.mail import delivery
from app.mail.delivery import MailError, send
from app.mail.digest import trial_message
from app.mail.settings import MailSettings, Security
from tests.support.smtp_server import SmtpServer, make_certificate, smtp_server

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls") / "certificate.pem")


@pytest.fixture
async def server() -> AsyncIterator[SmtpServer]:
    async with smtp_server() as made:
        yield made


def settings(port: int, security: Security = "none", user: str = "") -> MailSettings:
    return MailSettings("127.0.0.1", port, security, user, "robot@example.com", ("a@example.com", "b@example.com"))


async def post(given: MailSettings, password: str = "") -> tuple[str, ...]:
    return await asyncio.to_thread(send, given, password, trial_message(given, "nas", NOW))


async def refused(given: MailSettings, password: str = "") -> str:
    with pytest.raises(MailError) as caught:
        await post(given, password)
    assert password == "" or password not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_over_tls_with_a_login(security: Security, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with smtp_server(security, {"robot": "s3cret"}, certificate) as server:
        given = settings(server.port, security, "robot")
        assert "certificate of 127.0.0.1 is not valid" in await refused(given, "s3cret")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert await post(given, "s3cret") == ()
        letter = await server.letter()
        assert (letter.user, letter.over_tls, letter.sender) == ("robot", True, "robot@example.com")
        assert letter.recipients == ["a@example.com", "b@example.com"]
        assert letter.message["Auto-Submitted"] == "auto-generated"
        assert "wrong credentials" in await refused(given, "guess")


async def test_without_tls_and_what_a_server_may_refuse(server: SmtpServer) -> None:
    given = settings(server.port)
    assert await post(given) == ()
    assert (await server.letter()).message["Subject"] == "Stillframe on nas: test message"
    server.refuses = {"RCPT": "550 no such user"}
    assert "refused the recipients: no such user" in await refused(given)
    server.refuses = {"MAIL": "553 not you\tthere"}
    assert "The server refused: not you there (553)" in await refused(given)
    server.refuses = {}
    assert "does not offer STARTTLS" in await refused(replace(given, security="starttls"))
    assert "may expect STARTTLS" in await refused(replace(given, security="tls"))


async def test_servers_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    async with smtp_server() as server:
        gone = settings(server.port)
    assert "cannot be reached" in await refused(gone)
    assert "no server called" in await refused(replace(gone, server="nowhere.invalid"))
    monkeypatch.setattr(delivery, "SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert "did not answer" in await refused(settings(silent.getsockname()[1]))
