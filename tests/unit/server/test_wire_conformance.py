"""Every message in both languages with what it must refuse: each gets a documented code, and nothing changes.

From the bytes of a request to the bytes of its answer, without the HTTP around them. What reaches the engine by itself
is in tests/unit/engine/test_conformance.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest

from app.api import NULL, Failure, classes
from app.api.types import MessageSpec, Record
from app.api.wire import parameter_types
from app.client.dialects import Dialect, JsonRpc, XmlRpc
from app.hypervisor.simulated import SimulatedDriver
from app.server import json_rpc, xml_rpc
from app.server.desk import Desk
from tests.support.engine import Bench, open_bench
from tests.unit.engine.test_conformance import MAY_BE_NULL, STALE, is_ref

AT_THE_DOOR = {
    "session.login_with_password", "session.slave_local_login_with_password", "session.change_password",
}  # fmt: skip
LOGOUTS = {"session.logout", "session.local_logout"}
MESSAGES = {m.full_name: m for d in classes().values() for m in d.messages.values()}
REFUSALS = {"FIELD_TYPE_ERROR", "EVENT_SUBSCRIPTION_PARSE_FAILURE", "HANDLE_INVALID", "INVALID_VALUE", "UUID_INVALID"}


class Wire:
    """Asks in one language."""

    def __init__(self, bench: Bench, dialect: Dialect) -> None:
        self.bench = bench
        self.speaks_json = isinstance(dialect, JsonRpc)
        self._dialect = dialect
        self._desk = Desk(bench.engine, None)
        self._before = self._everything()

    def methods(self) -> list[str]:
        """All messages that take a session."""
        return sorted(set(self.bench.engine.dispatcher.methods()) - AT_THE_DOOR)

    async def failure(self, method: str, *params: Any) -> Failure:
        """What a call is refused with; `params` begin with the session."""
        answer = json_rpc.answer if self.speaks_json else xml_rpc.answer
        reply = await answer(self._desk, self._dialect.request(method, params), "127.0.0.1")
        assert b"Traceback" not in reply
        with pytest.raises(Failure) as caught:
            self._dialect.result(reply)
            raise AssertionError(f"{method}{params} was accepted")
        assert caught.value.code != "INTERNAL_ERROR", (method, params, caught.value)
        return caught.value

    async def refused(self, method: str, *params: Any) -> Failure:
        """The same with our session first."""
        return await self.failure(method, self.bench.session.ref, *params)

    def assert_untouched(self) -> None:
        """The engine holds what it held at first."""
        assert self._everything() == self._before

    def _everything(self) -> dict[str, dict[str, Record]]:
        return {name: dict(self.bench.store.of_class(name)) for name in classes() if name != "task"}


@pytest.fixture(params=[JsonRpc, XmlRpc])
async def wire(request: pytest.FixtureRequest, data_dir: Path) -> AsyncIterator[Wire]:
    async with open_bench(data_dir, SimulatedDriver()) as bench:
        vm = await bench.sample_vm(disks=2, nic=True)
        await bench.session.VM.snapshot(vm, "snap")
        await bench.session.VBD.create({"VM": vm, "userdevice": "5", "type": "CD"})
        found = Wire(bench, request.param())
        yield found
        found.assert_untouched()


async def test_sessions_that_are_none(wire: Wire) -> None:
    strangers: list[Any] = [STALE, NULL, "", "a' or 'b"]
    for method in wire.methods():
        for prefix in ("", "Async."):
            failure = await wire.failure(prefix + method, strangers[len(method) % 4], "a", "b")
            assert failure.description() == ["SESSION_INVALID", strangers[len(method) % 4]], method
    for stranger in [*strangers, None, 5, True, [], {}, [wire.bench.session.ref]]:
        assert (await wire.failure("VM.get_all_records", stranger)).code == "SESSION_INVALID"


async def test_counts_that_are_wrong(wire: Wire) -> None:
    for method in wire.methods():
        failure = await wire.failure(method)
        assert failure.description() == ["MESSAGE_PARAMETER_COUNT_MISMATCH", method, "1", "0"]
        failure = await wire.refused(method, *["text"] * 12)
        assert failure.description()[:2] == ["MESSAGE_PARAMETER_COUNT_MISMATCH", method]
        spec = MESSAGES.get(method)
        if spec is not None and spec.required and method not in LOGOUTS:
            failure = await wire.refused(f"Async.{method}")
            expected = ["MESSAGE_PARAMETER_COUNT_MISMATCH", method, str(spec.required), "0"]
            assert failure.description() == expected


async def test_messages_that_are_none(wire: Wire) -> None:
    for method in (
        "VM.explode",
        "vm.start",
        "VM.get_nothing",
        "Async.VM.explode",
        "VM.__init__",
        "a.b.c",
    ):
        failure = await wire.refused(method)
        assert failure.description() == ["MESSAGE_METHOD_UNKNOWN", method.removeprefix("Async.")]


def wrong_for(annotation: Any, speaks_json: bool) -> Sequence[Any]:
    """Values that no client can mean, whatever ways of writing are accepted."""
    target = annotation.__origin__ if hasattr(annotation, "__metadata__") else annotation
    others: list[Any] = [[[]], [{"a": "b"}], {"a": []}]
    if target is str:
        return [*others, True, 1.5, *([5, 1 << 70] if speaks_json else [])]
    if target in (int, float):
        return [*others, True, "", "many", "1e", *(["1.5", "9" * 30] if target is int else []), "0x10"]
    if target is bool:
        return [*others, "maybe", "", "2"]
    if target is datetime:
        return [*others, "", "yesterday", "20261399T00:00:00Z", "20260101T00:00:00+01:00\n", 1.5]
    if isinstance(target, type) and issubclass(target, StrEnum):
        return [*others, "no such member", "", True]
    is_map = "Mapping" in str(get_origin(target))
    return ["text", 1.5, True, *([["a"]] if is_map else [{"a": "b"}, [[]]])]


def plausible(wire: Wire, spec: MessageSpec) -> list[Any]:
    """Parameters of the right types, for objects that exist where there are any."""
    names = {declared.record.__name__: name for name, declared in classes().items()}

    def value(annotation: Any) -> Any:
        if target := is_ref(annotation):
            return next(iter(wire.bench.store.of_class(names[target])), STALE)
        if isinstance(annotation, type) and issubclass(annotation, StrEnum):
            return next(iter(annotation))
        simple = {str: "text", int: 1, float: 0.0, bool: True, datetime: "20261126T09:30:00Z"}
        if annotation in simple:
            return simple[annotation]
        return {} if "Mapping" in str(annotation) else []

    return [value(spec.types[parameter.name]) for parameter in spec.parameters]


async def test_types_that_are_wrong(wire: Wire) -> None:
    tried = 0
    for name in sorted(set(MESSAGES) - AT_THE_DOOR - LOGOUTS):
        spec = MESSAGES[name]
        right = plausible(wire, spec)
        for place, parameter in enumerate(spec.parameters):
            for wrong in wrong_for(spec.types[parameter.name], wire.speaks_json):
                failure = await wire.refused(name, *right[:place], wrong, *right[place + 1 :])
                assert failure.code in REFUSALS, (name, parameter.name, wrong, failure)
                tried += 1
    assert tried > 500


async def test_references_that_lead_nowhere(wire: Wire) -> None:
    for name in sorted(set(MESSAGES) - AT_THE_DOOR - LOGOUTS):
        spec = MESSAGES[name]
        right = plausible(wire, spec)
        for place, parameter in enumerate(spec.parameters):
            if is_ref(spec.types[parameter.name]):
                nothing = () if (name, parameter.name) in MAY_BE_NULL else (NULL,)
                for bad in (*nothing, STALE):
                    failure = await wire.refused(name, *right[:place], bad, *right[place + 1 :])
                    assert failure.code in ("HANDLE_INVALID", "INVALID_VALUE"), (name, parameter.name, failure)
                    assert failure.params[-1] == bad, (name, parameter.name, failure)


async def test_fields_that_do_not_fit(wire: Wire) -> None:
    for name, declared in classes().items():
        if name == "event":
            continue
        ref = next(iter(wire.bench.store.of_class(name)), STALE)
        for field in declared.fields:
            for bad in (NULL, STALE):
                failure = await wire.refused(f"{name}.get_{field.name}", bad)
                assert failure.description() == ["HANDLE_INVALID", name, bad]
            if field.spec.access != "rw":
                failure = await wire.refused(f"{name}.set_{field.name}", ref, "x")
                assert failure.code in ("MESSAGE_METHOD_UNKNOWN", "MESSAGE_REMOVED", *REFUSALS), (name, failure)
                continue
            for wrong in wrong_for(parameter_types(f"{name}.set_{field.name}")[1], wire.speaks_json):
                failure = await wire.refused(f"{name}.set_{field.name}", ref, wrong)
                assert failure.code in REFUSALS, (name, field.name, wrong, failure)
            if field.container == "map" and get_args(field.annotation):
                for params in ((ref, ["k"], "v"), (ref, "k", ["v"]), (STALE, "k", "v")):
                    failure = await wire.refused(f"{name}.add_to_{field.name}", *params)
                    assert failure.code in REFUSALS, (name, field.name, params, failure)
