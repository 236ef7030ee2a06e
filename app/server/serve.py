"""`stillframe serve`: the engine without a window, for as long as the machine runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys

from app import log
from app.config import Config
from app.engine.engine import CannotOpen, Engine
from app.server.local import LocalServer

logger = log.get(__name__)
ENDING = (signal.SIGTERM, signal.SIGINT)


def main(config: Config) -> int:
    """Serve the data folder until a signal ends it; answer the exit status."""
    try:
        return asyncio.run(serve(config))
    except CannotOpen as error:
        print(f"stillframe serve: {error}. {error.advice}", file=sys.stderr)  # noqa: T201
        return 1


async def serve(config: Config) -> int:
    """Open the engine, answer clients, and close in order when asked to end. Guests run on.

    :raise CannotOpen: the data folder cannot be used, or another engine has it.
    """
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in ENDING:
        loop.add_signal_handler(number, ending.set)
    engine = Engine(config)
    await engine.open()
    server = LocalServer(engine, config.engine_socket)
    try:
        await server.open()
        notify_manager("READY=1")
        print(f"Serving {config.data_dir}", flush=True)  # noqa: T201
        await ending.wait()
        notify_manager("STOPPING=1")
    finally:
        logger.info("ending")
        await server.close()
        await engine.close()
    return 0


def notify_manager(state: str) -> None:
    """Tell a service manager that asked for it, as sd_notify(3) describes."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.connect("\0" + address[1:] if address.startswith("@") else address)
            channel.sendall(state.encode())
