"""XenServer's own Python client drives the engine over HTTPS, unmodified."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import tempfile
import xmlrpc.client
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import XenAPI
from XenAPI.XenAPI import _Dispatcher as Dispatcher

from app.api import VM
from app.server.local import LocalServer
from tests.support.engine import Bench
from tests.support.wire import PASSWORD, USER, Wire, aside


@contextlib.contextmanager
def failing(*details: str) -> Iterator[None]:
    with pytest.raises(XenAPI.Failure) as caught:
        yield
    assert caught.value.details == list(details)


def life_of_a_vm(api: Any) -> None:
    """From a template to its end, as a script would."""
    template = api.VM.get_by_name_label("Sample guest")[0]
    vm = api.VM.clone(template, "made by a script")
    api.VM.provision(vm)
    assert api.VM.get_power_state(vm) == "Halted"
    first = api.VM.snapshot(vm, "first")
    api.VM.start(vm, False, False)
    task = api.Async.VM.snapshot(vm, "second")
    while api.task.get_status(task) == "pending":
        pass
    second = api.task.get_result(task).removeprefix("<value>").removesuffix("</value>")
    api.task.destroy(task)
    assert set(api.VM.get_snapshots(vm)) == {first, second}
    record = api.VM.get_record(second)
    assert (record["is_a_snapshot"], record["snapshot_of"]) == (True, vm)
    assert record["snapshot_info"]["power-state-at-snapshot"] == "Running"
    assert isinstance(record["HVM_shadow_multiplier"], float)
    assert re.fullmatch(r"\d{8}T\d\d:\d\d:\d\dZ", str(record["snapshot_time"]))
    assert int(record["memory_static_max"]) > 0
    with failing("VM_BAD_POWER_STATE", vm, "halted", "running"):
        api.VM.start(vm, False, False)
    api.VM.revert(first)
    assert api.VM.get_power_state(vm) == "Halted"
    for snapshot in (first, second):
        api.VM.destroy(snapshot)
    api.VM.destroy(vm)
    with failing("HANDLE_INVALID", "VM", vm):
        api.VM.get_uuid(vm)


def life_of_a_schedule(api: Any) -> None:
    record = {"name_label": "nightly", "type": "snapshot", "frequency": "daily", "retained_snapshots": "5"}
    vmss = api.VMSS.create({**record, "schedule": {"hour": "3", "min": "30"}, "enabled": True})
    assert int(api.VMSS.get_record(vmss)["retained_snapshots"]) == 5
    vm = api.VM.clone(api.VM.get_by_name_label("Sample guest")[0], "scheduled")
    api.VM.provision(vm)
    api.VM.set_snapshot_schedule(vm, vmss)
    assert api.VMSS.get_VMs(vmss) == [vm]
    with failing("VMSS_HAS_VM"):
        api.VMSS.destroy(vmss)
    assert api.VMSS.snapshot_now(vmss) == "True"
    assert [api.VM.get_is_vmss_snapshot(s) for s in api.VM.get_snapshots(vm)] == [True]
    api.VM.set_snapshot_schedule(vm, "OpaqueRef:NULL")
    api.VMSS.destroy(vmss)
    with failing("INVALID_VALUE", "retained_snapshots", "11"):
        api.VMSS.create({**record, "retained_snapshots": "11"})


async def test_whole_lives_by_xml_rpc(bench: Bench, wire: Wire) -> None:
    session = await wire.session()
    record = await aside(session.xenapi.VM.get_record, next(iter(bench.store.all(VM))))
    assert isinstance(record["memory_static_max"], str) and isinstance(record["snapshot_time"], xmlrpc.client.DateTime)
    for life in (life_of_a_vm, life_of_a_schedule):
        await aside(life, session.xenapi)
    await aside(session.xenapi.session.logout)


async def test_whole_lives_over_the_private_socket(bench: Bench) -> None:
    """As XenServer's own scripts do on a host, without a password."""
    folder = Path(tempfile.mkdtemp(prefix="sf-"))
    # The client writes a path's slashes as underscores, so that there may be none of these in it.
    path = folder.with_name(folder.name.replace("_", "-")) / "engine.sock"
    folder.rename(path.parent)
    server = LocalServer(bench.engine, path)
    await server.open()
    session = XenAPI.Session(f"http://{str(path).replace('/', '_')}/", transport=XenAPI.UDSTransport())
    try:
        await aside(session.login_with_password, "", "")
        for life in (life_of_a_vm, life_of_a_schedule):
            await aside(life, session.xenapi)
    finally:
        session("close")()
        await server.close()
        path.parent.rmdir()


@pytest.mark.parametrize("version", ["1.0", "2.0"])
async def test_whole_lives_by_json_rpc(bench: Bench, wire: Wire, version: str) -> None:
    """The client's own dispatcher, over the other language."""
    channel = http.client.HTTPSConnection("127.0.0.1", wire.server.address.port, context=wire.trust())
    session = [""]

    def send(method: str, params: Sequence[Any]) -> Any:
        call = {"method": method, "params": [*filter(None, session), *params], "id": 1}
        channel.request("POST", "/jsonrpc", json.dumps({**call, "jsonrpc": "2.0"} if version == "2.0" else call))
        reply = json.loads(channel.getresponse().read())
        assert list(reply) == (["result", "error", "id"] if version == "1.0" else ["jsonrpc", list(reply)[1], "id"])
        error = reply.get("error")
        if error:
            raise XenAPI.Failure(error if version == "1.0" else [error["message"], *error["data"]])
        return reply["result"]

    session[0] = await aside(send, "session.login_with_password", [USER, PASSWORD])
    for life in (life_of_a_vm, life_of_a_schedule):
        await aside(life, Dispatcher(send, None))
    channel.close()


async def test_logging_in_and_out(bench: Bench, wire: Wire) -> None:
    session = await wire.session("an originator")
    record = await aside(lambda: session.xenapi.session.get_record(session.handle))
    assert (record["auth_user_name"], record["originator"]) == (USER, "an originator")
    assert record["is_local_superuser"] is True
    assert await aside(session.xenapi.VM.get_all) == list(bench.store.all(VM))


async def test_methods_are_listed_for_everybody(wire: Wire) -> None:
    methods: Any = await aside(wire.proxy().system.listMethods)
    assert {"VM.snapshot", "VM.get_all_records", "session.login_with_password", "event.from"} <= set(methods)


async def test_a_password_is_changed(wire: Wire) -> None:
    session = await wire.session()
    with failing("SESSION_AUTHENTICATION_FAILED", USER, "Authentication failure"):
        await aside(session.xenapi.session.change_password, "wrong", "another horse")
    with pytest.raises(XenAPI.Failure, match="CHANGE_PASSWORD_REJECTED"):
        await aside(session.xenapi.session.change_password, "correct horse", "short")
    await aside(session.xenapi.session.change_password, "correct horse", "another horse")
    again = wire.stranger()
    with failing("SESSION_AUTHENTICATION_FAILED", USER, "Authentication failure"):
        await aside(again.login_with_password, USER, "correct horse")
    await aside(again.login_with_password, USER, "another horse")


async def test_a_client_reads_everything_when_it_connects(bench: Bench, wire: Wire) -> None:
    """As XenCenter and Xen Orchestra do: every class that can be read, then the feed."""
    session = await wire.session()
    methods: Any = await aside(wire.proxy().system.listMethods)
    classes = [name.partition(".")[0] for name in methods if name.endswith(".get_all_records")]
    assert {"Bond", "PIF_metrics", "VLAN", "VM_appliance", "role", "secret", "subject", "SM"} <= set(classes)

    def connect(api: Any) -> None:
        records = {name: api.__getattr__(name).get_all_records() for name in classes}
        (pool,) = records["pool"].values()
        host = records["host"][pool["master"]]
        assert all(part.isdigit() for part in host["software_version"]["product_version"].split("."))
        assert set(host["host_CPUs"]) == set(records["host_cpu"])
        assert (host["API_version_major"], host["API_version_minor"]) == ("2", "23")
        assert api.session.get_is_local_superuser(session.handle) is True
        assert api.session.get_rbac_permissions(session.handle) == []
        assert api.pool.is_slave(pool["master"]) is False
        assert api.pool.get_license_state(api.pool.get_all()[0])["expiry"] == "never"
        with failing("XENAPI_MISSING_PLUGIN", "nosuch"):
            api.host.call_plugin(pool["master"], "nosuch", "fn", {})
        with failing("MESSAGE_REMOVED"):
            api.VMPP.get_all_records()
        batch = getattr(api.event, "from")(["*"], "", 30.0)
        heard = {event["class"] for event in batch["events"]}
        assert {"vm", "pool", "host", "sr"} <= heard
        assert batch["valid_ref_counts"]["vm"] == len(records["VM"])
        assert api.VM.get_all_records_where('field "name__label" = "Sample guest"').keys() < records["VM"].keys()

    await aside(connect, session.xenapi)
