"""Plays recorded scenarios against an engine, with names of the recording for objects of ours.

tests/data/scenarios.jsonl.gz has a line for each scenario's title, set-up (step 0) and steps: the call with its
arguments, the result or error, which objects were added, changed and deleted, and how things stood afterwards.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from app.api import NULL, VBD, VDI, VM, Failure, Message, Network, VBDType, VMPowerState
from app.api.wire import plain
from app.server.parameters import received
from tests.support.engine import Bench
from tests.support.recordings import DATA

Step = dict[str, Any]
MIB: Final = 1 << 20
COUNTED: Final = ("vm", "vm_metrics", "vif", "vbd")
"""Classes whose events are compared by number. VDIs are not: theirs has hidden ones where ours has files; nor are guest
metrics: no agent runs in simulated guests."""


def scenarios() -> dict[str, list[Step]]:
    """The steps of each scenario by its name, set-up included."""
    found: dict[str, list[Step]] = {}
    for line in gzip.decompress((DATA / "scenarios.jsonl.gz").read_bytes()).decode().splitlines():
        step = json.loads(line)
        found.setdefault(step["scenario"], [])
        if "step" in step:
            found[step["scenario"]].append(step)
    return found


class Player:
    """One scenario. `differences` has what did not come out as recorded: (step, what) -> (ours, theirs)."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._call = bench.session.call
        self.ours: dict[str, str] = {"null": NULL, "": "", "$SR_local": bench.sr()}
        self.differences: dict[tuple[int, str], tuple[Any, Any]] = {}

    async def set_up(self, step: Step) -> None:
        """Make the VM of a set-up and bring it to its power state."""
        ((name, state),) = step["state"].items()
        vm = await self._call("VM.create", {**RECORD, "name_label": state["name_label"], "tags": ["t1"]})
        self.ours[name] = vm
        for disk in state["disks"]:
            await self._add_device(name, disk)
        network = next(iter(self._bench.store.all(Network)))
        self.ours[f"{name}.vif"] = await self._call("VIF.create", {"VM": vm, "network": network, "device": "0"})
        await self.bring_to(name, VMPowerState(state["power_state"]))
        self._compare_state(0, step["state"])

    async def bring_to(self, name: str, state: VMPowerState) -> None:
        """Change the power state, as whoever made the recording did between its steps."""
        vm = self.ours[name]
        now = self._bench.vm(vm).power_state
        if now is state:
            return
        if now is not VMPowerState.Halted:
            await self._call("VM.hard_shutdown", vm)
        if state is not VMPowerState.Halted:
            await self._call("VM.start", vm, False, False)
        if state is VMPowerState.Paused:
            await self._call("VM.pause", vm)
        elif state is VMPowerState.Suspended:
            await self._call("VM.suspend", vm)

    async def add_disk(self, name: str, device: str, known_as: str) -> None:
        """A disk more."""
        await self._add_device(name, {"userdevice": device, "type": "Disk", "vdi": known_as})

    async def _add_device(self, name: str, disk: Mapping[str, Any]) -> None:
        vm, device = self.ours[name], disk["userdevice"]
        vbd: dict[str, Any] = {"VM": vm, "userdevice": device, "type": disk["type"], "mode": "RW"}
        if disk["type"] == VBDType.Disk.value:
            fields = {"SR": self._bench.sr(), "virtual_size": 8 * MIB, "name_label": disk["vdi"], "type": "user"}
            self.ours[disk["vdi"]] = vbd["VDI"] = await self._call("VDI.create", fields)
            vbd["other_config"] = {"owner": ""}
        else:
            vbd["mode"] = "RO"
        self.ours[f"{name}.vbd{device}"] = await self._call("VBD.create", vbd)
        if disk["type"] == VBDType.CD.value and disk["vdi"] != "null":
            self.ours[disk["vdi"]] = self._iso("first.iso")
            await self._call("VBD.insert", self.ours[f"{name}.vbd{device}"], self.ours[disk["vdi"]])

    def _iso(self, label: str) -> str:
        return next(ref for ref, vdi in self._bench.store.all(VDI).items() if vdi.name_label == label)

    async def play(self, step: Step) -> None:
        """Make the call of a step, and compare what it answered and what it changed."""
        number, method = step["step"], step["call"]
        if "$iso_drivers" in step["args"]:
            self.ours["$iso_drivers"] = self._iso("drivers.iso")
        args = [self._here(arg) for arg in step["args"]]
        token = self._bench.store.feed.token()
        try:
            answer = await self._call(method, *received(method, args))
        except Failure as failure:
            there = [self._here(part) for part in step.get("error", ["success"])]
            self._note(number, "error", failure.description(), there)
            return
        if "error" in step:
            self._note(number, "error", ["success"], step["error"])
            return
        self._compare_result(number, method, answer, step["result"])
        if "events" in step:
            self._compare_events(number, step["events"], token)
        if "state_after" in step:
            # Theirs lag behind while a checkpoint or a resume is being tidied up.
            self._compare_state(number, step["state_after"], attached=method == "VM.snapshot")

    def _compare_result(self, number: int, method: str, answer: Any, recorded: Any) -> None:
        if isinstance(recorded, str) and recorded.startswith("$"):
            self.ours.setdefault(recorded, answer)
            # Some names are given twice: with and without the number of their kind.
            self.ours.setdefault(recorded.replace("_", ""), answer)
        elif method.endswith(".get_record"):
            self._compare_record(number, plain(answer), recorded)
        elif method.startswith("VM.get_VBDs"):
            self._note(number, "result", len(answer), len(recorded))
        else:
            here = plain(answer)
            if isinstance(here, dict):
                here, recorded = set(here) - {"mac_seed"}, set(recorded) - {"mac_seed"}
            self._note(number, "result", here, self._here(recorded))

    def _compare_record(self, number: int, here: Mapping[str, Any], there: Mapping[str, Any]) -> None:
        for field, recorded in there.items():
            if field not in OF_THE_MOMENT:
                ours = _as_text(here[field])
                self._note(number, field, ours, _as_text(self._here(recorded)))
        for field in ("VBDs", "VIFs"):
            if field in there:
                self._note(number, field, len(here[field]), len(there[field]))

    def _compare_events(self, number: int, recorded: list[list[str]], token: str) -> None:
        changes = self._bench.store.feed.since(token)
        theirs = Counter((cls, op) for cls, op, *_ in recorded if cls in COUNTED and op != "mod")
        ours = Counter((c.cls.lower(), c.operation.value) for c in changes if c.cls.lower() in COUNTED)
        for key in [key for key in ours if key[1] == "mod"]:
            del ours[key]
        for key in theirs.keys() | ours.keys():
            self._note(number, f"events {key[0]} {key[1]}", ours[key], theirs[key])
        told = sorted(name for cls, op, _, *names in recorded if (cls, op) == ("message", "add") for name in names)
        added = [c.ref for c in changes if (c.cls, c.operation.value) == ("message", "add")]
        self._note(number, "messages", sorted(self._bench.store.get(Message, ref).name for ref in added), told)
        vms = {obj for cls, op, obj, *_ in recorded if (cls, op) == ("vm", "mod")}
        changed = {change.ref for change in changes if (change.cls, change.operation.value) == ("VM", "mod")}
        for name in vms:
            self._note(number, f"events vm mod {name}", self.ours.get(name) in changed, True)

    def _compare_state(self, number: int, state: Mapping[str, Mapping[str, Any]], *, attached: bool = True) -> None:
        for name, there in state.items():
            vm = self._bench.vm(self.ours[name])
            for field in ("power_state", "name_label", "is_a_template"):
                self._note(number, f"{name} {field}", plain(getattr(vm, field)), there[field])
            for field in ("parent", "snapshot_of"):
                self._note(number, f"{name} {field}", getattr(vm, field), self.ours[there[field]])
            for field in ("children", "snapshots"):
                self._note(number, f"{name} {field}", set(getattr(vm, field)), {self.ours[ref] for ref in there[field]})
            for key in there["snapshot_info"].keys() | set(vm.snapshot_info) & OF_SNAPSHOTS:
                self._note(
                    number, f"{name} snapshot_info {key}", vm.snapshot_info.get(key), there["snapshot_info"].get(key)
                )
            self._note(number, f"{name} suspend_VDI", vm.suspend_VDI != NULL, there["suspend_VDI"] != "null")
            self._compare_disks(number, name, vm, there["disks"], attached=attached)

    def _compare_disks(
        self, number: int, name: str, vm: VM, recorded: list[Mapping[str, Any]], *, attached: bool
    ) -> None:
        vbds = sorted((self._bench.store.get(VBD, vbd) for vbd in vm.VBDs), key=lambda vbd: int(vbd.userdevice))
        here = [(vbd.userdevice, vbd.type.value, vbd.VDI == NULL, attached and vbd.currently_attached) for vbd in vbds]
        there = [(d["userdevice"], d["type"], d["vdi"] == "null", attached and d["attached"]) for d in recorded]
        self._note(number, f"{name} disks", here, there)
        for vbd, disk in zip(vbds, recorded, strict=False):
            if disk["vdi"] != "null":
                self.ours.setdefault(disk["vdi"], vbd.VDI)
        for vbd, disk in zip(vbds, recorded, strict=False):
            if disk["vdi"] != "null" and vbd.VDI != NULL and disk["type"] == "Disk":
                vdi = self._bench.store.get(VDI, vbd.VDI)
                self._note(number, f"{name} disk {vbd.userdevice}", vbd.VDI, self.ours[disk["vdi"]])
                known = self.ours.get(disk["snapshot_of"], disk["snapshot_of"])
                self._note(number, f"{name} snapshot_of {vbd.userdevice}", vdi.snapshot_of, known)

    def _here(self, value: Any) -> Any:
        """A value of the recording with our references in it."""
        if isinstance(value, str):
            return self.ours.get(value, value)
        if isinstance(value, list):
            return [self._here(item) for item in value]
        return value

    def _note(self, number: int, what: str, ours: Any, theirs: Any) -> None:
        if ours != theirs:
            self.differences[number, what] = (ours, theirs)


RECORD: Final[Mapping[str, Any]] = {
    "memory_static_min": 256 * MIB,
    "memory_static_max": 512 * MIB,
    "memory_dynamic_min": 512 * MIB,
    "memory_dynamic_max": 512 * MIB,
    "VCPUs_max": 2,
    "VCPUs_at_startup": 2,
    "user_version": 1,
    "actions_after_crash": "restart",
    "actions_after_reboot": "restart",
    "actions_after_shutdown": "destroy",
    "HVM_boot_policy": "BIOS order",
    "HVM_boot_params": {"order": "cdn", "firmware": "bios"},
    "HVM_shadow_multiplier": 1.0,
    "name_description": "d0",
}
OF_SNAPSHOTS: Final = {"disk-snapshot-type", "power-state-at-snapshot"}
OF_THE_MOMENT: Final = {
    "uuid", "snapshot_time", "snapshot_metadata", "VBDs", "VIFs", "metrics", "guest_metrics", "memory_overhead",
    "platform", "other_config", "last_boot_CPU_flags", "bios_strings", "resident_on", "created", "memory_target",
    "allowed_operations", "domid", "domain_type", "secureboot_certificates_state", "tags", "name_description",
    "transportable_snapshot_id", "snapshot_info",
}  # fmt: skip
"""Fields that hold facts of the host, names of the moment, or what the VM was set up with."""


def _as_text(value: Any) -> Any:
    """Whole numbers are text in the recording, and sets have no order."""
    if isinstance(value, list):
        return sorted(map(str, value))
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
