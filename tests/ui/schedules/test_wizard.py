"""The wizard: its questions, the live preview, and what it sends."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from app.api import VM, VMSS, Failure, Host, VMSSType
from tests.ui.machines.windows import opened, until
from tests.ui.schedules.conftest import Pool
from ui.base.dialogs import ErrorDialog
from ui.schedules.draft import draft_of
from ui.schedules.when_page import WhenPage
from ui.schedules.wizard import ScheduleWizard


async def open_wizard(pool: Pool, *vms: str) -> ScheduleWizard:
    pool.workspace.commands.run("schedule.new", tuple(("VM", pool.vms[vm]) for vm in vms))
    return await opened(ScheduleWizard)


async def fill(wizard: ScheduleWizard, name: str = "Twice a day") -> None:
    """Through all pages to the last."""
    wizard.name_page.name.setText(name)
    for _ in range(4):
        wizard.go_next()
    await until(wizard.is_last)


async def test_it_creates_assigns_and_runs(pool: Pool) -> None:
    pool.engine.answer("VMSS.create", "OpaqueRef:new")
    wizard = await open_wizard(pool, "快照 server")
    wizard.type_page.cards[VMSSType.checkpoint].setChecked(True)
    wizard.when_page.time.setText("9:00, 17:30")
    await fill(wizard)
    wizard.finish_page.run_now.setChecked(True)
    wizard.go_next()
    await until(lambda: pool.engine.called("VMSS.snapshot_now"))
    ((record,),) = pool.engine.called("VMSS.create")
    assert (record["name_label"], record["type"], record["enabled"]) == ("Twice a day", "checkpoint", True)
    assert record["schedule"] == {"hour": "9", "min": "0", "stillframe.times": "09:00,17:30"}
    assert pool.engine.called("VM.set_snapshot_schedule") == [(pool.vms["快照 server"], "OpaqueRef:new")]
    assert pool.engine.called("VMSS.snapshot_now") == [("OpaqueRef:new",)]


async def test_without_vms_it_is_made_turned_off(pool: Pool) -> None:
    pool.engine.answer("VMSS.create", "OpaqueRef:new")
    wizard = await open_wizard(pool)
    await fill(wizard)
    assert not wizard.finish_page.run_now.isEnabled()
    wizard.go_next()
    await until(lambda: pool.engine.called("VMSS.create"))
    assert pool.engine.called("VMSS.create")[0][0]["enabled"] is False


async def test_a_vm_of_another_schedule_is_told(pool: Pool) -> None:
    wizard = await open_wizard(pool, "mail")
    assert wizard.vms_page.conflict.sentence() == "mail leaves its schedule “Hourly”."
    await fill(wizard)
    assert any("mail leaves “Hourly”" in words for _, words in wizard.finish_page.steps.said())
    wizard.reject()


async def test_what_is_missing_stops_it_with_a_reason(pool: Pool) -> None:
    wizard = await open_wizard(pool)
    assert not wizard.next.isEnabled() and "name" in wizard.next.toolTip()
    wizard.name_page.name.setText("N")
    for _ in range(3):
        wizard.go_next()
    wizard.when_page.time.setText("25:00")
    assert "time of day" in wizard.next.toolTip()
    wizard.when_page.way.set_current("weekly")
    wizard.when_page.time.setText("2:00")
    for day in wizard.when_page.days:
        day.setChecked(False)
    assert "at least one day" in wizard.next.toolTip()
    wizard.reject()


async def test_a_cron_expression_that_means_nothing_is_refused_in_the_engines_words(pool: Pool) -> None:
    wizard = await open_wizard(pool)
    wizard.name_page.name.setText("N")
    for _ in range(3):
        wizard.go_next()
    wizard.when_page.way.set_current("custom")
    wizard.when_page.cron.setText("bad")
    await until(lambda: wizard.when_page.preview.problem)
    assert wizard.next.toolTip() == "Five fields are needed."
    wizard.when_page.cron.setText("0 4 L * *")
    await until(wizard.next.isEnabled)
    wizard.reject()


async def test_the_preview_tells_what_each_run_removes(pool: Pool) -> None:
    wizard = await open_wizard(pool, "billing-db", "web-01")
    preview = wizard.when_page.preview
    await until(lambda: preview.runs and preview.runs[0].taken)
    assert [len(run.removed) for run in preview.runs] == [0, 0, 2, 2, 2, 2, 2, 2, 2, 2]
    assert "takes 2, removes none" in preview.lines.text()
    assert "of billing-db" in preview.lines.text()
    wizard.reject()


async def test_ticks_survive_the_filter_and_space_ticks(pool: Pool) -> None:
    wizard = await open_wizard(pool, "billing-db")
    page = wizard.vms_page
    page._filter("mail")
    page.table.selectRow(0)
    QTest.keyClick(page.table, Qt.Key.Key_Space)
    page._filter("")
    assert set(page.vms()) == {pool.vms["billing-db"], pool.vms["mail"]}
    page.none.click()
    assert page.vms() == ()
    page.all.click()
    assert len(page.vms()) == 4
    wizard.reject()


async def test_what_was_made_goes_again_when_a_vm_cannot_be_assigned(pool: Pool) -> None:
    pool.engine.answer("VMSS.create", "OpaqueRef:new")
    refused = pool.vms["web-01"]

    def assign(vm: str, schedule: str) -> object:
        return Failure("HANDLE_INVALID", "VM", vm) if (vm, schedule) == (refused, "OpaqueRef:new") else None

    pool.engine.answer("VM.set_snapshot_schedule", assign)
    wizard = await open_wizard(pool, "billing-db", "web-01")
    await fill(wizard)
    wizard.go_next()
    (await opened(ErrorDialog)).reject()
    assert pool.engine.called("VMSS.destroy") == [("OpaqueRef:new",)]
    back = pool.engine.called("VM.set_snapshot_schedule")[-1]
    assert back == (pool.vms["billing-db"], pool.schedules["Nightly"])


@pytest.mark.parametrize("kind", [VMSSType.snapshot_with_quiesce, VMSSType.checkpoint])
async def test_vms_that_cannot_are_named(pool: Pool, kind: VMSSType) -> None:
    pool.engine.change(VM, pool.vms["mail"], allowed_operations=frozenset())
    wizard = await open_wizard(pool, "mail")
    wizard.type_page.cards[kind].setChecked(True)
    assert "mail" in wizard.type_page.outlook.text()
    wizard.reject()


async def test_days_of_the_month_and_the_last_one(pool: Pool) -> None:
    pool.engine.answer("VMSS.create", "OpaqueRef:new")
    wizard = await open_wizard(pool, "mail")
    page = wizard.when_page
    await fill(wizard)
    wizard.go_back()
    page.way.set_current("monthly")
    page._switched()
    page.time.setText("4:30, 5:00")
    assert wizard.next.toolTip().startswith("Days of the month")
    page.month_days.setText("last, 1")
    assert wizard.next.toolTip().startswith("One time")
    page.time.setText("4:30")
    await until(lambda: wizard.finish_page.steps.said() and wizard.next.isEnabled())
    assert wizard.summary.value("Runs") == "On day 1 and the last day of each month at 04:30"
    wizard.go_next()
    wizard.go_next()
    await until(lambda: pool.engine.called("VMSS.create"))
    ((record,),) = pool.engine.called("VMSS.create")
    assert record["schedule"]["stillframe.cron"] == "30 4 1,L * *"
    again = WhenPage(pool.workspace, draft_of(VMSS(schedule=record["schedule"])))
    assert (again.way.current(), again.month_days.text(), again.time.text()) == ("monthly", "1, last", "04:30")
    again.preview.stop()
    again.deleteLater()


async def test_tags_choose_vms_that_are_free(pool: Pool) -> None:
    for vm in ("mail", "快照 server"):  # mail has a schedule already
        pool.engine.change(VM, pool.vms[vm], tags=frozenset({"prod"}))
    pool.engine.answer("VMSS.create", "OpaqueRef:new")
    wizard = await open_wizard(pool)
    wizard.vms_page.tags.field.setText("prod, qa")
    assert wizard.vms_page.tags.said.text() == "1 VM now"
    assert wizard.vms_page.members() == (pool.vms["快照 server"],)
    await until(lambda: wizard.when_page.preview.runs and wizard.when_page.preview.runs[0].taken == ("快照 server",))
    await fill(wizard)
    assert any("all tagged “prod” or “qa”" in words for _, words in wizard.finish_page.steps.said())
    wizard.go_next()
    await until(lambda: pool.engine.called("VMSS.create"))
    ((record,),) = pool.engine.called("VMSS.create")
    assert record["schedule"]["stillframe.tags"] == "prod,qa" and record["enabled"]
    assert pool.engine.called("VM.set_snapshot_schedule") == []


async def test_a_xenserver_has_its_presets_and_says_why_no_more(pool: Pool) -> None:
    pool.engine.put(Host(software_version={"product_brand": "XCP-ng"}))
    pool.engine.answer("VMSS.create", "OpaqueRef:new")
    wizard = await open_wizard(pool, "mail")
    page = wizard.when_page
    for field in (page.zone, page.span, page.missed, page.max_age, page.keep["daily"]):
        assert not field.isEnabled() and field.toolTip().startswith("XCP-ng runs schedules")
    assert not wizard.vms_page.tags.isEnabled() and not wizard.type_page.only_running.isEnabled()
    await fill(wizard)
    wizard.go_back()
    page.time.setText("22:10")
    assert "quarter of an hour" in wizard.next.toolTip()
    page.time.setText("22:15")
    wizard.go_next()
    wizard.go_next()
    await until(lambda: pool.engine.called("VMSS.create"))
    ((record,),) = pool.engine.called("VMSS.create")
    assert record["schedule"] == {"hour": "22", "min": "15"}
    assert pool.engine.called("VMSS.get_preview") == []
