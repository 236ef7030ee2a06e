"""The schedule of a VM in its properties."""

from __future__ import annotations

from app.api import NULL, VM, VMSSRunStatus
from tests.ui.machines.windows import opened, until
from tests.ui.schedules.conftest import Pool, result
from ui.machines import commands as machine_commands
from ui.machines.properties import PropertiesDialog
from ui.schedules.vm_page import SchedulePage


async def properties(pool: Pool, vm: str) -> tuple[PropertiesDialog, SchedulePage]:
    if "vm.properties" not in pool.workspace.commands.ids():
        machine_commands.register(pool.workspace)
    pool.workspace.commands.run("vm.properties", (("VM", pool.vms[vm]),))
    dialog = await opened(PropertiesDialog)
    return dialog, dialog.findChildren(SchedulePage)[0]


async def gone(dialog: PropertiesDialog) -> None:
    await until(lambda: not dialog.isVisible())


async def test_it_shows_the_schedule_with_its_last_and_next_runs(pool: Pool) -> None:
    vm = pool.workspace.cache.get(VM, pool.vms["mail"])
    assert vm is not None
    results = {vm.uuid: result("failure", "mail", reason="The storage is full.")}
    pool.add_run("Hourly", 0.5, VMSSRunStatus.failure, results=results)
    dialog, page = await properties(pool, "mail")
    assert page.choice.cards[pool.schedules["Hourly"]].isChecked()
    await until(lambda: page.preview.runs)
    assert page.preview.runs[0].taken == ("mail",)
    assert page._last_run().endswith(": failed. The storage is full.")
    page.choice.cards[pool.schedules["Weekly"]].setChecked(True)  # that one is turned off
    assert page.preview.isHidden()
    dialog.reject()
    await until(lambda: not dialog.isVisible())
    assert pool.engine.called("VM.set_snapshot_schedule") == []


async def test_saving_assigns_changes_and_clears(pool: Pool) -> None:
    for vm, chosen in (("快照 server", "Nightly"), ("mail", "Nightly"), ("web-01", "")):
        dialog, page = await properties(pool, vm)
        ref = pool.schedules.get(chosen, NULL)
        page.choice.cards[ref].setChecked(True)
        assert page.choice.conflict.isHidden() is (vm == "快照 server")
        dialog.accept()
        await gone(dialog)
    await until(lambda: len(pool.engine.called("VM.set_snapshot_schedule")) == 3)
    assert pool.engine.called("VM.set_snapshot_schedule") == [
        (pool.vms["快照 server"], pool.schedules["Nightly"]),
        (pool.vms["mail"], pool.schedules["Nightly"]),
        (pool.vms["web-01"], NULL),
    ]


async def test_what_is_no_vm_has_no_such_page(pool: Pool) -> None:
    pool.engine.change(VM, pool.vms["mail"], is_a_template=True)
    (make,) = pool.workspace.property_pages
    assert make(pool.workspace, (("VM", pool.vms["mail"]),)) is None


async def test_none_tells_that_tags_choose_a_schedule(pool: Pool) -> None:
    pool.add_schedule("Tagged", schedule={"hour": "1", "min": "0", "stillframe.tags": "prod"})
    pool.engine.change(VM, pool.vms["mail"], tags=frozenset({"prod"}))
    dialog, page = await properties(pool, "mail")
    assert "tags choose “Tagged”" in page.choice.cards[NULL].accessibleDescription()
    dialog.reject()
