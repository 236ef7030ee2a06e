"""The small client of xe, against servers that answer in every way."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from app.cli import channel
from app.cli.channel import LOST, Channel
from app.cli.errors import AuthenticationFailed, ServerFailure, Unreachable

Answer = Callable[[str, list[object]], bytes]


def http(body: object, status: str = "200 OK", length: bool = True) -> bytes:
    content = json.dumps(body).encode()
    counted = f"content-LENGTH: {len(content)}\r\n" if length else ""
    return f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{counted}\r\n".encode() + content


def result(value: object) -> bytes:
    return http({"jsonrpc": "2.0", "result": value, "id": 1})


def error(code: str, *params: object) -> bytes:
    return http({"jsonrpc": "2.0", "error": {"code": 1, "message": code, "data": list(params)}, "id": 1})


class Server:
    """Answers requests one after another, each connection on a thread of its own.

    :ivar hangs_up: closes each connection after this many answers.
    """

    def __init__(self, answer: Answer, hangs_up: int = 1 << 30) -> None:
        self.answer, self.hangs_up = answer, hangs_up
        self.heads: list[str] = []
        self.connections = 0
        self._threads: list[threading.Thread] = []

    def connect(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        self.connections += 1
        self._threads.append(threading.Thread(target=self._serve, args=(theirs,)))
        self._threads[-1].start()
        return ours

    def join(self) -> None:
        for thread in self._threads:
            thread.join(10)

    def _serve(self, connected: socket.socket) -> None:
        with connected, connected.makefile("rb") as reading, suppress(OSError):
            for _ in range(self.hangs_up):
                head = ""
                while (line := reading.readline()) not in (b"", b"\r\n"):
                    head += line.decode()
                if not head:
                    return
                self.heads.append(head)
                length = next(int(line[16:]) for line in head.split("\r\n") if line.startswith("Content-Length: "))
                request = json.loads(reading.read(length))
                for byte in (reply := self.answer(request["method"], request["params"]))[:40]:
                    connected.sendall(bytes([byte]))
                connected.sendall(reply[40:])


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple[Server, Channel]]]:
    made: list[tuple[Server, Channel]] = []

    def start(answer: Answer, hangs_up: int = 1 << 30, authorization: str = "") -> tuple[Server, Channel]:
        server = Server(answer, hangs_up)
        made.append((server, Channel(server.connect, "host", authorization)))
        return made[-1]

    yield start
    for server, opened in made:
        opened.close()
        server.join()


Serve = Callable[..., tuple[Server, Channel]]


def test_a_session_from_login_to_logout(serve: Serve) -> None:
    asked: list[tuple[str, list[object]]] = []

    def answer(method: str, params: list[object]) -> bytes:
        asked.append((method, params))
        return result("session" if method.startswith("session") else {"ü": 1.5})

    server, opened = serve(answer, authorization="Bearer token")
    opened.login("root", "secret")
    assert opened.call("VM.get_record", "ref") == {"ü": 1.5}
    opened.close()
    server.join()
    assert [method for method, _ in asked] == ["session.login_with_password", "VM.get_record", "session.logout"]
    assert asked[0][1][:2] == ["root", "secret"] and asked[1][1] == ["session", "ref"]
    assert server.connections == 1
    assert all("Host: host\r\n" in head and "Authorization: Bearer token\r\n" in head for head in server.heads)


def test_failures_are_told_by_their_code(serve: Serve) -> None:
    _, opened = serve(lambda _method, _params: error("UUID_INVALID", "VM", "x"))
    with pytest.raises(ServerFailure, match=r"UUID_INVALID: \[ VM; x \]") as caught:
        opened.call("VM.get_by_uuid", "x")
    assert (caught.value.code, caught.value.params) == ("UUID_INVALID", ("VM", "x"))


def test_a_wrong_password_leaves_no_connection(serve: Serve) -> None:
    server, opened = serve(lambda _method, _params: error("SESSION_AUTHENTICATION_FAILED", "root", "no"))
    with pytest.raises(AuthenticationFailed):
        opened.login("root", "wrong")
    server.join()


@pytest.mark.parametrize(
    "reply",
    [
        http({}, "500 Internal Server Error"),
        http({"result": 1}, length=False),
        b"nonsense\r\n\r\n",
        b"",
        b"HTTP/1.1 200",
    ],
)
def test_what_is_no_answer_counts_as_lost(serve: Serve, reply: bytes) -> None:
    _, opened = serve(lambda _method, _params: reply, hangs_up=1)
    with pytest.raises(Unreachable) as caught:
        opened.call("VM.get_all")
    assert caught.value.lines == [LOST]


def test_a_connection_closed_while_nobody_spoke_is_made_anew(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "IDLE_SECONDS", 0.0)
    server, opened = serve(lambda _method, _params: result("x"), hangs_up=1)
    assert opened.call("VM.get_all") == "x"
    server.join()
    assert opened.call("VM.get_all") == "x"
    assert server.connections == 2


def test_a_connection_that_breaks_in_the_middle_is_not_tried_again(serve: Serve) -> None:
    server, opened = serve(lambda _method, _params: b"HTTP/1.1 200 OK\r\n", hangs_up=1)
    with pytest.raises(Unreachable):
        opened.call("VM.snapshot", "ref", "name")
    assert server.connections == 1
