"""The messages of schedules, answered as a XenServer toolstack answered them (tests/data/vmss.jsonl)."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.api import NULL, VM, VMSS, Failure
from tests.unit.engine.schedules.conftest import World

RECORDED = [json.loads(line) for line in (Path(__file__).parents[3] / "data" / "vmss.jsonl").read_text().splitlines()]
ON_PURPOSE = {
    "type bad": "FIELD_TYPE_ERROR",
    "frequency bad": "FIELD_TYPE_ERROR",
}
"""Where we answer better than an internal error."""
ELSEWHERE = {"VM.snapshot", "VMSS.snapshot_now"}
ENUMS = {"type", "frequency"}


class Replay:
    """Refs of the recording, and ours for them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.ours: dict[str, str] = {"null": NULL}

    def here(self, value: Any) -> Any:
        """An argument of the recording as we have to give it."""
        if isinstance(value, str):
            if value.endswith("Z") and value[:8].isdecimal():
                return datetime.strptime(value, "%Y%m%dT%H:%M:%S%z")
            return self.ours.get(value, value)
        return value

    def record(self, given: dict[str, Any]) -> dict[str, Any]:
        """Whole numbers are text in a recorded record."""
        return {key: int(value) if key == "retained_snapshots" else value for key, value in given.items()}

    async def step(self, step: dict[str, Any]) -> None:
        """Send the message and compare."""
        method, args = step["call"], [self.here(arg) for arg in step["args"]]
        if method == "VMSS.create":
            args = [self.record(args[0])]
        if method == "VMSS.set_retained_snapshots":
            args[1] = int(args[1])
        try:
            result = await self._world.session.call(method, *args)
        except Failure as failure:
            self._compare_error(step, failure)
            return
        assert "error" not in step, (step, result)
        if method == "VMSS.create":
            self.ours[step["result"]] = result
        elif method.startswith("VMSS.get_"):
            assert self._plain(result) == self._expected(step["result"]), step

    def _compare_error(self, step: dict[str, Any], failure: Failure) -> None:
        note = step.get("note", "")
        assert "error" in step, (step, failure)
        if note in ON_PURPOSE:
            assert failure.code == ON_PURPOSE[note]
            return
        if failure.code == "VM_SNAPSHOT_WITH_QUIESCE_NOT_SUPPORTED":  # it names one of two VMs
            assert step["error"][0] == failure.code and failure.params[0] in self.ours.values()
            return
        expected = [self.ours.get(part, part) for part in step["error"]]
        assert [str(part) for part in failure.description()][: len(expected)] == expected, step

    def _plain(self, value: Any) -> Any:
        if isinstance(value, VMSS):
            found = {**msgspec.structs.asdict(value), "retained_snapshots": str(value.retained_snapshots)}
            del found["uuid"]
            return {key: self._plain(one) for key, one in found.items()}
        if isinstance(value, datetime):
            return f"{value:%Y%m%dT%H:%M:%SZ}"
        if isinstance(value, frozenset | list | tuple):
            return sorted(value)
        return value

    def _expected(self, value: Any) -> Any:
        if isinstance(value, dict) and "uuid" in value:
            return {key: self._expected(one) for key, one in value.items() if key != "uuid"}
        if isinstance(value, list):
            return sorted(self.ours.get(one, one) for one in value)
        return self.ours.get(value, value) if isinstance(value, str) else value


@pytest.mark.parametrize("until", [len(RECORDED)])
async def test_every_recorded_answer(world: World, until: int) -> None:
    replay = Replay(world)
    vms = {name: await world.bench.sample_vm(name[1:]) for name in ("$vm", "$vm2")}
    template = await world.session.VM.clone(await world.session.by_name(VM, "Other install media"), "tmpl")
    snapshot = await world.session.VM.snapshot(vms["$vm"], "manual")
    replay.ours.update(vms)
    replay.ours.update({"$tmpl": template, "$snap": snapshot})
    played = 0
    for step in RECORDED[:until]:
        if "$vm_" in str(step["args"]) or "$clone" in str(step["args"]):
            continue
        if step["call"] == "VMSS.get_VMs" and step["result"] == ["$vm"]:
            await world.session.VM.destroy(vms["$vm2"])  # the recording did so here
        await replay.step(step)
        played += 1
    assert played > 75


async def test_a_clone_has_no_schedule(world: World) -> None:
    vm = await world.bench.sample_vm()
    await world.protect(vm)
    assert world.store.get(VM, await world.session.VM.clone(vm, "clone")).snapshot_schedule == NULL
