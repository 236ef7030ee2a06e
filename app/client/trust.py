"""Whether a server is who it says: by a certificate that an authority signed, or by one that is known from before.

A XenServer signs its certificate itself, so that no authority vouches for it. As ssh does with host keys, what a server
shows at first is remembered, and another certificate is refused from then on. A server whose certificate did pass the
authorities' test once must pass it each time: it cannot fall back.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Final

from app.api import ConnectionLost, Failure
from app.client.address import Address
from app.log import get

log = get(__name__)

CONNECT_SECONDS: Final = 10.0
BY_AUTHORITIES: Final = "authorities"
"""Remembered in place of a fingerprint: an authority vouches for the server."""

Ask = Callable[[Address, str], Awaitable[bool]]
"""Whether the fingerprint of a server met for the first time is to be trusted."""


class KnownServers:
    """The fingerprints of servers met before, in a file (0600) that several programs may share."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_last: tuple[tuple[int, int], dict[str, str]] = ((0, 0), {})

    def get(self, address: Address) -> str:
        """The fingerprint, `BY_AUTHORITIES`, or "" for a server not met yet. :raise OSError: the file is unreadable."""
        return self._read().get(str(address), "")

    def remember(self, address: Address, fingerprint: str) -> None:
        """:raise OSError: the file cannot be written."""
        self._write({**self._read(), str(address): fingerprint})

    def forget(self, address: Address) -> None:
        """Meet the server anew, as after its certificate was replaced on purpose. :raise OSError:"""
        self._write({key: value for key, value in self._read().items() if key != str(address)})

    def _read(self) -> dict[str, str]:
        """What the file holds; it is asked for each connection, and read only when it is another file."""
        try:
            facts = self._path.stat()
            version = (facts.st_mtime_ns, facts.st_ino)
            if version == self._read_last[0]:
                return self._read_last[1]
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            # To go on without it would trust anybody.
            raise OSError(f"{self._path} is damaged: {error}") from error
        if not isinstance(found, dict):
            raise OSError(f"{self._path} is damaged")
        known = {str(key): str(value) for key, value in found.items()}
        self._read_last = (version, known)
        return known

    def _write(self, known: dict[str, str]) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=self._path.parent, prefix=self._path.name)  # 0600
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(known, file, indent=1, sort_keys=True)
        Path(name).replace(self._path)


class Trust:
    """How servers are judged. One for all connections of a program."""

    def __init__(
        self, known: KnownServers | None, *, authorities: ssl.SSLContext | None = None, ask: Ask | None = None
    ) -> None:
        """:param known: None: only certificates that an authority signed are trusted.
        :param authorities: verifies certificates; the system's authorities where None.
        :param ask: asked about each new fingerprint; without it the first one is trusted.
        """
        self._known = known
        self._authorities = authorities
        self._ask = ask

    async def context(self, address: Address) -> tuple[ssl.SSLContext, str]:
        """What a TLS connection is made with, and the fingerprint to compare afterwards ("": verified already).

        A server not met before is met now, by a connection that sends nothing.

        :raise Failure: SSL_VERIFY_ERROR.
        :raise ConnectionLost: the server does not answer.
        """
        verifying = self._verifying()
        if self._known is None:
            return verifying, ""
        known = self._recall(address) or await self._meet(address)
        return (verifying, "") if known == BY_AUTHORITIES else (_unverified(), known)

    def check(self, address: Address, known: str, certificate: bytes) -> None:
        """Compare what a server shows (DER) with what is known of it. :raise Failure: SSL_VERIFY_ERROR."""
        shown = fingerprint_of(certificate)
        if known and shown != known:
            raise certificate_changed(address, known, shown)

    def _verifying(self) -> ssl.SSLContext:
        if self._authorities is None:
            self._authorities = ssl.create_default_context()
        return self._authorities

    def _recall(self, address: Address) -> str:
        assert self._known is not None
        try:
            return self._known.get(address)
        except OSError as error:
            raise Failure("SSL_VERIFY_ERROR", address, f"the known servers cannot be read: {error}") from error

    async def _meet(self, address: Address) -> str:
        assert self._known is not None
        with contextlib.suppress(ssl.SSLCertVerificationError):
            await shown_by(address, self._verifying())
            return self._remembered(address, BY_AUTHORITIES)
        fingerprint = fingerprint_of(await shown_by(address, _unverified()))
        if self._ask is not None and not await self._ask(address, fingerprint):
            raise Failure("SSL_VERIFY_ERROR", address, f"the certificate {fingerprint} was not accepted")
        log.info("a server met for the first time", address=str(address), fingerprint=fingerprint)
        return self._remembered(address, fingerprint)

    def _remembered(self, address: Address, known: str) -> str:
        assert self._known is not None
        try:
            self._known.remember(address, known)
        except OSError as error:
            log.warning("a server cannot be remembered", address=str(address), error=str(error))
        return known


def certificate_changed(address: Address, known: str, shown: str) -> Failure:
    """The server shows another certificate than it did; both fingerprints are named, the known one first."""
    return Failure("SSL_VERIFY_ERROR", address, "the certificate has changed", known, shown)


def fingerprint_of(certificate: bytes) -> str:
    """SHA-256 of a certificate (DER), as XenServer's Certificate.fingerprint writes it."""
    return hashlib.sha256(certificate).digest().hex(":").upper()


def digest_of(fingerprint: str) -> bytes:
    """The 32 bytes that a fingerprint spells."""
    return bytes.fromhex(fingerprint.replace(":", ""))


async def shown_by(address: Address, context: ssl.SSLContext) -> bytes:
    """The certificate that a server shows (DER); nothing is sent to it.

    :raise ssl.SSLCertVerificationError: the context verifies, and it did not pass.
    :raise ConnectionLost: the server does not answer.
    """
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(address.host, address.port, ssl=context)
    except ssl.SSLCertVerificationError:
        raise
    except (OSError, TimeoutError) as error:
        raise ConnectionLost(f"{address} does not answer: {error or 'no answer in time'}") from error
    try:
        found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.transport.abort()
    assert isinstance(found, bytes)
    return found


@cache
def _unverified() -> ssl.SSLContext:
    """The certificate's fingerprint is compared by ourselves."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
