"""JSON-RPC 2.0 to one server, call by call and nothing imported that a quick command does not need.

The client of the desktop keeps many calls in flight and is asynchronous; a command line waits for one answer at a time,
and most of its time would go into loading that client. Values stay plain JSON, so that a record of another server keeps
what we do not know of.
"""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any, Final

from app.cli.errors import AuthenticationFailed, ServerFailure, Unreachable

REFUSED: Final = "Error: Connection refused (calling connect )"
LOST: Final = "Lost connection to the server."
LOGIN: Final = "session.login_with_password"
ORIGINATOR: Final = "xe"
IDLE_SECONDS: Final = 2.0
"""Before a connection that was not used for so long is used again, it is looked at."""
_READ_BYTES: Final = 1 << 18


class Channel:
    """One connection and one session on it. `connect` answers a socket; it is asked again after a lost connection."""

    def __init__(self, connect: Callable[[], socket.socket], host: str, authorization: str = "") -> None:
        """:param authorization: a header that every request carries, "" for none."""
        self._connect = connect
        self._host = host
        self._authorization = f"Authorization: {authorization}\r\n" if authorization else ""
        self._socket: socket.socket | None = None
        self._number = 0
        self._used = 0.0
        self.session = ""

    def login(self, user: str, password: str) -> None:
        """Begin the session. :raise AuthenticationFailed: :raise Unreachable:"""
        try:
            self.session = str(self._send(LOGIN, [user, password, "2.21", ORIGINATOR]))
        except ServerFailure as failure:
            self._drop()
            if failure.code == "SESSION_AUTHENTICATION_FAILED":
                raise AuthenticationFailed from failure
            raise

    def call(self, method: str, *params: Any) -> Any:
        """The result of a message, as JSON has it. :raise ServerFailure: :raise Unreachable:"""
        return self._send(method, [self.session, *params])

    def close(self) -> None:
        """End the session and the connection, whatever state they are in."""
        try:
            if self._socket is not None and self.session:
                self._send("session.logout", [self.session])
        except (ServerFailure, Unreachable):
            pass
        finally:
            self._drop()

    def _send(self, method: str, params: list[Any]) -> Any:
        self._number += 1
        body = json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": self._number}).encode()
        head = (
            f"POST /jsonrpc HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n{self._authorization}\r\n"
        )
        try:
            connected = self._connected()
            connected.sendall(head.encode("ascii") + body)
            reply = json.loads(_answer(connected))
            self._used = monotonic()
        except (OSError, ValueError) as error:
            self._drop()
            raise Unreachable(LOST) from error
        if "error" in reply:
            raise ServerFailure(reply["error"]["message"], [str(item) for item in reply["error"]["data"]])
        return reply["result"]

    def _connected(self) -> socket.socket:
        """The connection, made anew where the server has closed it while a person was thinking."""
        if self._socket is not None and monotonic() - self._used > IDLE_SECONDS and _is_closed(self._socket):
            self._drop()
        if self._socket is None:
            self._socket = self._connect()
        return self._socket

    def _drop(self) -> None:
        connected, self._socket = self._socket, None
        if connected is not None:
            connected.close()


def _is_closed(connected: socket.socket) -> bool:
    """Whether there is something to read where no answer is due: the end, or the word that it comes."""
    return bool(select.select([connected], [], [], 0)[0])


def _answer(connected: socket.socket) -> bytes:
    """The body of one HTTP answer. :raise ValueError: it is none. :raise OSError: the connection broke."""
    received = bytearray()
    while (end := received.find(b"\r\n\r\n")) < 0:
        _receive(connected, received)
    lines = received[:end].decode("latin-1").split("\r\n")
    del received[: end + 4]
    status = lines[0].split(" ", 2)
    if len(status) < 2 or status[1] != "200":
        raise ValueError(lines[0])
    length = next((line.partition(":")[2] for line in lines if line.lower().startswith("content-length:")), None)
    if length is None:
        raise ValueError("an answer of unknown length")
    while len(received) < int(length):
        _receive(connected, received)
    return bytes(received)


def _receive(connected: socket.socket, into: bytearray) -> None:
    more = connected.recv(_READ_BYTES)
    if not more:
        raise ConnectionResetError("the server closed the connection")
    into += more


def no_engine(data_dir: Path) -> Unreachable:
    """Nobody answers for a data folder."""
    return Unreachable(
        REFUSED,
        f"No Stillframe engine is running for {data_dir}.",
        "Open the desktop with 'stillframe', or run the engine alone with 'stillframe serve'.",
    )


def to_engine(path: Path, data_dir: Path) -> Channel:
    """The engine of a data folder, over its private socket: whoever can open that is its owner."""

    def connect() -> socket.socket:
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connected.connect(str(path))
        except OSError as error:
            connected.close()
            raise no_engine(data_dir) from error
        return connected

    return Channel(connect, "engine")
