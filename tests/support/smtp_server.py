"""A mail server of our own on a free port: SMTP (RFC 5321) with STARTTLS or TLS, and AUTH PLAIN, as far as tests need.

async with smtp_server(security="starttls", users={"me": "secret"}) as server:
    …
    assert server.letters[0].recipients == ["admin@example.com"]
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass
class Letter:
    """What one client handed in, and how: who it logged in as, whether over TLS."""

    sender: str
    recipients: list[str]
    message: EmailMessage
    user: str
    over_tls: bool

    @property
    def text(self) -> str:
        """The plain text."""
        return str(self.message.get_content())


@dataclass
class SmtpServer:
    """Takes letters, and refuses as it is told to.

    :ivar refuses: by verb what it answers instead, as in {"RCPT": "550 no such user"}; may change at any time.
    """

    security: str = "none"
    users: dict[str, str] = field(default_factory=dict)
    refuses: dict[str, str] = field(default_factory=dict)
    letters: list[Letter] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    tls: ssl.SSLContext | None = None
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def letter(self) -> Letter:
        """Wait for the next letter and take it out."""
        while not self.letters:
            self.arrived.clear()
            await self.arrived.wait()
        return self.letters.pop(0)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection from greeting to end."""
        self.connections += 1
        try:
            await _Talk(self, reader, writer).hold()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()


class _Talk:
    def __init__(self, server: SmtpServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server, self._reader, self._writer = server, reader, writer
        self._over_tls = server.security == "tls"
        self._user = ""
        self._sender, self._recipients = "", list[str]()

    async def hold(self) -> None:
        self._say("220 tests ESMTP")
        while line := (await self._reader.readline()).decode().strip():
            verb, _, rest = line.partition(" ")
            verb = verb.upper()
            if verb in self._server.refuses:
                self._say(self._server.refuses[verb])
            elif verb == "QUIT":
                self._say("221 bye")
                return
            elif verb == "STARTTLS":
                await self._start_tls()
            elif verb == "AUTH":
                await self._log_in(rest)
            elif verb == "DATA":
                await self._take()
            else:
                self._answer(verb, rest)
            await self._writer.drain()

    def _answer(self, verb: str, rest: str) -> None:
        if verb == "EHLO":
            offers = ["tests", "SIZE 1000000"]
            offers += ["STARTTLS"] if self._server.security == "starttls" and not self._over_tls else []
            offers += ["AUTH PLAIN"] if self._server.users else []
            for offer in offers[:-1]:
                self._say(f"250-{offer}")
            self._say(f"250 {offers[-1]}")
        elif verb == "MAIL" and self._server.users and not self._user:
            self._say("530 log in first")
        elif verb in ("MAIL", "RCPT"):
            address = rest[rest.index("<") + 1 : rest.index(">")]
            if verb == "MAIL":
                self._sender, self._recipients = address, []
            else:
                self._recipients.append(address)
            self._say("250 fine")
        else:
            self._say("250 fine" if verb in ("RSET", "NOOP", "HELO") else "502 what")

    async def _start_tls(self) -> None:
        self._say("220 go on")
        await self._writer.drain()
        assert self._server.tls is not None
        await self._writer.start_tls(self._server.tls)
        self._over_tls = True

    async def _log_in(self, rest: str) -> None:
        _, _, given = rest.partition(" ")
        if not given:
            self._say("334 ")
            given = (await self._reader.readline()).decode().strip()
        _, user, password = base64.b64decode(given).decode().split("\0")
        if self._server.users.get(user) == password:
            self._user = user
            self._say("235 welcome")
        else:
            self._say("535 5.7.8 wrong credentials")

    async def _take(self) -> None:
        self._say("354 go on")
        lines = []
        while (line := await self._reader.readline()) != b".\r\n":
            lines.append(line.removeprefix(b"."))
        message = message_from_bytes(b"".join(lines), policy=policy.default)
        assert isinstance(message, EmailMessage)
        letter = Letter(self._sender, self._recipients, message, self._user, self._over_tls)
        self._server.letters.append(letter)
        self._server.arrived.set()
        self._say("250 taken")

    def _say(self, line: str) -> None:
        self._writer.write(f"{line}\r\n".encode())


@asynccontextmanager
async def smtp_server(
    security: str = "none", users: dict[str, str] | None = None, certificate: Path | None = None
) -> AsyncIterator[SmtpServer]:
    """A server on 127.0.0.1; for TLS it needs the file that `make_certificate` wrote."""
    made = SmtpServer(security, users or {})
    if certificate is not None:
        made.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.tls.load_cert_chain(certificate)
    from_the_start = made.tls if security == "tls" else None
    server = await asyncio.start_server(made.talk, "127.0.0.1", 0, ssl=from_the_start)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made


def make_certificate(path: Path) -> Path:
    """A key and a certificate for 127.0.0.1 that vouches for itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    path.chmod(0o600)
    return path
