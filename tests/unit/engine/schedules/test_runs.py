"""Runs under a clock that the test moves: what is taken, what goes, what is logged and told."""

from __future__ import annotations

import json

import pytest

from app.api import EPOCH, NULL, VM, VMSS, Failure, Message, Ref, VMSSRunStatus
from app.engine.schedule_runs import claim
from app.engine.schedule_state import members_of, schedule_of
from app.schedule.plan import run_for
from app.storage.file_repository import FileRepository, SpaceUsage
from tests.unit.engine.schedules.conftest import Clock, OpenWorld, World

Status = VMSSRunStatus


def messages(world: World) -> list[tuple[str, int]]:
    found = [m for m in world.store.all(Message).values() if m.cls.value == "VMSS"]
    return [(m.name, m.priority) for m in sorted(found, key=lambda m: m.timestamp)]


async def test_a_slot_runs_once_and_is_logged(world: World) -> None:
    vm = await world.bench.sample_vm("db")
    vmss = await world.protect(vm)
    await world.at("2026-11-23 23:59:59")
    assert world.names(vm) == []
    for moment in ("2026-11-24 00:00:00", "2026-11-24 00:00:01", "2026-11-24 11:00"):
        await world.at(moment)
        assert world.names(vm) == ["Nightly 2026-11-24 00:00"]
    line = world.lines(vmss)[-1]
    assert (line.status, line.trigger, f"{line.slot:%d %H:%M}") == (Status.success, "schedule", "24 00:00")
    (snapshot,) = (world.store.get(VM, ref) for ref in world.store.get(VM, vm).snapshots)
    assert snapshot.is_vmss_snapshot and snapshot.other_config["stillframe.run"] == line.uuid
    assert snapshot.snapshot_schedule == NULL
    result = json.loads(line.results[world.store.get(VM, vm).uuid])
    assert (result["outcome"], result["snapshot"]) == ("success", snapshot.uuid)
    assert messages(world) == [("VMSS_SNAPSHOT_SUCCEEDED", 5)]


async def test_retention_touches_only_its_own_and_spares_locked_ones(world: World) -> None:
    vm = await world.bench.sample_vm()
    manual = await world.session.VM.snapshot(vm, "by hand")
    vmss = await world.protect(vm, retained_snapshots=2)
    await world.at("2026-11-24 00:00")
    (first,) = world.store.get(VM, vm).snapshots - {manual}
    await world.session.VM.lock_snapshot(first, "audit", "me", EPOCH)
    for day in (25, 26, 27):
        await world.at(f"2026-11-{day} 00:00")
    assert world.names(vm) == [
        "by hand",
        "Nightly 2026-11-24 00:00",
        "Nightly 2026-11-26 00:00",
        "Nightly 2026-11-27 00:00",
    ]
    assert [line.status for line in world.lines(vmss)][-4:] == [Status.success] * 4


async def test_one_failure_does_not_stop_the_rest_and_deletes_nothing(world: World) -> None:
    good, bad = await world.bench.sample_vm("good"), await world.bench.sample_vm("bad")
    vmss = await world.protect(good, bad, retained_snapshots=1)
    await world.at("2026-11-24 00:00")
    world.bench.image(bad).unlink()
    await world.at("2026-11-25 00:00")
    assert world.names(good) == ["Nightly 2026-11-25 00:00"]
    assert world.names(bad) == ["Nightly 2026-11-24 00:00"]
    line = world.lines(vmss)[-1]
    result = json.loads(line.results[world.store.get(VM, bad).uuid])
    assert line.status is Status.partial and result["outcome"] == "failure" and result["reason"]
    assert messages(world)[-1] == ("VMSS_SNAPSHOT_FAILED", 3)
    body = next(m.body for m in world.store.all(Message).values() if m.name == "VMSS_SNAPSHOT_FAILED")
    assert body.startswith(f"VM: bad UUID: {world.store.get(VM, bad).uuid} Error:['{result['code']}',")


async def test_a_halted_vm_is_skipped_by_a_schedule_of_checkpoints(world: World) -> None:
    vm = await world.bench.sample_vm()
    vmss = await world.protect(vm, type="checkpoint")
    await world.at("2026-11-24 00:00")
    line = world.lines(vmss)[-1]
    assert line.status is Status.skipped
    assert "halted" in json.loads(next(iter(line.results.values())))["reason"]


async def test_after_an_outage_it_runs_once_and_tells_what_it_missed(open_world: OpenWorld, clock: Clock) -> None:
    async with open_world() as bench:
        vm = await bench.sample_vm()
        vmss = await World(bench, clock).protect(vm)
        skipping = await World(bench, clock).protect(schedule={"stillframe.missed": "skip"})
    clock.go("2026-11-27 09:00")
    async with open_world() as bench:
        world = World(bench, clock)
        world.engine.schedules.tick()
        await world.engine.schedules.idle()
        assert world.names(vm) == ["Nightly 2026-11-27 00:00"]
        assert [(one.status, one.trigger, one.missed) for one in world.lines(vmss)[-2:]] == [
            (Status.missed, "missed", 3),
            (Status.success, "late", 3),
        ]
        assert [(one.status, one.missed) for one in world.lines(skipping)[-1:]] == [(Status.missed, 4)]
        assert messages(world).count(("VMSS_SNAPSHOT_MISSED_EVENT", 3)) == 2


async def interrupted(world: World) -> tuple[Ref[VMSS], Ref[VM], Ref[VM]]:
    """A run that took one of two snapshots and told nobody."""
    done, not_done = await world.bench.sample_vm("done"), await world.bench.sample_vm("not done")
    vmss = await world.protect(done, not_done)
    context, record = world.engine.context, world.store.get(VMSS, vmss)
    world.clock.go("2026-11-24 00:00")
    now = world.clock.now
    run = run_for(schedule_of(vmss, record), members_of(context, record, [done, not_done]), now, now)
    line = claim(context, run, "schedule")
    visit = next(visit for visit in run.visits if visit.vm == done)
    runner = world.engine.schedules._runner
    await runner._snapshot(runner._job(line, "snapshot"), visit)
    return vmss, done, not_done


@pytest.mark.parametrize(("back", "second"), [("2026-11-24 00:01", "success"), ("2026-11-24 03:00", "interrupted")])
async def test_an_interrupted_run_goes_on_where_it_was(
    open_world: OpenWorld, clock: Clock, back: str, second: str
) -> None:
    async with open_world() as bench:
        vmss, done, not_done = await interrupted(World(bench, clock))
    clock.go(back)
    for _ in range(2):
        async with open_world() as bench:
            world = World(bench, clock)
            await world.engine.schedules.idle()
            last = world.lines(vmss)[-1]
            outcomes = {json.loads(text)["vm_name"]: json.loads(text)["outcome"] for text in last.results.values()}
            assert outcomes == {"done": "success", "not done": second}
            assert last.status is (Status.success if second == "success" else Status.interrupted)
            assert (len(world.names(done)), len(world.names(not_done))) == (1, int(second == "success"))


async def test_by_hand_it_runs_also_when_disabled_and_takes_no_slot(world: World) -> None:
    vm = await world.bench.sample_vm()
    vmss = await world.protect(vm, enabled=False)
    assert await world.session.VMSS.snapshot_now(vmss) == "True"
    assert world.lines(vmss)[-1].trigger == "manual"
    await world.session.VMSS.set_enabled(vmss, True)
    await world.at("2026-11-24 00:00")
    assert len(world.names(vm)) == 2


async def test_what_was_missed_while_off_is_not_made_up_for(world: World) -> None:
    vm = await world.bench.sample_vm()
    vmss = await world.protect(vm, enabled=False)
    await world.at("2026-11-26 10:00")
    await world.session.VMSS.set_enabled(vmss, True)
    await world.at("2026-11-26 10:01")
    assert world.names(vm) == []
    await world.session.VMSS.set_schedule(vmss, {"hour": "9"})
    await world.at("2026-11-26 10:02")
    assert world.names(vm) == []


async def test_a_clock_that_was_years_ahead_does_not_end_protection(world: World) -> None:
    vm = await world.bench.sample_vm()
    await world.protect(vm)
    await world.at("2036-01-01 00:00")
    assert len(world.names(vm)) == 1
    await world.at("2026-11-23 20:00")
    await world.at("2026-11-24 00:00")
    assert len(world.names(vm)) == 2


async def test_tags_choose_members(world: World) -> None:
    tagged, other = await world.bench.sample_vm("tagged"), await world.bench.sample_vm("other")
    await world.session.set(VM, tagged, tags=frozenset({"prod"}))
    await world.protect(schedule={"stillframe.tags": "prod, qa"})
    await world.at("2026-11-24 00:00")
    assert (len(world.names(tagged)), len(world.names(other))) == (1, 0)


async def test_the_preview_is_what_happens(world: World) -> None:
    vm = await world.bench.sample_vm()
    fields = {"name_label": "Nightly", "type": "snapshot", "frequency": "daily", "retained_snapshots": 2}
    entries = {"hour": "3", "min": "30", "stillframe.zone": "UTC", "stillframe.times": "03:30,15:30"}
    vmss = await world.protect(vm, **fields, schedule=entries)
    record = world.store.get(VMSS, vmss)
    promised = await world.session.VMSS.get_preview({**fields, "schedule": entries, "uuid": record.uuid}, [vm], 5)
    assert [run["local"][:16] for run in promised][:2] == ["2026-11-23T15:30", "2026-11-24T03:30"]
    assert [len(json.loads(run["visits"])[0]["deletes"]) for run in promised] == [0, 0, 1, 1, 1]
    for run in promised:
        await world.at(run["slot"][:19])
    assert world.names(vm) == [json.loads(run["visits"])[0]["name"] for run in promised[-2:]]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("stillframe.cron", "61 * * * *"),
        ("stillframe.zone", "Mars/Olympus"),
        ("stillframe.zone", "../../etc/passwd"),
        ("stillframe.times", "9:00"),
        ("stillframe.times", ""),
        ("stillframe.window", "22:00"),
        ("stillframe.keep", "yearly=1"),
        ("stillframe.keep", "daily=1,daily=2"),
        ("stillframe.max-age-days", "0"),
        ("stillframe.missed", "sometimes"),
        ("stillframe.tags", " , "),
        ("stillframe.only-running", "yes"),
        ("stillframe.other", "1"),
        ("min", "7"),
    ],
)
async def test_bad_fields_are_named_and_change_nothing(world: World, key: str, value: str) -> None:
    vmss = await world.protect()
    before = world.store.get(VMSS, vmss)
    with pytest.raises(Failure) as caught:
        await world.session.VMSS.set_schedule(vmss, {key: value})
    assert caught.value.code == "INVALID_VALUE" and caught.value.params[:2] == (f"schedule:{key}", value)
    assert world.store.get(VMSS, vmss) == before


async def test_a_vm_that_vanished_and_a_schedule_that_changes_meanwhile(world: World) -> None:
    vm, gone = await world.bench.sample_vm("a"), await world.bench.sample_vm("b")
    vmss = await world.protect(vm, gone)
    world.clock.go("2026-11-24 00:00")
    world.engine.schedules.tick()
    await world.session.VMSS.set_schedule(vmss, {"hour": "5"})
    await world.session.VMSS.set_retained_snapshots(vmss, 1)
    await world.engine.schedules.idle()
    await world.session.VM.uninstall(gone, True)
    await world.at("2026-11-24 05:00")
    assert world.names(vm) == ["Nightly 2026-11-24 05:00"]


async def test_a_schedule_goes_with_its_log_and_leaves_the_snapshots(world: World) -> None:
    vm = await world.bench.sample_vm()
    vmss = await world.protect(vm)
    await world.at("2026-11-24 00:00")
    with pytest.raises(Failure, match="VMSS_HAS_VM"):
        await world.session.VMSS.destroy(vmss)
    await world.session.VM.set_snapshot_schedule(vm, NULL)
    await world.session.VMSS.destroy(vmss)
    assert world.lines(vmss) == [] and messages(world) == [] and len(world.names(vm)) == 1


async def test_the_first_run_without_a_failure_is_told_once_as_a_recovery(world: World) -> None:
    vm = await world.bench.sample_vm()
    await world.protect(vm)
    image = world.bench.image(vm)
    image.rename(image.with_suffix(".away"))
    await world.at("2026-11-24 00:00")
    image.with_suffix(".away").rename(image)
    for day in (25, 26):
        await world.at(f"2026-11-{day} 00:00")
    told = sorted(name for name, _ in messages(world))
    assert told == ["VMSS_SNAPSHOT_FAILED", "VMSS_SNAPSHOT_RECOVERED", *["VMSS_SNAPSHOT_SUCCEEDED"] * 2]


async def test_a_full_disk_is_a_failure_in_words_and_the_next_slot_runs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    vm = await world.bench.sample_vm()
    vmss = await world.protect(vm, retained_snapshots=1)
    await world.at("2026-11-24 00:00")
    with monkeypatch.context() as full:
        usage = SpaceUsage(100 << 30, 100 << 30, 0)
        full.setattr(FileRepository, "usage", lambda _self: usage)
        await world.at("2026-11-25 00:00")
    result = json.loads(world.lines(vmss)[-1].results[world.store.get(VM, vm).uuid])
    assert (result["outcome"], result["code"]) == ("failure", "SR_BACKEND_FAILURE_44") and "space" in result["reason"]
    assert world.names(vm) == ["Nightly 2026-11-24 00:00"]
    await world.at("2026-11-26 00:00")
    assert world.names(vm) == ["Nightly 2026-11-26 00:00"]
