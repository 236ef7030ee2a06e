"""The lines of schedules send what their buttons send, or come to the same."""

from __future__ import annotations

from typing import Any

from app.api import NULL, VM, VMSS, Ref
from tests.ui.xe_lines.desk import Answer, XeDesk, nothing, until
from ui.base.commands import Selection


def schedules(*refs: str) -> Selection:
    return tuple(("VMSS", ref) for ref in refs)


async def pair(desk: XeDesk, **given: Any) -> tuple[Ref[VMSS], Ref[VMSS]]:
    """Two schedules that are alike."""
    fields = {"type": "snapshot", "frequency": "daily", "schedule": {"hour": "2", "min": "15"}, **given}
    made = [await desk.bench.session.VMSS.create({"name_label": f"mail {which}", **fields}) for which in "ab"]
    for ref in made:
        await desk.heard(VMSS, ref, lambda record: record.name_label)
    return made[0], made[1]


async def given_to(desk: XeDesk, vms: tuple[Ref[VM], Ref[VM]], found: tuple[Ref[VMSS], Ref[VMSS]]) -> None:
    for vm, schedule in zip(vms, found, strict=True):
        await desk.bench.session.VM.set_snapshot_schedule(vm, schedule)
        await desk.heard(VMSS, schedule, lambda record: record.VMs)


def wizard(name: str, vm: str) -> Answer:
    """The answers of the wizard for one VM."""

    def answer(dialog: Any) -> None:
        dialog.name_page.name.setText(name)
        dialog.name_page.description.setPlainText("it's nightly")
        dialog.vms_page.tick([vm], True)
        dialog.when_page.time.setText("02:15")
        dialog.when_page.retained.setValue(5)
        dialog.when_page.max_age.setValue(30)
        dialog.finish_page.run_now.setChecked(bool(vm))

    return answer


async def test_a_new_one(desk: XeDesk) -> None:
    a, b = await desk.twins()
    text = await desk.offered("schedule.new", (), wizard("mail b", b))
    pressed = await desk.press("schedule.new", (), wizard("mail a", a))
    await until(lambda: not desk.bench.engine.context.store.get(VM, a).current_operations)
    assert [name for name, *_ in pressed] == ["VM.set_snapshot_schedule", "VMSS.create", "VMSS.snapshot_now"]
    assert await desk.typed(text) == pressed
    records = {record.name_label: record for record in desk.bench.store.all(VMSS).values()}
    assert records["mail a"].schedule == records["mail b"].schedule and len(records["mail a"].schedule) == 3


async def test_turning_on_and_off_running_and_deleting(desk: XeDesk) -> None:
    vms, found = await desk.twins(), await pair(desk, enabled=True)
    others = [await desk.bench.session.VMSS.create(record) for record in _others()]
    for ref in others:
        await desk.heard(VMSS, ref, lambda record: record.name_label)
    await given_to(desk, vms, found)
    a, b = (schedules(ref, other) for ref, other in zip(found, others, strict=True))
    assert (await desk.same("schedule.toggle", a, b)).count("enabled=false") == 2
    for ref in (*found, *others):
        await desk.heard(VMSS, ref, lambda record: not record.enabled)
    assert (await desk.same("schedule.toggle", a, b)).count("enabled=true") == 2
    await desk.same("schedule.run", schedules(found[0]), schedules(found[1]))
    await desk.same("schedule.delete", schedules(found[0]), schedules(found[1]), nothing)


def _others() -> list[dict[str, Any]]:
    fields = {"type": "snapshot", "frequency": "hourly", "schedule": {"min": "0"}, "enabled": False}
    return [{"name_label": f"web {which}", **fields} for which in "ab"]


async def test_assigning(desk: XeDesk) -> None:
    (a, b), found = await desk.twins(), await pair(desk)

    def answer(dialog: Any) -> None:
        dialog.choice.cards[found[0]].click()

    line = await desk.same("vm.schedules", (("VM", a),), (("VM", b),), answer)
    assert "snapshot-schedule=" in line
    for vm in (a, b):
        await desk.heard(VM, vm, lambda record: record.snapshot_schedule == found[0])

    def none(dialog: Any) -> None:
        dialog.choice.cards[NULL].click()

    assert (await desk.same("vm.schedules", (("VM", a),), (("VM", b),), none)).endswith("snapshot-schedule=")


async def test_the_schedule_among_a_vms_properties(desk: XeDesk) -> None:
    (a, b), found = await desk.twins(), await pair(desk)

    def answer(dialog: Any) -> None:
        dialog._pages[0].choice.cards[found[0]].click()

    await desk.same("vm.properties", (("VM", a),), (("VM", b),), answer)


async def test_properties_come_to_the_same(desk: XeDesk) -> None:
    (a, b), found = await desk.twins(), await pair(desk, schedule={"hour": "2", "min": "15", "stillframe.zone": "UTC"})
    await given_to(desk, (a, b), found)

    def answer(dialog: Any) -> None:
        dialog.name_page.description.setPlainText("changed")
        dialog.when_page.time.setText("03:30")
        dialog.when_page.zone.setText("")
        dialog.when_page.max_age.setValue(30)
        dialog.when_page.retained.setValue(9)
        dialog.vms_page.tick([a, b], False)

    text = await desk.offered("schedule.properties", schedules(found[1]), answer)
    await desk.press("schedule.properties", schedules(found[0]), answer)
    await desk.typed(text)
    records = [desk.bench.store.get(VMSS, ref) for ref in found]
    fields = ("name_description", "schedule", "retained_snapshots", "frequency", "type", "VMs")
    values = [[getattr(record, field) for field in fields] for record in records]
    assert values[0] == values[1] and values[0][0] == "changed" and not values[0][-1]
    assert await desk.typed(desk.line("schedule.properties", schedules(found[1]))) == []
    assert await desk.typed(desk.line("pool.schedules", ())) == []
