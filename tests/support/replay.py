"""A server that answers with given bytes, one response a request, over TLS or plain."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.client.address import Address


@dataclass(frozen=True)
class Request:
    """A request that came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Answer = bytes | Callable[[Request], bytes]


@dataclass
class Replay:
    """Its answers are given in order; an empty one closes the connection, and so does having none left."""

    answers: list[Answer]
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    address: Address = field(default_factory=lambda: Address("127.0.0.1"))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await self._answer(reader, writer):
                pass
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request = await read_request(reader)
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else b""
        sent = answer(request) if callable(answer) else answer
        writer.write(sent)
        await writer.drain()
        return bool(sent) and b"connection: close" not in sent.lower()


async def read_request(reader: asyncio.StreamReader) -> Request:
    """The next request, with its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    method, target, _ = first.split(" ")
    return Request(method, target, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


@asynccontextmanager
async def replaying(*answers: Answer, tls: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[Replay]:
    """A server on this machine for the block."""
    replay = Replay(list(answers))
    server = await asyncio.start_server(replay.serve, "127.0.0.1", port, ssl=tls)
    try:
        replay.address = Address("127.0.0.1", server.sockets[0].getsockname()[1], tls is not None)
        yield replay
    finally:
        server.close()
        await server.wait_closed()


def http(body: bytes, content_type: str = "application/json", status: str = "200 OK") -> bytes:
    """A response with the heads that a XenServer gives."""
    head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: keep-alive\r\n"
    return f"{head}cache-control: no-cache, no-store\r\ncontent-type: {content_type}\r\n\r\n".encode() + body


def certificate(folder: Path, name: str = "host1.example") -> tuple[ssl.SSLContext, bytes, Path]:
    """A self-signed certificate for this machine: the server's context, its DER form and its file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, made.public_bytes(serialization.Encoding.DER), file
