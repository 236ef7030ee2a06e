"""A whole recorded pool, as a XenServer sends it to a client that connects: the cache holds all of it."""

from __future__ import annotations

import asyncio
import json
import xmlrpc.client
from typing import Any

import pytest

from app.api import VM, Message, Pool, VMPowerState, classes
from app.client import ObjectCache, Session, Watcher
from app.client.http_transport import HttpTransport
from app.client.trust import Trust
from tests.support.recordings import records
from tests.support.replay import Request, http, replaying

TOKEN = "00000000000000005519,00000000000000000000"
NOT_COUNTED = ("message", "role")
"""XenServer says 0 of these, whatever there is."""


def everything() -> dict[str, Any]:
    """The answer to the first event.from."""
    events = [
        {"id": "1", "timestamp": "0.0", "class": name.lower(), "operation": "add", "ref": ref, "snapshot": record}
        for name, objects in records().items()
        for ref, record in objects.items()
    ]
    stranger = {"id": "1", "timestamp": "0.0", "class": "secret", "operation": "add", "ref": "OpaqueRef:s"}
    events.append({**stranger, "snapshot": {"uuid": "u", "value": "not ours"}})
    counts = {name.lower(): 0 if name in NOT_COUNTED else len(objects) for name, objects in records().items()}
    return {"events": events, "valid_ref_counts": {**counts, "secret": 1, "user": 1}, "token": TOKEN}


def in_json(value: Any) -> bytes:
    return http(json.dumps({"jsonrpc": "2.0", "result": value, "id": 1}).encode())


def in_xml(value: Any) -> bytes:
    body = xmlrpc.client.dumps(({"Status": "Success", "Value": value},), methodresponse=True)
    return http(body.encode(), "text/xml")


@pytest.mark.parametrize("answered_in", [in_json, in_xml])
async def test_the_cache_holds_the_pool_and_asks_for_it_once(answered_in: Any) -> None:
    tokens: list[str] = []
    settled = asyncio.Event()

    def answer(request: Request) -> bytes:
        if request.target == "/jsonrpc" and answered_in is in_xml:
            return http(b"<html>no such thing</html>", "text/html", "500 Internal Error")
        if b"login_with_password" in request.body:
            return bytes(answered_in("OpaqueRef:session"))
        token = TOKEN if TOKEN.encode() in request.body else ""
        tokens.append(token)
        if len(tokens) > 2:
            settled.set()
        nothing = {"events": [], "valid_ref_counts": everything()["valid_ref_counts"], "token": TOKEN}
        return bytes(answered_in(nothing if token else everything()))

    async with replaying(*[answer] * 50) as server:
        session = await Session.open(HttpTransport(server.address, Trust(None)), "root", "xenroot", "tests")
        cache = ObjectCache()
        watcher = Watcher(session, cache)
        watcher.start()
        await watcher.filled()
        for name, objects in records().items():
            assert set(cache.all(classes()[name].record)) == set(objects), name
        await settled.wait()
        await watcher.close()
        await session._transport.close()
    assert tokens[0] == "" and set(tokens[1:]) == {TOKEN}, "what the server counts in another way is no loss"
    names = {vm.name_label: vm.power_state for vm in cache.all(VM).values() if not vm.is_a_template}
    assert names["db1"] is VMPowerState.Running and names["mail1"] is VMPowerState.Suspended
    pool = cache.one(Pool)
    assert pool is not None and pool[1].name_label == "pool1" and len(cache.all(Message)) == 28
