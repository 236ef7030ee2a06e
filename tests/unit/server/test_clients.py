"""What known clients send, in the order they do: Xen Orchestra, Ansible's xenserver modules, the Go SDK."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from app.api import VBD, VDI, VM, Task, TaskStatus
from tests.support.engine import Bench
from tests.support.wire import PASSWORD, USER, Wire, aside


class Refused(Exception):
    """An error of JSON-RPC 2.0, as its message and data."""


class Orchestra:
    """Xen Orchestra's way: JSON-RPC 2.0, and a feed from the first moment."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._session = ""
        self.objects: dict[str, Mapping[str, Any]] = {}
        self.token = ""

    async def call(self, method: str, *params: Any) -> Any:
        """One call; the session comes first."""
        first = [self._session] if self._session else []
        body = {"jsonrpc": "2.0", "id": 0, "method": method, "params": [*first, *params]}
        reply = await self._wire.post(json.dumps(body).encode(), "/jsonrpc", "application/json")
        # A character set behind it would make it fall back to XML-RPC.
        assert reply.headers["content-type"] == "application/json"
        answer = json.loads(reply.body)
        if "error" in answer:
            raise Refused(answer["error"]["message"], *answer["error"]["data"])
        return answer["result"]

    async def connect(self) -> None:
        """Log in, look around, read every class, follow the feed."""
        methods = await self.call("system.listMethods")
        self._session = await self.call("session.login_with_password", USER, PASSWORD)
        (pool,) = (await self.call("pool.get_all_records")).values()
        assert pool["master"] in await self.call("host.get_all_records")
        await self.call("event.inject", "pool", (await self.call("pool.get_all"))[0])
        for method in methods:
            if method.endswith(".get_all_records"):
                self.objects.update(await self.call(method))
        await self.follow()

    async def follow(self) -> None:
        """Take in what the feed has."""
        batch = await self.call("event.from", ["*"], self.token, 60.1)
        self.token = batch["token"]
        for event in batch["events"]:
            if event["operation"] == "del":
                self.objects.pop(event["ref"], None)
            else:
                self.objects[event["ref"]] = event["snapshot"]

    async def task(self, method: str, *params: Any) -> str:
        """A message as a task, followed by the feed to its end; its result without the markup."""
        ref = await self.call(f"Async.{method}", *params)
        while self.objects.get(ref, {"status": "pending"})["status"] == "pending":
            await self.follow()
        record = self.objects[ref]
        await self.call("task.destroy", ref)
        if record["status"] != "success":
            raise Refused(*record["error_info"])
        return str(record["result"]).removeprefix("<value>").removesuffix("</value>")


async def test_xen_orchestra(bench: Bench, wire: Wire) -> None:
    orchestra = Orchestra(wire)
    await orchestra.connect()
    vm = await bench.sample_vm("backed up")
    # A write barrier, as it waits for its own changes.
    pool = next(iter(await orchestra.call("pool.get_all")))
    await orchestra.call("pool.add_to_other_config", pool, "xo:barrier", "1")
    await orchestra.follow()
    assert orchestra.objects[pool]["other_config"]["xo:barrier"] == "1"
    with pytest.raises(Refused, match="VM_BAD_POWER_STATE"):
        await orchestra.task("VM.checkpoint", vm, "with memory")
    snapshot = await orchestra.task("VM.snapshot", vm, "without memory")
    await orchestra.call("VM.set_is_a_template", snapshot, False)
    await orchestra.call("VM.add_to_other_config", snapshot, "xo:backup:job", "x")
    await orchestra.follow()
    record = orchestra.objects[snapshot]
    assert (record["is_a_snapshot"], record["is_a_template"], record["snapshot_of"]) == (True, False, vm)
    await orchestra.task("VM.revert", snapshot)
    for doomed in (snapshot, vm):
        await orchestra.call("VM.set_is_a_template", doomed, False)
        disks = [bench.store.get(VBD, vbd).VDI for vbd in bench.vm(doomed).VBDs]
        await orchestra.call("VM.destroy", doomed)
        for disk in disks:
            await orchestra.call("VDI.destroy", disk)
            assert bench.store.find(VDI, disk) is None or not bench.store.get(VDI, disk).managed
    await orchestra.follow()
    assert vm not in orchestra.objects and snapshot not in orchestra.objects


def as_ansible(api: Any, template: str, sr: str) -> str:
    """Make a VM of a template, give it memory, processors, a disk and a network, start it and stop it."""
    pool = api.pool.get_all()[0]
    assert api.pool.get_default_SR(pool) == sr
    host = api.pool.get_master(pool)
    version = api.host.get_software_version(host)["product_version"]
    assert [int(part) for part in version.split(".")]
    vm = api.VM.clone(template, "by ansible")
    api.VM.set_name_description(vm, "a description")
    api.VM.provision(vm)
    api.VM.set_memory_limits(vm, str(16 << 20), str(64 << 20), str(64 << 20), str(64 << 20))
    api.VM.set_VCPUs_max(vm, "2")
    api.VM.set_VCPUs_at_startup(vm, "2")
    api.VM.add_to_xenstore_data(vm, "vm-data", "x")
    device = api.VM.get_allowed_VBD_devices(vm)[0]
    disk = {"name_label": "data", "SR": sr, "virtual_size": str(8 << 20), "type": "user", "sharable": False}
    vdi = api.VDI.create({**disk, "read_only": False, "other_config": {}, "name_description": ""})
    vbd = {"VM": vm, "VDI": vdi, "userdevice": device, "bootable": False, "mode": "RW", "type": "Disk", "empty": False}
    api.VBD.create({**vbd, "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {}})
    (interface,) = api.VM.get_allowed_VIF_devices(vm)[:1]
    vif = {"device": interface, "network": api.network.get_all()[0], "VM": vm, "MAC": "", "MTU": "1500"}
    api.VIF.create({**vif, "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {}})
    assert api.VM.get_possible_hosts(vm) == [host]
    api.VM.assert_can_boot_here(vm, host)
    api.VM.start(vm, False, False)
    task = api.Async.VM.hard_shutdown(vm)
    while api.task.get_status(task) == "pending":
        pass
    api.task.destroy(task)
    api.VM.set_memory(vm, str(32 << 20))
    api.VM.set_memory_dynamic_range(vm, str(32 << 20), str(32 << 20))
    return str(vm)


async def test_ansible(bench: Bench, wire: Wire) -> None:
    session = await wire.session("Ansible")
    template = await bench.session.by_name(VM, "Sample guest")
    vm = await aside(as_ansible, session.xenapi, template, bench.sr())
    record = bench.vm(vm)
    assert (record.VCPUs_max, record.memory_static_max, len(record.VBDs), len(record.VIFs)) == (2, 32 << 20, 2, 1)
    assert record.xenstore_data["vm-data"] == "x"


async def test_a_record_is_made_again_from_what_was_read(bench: Bench, wire: Wire) -> None:
    """As the Go SDK does: whole numbers as text, every field of the record, read-only ones among them."""
    session = await wire.session("go")

    def again(api: Any) -> str:
        record = api.VM.get_record(api.VM.get_by_name_label("Other install media")[0])
        for field in ("HVM_shadow_multiplier",):
            assert isinstance(record[field], float)
        made = {**record, "name_label": "again", "is_a_template": False, "is_default_template": False}
        return str(api.VM.create({**made, "other_config": {}}))

    vm = await aside(again, session.xenapi)
    assert (bench.vm(vm).name_label, bench.vm(vm).is_a_template) == ("again", False)
    assert vm in await aside(session.xenapi.VM.get_all_where, 'field "name__label" = "again"')


async def test_enumerations_hold_nothing_new(bench: Bench, wire: Wire) -> None:
    """The Go SDK refuses a whole record for one member that it does not know."""
    vm = await bench.sample_vm(nic=True)
    await bench.session.VM.start(vm)
    await bench.session.VM.snapshot(vm, "one")
    recent = {"create_vtpm", "changing_NVRAM", "sysprep"}
    for record in bench.store.all(VM).values():
        assert not {op.value for op in record.allowed_operations} & recent
    assert all(task.status in TaskStatus for task in bench.store.all(Task).values())
