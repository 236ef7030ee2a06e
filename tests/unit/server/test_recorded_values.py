"""Records that a XenServer toolstack wrote, read by our client and written by our server: the same values and types."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.api import EventBatch, classes
from app.api.types import XenClass
from app.client import xml_rpc as client_xml
from app.client.dialects import JsonRpc, XmlRpc
from app.client.reading import read
from app.engine.engine import Engine
from app.server import json_rpc, xml_rpc
from app.server.desk import Desk
from tests.support.recordings import body_of, exchanges, records

SESSION = "OpaqueRef:session"


async def written(value: Any, dialect: JsonRpc | XmlRpc) -> bytes:
    """The body of an answer with this result."""

    async def call(*_: Any) -> Any:
        return value

    engine = cast("Engine", SimpleNamespace(dispatcher=SimpleNamespace(call=call)))
    answer = json_rpc.answer if isinstance(dialect, JsonRpc) else xml_rpc.answer
    return await answer(Desk(engine, None), dialect.request("VM.get_record", [SESSION, "x"]), "")


def known(declared: XenClass[Any], recorded: dict[str, Any]) -> dict[str, Any]:
    """Of a recorded record the fields that we declare, sets sorted as ours are."""
    return {
        name: sorted(value) if isinstance(value, list) and declared.by_name[name].container == "set" else value
        for name, value in recorded.items()
        if name in declared.by_name
    }


@pytest.mark.parametrize("name", sorted(records()))
async def test_records_over_xml_rpc(name: str) -> None:
    declared = classes()[name]
    found = {ref: read(record, declared.record) for ref, record in list(records()[name].items())[:40]}
    reply = client_xml.reply(await written(found, XmlRpc()))
    assert reply["Status"] == "Success"
    for ref in found:
        recorded = known(declared, records()[name][ref])
        assert {field: reply["Value"][ref][field] for field in recorded} == recorded


RECORDS_IN_JSON = {
    "143-json1-vm-record": "VM", "159-json1-vdi-record": "VDI", "166-json2-vm-record": "VM",
    "182-json2-vdi-record": "VDI", "155-json1-task-record": "task",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(RECORDS_IN_JSON))
async def test_records_over_json_rpc(name: str) -> None:
    declared = classes()[RECORDS_IN_JSON[name]]
    recorded = json.loads(body_of(exchanges()[name][1]))["result"]
    reply = json.loads(await written(read(recorded, declared.record), JsonRpc()))["result"]
    expected = known(declared, recorded)
    found = {field: sorted(v) if isinstance(v, list) else v for field, v in reply.items() if field in expected}
    assert found == {field: sorted(v) if isinstance(v, list) else v for field, v in expected.items()}
    assert {field: type(value) for field, value in found.items()} == {f: type(value) for f, value in expected.items()}


@pytest.mark.parametrize("name", ["058-xmlrpc-event-from-initial-vm", "060-xmlrpc-event-from-delta"])
async def test_events_over_xml_rpc(name: str) -> None:
    recorded = client_xml.reply(body_of(exchanges()[name][1]))["Value"]
    reply = client_xml.reply(await written(read(recorded, EventBatch), XmlRpc()))["Value"]
    assert (reply["token"], reply["valid_ref_counts"]) == (recorded["token"], recorded["valid_ref_counts"])
    lower = {cls.lower(): declared for cls, declared in classes().items()}
    theirs = [event for event in recorded["events"] if event["class"] in lower]
    assert len(reply["events"]) == len(theirs)
    for ours, event in zip(reply["events"], theirs, strict=True):
        assert {**ours, "snapshot": None} == {**event, "snapshot": None}
        if "snapshot" in event:
            expected = known(lower[event["class"]], event["snapshot"])
            assert {field: ours["snapshot"][field] for field in expected} == expected
