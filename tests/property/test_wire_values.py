"""Any value, said by our client and heard by our server, and the other way round, in both languages."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from app.api import VM, Failure, VMOperation, VMPowerState
from app.client.dialects import Dialect, JsonRpc, XmlRpc
from app.client.reading import read
from app.engine.engine import Engine
from app.server import json_rpc, xml_rpc
from app.server.desk import Desk
from app.server.xml_requests import parse

SESSION = "OpaqueRef:session"
IN_XML = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), include_characters="\t\n\r", exclude_characters="\ufffe\uffff")
)
DATES = st.datetimes(datetime(1970, 1, 1), datetime(2099, 1, 1)).map(lambda d: d.replace(microsecond=0, tzinfo=UTC))
SCALARS = (
    IN_XML | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1) | DATES
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(IN_XML, inner, max_size=4), max_leaves=12
)


def heard(value: Any, *, numbers_are_text: bool) -> Any:
    """A value as the server has it before it knows its type."""
    if isinstance(value, datetime):
        return f"{value:%Y%m%dT%H:%M:%SZ}"
    if isinstance(value, list):
        return [heard(item, numbers_are_text=numbers_are_text) for item in value]
    if isinstance(value, dict):
        return {key: heard(item, numbers_are_text=numbers_are_text) for key, item in value.items()}
    return str(value) if numbers_are_text and type(value) is int else value


@settings(max_examples=60, deadline=None)
@given(st.lists(VALUES, max_size=4))
def test_what_the_client_says_is_heard(params: list[Any]) -> None:
    assert parse(XmlRpc().request("VM.do", params)) == ("VM.do", heard(params, numbers_are_text=True))
    call = json.loads(JsonRpc().request("VM.do", params))
    assert (call["method"], call["params"]) == ("VM.do", heard(params, numbers_are_text=False))


RECORDS = st.builds(
    VM,
    name_label=IN_XML,
    snapshot_metadata=IN_XML,
    memory_static_max=st.integers(0, 2**63 - 1),
    HVM_shadow_multiplier=st.floats(-1e300, 1e300).map(lambda number: float(f"{number:.16g}")),
    is_a_template=st.booleans(),
    snapshot_time=DATES,
    power_state=st.sampled_from(VMPowerState),
    allowed_operations=st.frozensets(st.sampled_from(VMOperation), max_size=5),
    current_operations=st.dictionaries(IN_XML, st.sampled_from(VMOperation), max_size=3),
    tags=st.frozensets(IN_XML, max_size=4),
    other_config=st.dictionaries(IN_XML, IN_XML, max_size=4),
)


async def answered(result: Any, dialect: Dialect) -> bytes:
    async def call(*_: Any) -> Any:
        if isinstance(result, Failure):
            raise result
        return result

    engine = cast("Engine", SimpleNamespace(dispatcher=SimpleNamespace(call=call)))
    answer = json_rpc.answer if isinstance(dialect, JsonRpc) else xml_rpc.answer
    return await answer(Desk(engine, None), dialect.request("VM.get_record", [SESSION, "x"]), "")


@settings(max_examples=40, deadline=None)
@given(RECORDS)
def test_what_the_server_says_is_read(record: VM) -> None:
    for dialect in (JsonRpc(), XmlRpc()):
        found = read(dialect.result(asyncio.run(answered(record, dialect))), VM)
        assert msgspec.structs.asdict(found) == msgspec.structs.asdict(record)


@settings(max_examples=40, deadline=None)
@given(st.text(min_size=1).filter(str.isidentifier), st.lists(IN_XML, max_size=4))
def test_errors_keep_their_words(code: str, params: list[str]) -> None:
    for dialect in (JsonRpc(), XmlRpc()):
        try:
            dialect.result(asyncio.run(answered(Failure(code, *params), dialect)))
        except Failure as failure:
            assert failure.description() == [code, *params]
        else:
            raise AssertionError("a failure is no result")


@settings(max_examples=40, deadline=None)
@given(st.text())
def test_text_that_xml_cannot_hold_never_makes_an_answer_unreadable(text: str) -> None:
    reply = asyncio.run(answered(VM(name_label=text.encode(errors="replace").decode()), XmlRpc()))
    assert len(read(XmlRpc().result(reply), VM).name_label) == len(text)
