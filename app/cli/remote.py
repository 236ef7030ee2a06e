"""A server elsewhere: `-s`, over TLS with a certificate that is remembered, or with --nossl in the clear.

Apart from the rest, because what it takes (TLS, and who is trusted) is slow to load, and the engine of this machine
needs none of it.
"""

from __future__ import annotations

import asyncio
import getpass
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TextIO

from app.api import ConnectionLost, Failure
from app.cli.channel import REFUSED, Channel, no_engine
from app.cli.errors import AuthenticationFailed, CommandError, ServerFailure, Unreachable
from app.cli.words import whole
from app.client.address import Address
from app.client.local_address import HOST, read_address
from app.client.trust import CONNECT_SECONDS, KnownServers, Trust
from app.config import Config

UNKNOWN_HOST: Final = "Unable to contact server. Please check server and port settings."


def address_of(server: Mapping[str, str]) -> Address:
    """The server that `-s`, `-p` and `--nossl` name. :raise CommandError: it is no address."""
    secure = server.get("nossl", "false") != "true"
    try:
        parsed = Address.parse(server["server"])
    except ValueError as error:
        raise CommandError(str(error)) from error
    port = whole("port", server["port"]) if "port" in server else parsed.port
    if not secure and "port" not in server and parsed.port == Address("x").port:
        port = 80
    return Address(parsed.host, port, secure)


def trust_of(data_dir: Path, error: TextIO) -> Trust:
    """Judges servers by what the desktop remembers too; whom a person sees met for the first time is told."""

    async def tell(address: Address, fingerprint: str) -> bool:
        if error.isatty():
            print(f"{address} is met for the first time; its certificate is remembered: {fingerprint}", file=error)
        return True

    root = data_dir.expanduser().absolute()
    return Trust(KnownServers(Config(root, root / "run").known_servers), ask=tell)


def credentials(server: Mapping[str, str], streams: tuple[TextIO, TextIO, TextIO]) -> tuple[str, str]:
    """The user and the password; what is missing is asked of a person. :raise AuthenticationFailed: nobody is there."""
    user, password = server.get("username"), server.get("password")
    if user is not None and password is not None:
        return user, password
    given, _, error = streams
    if not given.isatty():
        raise AuthenticationFailed
    if user is None:
        print("User name: ", end="", file=error, flush=True)
        user = given.readline().strip()
    return user, getpass.getpass() if password is None else password


def to_server(address: Address, trust: Trust) -> Channel:
    """A channel to the server. :raise Unreachable: :raise ServerFailure: SSL_VERIFY_ERROR."""

    def connect() -> socket.socket:
        try:
            return _connected(address, trust)
        except ConnectionRefusedError as error:
            raise Unreachable(REFUSED) from error
        except ConnectionLost as error:
            cause = error.__cause__
            raise Unreachable(REFUSED if isinstance(cause, ConnectionRefusedError) else UNKNOWN_HOST) from error
        except ssl.SSLError as error:
            raise Unreachable(f"{address} does not speak TLS as it should: {error.reason}") from error
        except OSError as error:
            raise Unreachable(UNKNOWN_HOST) from error
        except Failure as failure:
            raise ServerFailure(failure.code, failure.params) from failure

    return Channel(connect, str(address))


def to_loopback(path: Path, data_dir: Path) -> Channel:
    """The engine of a data folder where there are no unix sockets: by the port and the token that it has left there.

    :raise Unreachable: no engine has.
    """
    try:
        address = read_address(path)
    except OSError as error:
        raise no_engine(data_dir) from error

    def connect() -> socket.socket:
        try:
            connected = socket.create_connection((HOST, address.port), CONNECT_SECONDS)
        except OSError as error:
            raise no_engine(data_dir) from error
        connected.settimeout(None)
        return connected

    return Channel(connect, HOST, address.headers()["Authorization"])


def _connected(address: Address, trust: Trust) -> socket.socket:
    if not address.secure:
        connected = socket.create_connection((address.host, address.port), CONNECT_SECONDS)
        connected.settimeout(None)
        return connected
    context, known = asyncio.run(trust.context(address))
    connected = socket.create_connection((address.host, address.port), CONNECT_SECONDS)
    try:
        # The wrapping takes the socket over.
        connected = secured = context.wrap_socket(connected, server_hostname=address.host)
        trust.check(address, known, secured.getpeercert(binary_form=True) or b"")
    except BaseException:
        connected.close()
        raise
    secured.settimeout(None)
    return secured
