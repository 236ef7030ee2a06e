"""Progress says what, how far and why it waits; notices say it once and go."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QEvent
from PySide6.QtGui import QImage
from PySide6.QtTest import QSignalSpy
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from ui.base import motion
from ui.base.palette import LIGHT
from ui.widgets.marks import Badge, Pill
from ui.widgets.notice import Notice, replace_toasts, toast
from ui.widgets.progress import CapacityBar, TaskProgress
from ui.widgets.thumbnail import Thumbnail, fitted

GIB = 1024**3


@pytest.fixture(autouse=True)
def moving() -> Iterator[None]:
    motion.set_reduced(False)
    yield
    motion.set_reduced(None)


@pytest.fixture
def progress(qtbot: QtBot) -> TaskProgress:
    made = TaskProgress("Merging 1 of 2 disks of web-01")
    qtbot.addWidget(made)
    made.show()
    return made


def test_progress_is_shown_in_words_and_as_a_bar(progress: TaskProgress) -> None:
    assert (progress.bar.minimum(), progress.bar.maximum()) == (0, 0)
    progress.set_progress(0.62, "1.2 of 1.9 GiB")
    assert (progress.bar.value(), progress.bar.maximum()) == (620, 1000)
    assert progress.detail.text() == progress.accessibleDescription() == "1.2 of 1.9 GiB"
    progress.set_progress(7.0)
    assert progress.bar.value() == 1000
    assert not progress.detail.isVisible()


def test_nothing_moves_for_people_who_asked_for_that(progress: TaskProgress) -> None:
    motion.set_reduced(True)
    progress.set_progress(None)
    assert (progress.bar.maximum(), progress.detail.text()) == (1000, "Working…")


def test_waiting_and_failing_are_told_by_icon_and_word(progress: TaskProgress) -> None:
    progress.set_waiting("Waits for the merge of mail")
    assert progress.bar.maximum() > 0, "a bar without an end would move"
    assert progress.bar.property("tone") == "attention"
    assert progress.detail.isVisible()
    progress.set_failed("Not enough space")
    assert progress.bar.property("tone") == "bad"
    assert not progress.cancel.isVisible()
    progress.set_done()
    assert progress.bar.value() == progress.bar.maximum()


def test_cancelling_is_told_once(progress: TaskProgress) -> None:
    told = QSignalSpy(progress.cancelled)
    progress.cancel.click()
    progress.cancel.click()
    assert told.count() == 1
    assert progress.cancel.toolTip() == "Cancelling…"


def test_beyond_the_point_of_no_return_it_says_so(progress: TaskProgress) -> None:
    progress.set_cancellable(False, "The disks have been switched already.")
    assert progress.cancel.isVisible()
    assert not progress.cancel.isEnabled()
    assert "already" in progress.cancel.toolTip()
    progress.set_cancellable(False)
    assert not progress.cancel.isVisible()


@pytest.mark.parametrize(
    ("used", "coming", "words"),
    [
        (400, 0, "600 GiB free of 1000 GiB"),
        (400, 60, "600 GiB free of 1000 GiB, 540 GiB after this"),
        (880, 0, "120 GiB free of 1000 GiB · nearly full"),
        (800, 160, "200 GiB free of 1000 GiB, 40 GiB after this · full"),
        (1100, 0, "0 bytes free of 1000 GiB · full"),
    ],
)
def test_capacity_is_said_in_words(qtbot: QtBot, used: int, coming: int, words: str) -> None:
    bar = CapacityBar("Local storage")
    qtbot.addWidget(bar)
    bar.set_values(used * GIB, 1000 * GIB, coming * GIB)
    assert bar.words().replace("\u00a0", " ") == words
    assert bar.accessibleName().startswith("Local storage: ")


def test_capacity_that_is_not_known_or_not_possible(qtbot: QtBot) -> None:
    bar = CapacityBar()
    qtbot.addWidget(bar)
    assert bar.words() == "Size not known"
    with pytest.raises(ValueError, match="no such space"):
        bar.set_values(-1, 10)


def test_a_full_disk_is_drawn_in_its_colour(qtbot: QtBot) -> None:
    bar = CapacityBar()
    qtbot.addWidget(bar)
    bar.resize(200, 40)
    bar.set_values(99, 100)
    assert bar.grab().toImage().pixelColor(100, 4).name() == LIGHT.bad
    bar.set_values(50, 100)
    assert bar.grab().toImage().pixelColor(40, 4).name() == LIGHT.accent
    assert bar.grab().toImage().pixelColor(160, 4).name() == LIGHT.line


def test_a_pill_says_its_state(qtbot: QtBot) -> None:
    pill = Pill("running", "good")
    qtbot.addWidget(pill)
    before = pill.grab().toImage()
    pill.set_state("paused", "attention", "pause")
    assert (pill.words(), pill.accessibleName()) == ("paused", "paused")
    assert pill.grab().toImage() != before
    with pytest.raises(ValueError, match="no tone"):
        pill.set_state("odd", "teal")


def test_a_badge_hides_at_zero(qtbot: QtBot) -> None:
    holder = QWidget()
    qtbot.addWidget(holder)
    badge = Badge("alerts", 0, parent=holder)
    holder.show()
    assert not badge.isVisible()
    badge.set_count(1234)
    assert badge.isVisible()
    assert badge.accessibleName().replace(",", "") == "1234 alerts"
    assert badge.count() == 1234
    assert badge.grab().toImage().pixelColor(4, badge.height() // 2).name() == LIGHT.attention


def test_a_notice_acts_and_goes(qtbot: QtBot) -> None:
    notice = Notice("3 snapshots are older than their schedule keeps.", "attention", "Show", dismissible=True)
    qtbot.addWidget(notice)
    notice.show()
    acted, gone = QSignalSpy(notice.acted), QSignalSpy(notice.dismissed)
    notice.act.click()
    notice.close_button.click()
    assert (acted.count(), gone.count(), notice.isVisible()) == (1, 1, False)
    notice.say("Done.", "good")
    assert (notice.sentence(), notice.property("notice"), notice.act.isVisible()) == ("Done.", "good", False)
    with pytest.raises(ValueError, match="no notice"):
        notice.say("?", "teal")


@pytest.fixture
def window(qtbot: QtBot) -> QWidget:
    made = QWidget()
    qtbot.addWidget(made)
    made.resize(800, 600)
    made.show()
    motion.set_reduced(True)
    return made


def test_toasts_stand_on_one_another_and_close_ranks(window: QWidget) -> None:
    first, second = toast(window, "Taken."), toast(window, "Deleted.")
    assert window.rect().contains(first.geometry())
    assert second.geometry().bottom() < first.geometry().top()
    place = first.geometry().bottom()
    first.dismiss()
    assert second.geometry().bottom() == place


def test_a_toast_goes_by_itself_but_bad_news_stay(window: QWidget) -> None:
    good, bad = toast(window, "Taken."), toast(window, "Not taken.", "bad")
    assert good._timer.isActive()
    assert not bad._timer.isActive()
    QApplication.sendEvent(good, QEvent(QEvent.Type.Leave))
    good._timer.timeout.emit()
    assert not good.isVisible()
    assert bad.isVisible()


def test_a_toast_follows_its_window(window: QWidget) -> None:
    made = toast(window, "Taken.")
    window.resize(1000, 700)
    replace_toasts(window)
    assert window.rect().contains(made.geometry())
    assert made.geometry().right() > 800


def test_the_act_of_a_toast_is_done_once_and_it_goes(window: QWidget) -> None:
    done: list[bool] = []
    made = toast(window, "Deleted.", "good", "Undo", lambda: done.append(True))
    made.act.click()
    assert done == [True]
    assert not made.isVisible()


def test_motion_is_short_and_can_be_switched_off(qtbot: QtBot) -> None:
    motion.set_reduced(False)
    assert motion.milliseconds(5000) == motion.LONGEST
    motion.set_reduced(True)
    assert motion.milliseconds() == 0
    ended: list[bool] = []
    widget = QWidget()
    qtbot.addWidget(widget)
    motion.animate(widget, "minimumWidth", 40, then=lambda: ended.append(True))
    assert (widget.minimumWidth(), ended) == (40, [True])
    motion.set_reduced(None)
    assert motion.is_reduced() in (True, False)


def test_a_thumbnail_has_a_picture_or_a_quiet_plane(qtbot: QtBot) -> None:
    made = Thumbnail(name="Screen of web-01")
    qtbot.addWidget(made)
    made.resize(160, 90)
    opened = QSignalSpy(made.opened)
    assert (made.has_image(), made.accessibleName()) == (False, "Screen of web-01: no picture")
    assert made.grab().toImage().pixelColor(20, 45).name() == LIGHT.console_bg
    image = QImage(640, 360, QImage.Format.Format_RGB32)
    image.fill(0xFF3366)
    made.set_image(image)
    assert made.grab().toImage().pixelColor(20, 45).name() == "#ff3366"
    qtbot.keyClick(made, " ")  # type: ignore[no-untyped-call]
    assert opened.count() == 1
    made.set_image(QImage())
    assert not made.has_image()
    with pytest.raises(LookupError):
        made.set_icon("no-such-icon")


def test_a_small_picture_is_not_blown_up(qtbot: QtBot) -> None:
    image = QImage(32, 24, QImage.Format.Format_RGB32)
    assert fitted(image, image.size() * 10).width() == 64
    tall = QImage(100, 400, QImage.Format.Format_RGB32)
    assert fitted(tall, image.size()).height() == 24
