"""`stillframe serve`: the engine without a window, for as long as the machine runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import sys
from dataclasses import dataclass
from pathlib import Path

from app import log
from app.config import Config
from app.engine.engine import CannotOpen, Engine
from app.server.accounts import Accounts, AccountsError
from app.server.certificate import CertificateError, ensure_certificate, fingerprint, server_context
from app.server.door import Door
from app.server.local import LocalServer
from app.server.open_files import allow_many
from app.server.tcp import Address, AddressError, TcpServer, is_of_this_machine, parse_address

logger = log.get(__name__)
ENDING = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class Network:
    """How to answer other machines.

    :ivar listen: HOST:PORT, or "" for not at all.
    :ivar plain: HTTP without TLS.
    :ivar user: who may log in, with the password in the first line of `password_file` (`-`: standard input); both
        need to be given once only.
    :ivar certificate: a PEM file with certificate and private key; None: one of our own.
    """

    listen: str = ""
    plain: bool = False
    user: str = ""
    password_file: Path | None = None
    certificate: Path | None = None


class BadOptions(Exception):
    """The options make no sense; the text says which."""


def main(config: Config, network: Network | None = None) -> int:
    """Serve the data folder until a signal ends it; answer the exit status."""
    try:
        return asyncio.run(serve(config, network or Network()))
    except CannotOpen as error:
        print(f"stillframe serve: {error}. {error.advice}", file=sys.stderr)  # noqa: T201
    except (BadOptions, AccountsError, AddressError, CertificateError) as error:
        print(f"stillframe serve: {error}.", file=sys.stderr)  # noqa: T201
    return 1


async def serve(config: Config, network: Network) -> int:
    """Open the engine, answer clients, and close in order when asked to end. Guests run on.

    :raise CannotOpen: the data folder cannot be used, or another engine has it.
    :raise BadOptions: and the errors of accounts, address and certificate.
    """
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in ENDING:
        loop.add_signal_handler(number, ending.set)
    entrance = await _entrance(config, network)
    engine = Engine(config)
    await engine.open()
    local = LocalServer(engine, config.engine_socket)
    remote = None if entrance is None else TcpServer(engine, entrance.address, entrance.door, entrance.tls)
    try:
        await local.open()
        if remote is not None:
            await remote.open()
        notify_manager("READY=1")
        print(f"Serving {config.data_dir}", flush=True)  # noqa: T201
        if remote is not None and entrance is not None:
            print(f"Answering on {remote.url}{entrance.note}", flush=True)  # noqa: T201
        await ending.wait()
        notify_manager("STOPPING=1")
    finally:
        logger.info("ending")
        if remote is not None:
            await remote.close()
        await local.close()
        await engine.close()
    return 0


@dataclass(frozen=True, slots=True)
class _Entrance:
    address: Address
    door: Door
    tls: ssl.SSLContext | None
    note: str


async def _entrance(config: Config, network: Network) -> _Entrance | None:
    """What is needed to answer other machines, or None. Nothing is begun yet."""
    accounts = Accounts(config.accounts_file)
    _set_password(accounts, network)
    if not network.listen:
        return None
    address = parse_address(network.listen)
    if not accounts:
        raise BadOptions("nobody could log in: give a user and a password once, with --user and --password-file")
    logger.info("files that may be open", most=allow_many())
    if network.plain:
        if not await is_of_this_machine(address):
            raise BadOptions(f"{address} is reached from other machines: plain HTTP is for addresses such as 127.0.0.1")
        return _Entrance(address, Door(accounts), None, "")
    path = network.certificate or config.certificate_file
    if network.certificate is None:
        ensure_certificate(path, address.host)
    return _Entrance(address, Door(accounts), server_context(path), f", certificate SHA-256 {fingerprint(path)}")


def _set_password(accounts: Accounts, network: Network) -> None:
    if bool(network.user) != (network.password_file is not None):
        raise BadOptions("--user and --password-file belong together")
    if network.password_file is None:
        return
    try:
        with contextlib.ExitStack() as stack:
            plain = network.password_file == Path("-")
            file = sys.stdin if plain else stack.enter_context(network.password_file.open(encoding="utf-8"))
            password = file.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BadOptions(f"{network.password_file} cannot be read") from error
    log.conceal(password)
    accounts.set(network.user, password)


def notify_manager(state: str) -> None:
    """Tell a service manager that asked for it, as sd_notify(3) describes."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.connect("\0" + address[1:] if address.startswith("@") else address)
            channel.sendall(state.encode())
