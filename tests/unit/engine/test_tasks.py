"""Tasks: progress, cancelling before and after the point of no return, results and errors, and being forgotten."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lxml import etree

from app.api import EPOCH, VM, Failure, Ref, Task, TaskOperation, TaskStatus, VDICalls, VMCalls, VMOperation
from app.client import wait_for
from app.engine.tasks import KEPT_FINISHED, KEPT_FOR
from app.engine.xml_values import ref_in, xml_value
from app.hypervisor.driver import Progress, SavedFacts
from app.hypervisor.simulated import SimulatedDriver
from app.ops import locking
from app.ops.task import current
from tests.support.engine import Bench


def task(bench: Bench, ref: str) -> Task:
    return bench.store.get(Task, ref)


async def ended(bench: Bench, ref: Ref[Task]) -> Task:
    """The finished record, whatever the outcome."""
    with contextlib.suppress(Failure):
        await wait_for(bench.session, bench.cache, ref)
    return task(bench, ref)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_a_task_that_succeeds(bench: Bench) -> None:
    vm = await bench.sample_vm()
    before = datetime.now(UTC)
    ref = await bench.session.start(VMCalls.snapshot, vm, "snap")
    started = task(bench, ref)
    assert (started.name_label, started.status) == ("Async.VM.snapshot", TaskStatus.pending)
    assert started.allowed_operations == {TaskOperation.cancel}
    assert before <= started.created and started.finished == EPOCH
    snap = await wait_for(bench.session, bench.cache, ref)
    done = task(bench, ref)
    assert bench.vm(snap).snapshot_of == vm
    assert (done.status, done.progress, done.result) == (TaskStatus.success, 1.0, f"<value>{snap}</value>")
    assert (done.error_info, done.allowed_operations) == ((), frozenset())
    assert done.finished >= done.created
    assert done.resident_on == bench.engine.context.host


async def test_a_task_that_fails_tells_the_error(bench: Bench) -> None:
    vm = await bench.sample_vm()
    ref = await bench.session.start(VMCalls.resume, vm)
    done = await ended(bench, ref)
    assert done.status is TaskStatus.failure
    assert done.error_info == ("VM_BAD_POWER_STATE", vm, "suspended", "halted")
    assert (done.progress, done.result) == (1.0, "")
    with pytest.raises(Failure) as caught:
        await wait_for(bench.session, bench.cache, ref)
    assert caught.value.description() == list(done.error_info)


async def test_a_mistake_of_ours_ends_the_task(bench: Bench, driver: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    vm = await bench.sample_vm()

    async def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a test's mistake")

    monkeypatch.setattr(driver, "start", fail)
    done = await ended(bench, await bench.session.start(VMCalls.start, vm))
    assert done.error_info[0] == "INTERNAL_ERROR"
    assert "a test's mistake" in done.error_info[1]
    assert bench.vm(vm).current_operations == {}


async def test_every_message_may_run_as_a_task(bench: Bench) -> None:
    """Also those that only read, whatever they answer."""
    vm = await bench.sample_vm()
    for method, params, expected in (
        ("VM.set_memory_limits", [vm, 16 << 20, 64 << 20, 32 << 20, 64 << 20], "<value></value>"),
        ("VM.get_allowed_VBD_devices", [vm], "<value>5</value>"),
        ("event.from", [["pool"], "", 0.0], "<name>token</name>"),
        ("host.get_servertime", [bench.engine.context.host], "dateTime.iso8601"),
    ):
        ref = Ref[Task](await bench.session.call(f"Async.{method}", *params))
        assert task(bench, ref).name_label == f"Async.{method}"
        await wait_for(bench.session, bench.cache, ref)
        assert expected in task(bench, ref).result, method
    failing = Ref[Task](await bench.session.call("Async.VM.snapshot", "OpaqueRef:nothing", "x"))
    assert (await ended(bench, failing)).error_info == ("HANDLE_INVALID", "VM", "OpaqueRef:nothing")


async def test_fields_are_read_and_written_at_once_only(bench: Bench) -> None:
    vm = await bench.sample_vm()
    for method, params in (("VM.get_record", [vm]), ("VM.get_all_records", []), ("VM.set_name_label", [vm, "x"])):
        with pytest.raises(Failure) as caught:
            await bench.session.call(f"Async.{method}", *params)
        assert caught.value.description() == ["Fault", f"No async mode for this operation (rpc: {method})"]
    assert bench.vm(vm).name_label == "sample"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("a<b>&c", "a&lt;b&gt;&amp;c"),
        (5, "5"),
        (True, "<boolean>1</boolean>"),
        (0.5, "<double>0.5</double>"),
        (VMOperation.import_, "import"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "<dateTime.iso8601>20260102T03:04:05Z</dateTime.iso8601>"),
        ("a\0b\x1b[1m\ud800\uffff", "a\ufffdb\ufffd[1m\ufffd\ufffd"),
        ("tab\t, lines\n\r, \ud7ff\ue000\U0010ffff", "tab\t, lines\n&#13;, \ud7ff\ue000\U0010ffff"),
        ('"', "&quot;"),
        ({"\x01": "\x02"}, "<struct><member><name>\ufffd</name><value>\ufffd</value></member></struct>"),
        (["a", 1], "<array><data><value>a</value><value>1</value></data></array>"),
        ({"k<": "v"}, "<struct><member><name>k&lt;</name><value>v</value></member></struct>"),
    ],
)
def test_results_as_xml(value: Any, text: str) -> None:
    assert xml_value(value) == f"<value>{text}</value>"
    assert ref_in(f"<value>{text}</value>") == text


def test_any_text_makes_a_document() -> None:
    """Whatever a name holds, the client's parser can read the result."""
    for code in (*range(0x300), *range(0xD7F0, 0xE010), *range(0xFFF0, 0x10010), 0x10FFFF):
        element = etree.fromstring(xml_value(chr(code)).encode("utf-8"))
        assert (element.text or "") in (chr(code), "\ufffd", "\n")


class Slow(SimulatedDriver):
    """Saving memory stops half-way until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.saving = asyncio.Event()
        self.go_on = asyncio.Event()
        self.cancelled = False

    async def save(self, uuid: str, path: Any, progress: Progress) -> SavedFacts:
        progress(0.5)
        self.saving.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return await super().save(uuid, path, progress)


@pytest.fixture
def driver() -> Slow:
    return Slow()


async def test_progress_and_cancelling_on_the_way(bench: Bench, driver: Slow) -> None:
    vm = await bench.sample_vm()
    await bench.session.VM.start(vm)
    ref = await bench.session.start(VMCalls.suspend, vm)
    await driver.saving.wait()
    assert task(bench, ref).progress == 0.5
    assert bench.vm(vm).current_operations == {ref: VMOperation.suspend}
    await bench.session.task.cancel(ref)
    assert list(task(bench, ref).current_operations.values()) == [TaskOperation.cancel]
    done = await ended(bench, ref)
    assert driver.cancelled
    assert (done.status, done.error_info, done.progress) == (TaskStatus.cancelled, (), 1.0)
    assert bench.vm(vm).power_state.value == "Running"
    assert bench.vm(vm).current_operations == {}
    with pytest.raises(Failure) as caught:
        await wait_for(bench.session, bench.cache, ref)
    assert caught.value.description() == ["TASK_CANCELLED", ref]
    assert bench.engine.context.journal.pending() == []


async def test_cancelling_a_finished_task_does_nothing(bench: Bench) -> None:
    vm = await bench.sample_vm()
    ref = await bench.session.start(VMCalls.snapshot, vm, "snap")
    await wait_for(bench.session, bench.cache, ref)
    before = task(bench, ref)
    await bench.session.task.cancel(ref)
    assert task(bench, ref) == before
    with pytest.raises(Failure):
        await bench.session.task.cancel(Ref("OpaqueRef:nothing"))


async def test_past_the_point_of_no_return_it_is_finished(
    bench: Bench, driver: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    vm = await bench.sample_vm()
    await bench.session.VM.start(vm)
    switched, go_on = asyncio.Event(), asyncio.Event()
    real = driver.switch_disks

    async def switch(*args: Any) -> Any:
        switched.set()
        await go_on.wait()
        return await real(*args)

    monkeypatch.setattr(driver, "switch_disks", switch)
    ref = await bench.session.start(VMCalls.snapshot, vm, "snap")
    await switched.wait()
    assert task(bench, ref).allowed_operations == frozenset()
    await bench.session.task.cancel(ref)
    go_on.set()
    snap = await wait_for(bench.session, bench.cache, ref)
    assert bench.vm(snap).name_label == "snap"
    assert task(bench, ref).status is TaskStatus.success


async def test_cancelling_while_waiting_for_another_operation(bench: Bench, driver: Slow) -> None:
    vm = await bench.sample_vm()
    await bench.session.VM.start(vm)
    first = await bench.session.start(VMCalls.suspend, vm)
    await driver.saving.wait()
    second = await bench.session.start(VMCalls.snapshot, vm, "snap")
    await until(lambda: "Waiting" in task(bench, second).name_description)
    await bench.session.task.cancel(second)
    assert (await ended(bench, second)).status is TaskStatus.cancelled
    assert bench.vm(vm).current_operations == {first: VMOperation.suspend}
    driver.go_on.set()
    await wait_for(bench.session, bench.cache, first)


async def test_patience_with_another_operation_ends(
    bench: Bench, driver: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locking, "PATIENCE_SECONDS", 0.01)
    vm = await bench.sample_vm()
    await bench.session.VM.start(vm)
    first = await bench.session.start(VMCalls.suspend, vm)
    await driver.saving.wait()
    with pytest.raises(Failure) as caught:
        await bench.run(VMCalls.snapshot, vm, "snap")
    assert caught.value.description() == ["OTHER_OPERATION_IN_PROGRESS", "VM", vm, "suspend", first]
    driver.go_on.set()
    await wait_for(bench.session, bench.cache, first)


async def test_a_second_operation_waits_for_the_first(bench: Bench, driver: Slow) -> None:
    vm = await bench.sample_vm()
    await bench.session.VM.start(vm)
    first = await bench.session.start(VMCalls.suspend, vm)
    await driver.saving.wait()
    second = await bench.session.start(VMCalls.snapshot, vm, "snap")
    await until(lambda: "Waiting" in task(bench, second).name_description)
    driver.go_on.set()
    await wait_for(bench.session, bench.cache, first)
    snap = await wait_for(bench.session, bench.cache, second)
    assert bench.vm(snap).snapshot_info["power-state-at-snapshot"] == "Suspended"


async def test_a_synchronous_call_leaves_no_task(bench: Bench) -> None:
    before = set(bench.store.all(Task))
    await bench.sample_vm()
    assert set(bench.store.all(Task)) == before
    with pytest.raises(Failure):
        await bench.session.VM.resume(Ref("OpaqueRef:nothing"))
    assert set(bench.store.all(Task)) == before


async def test_a_client_that_goes_away_stops_nothing(bench: Bench, driver: Slow) -> None:
    vm = await bench.sample_vm()
    await bench.session.VM.start(vm)
    calling = asyncio.ensure_future(bench.session.VM.suspend(vm))
    await driver.saving.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    driver.go_on.set()
    await bench.state(vm, type(bench.vm(vm).power_state).Suspended)
    await until(lambda: not bench.vm(vm).current_operations)


async def test_finished_tasks_are_kept_and_destroyed_on_request(bench: Bench) -> None:
    vm = await bench.sample_vm()
    ref = await bench.session.start(VMCalls.snapshot, vm, "snap")
    await wait_for(bench.session, bench.cache, ref)
    await bench.session.task.destroy(ref)
    assert bench.store.find(Task, ref) is None
    with pytest.raises(Failure) as caught:
        await bench.session.task.destroy(ref)
    assert caught.value.code == "HANDLE_INVALID"


async def test_a_pending_task_is_only_marked(bench: Bench, driver: Slow) -> None:
    vm = await bench.sample_vm()
    await bench.session.VM.start(vm)
    ref = await bench.session.start(VMCalls.suspend, vm)
    await driver.saving.wait()
    await bench.session.task.destroy(ref)
    assert task(bench, ref).current_operations == {ref: TaskOperation.destroy}
    driver.go_on.set()
    await wait_for(bench.session, bench.cache, ref)


async def test_old_tasks_are_forgotten(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.engine.tasks.KEPT_FINISHED", 3)
    vm = await bench.sample_vm()
    made = [Ref[Task](await bench.session.call("Async.VM.get_allowed_VBD_devices", vm)) for _ in range(6)]
    for ref in made[-3:]:
        await wait_for(bench.session, bench.cache, ref)
    assert {ref for ref in made if bench.store.find(Task, ref) is not None} == set(made[-3:])
    now = bench.engine.context.now()
    monkeypatch.setattr(bench.engine.context, "now", lambda: now + KEPT_FOR + timedelta(seconds=1))
    last = Ref[Task](await bench.session.call("Async.VM.get_allowed_VBD_devices", vm))
    await wait_for(bench.session, bench.cache, last)
    assert set(bench.store.all(Task)) == {last}
    assert KEPT_FINISHED >= 100


async def test_closing_the_engine_asks_work_to_stop(bench: Bench, driver: Slow) -> None:
    vm = await bench.sample_vm()
    await bench.session.VM.start(vm)
    ref = await bench.session.start(VMCalls.suspend, vm)
    await driver.saving.wait()
    await bench.engine._tasks.close()
    assert driver.cancelled
    assert task(bench, ref).status is TaskStatus.cancelled
    assert bench.vm(vm).power_state.value == "Running"


async def test_an_import_can_be_cancelled_before_it_begins(bench: Bench, tmp_path: Any) -> None:
    source = tmp_path / "source.raw"
    source.write_bytes(bytes(1 << 20))
    ref = await bench.session.start(VDICalls.import_file, bench.sr(), str(source), "imported")
    await bench.session.task.cancel(ref)
    assert (await ended(bench, ref)).status is TaskStatus.cancelled
    assert bench.engine.context.files(bench.sr()).image_ids() == []


def test_outside_of_any_task_there_is_none() -> None:
    with pytest.raises(Failure) as caught:
        current()
    assert caught.value.code == "INTERNAL_ERROR"
    assert VM().current_operations == {}


async def test_tasks_that_clients_drive(bench: Bench) -> None:
    api = bench.session.task
    ref = await api.create("mine", "what it is")
    await api.set_progress(ref, 0.5)
    await api.set_result(ref, "half")
    assert (task(bench, ref).progress, task(bench, ref).result) == (0.5, "half")
    with pytest.raises(Failure, match="INVALID_VALUE"):
        await api.set_progress(ref, 2.0)
    await api.set_error_info(ref, ["A_CODE", "b"])
    await api.set_status(ref, TaskStatus.failure)
    ended_now = task(bench, ref)
    assert (ended_now.status, ended_now.error_info) == (TaskStatus.failure, ("A_CODE", "b"))
    assert ended_now.finished > EPOCH and not ended_now.allowed_operations
    await api.destroy(ref)
    assert ref not in bench.store.all(Task)


async def test_the_engines_tasks_are_its_own(bench: Bench) -> None:
    vm = await bench.sample_vm()
    async with bench.engine.context.alone_with(vm):
        ref = await bench.session.start(VMCalls.snapshot, vm, "waiting")
        for method, value in (("set_progress", 1.0), ("set_result", "x"), ("set_status", "success")):
            with pytest.raises(Failure) as caught:
                await bench.session.call(f"task.{method}", ref, value)
            assert caught.value.code == "OPERATION_NOT_ALLOWED"
    await wait_for(bench.session, bench.cache, ref)
