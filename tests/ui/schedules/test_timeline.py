"""The timeline: lanes, gaps, the axis, choosing by brush and keyboard."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.api import NULL, VM, Ref, VMOperation, VMPowerState
from tests.ui.machines.windows import until
from tests.ui.schedules.conftest import Pool
from ui.schedules.lanes import SPANS, TimeAxis, gaps_of, lanes_of
from ui.schedules.timeline_tab import TimelineTab
from ui.schedules.timeline_view import TimelineView

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
DAY = timedelta(days=1)
DAILY = [NOW + DAY * n for n in range(1, 5)]


def add_snapshot(pool: Pool, vm: str, days_ago: float, **fields: object) -> Ref[VM]:
    record = VM(
        name_label=f"{vm} {days_ago}",
        is_a_snapshot=True,
        is_a_template=True,
        snapshot_of=pool.vms[vm],
        snapshot_time=datetime.now(UTC) - DAY * days_ago,
        **fields,  # type: ignore[arg-type]
    )
    ref: Ref[VM] = pool.engine.put(record)
    return ref


def test_gaps_are_longer_than_the_schedule_promises() -> None:
    times = [NOW - DAY * n for n in (9, 8, 4, 3)]
    gaps = gaps_of(times, DAILY, NOW)
    assert [(gap.start, gap.end, gap.open) for gap in gaps] == [
        (NOW - 8 * DAY, NOW - 4 * DAY, False),
        (NOW - 3 * DAY, NOW, True),
    ]
    assert gaps[1].words() == "no snapshot for 3 days"
    assert gaps_of(times, [], NOW) == [] and gaps_of([], DAILY, NOW) == []


def test_a_weekly_rhythm_is_measured_by_its_longest_pause() -> None:
    weekdays = [NOW + timedelta(days=d) for d in (1, 4, 5, 6)]  # Friday, then Monday
    assert gaps_of([NOW - 7 * DAY], weekdays, NOW) == []
    assert gaps_of([NOW - 8 * DAY], weekdays, NOW)[0].open


async def test_lanes_hold_what_each_vm_has(pool: Pool) -> None:
    add_snapshot(pool, "billing-db", 1, is_vmss_snapshot=True)
    add_snapshot(
        pool, "billing-db", 2, power_state=VMPowerState.Suspended, blocked_operations={VMOperation.destroy: "x"}
    )
    pool.engine.change(VM, pool.vms["mail"], snapshot_schedule=NULL)
    lanes = lanes_of(pool.engine.cache, {pool.schedules["Nightly"]: DAILY}, datetime.now(UTC))
    assert [lane.name for lane in lanes] == ["billing-db", "web-01", "mail", "快照 server"]
    first, second = lanes[0].marks
    assert (first.memory, first.locked, first.scheduled) == (True, True, False)
    assert (second.memory, second.locked, second.scheduled) == (False, False, True)
    assert lanes[0].upcoming == tuple(DAILY) and lanes[2].upcoming == ()


@pytest.mark.parametrize("key", SPANS)
def test_the_axis_goes_both_ways_and_its_ticks_are_apart(key: str) -> None:
    axis = TimeAxis(NOW - SPANS[key], SPANS[key], 900.0)
    assert axis.x(NOW) == 900.0 and axis.moment(450.0) == NOW - SPANS[key] / 2
    places = [axis.x(moment) for moment, _ in axis.ticks()]
    assert len(places) >= 2
    assert all(later - earlier >= 70 for earlier, later in pairwise(places))


async def shown(pool: Pool) -> tuple[TimelineTab, TimelineView]:
    tab = TimelineTab(pool.workspace)
    tab.resize(1100, 500)
    tab.show()
    tab.refresh()
    await until(lambda: tab.view._lanes and tab.view.viewport().width() > 400)
    return tab, tab.view


def drag(view: TimelineView, start: QPoint, end: QPoint) -> None:
    QTest.mousePress(view.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, start)
    QTest.mouseMove(view.viewport(), end)
    QTest.mouseRelease(view.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, end)


async def test_the_brush_chooses_and_delete_asks_about_exactly_those(pool: Pool) -> None:
    wanted = [add_snapshot(pool, vm, 1.5) for vm in ("billing-db", "mail")]
    other = add_snapshot(pool, "billing-db", 3)
    tab, view = await shown(pool)
    places = [view.place_of(ref) for ref in wanted]
    assert places[0] is not None and places[1] is not None
    drag(view, places[0] - QPoint(9, 12), places[1] + QPoint(9, 12))
    assert set(view.chosen()) == set(wanted)
    assert tab.delete.isEnabled() and "2 snapshots" in tab.said.text()
    asked: list[bool] = []
    view.delete_asked.connect(lambda: asked.append(True))
    pool.engine.remove(VM, wanted[0])
    tab.refresh()
    assert view.chosen() == [wanted[1]]
    QTest.keyClick(view, Qt.Key.Key_Escape)
    assert view.chosen() == [] and not tab.delete.isEnabled()
    QTest.keyClick(view, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    assert set(view.chosen()) == {wanted[1], other}
    tab.close()


async def test_a_click_takes_one_mark_and_ctrl_adds_another(pool: Pool) -> None:
    one, two = add_snapshot(pool, "billing-db", 1), add_snapshot(pool, "billing-db", 2)
    tab, view = await shown(pool)
    for ref, modifier in ((one, Qt.KeyboardModifier.NoModifier), (two, Qt.KeyboardModifier.ControlModifier)):
        place = view.place_of(ref)
        assert place is not None
        QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, modifier, place)
    assert set(view.chosen()) == {one, two}
    tab.close()


async def test_zoom_keeps_the_moment_under_the_pointer(pool: Pool, qapp: QApplication) -> None:
    add_snapshot(pool, "billing-db", 1)
    tab, view = await shown(pool)
    before = view.axis().moment(300)
    event = QWheelEvent(
        QPointF(500, 100), QPointF(500, 100), QPoint(), QPoint(0, 240), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.ControlModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    qapp.sendEvent(view.viewport(), event)
    assert view.axis().span < SPANS["week"]
    assert abs(view.axis().moment(300) - before) < timedelta(minutes=1)
    start = view.axis().start
    QTest.keyClick(view, Qt.Key.Key_Left)
    assert view.axis().start < start
    tab.close()
