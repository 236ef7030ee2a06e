"""What XenServer's recorded clients asked is asked of our server, byte for byte but for the references.

A refusal is the same to the last parameter, a result has the same fields with the same kinds of values. Where we answer
otherwise on purpose, the name stands below with the reason.
"""

from __future__ import annotations

import json
import re
import xmlrpc.client
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from app.api import VBD, VM, Host, Network, Pool
from tests.support.engine import Bench
from tests.support.recordings import exchanges
from tests.support.wire import PASSWORD, USER, Reply, Wire, serving

OURS: Final[Mapping[str, tuple[str, ...]]] = {
    "005": ("SESSION_AUTHENTICATION_FAILED", "nobody1", "Authentication failure"),  # which names exist is not told
    # A wrong type is FIELD_TYPE_ERROR, a missing field INVALID_VALUE, instead of words of XenServer's compiler.
    "030": ("FIELD_TYPE_ERROR", "user_version"),
    "031": ("FIELD_TYPE_ERROR", "value"),
    "104": ("FIELD_TYPE_ERROR", "actions_after_shutdown"),
    "111": ("INVALID_VALUE", "type", ""),
    "121": ("INVALID_VALUE", "memory_dynamic_max", "0"),
    "125": ("FIELD_TYPE_ERROR", "cls"),
    "165": ("FIELD_TYPE_ERROR", "actions_after_shutdown"),
    "188": ("FIELD_TYPE_ERROR", "actions_after_shutdown"),
    "192": ("SESSION_INVALID",),
    "106": ("INVALID_VALUE", "VCPUs_max", "0"),  # the field and not a sentence
    "095": ("VM_BAD_POWER_STATE",),  # quiesced snapshots work here, of running VMs
    "116": (),  # a disk of 32 TiB can be made here
    "122": ("MESSAGE_METHOD_UNKNOWN", "SR.destroy"),
}
"""Answers that differ on purpose, as far as they are always the same."""

RECORDED: Final = {
    "ba90f6fa-417b-7b5e-e1f7-e0d7af3ce4a7": "web1",
    "152099d3-721a-56d6-d371-25f86ce5d841": "db1",
    "92ced039-7cd4-471e-597c-ece4b95744b1": "template",
    "430908ac-9c4d-77aa-27ec-f50fe6c70147": "snapshot",
    "a39adffd-c4bd-7f52-364e-2b7b35da97cf": "metrics",
    "624caee6-4bdf-761c-1d50-bad4acc3eaee": "pool",
    "d9289228-f9f1-5e00-e6d1-0291e690e9a2": "vmss",
    "c7563539-5814-d7cf-f0df-3aff70fca6b8": "sr",
    "26a67013-6830-d503-54b9-1eccfb1b24ea": "disk",
    "628b77a6-c1e3-338a-e704-d85396ae0624": "done",
    "81c0ebaf-f5f3-b256-4415-bd1c92e93584": "host",
    "3b795b79-5542-b047-e07c-e58e6becfd11": "network",
}
"""What the references in the requests are."""


async def world(bench: Bench) -> dict[str, str]:
    """The same objects here, by name."""
    session = bench.session
    web1 = await bench.sample_vm("web1", disks=2, nic=True)
    db1 = await bench.sample_vm("db1")
    await session.VM.start(db1)
    vmss = await session.VMSS.create({"name_label": "nightly", "type": "snapshot", "frequency": "daily"})
    await session.VM.set_snapshot_schedule(web1, vmss)
    await session.call("VM.add_to_other_config", web1, "folder", "/x")
    done = await session.task.create("done", "")
    await session.call("task.set_status", done, "success")
    (disk,) = [bench.store.get(VBD, vbd).VDI for vbd in bench.vm(db1).VBDs]
    first = {record: str(next(iter(bench.store.all(record)))) for record in (Pool, Host, Network)}
    return {
        "web1": web1, "db1": db1, "template": await session.by_name(VM, "Sample guest"), "vmss": vmss, "done": done,
        "snapshot": await session.VM.snapshot(web1, "first"), "metrics": bench.vm(web1).metrics, "sr": bench.sr(),
        "disk": disk, "pool": first[Pool], "host": first[Host], "network": first[Network],
    }  # fmt: skip


class Stage:
    """Replays requests with our references in them."""

    def __init__(self, wire: Wire, session: str, here: Mapping[str, str]) -> None:
        self._wire = wire
        self._session = session
        self._ours = {f"OpaqueRef:{old}": here[name] for old, name in RECORDED.items()} | {"xenroot": PASSWORD}

    async def ask(self, name: str) -> tuple[Reply, str]:
        """Our answer, and the recorded one in our references."""
        request, response = exchanges()[name]
        theirs = re.search(r"(?:<string>|<value>|[\"=])(OpaqueRef:[0-9a-f-]{36})", request.decode("latin-1"))
        known = {**self._ours, **({theirs[1]: self._session} if theirs else {})}
        translated = self._translated(request.decode("latin-1"), known)
        head, _, body = translated.partition("\r\n\r\n")
        head = re.sub(r"Content-Length: \d+", f"Content-Length: {len(body.encode('latin-1'))}", head)
        reply = await self._wire.send(f"{head}\r\n\r\n{body}".encode("latin-1"))
        return reply, self._translated(response.decode("latin-1"), known)

    @staticmethod
    def _translated(text: str, known: Mapping[str, str]) -> str:
        for old, new in known.items():
            text = text.replace(old, new)
        return text


def content(body: bytes, speaks_json: bool) -> Any:
    """An answer's value, whatever it is written in: what failed as a list, what succeeded by its kind."""
    if not speaks_json:
        (value,), _ = xmlrpc.client.loads(body.decode())
        if not isinstance(value, dict) or "Status" not in value:
            return kind(value)
        return value["ErrorDescription"] if value["Status"] == "Failure" else kind(value["Value"])
    value = json.loads(body)
    error = value.get("error")
    if isinstance(error, dict):
        error = [error["message"], *error["data"]]
    return error or {"id": value["id"], "keys": list(value), "result": kind(value.get("result"))}


def kind(value: Any, depth: int = 0) -> Any:
    """Fields and kinds of values; maps and sets of anything are only that."""
    if not isinstance(value, dict):
        return "set" if isinstance(value, list) else type(value).__name__
    if value and all(key.startswith("OpaqueRef:") for key in value):
        return {"each": kind(next(iter(value.values())), depth)}
    if depth == 0 and len(value) > 2:
        return {key: kind(item, depth + 1) for key, item in value.items()}
    return "map"


def replayable() -> list[str]:
    """The exchanges that need nothing but the objects above, and leave them as they are."""
    numbers = (
        *range(1, 8), 9, 10, 12, 13, *range(15, 24), *range(26, 32), 33, 34, 35, 42, 47, 57, 63, 66, 69, 70,
        *range(77, 88), 89, 90, *range(92, 110), *range(111, 118), 120, *range(121, 130), 132, *range(139, 153),
        156, *range(160, 176), 179, *range(183, 196), 211, 222, 223,
    )  # fmt: skip
    return [name for name in exchanges() if int(name[:3]) in numbers]


@pytest.fixture
async def stage(bench: Bench, data_dir: Path) -> AsyncIterator[Stage]:
    here = await world(bench)
    async with serving(bench.engine, data_dir, tls=False) as wire:
        yield Stage(wire, bench.engine.dispatcher.login(USER, "client"), here)


async def test_answers_are_those_of_xenserver(stage: Stage) -> None:
    different = {}
    for name in replayable():
        reply, recorded = await stage.ask(name)
        head, _, body = recorded.partition("\r\n\r\n")
        content_type = re.search(r"content-type: *(\S+)", head, re.IGNORECASE)
        assert reply.status == int(head.split(" ")[1]), name
        assert content_type is None or reply.headers["content-type"] == content_type[1], name
        usual = "close" if head.startswith("HTTP/1.0") else "keep-alive"
        assert reply.headers.get("connection", usual) == re.findall("connection: (.*)\r", head)[0], name
        if reply.status != 200:
            assert b"Traceback" not in reply.body and b"File" not in reply.body, name
            continue
        ours, theirs = (content(b, "json" in name) for b in (reply.body, body.encode("latin-1")))
        if ours != theirs:
            different[name[:3]] = ours
        elif isinstance(ours, list):
            assert reply.body.decode("latin-1") == body, name
    assert set(different) == set(OURS), different
    assert all(tuple(different[name])[: len(told)] == told for name, told in OURS.items()), different


async def test_an_empty_answer_is_the_same_to_the_byte(stage: Stage) -> None:
    for name in ("103-xmlrpc-error-map-remove-absent", "029-xmlrpc-int-string", "144-json1-void", "167-json2-void"):
        reply, recorded = await stage.ask(name)
        assert reply.body.decode() == recorded.partition("\r\n\r\n")[2]
