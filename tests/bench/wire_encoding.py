"""How fast a whole pool leaves the engine in both languages, against Python's own encoders of the same data."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
import xmlrpc.client
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

import msgspec

from app.api import VM
from app.api.types import Record, fields_of, new_ref, new_uuid
from app.api.wire import DATE_FORM, plain
from app.client.dialects import Dialect, JsonRpc, XmlRpc
from app.client.reading import read
from app.engine.engine import Engine
from app.server import json_rpc, xml_rpc
from app.server.desk import Desk
from tests.bench.benchmark import Benchmark, Options
from tests.bench.result import Result, medians, ratio, value
from tests.support.recordings import records

VMS = 3_000
SNAPSHOTS = 30_000
ROUNDS = 3
MEGABYTE = 1_000_000


def benchmark() -> Benchmark:
    """The benchmark."""
    about = f"get_all_records of {VMS:,} VMs and {SNAPSHOTS:,} snapshots, against json.dumps and xmlrpc.client.dumps"
    return Benchmark("wire-encoding", about, measure)


def measure(options: Options) -> Sequence[Result]:
    """Run it."""
    pool = estate(VMS, SNAPSHOTS)
    return [
        *_compared("JSON-RPC", JsonRpc(), pool, json.dumps, _for_json(pool), 2.0, options),
        *_compared("XML-RPC", XmlRpc(), pool, _xmlrpc_dumps, _for_xml(pool), 1.0, options),
    ]


def estate(vms: int, snapshots: int) -> dict[str, VM]:
    """Records like the recorded ones, each of its own."""
    known = [cast("VM", read(record, VM)) for record in records()["VM"].values()]
    of_vms = [record for record in known if not record.is_a_snapshot]
    of_snapshots = [record for record in known if record.is_a_snapshot]
    chosen = [
        *itertools.islice(itertools.cycle(of_vms), vms), *itertools.islice(itertools.cycle(of_snapshots), snapshots),
    ]  # fmt: skip
    return {
        str(new_ref()): msgspec.structs.replace(record, uuid=new_uuid(), name_label=f"{record.name_label} {number}")
        for number, record in enumerate(chosen)
    }


def _compared(
    language: str, dialect: Dialect, pool: Mapping[str, VM], theirs: Callable[[Any], Any], data: Any, target: float,
    options: Options,
) -> list[Result]:  # fmt: skip
    """Our answer's bytes and theirs, in turns."""
    samples: dict[str, list[float]] = {"ours": [], "theirs": []}
    size = 0
    for _ in range(options.take(ROUNDS)):
        seconds, size = asyncio.run(_answered(dialect, pool))
        samples["ours"].append(seconds)
        started = time.process_time()
        their_size = len(theirs(data))
        samples["theirs"].append(time.process_time() - started)
    middle = medians(samples)
    rates = {"ours": [size / MEGABYTE / middle["ours"]], "theirs": [their_size / MEGABYTE / middle["theirs"]]}
    name = f"wire-{language.partition('-')[0].lower()}"
    how = f"the bytes of one answer, {size / MEGABYTE:.0f} MB, in processor time; theirs {their_size / MEGABYTE:.0f} MB"
    other = "json.dumps" if isinstance(dialect, JsonRpc) else "xmlrpc.client.dumps"
    return [
        ratio(
            name, samples, ours="ours", theirs="theirs", unit="s", target=target, how=how,
            compared_with=f"{other} of the same data, as plain values already",
        ),
        value(f"{name}-rate", rates["ours"][0], rates, unit="MB/s", target=None, compared_with=f"theirs: {other}"),
    ]  # fmt: skip


async def _answered(dialect: Dialect, pool: Mapping[str, VM]) -> tuple[float, int]:
    """Seconds of the processor from the bytes of a request to those of its answer, and how many these are."""

    async def call(*_: Any) -> Mapping[str, VM]:
        return pool

    engine = cast("Engine", SimpleNamespace(dispatcher=SimpleNamespace(call=call)))
    answer = json_rpc.answer if isinstance(dialect, JsonRpc) else xml_rpc.answer
    request = dialect.request("VM.get_all_records", ["OpaqueRef:session"])
    started = time.process_time()
    reply = await answer(Desk(engine, None), request, "")
    return time.process_time() - started, len(reply)


def _for_json(pool: Mapping[str, Record]) -> Any:
    return plain(pool)


def _for_xml(pool: Mapping[str, Record]) -> Any:
    """As XenAPI has it: whole numbers as text, and dates as dates."""
    return {ref: {field.name: _plain_xml(getattr(record, field.name)) for field in fields_of(type(record))}
            for ref, record in pool.items()}  # fmt: skip


def _plain_xml(found: Any) -> Any:
    if isinstance(found, datetime):
        return xmlrpc.client.DateTime(found.strftime(DATE_FORM))
    return str(found) if type(found) is int else plain(found)


def _xmlrpc_dumps(data: Any) -> str:
    return xmlrpc.client.dumps(({"Status": "Success", "Value": data},), methodresponse=True)
