"""The tour's last part: a schedule set up in the wizard, run once, seen in its history and in the pool's timeline."""

from __future__ import annotations

from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit

from app.api import VM, VMSS, Pool, Ref, VMSSRun, VMSSRunStatus
from ui.schedules.keep_running import KeepRunningDialog
from ui.schedules.list_dialog import SchedulesDialog
from ui.schedules.wizard import ScheduleWizard
from ui.tour.stage import Stage

SCHEDULE = "Nightly"


async def protect(stage: Stage, vm: Ref[VM]) -> None:
    """Make the schedule, run it, look at what came of it."""
    stage.window.show_object("VM", vm, "snapshots")
    await make_schedule(stage)
    await see_its_history(stage)
    pool = stage.cache.one(Pool)
    assert pool is not None
    stage.window.show_object("pool", pool[0], "timeline")
    await stage.picture("timeline")
    stage.window.show_object("VM", vm, "snapshots")


async def make_schedule(stage: Stage) -> None:
    """Through the wizard, with a run at the end."""
    stage.run("schedule.new")
    wizard = await stage.dialog("the schedule wizard opens")
    assert isinstance(wizard, ScheduleWizard)
    QTest.keyClicks(stage.find(wizard, QLineEdit), SCHEDULE)
    await stage.click(wizard, "Next")
    await stage.click(wizard, "Next")
    await stage.click(wizard, "Next")
    wizard.when_page.time.setText("22:00")
    await stage.until(lambda: wizard.when_page.preview.runs, "the next runs are shown")
    await stage.picture("schedule")
    await stage.click(wizard, "Next")
    wizard.finish_page.run_now.setChecked(True)
    await stage.picture("schedule-finish")
    await stage.click(wizard, "Create Schedule")
    await stage.until(lambda: isinstance(stage.open_dialog(), KeepRunningDialog), "who runs it is asked")
    asked = await stage.dialog("who runs it is asked")
    await stage.picture("keep-running")
    await stage.click(asked, "Ask Later")
    await stage.no_dialog()


async def see_its_history(stage: Stage) -> None:
    """The dialog of schedules, once the run has ended well."""

    def ran() -> bool:
        runs = stage.cache.all(VMSSRun).values()
        return any(run.status is VMSSRunStatus.success for run in runs)

    await stage.until(ran, "the schedule has taken its first snapshot")
    stage.run("pool.schedules")
    dialog = await stage.dialog("the schedules are shown")
    assert isinstance(dialog, SchedulesDialog)
    await stage.until(lambda: dialog.history.vms.rowCount(), "what came of the run is told")
    await stage.until(lambda: all(row.upcoming for row in dialog.model.items.values()), "the next run is told")
    await stage.picture("schedules")
    dialog.close()


async def clean_up(stage: Stage) -> None:
    """Delete the schedule, so that nothing has to go on when the tour ends."""
    for dialog in QApplication.topLevelWidgets():
        if isinstance(dialog, SchedulesDialog):
            dialog.close()
    for ref, record in list(stage.cache.all(VMSS).items()):
        for vm in record.VMs:
            await stage.desktop.session.VM.set_snapshot_schedule(vm, Ref("OpaqueRef:NULL"))
        await stage.desktop.session.VMSS.destroy(ref)
