"""The transport over HTTP, against what a XenServer sent byte for byte."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import xmlrpc.client
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.api import NULL, VM, ConnectionLost, Failure
from app.client import Session
from app.client.dialects import JsonRpc, XmlRpc
from app.client.http_transport import HttpTransport, is_read
from app.client.trust import KnownServers, Trust
from tests.support.recordings import response
from tests.support.replay import Answer, Replay, Request, certificate, http, replaying

LOGIN_JSON, LOGIN_XML = response("140"), response("001")
PAGE = response("021")
SESSION_GONE = response("226")
LOST = b""


def transport(server: Replay) -> HttpTransport:
    return HttpTransport(server.address, Trust(None))


def said(request: Request) -> tuple[str, list[Any]]:
    """The method and parameters of a request, in either language."""
    if request.target == "/jsonrpc":
        call = json.loads(request.body)
        return call["method"], call["params"]
    params, method = xmlrpc.client.loads(request.body)
    return str(method), list(params)


def methods(server: Replay) -> list[str]:
    return [said(request)[0] for request in server.requests]


def ref(login: bytes) -> str:
    start = login.index(b"OpaqueRef:")
    return login[start : start + 46].decode()


def result(value: Any) -> bytes:
    return http(json.dumps({"jsonrpc": "2.0", "result": value, "id": 1}).encode())


def failure(*description: str) -> bytes:
    error = {"code": 1, "message": description[0], "data": description[1:]}
    return http(json.dumps({"jsonrpc": "2.0", "error": error, "id": 1}).encode())


@pytest.fixture
async def opened() -> AsyncIterator[Any]:
    """Opens a session with a server of the given answers, after the login."""
    sessions = []
    servers = []

    async def begin(*answers: Answer, login: bytes = LOGIN_JSON) -> tuple[Session, Replay]:
        entered = replaying(login, *answers)
        server = await entered.__aenter__()
        servers.append(entered)
        session = await Session.open(transport(server), "root", "xenroot", "tests")
        sessions.append(session)
        return session, server

    yield begin
    for session in sessions:
        await session._transport.close()
    for entered in servers:
        await entered.__aexit__(None, None, None)


async def test_a_login_and_a_record(opened: Any) -> None:
    session, server = await opened(response("166"))
    record = await session.get_record(VM, NULL)
    assert record.name_label == "web1"
    assert [said(request) for request in server.requests] == [
        ("session.login_with_password", ["root", "xenroot", "1.0", "tests"]),
        ("VM.get_record", [ref(LOGIN_JSON), NULL]),
    ]
    assert all(request.headers["content-type"] == "application/json" for request in server.requests)


async def test_xml_rpc_where_json_is_not_spoken(opened: Any) -> None:
    session, server = await opened(LOGIN_XML, response("010"), login=PAGE)
    assert (await session.get_record(VM, NULL)).name_label == "web1"
    assert [request.target for request in server.requests] == ["/jsonrpc", "/", "/"]
    assert said(server.requests[2]) == ("VM.get_record", [ref(LOGIN_XML), NULL])
    assert server.requests[2].headers["content-type"] == "text/xml"


async def test_a_wrong_password_is_told_and_not_tried_in_another_language() -> None:
    async with replaying(response("142")) as server:
        found = transport(server)
        with pytest.raises(Failure) as caught:
            await Session.open(found, "root", "wrong", "tests")
        await found.close()
        assert caught.value.description() == ["SESSION_AUTHENTICATION_FAILED", "root", "Authentication failure"]
        assert len(server.requests) == 1


async def test_an_old_server_takes_two_parameters(opened: Any) -> None:
    refused = failure("MESSAGE_PARAMETER_COUNT_MISMATCH", "session.login_with_password", "2", "4")
    _, server = await opened(LOGIN_JSON, login=refused)
    assert [said(request)[1] for request in server.requests] == [
        ["root", "xenroot", "1.0", "tests"],
        ["root", "xenroot"],
    ]


async def test_a_slave_names_the_master(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with replaying(failure("HOST_IS_SLAVE", "localhost")) as slave:
        found = transport(slave)
        async with replaying(LOGIN_JSON, port=0) as master:
            # The master has the slave's port in life; here it has another address of this machine.
            monkeypatch.setattr(type(found.address), "at", lambda _self, host: master.address if host else None)
            assert await found.login("root", "xenroot", "tests") == ref(LOGIN_JSON)
            assert found.address == master.address
            await found.close()


async def test_slaves_that_name_each_other_end_somewhere() -> None:
    async with replaying(*[failure("HOST_IS_SLAVE", "127.0.0.1")] * 9) as server:
        found = transport(server)
        with pytest.raises(ConnectionLost, match="circles"):
            await found.login("root", "xenroot", "tests")
        await found.close()


async def test_an_expired_session_is_renewed_once_for_all(opened: Any) -> None:
    def by_session(request: Request) -> bytes:
        method, params = said(request)
        if method == "session.login_with_password":
            return response("139")
        return SESSION_GONE if params[0] == ref(LOGIN_JSON) else result("name")

    session, server = await opened(*[by_session] * 20)
    assert await asyncio.gather(*(session.call("VM.get_name_label", NULL) for _ in range(5))) == ["name"] * 5
    assert methods(server).count("session.login_with_password") == 2
    assert await session.call("VM.set_name_label", NULL, "x") == "name"
    assert said(server.requests[-1])[1] == [ref(response("139")), NULL, "x"]


async def test_what_renews_no_session(opened: Any) -> None:
    session, server = await opened(SESSION_GONE, SESSION_GONE, response("142"))
    with pytest.raises(Failure, match="SESSION_INVALID"):
        await session.call("session.logout")
    with pytest.raises(Failure, match="SESSION_AUTHENTICATION_FAILED"):
        await session.call("VM.get_all")
    assert len(server.requests) == 4


async def test_only_reads_are_repeated(opened: Any) -> None:
    session, server = await opened(LOST, result(["OpaqueRef:a"]), LOST, LOST, LOST)
    assert await session.call("VM.get_all") == ["OpaqueRef:a"]
    with pytest.raises(ConnectionLost):
        await session.call("VM.start", NULL, False, False)
    assert methods(server) == ["session.login_with_password", "VM.get_all", "VM.get_all", "VM.start"]
    with pytest.raises(ConnectionLost):
        await session.call("VM.get_all")
    assert len(server.requests) == 6


def test_what_a_read_is() -> None:
    assert all(map(is_read, ("VM.get_all_records", "event.from", "host.get_servertime", "system.listMethods")))
    assert not any(map(is_read, ("Async.VM.get_record", "task.create", "VM.set_name_label", "event.next")))


@pytest.mark.parametrize("answer", [PAGE, http(b"{"), http(b"[]"), http(b"5"), http(b"{}"), http(b"", status="404 No")])
async def test_an_answer_that_is_none_leaves_the_outcome_open(opened: Any, answer: bytes) -> None:
    session, _ = await opened(answer)
    with pytest.raises(ConnectionLost):
        await session.call("VM.start", NULL, False, False)


async def test_large_answers_are_understood_beside_the_loop(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []
    understand = JsonRpc.result

    def noted(dialect: JsonRpc, body: bytes) -> Any:
        threads.append(threading.current_thread().name)
        return understand(dialect, body)

    monkeypatch.setattr(JsonRpc, "result", noted)
    names = ["x" * 1000] * 2000
    session, _ = await opened(result(names), failure("HANDLE_INVALID", "x" * (2 << 20)), result([]))
    assert await session.call("VM.get_all") == names
    with pytest.raises(Failure, match="HANDLE_INVALID"):
        await session.call("VM.get_all")
    await session.call("VM.get_all")
    assert [name == threading.current_thread().name for name in threads] == [True, False, False, True]


async def test_numbers_void_and_foreign_messages(opened: Any) -> None:
    answers = ("", 5, "1.5", ["OpaqueRef:a"], {"OpaqueRef:r": {"uuid": "u"}}, "")
    session, server = await opened(*map(result, answers))
    assert await session.call("VM.set_name_label", NULL, "x") is None
    assert await session.call("VM.get_memory_static_max", NULL) == 5
    assert await session.call("task.get_progress", NULL) == 1.5
    assert await session.call("system.listMethods") == ("OpaqueRef:a",)
    assert await session.call("warp_core.get_all_records") == {"OpaqueRef:r": {"uuid": "u"}}
    assert await session.call("event.register", ["*"]) is None
    assert said(server.requests[4]) == ("system.listMethods", [])


async def test_waiting_times_are_floats(opened: Any) -> None:
    session, server = await opened(response("180"), response("180"))
    batch = await session.call("event.from", ["*"], "", 5)
    assert batch.events == () and b'"", 5.0]' in server.requests[1].body.replace(b",5.0", b", 5.0")
    assert (await session.event.from_(["*"], batch.token, 30.0)).token == batch.token


async def test_xml_rpc_can_be_asked_for() -> None:
    async with replaying(LOGIN_XML, response("062")) as server:
        found = HttpTransport(server.address, Trust(None), XmlRpc())
        session = await Session.open(found, "root", "xenroot", "tests")
        assert (await session.event.from_(["*"], "", 5.0)).events == ()
        assert b"<double>5.0</double>" in server.requests[1].body
        await found.close()


async def test_passwords_and_sessions_are_not_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    context, _, _ = certificate(tmp_path)
    with caplog.at_level(logging.DEBUG):
        async with replaying(LOGIN_JSON, LOST, LOST, tls=context) as server:
            found = HttpTransport(server.address, Trust(KnownServers(tmp_path / "known.json")))
            session = await Session.open(found, "root", "xenroot", "tests")
            with pytest.raises(ConnectionLost) as caught:
                await session.call("VM.get_all")
            await found.close()
    assert "fingerprint" in caplog.text
    assert not any(secret in caplog.text + str(caught.value) for secret in ("xenroot", ref(LOGIN_JSON)))


async def test_a_server_that_is_not_there() -> None:
    async with replaying() as server:
        pass
    found = transport(server)
    with pytest.raises(ConnectionLost, match=str(server.address)):
        await found.login("root", "xenroot", "tests")
    await found.close()
