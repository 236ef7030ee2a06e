"""When snapshots are taken, how many are kept, and what the next runs will be: live, from the engine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from zoneinfo import available_timezones

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtWidgets import (
    QComboBox,
    QCompleter,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QWidget,
)

from app.api import VM, Ref, VMSSFrequency
from ui.base.dialogs import GAP, label
from ui.base.wizard import WizardPage
from ui.base.workspace import Workspace
from ui.models.presets import why_presets_only
from ui.schedules.draft import DAYS, LAST_DAY, PERIODS, Draft, Monthly, month_days, monthly_of
from ui.schedules.pages import beside
from ui.schedules.preview import Preview
from ui.widgets.buttons import Segmented
from ui.widgets.fields import SpinBox

KEYS: Final = (
    (VMSSFrequency.hourly.value, "Hourly"),
    (VMSSFrequency.daily.value, "Daily"),
    (VMSSFrequency.weekly.value, "Weekly"),
    ("monthly", "Monthly"),
    ("custom", "Custom"),
)
_BY_CRON: Final = ("monthly", "custom")
_CRON: Final = "minute, hour, day, month, weekday; L is the last day"
_UNITS: Final = {"hourly": "hours", "daily": "days", "weekly": "weeks", "monthly": "months"}
MISSED: Final = (("run-once", "Take one on return"), ("skip", "Leave it out, and tell"))


class WhenPage(WizardPage):
    """Hourly, daily, weekly as XenServer has them, and what our engine adds to them."""

    def __init__(self, workspace: Workspace, draft: Draft, uuid: str = "") -> None:
        super().__init__("Schedule", "When are snapshots taken?")
        self._draft, self._uuid = draft, uuid
        self._vms: tuple[Ref[VM], ...] = ()
        self.way = Segmented(KEYS, "How often")
        self.minute = QComboBox()
        self.time = QLineEdit()
        self.month_days = QLineEdit()
        self.days = [_day_button(day) for day in DAYS]
        self.cron = QLineEdit()
        self.zone = QLineEdit()
        self.span = QLineEdit()
        self.retained = SpinBox("Newest snapshots kept", 1, 10)
        self.keep = {period: SpinBox(f"{period} snapshots kept", 0, 999) for period in PERIODS}
        self.max_age = SpinBox("Greatest age in days", 0, 3650, suffix=" days")
        self.missed = QComboBox()
        self.preview = Preview(workspace)
        self._presets_only = why_presets_only(workspace.cache)
        self._several = label("commas between several", "secondary")
        self._rows = QStackedWidget()
        self._rows.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._set_up_fields()
        self._lay_out()
        self._limit()
        self._fill(draft)
        self._connect()
        self._answer()

    # ---- answers ----------------------------------------------------------------------------------------------

    def applied(self, draft: Draft) -> Draft:
        """The draft with this page's answers."""
        way = self.way.current()
        frequency = VMSSFrequency.daily if way in _BY_CRON else VMSSFrequency(way)
        return replace(
            draft,
            frequency=frequency,
            minute=int(self.minute.currentText()),
            times=tuple(sorted(_times(self.time.text()))) or draft.times,
            days=tuple(day for day, made in zip(DAYS, self.days, strict=True) if made.isChecked()) or draft.days,
            cron=self._expression(way),
            zone=self.zone.text().strip(),
            window=self.span.text().replace(" ", ""),
            retained=self.retained.value(),
            keep={period: field.value() for period, field in self.keep.items() if field.value()},
            max_age_days=self.max_age.value(),
            missed=str(self.missed.currentData()),
        )

    def why_incomplete(self) -> str:
        return self._why_incomplete_here() or self.preview.problem

    def _why_incomplete_here(self) -> str:
        way = self.way.current()
        if way == "custom" and not self.cron.text().strip():
            return "Five cron fields are needed, as in 30 2 * * mon-fri."
        if way == "monthly":
            return self._why_not_monthly()
        if way in ("daily", "weekly") and (not _times(self.time.text()) or not _all_times(self.time.text())):
            return "A time of day is needed, as in 22:00; several have commas between."
        if way in ("daily", "weekly") and self._presets_only and not _is_preset(_times(self.time.text())):
            return "One time of day at a quarter of an hour is needed, as in 22:15."
        if way == "weekly" and not any(day.isChecked() for day in self.days):
            return "Choose at least one day."
        return ""

    def _expression(self, way: str) -> str:
        if way == "custom":
            return " ".join(self.cron.text().split())
        days, times = month_days(self.month_days.text()), _times(self.time.text())
        return Monthly(days, times[0]).cron() if way == "monthly" and days and times else ""

    def _why_not_monthly(self) -> str:
        if not month_days(self.month_days.text()):
            return "Days of the month are needed, as in 1, 15, last."
        if len(_times(self.time.text())) != 1 or not _all_times(self.time.text()):
            return "One time of day is needed, as in 22:00."
        return ""

    def show_vms(self, vms: Sequence[Ref[VM]]) -> None:
        """Whose snapshots the preview counts."""
        self._vms = tuple(vms)
        self._ask()

    def set_base(self, draft: Draft) -> None:
        """The answers of the other pages."""
        self._draft = draft
        self._ask()

    # ---- the layout -------------------------------------------------------------------------------------------

    def _set_up_fields(self) -> None:
        self.minute.addItems(["0", "15", "30", "45"])
        self.minute.setAccessibleName("Minutes past the hour")
        for key, words in MISSED:
            self.missed.addItem(words, key)
        self.missed.setAccessibleName("If a run was missed")
        _field(self.time, "Times of day", "22:00", 180)
        _field(self.cron, "Cron expression", "30 2 * * mon-fri", 220)
        _field(self.zone, "Time zone", "the server's", 160)
        _field(self.span, "Allowed between", "any time", 120)

    def _lay_out(self) -> None:
        self._rows.addWidget(_row(label("Minutes past the hour"), self.minute))
        _field(self.month_days, "Days of the month", "1, 15, last", 120)
        self.max_age.setSpecialValueText("any age")
        for number in self.keep.values():
            number.setSpecialValueText("no")
        names = QCompleter(sorted(available_timezones()), self.zone)
        names.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        names.setFilterMode(Qt.MatchFlag.MatchContains)
        self.zone.setCompleter(names)
        self.span.setToolTip("Two times of day, as in 22:00-06:00. Runs outside of them are left out.")
        self._rows.addWidget(_row(label("Every day at"), self.time))
        self._rows.addWidget(_row(*self.days, label("at")))
        self._rows.addWidget(_row(label("On day"), self.month_days, label("at")))
        self._rows.addWidget(_row(label("Cron"), self.cron, label(_CRON, "secondary")))
        self.content.addLayout(beside(self.way))
        self.content.addWidget(self._rows)
        grid = QGridLayout()
        grid.setHorizontalSpacing(GAP)
        grid.setVerticalSpacing(GAP)
        keep = [word for period in PERIODS for word in (self.keep[period], label(_UNITS[period], "quiet"))]
        lines: tuple[tuple[str, Sequence[QWidget]], ...] = (
            ("Keep the last", [self.retained, label("snapshots of this schedule per VM", "quiet")]),
            ("And one in each of", keep),
            ("None older than", [self.max_age]),
            ("If a run was missed", [self.missed]),
            ("Zone", [self.zone, label("allowed between", "quiet"), self.span]),
        )
        for place, (words, widgets) in enumerate(lines):
            grid.addWidget(label(words), place, 0)
            grid.addLayout(beside(*widgets), place, 1)
        grid.setColumnStretch(1, 1)
        self.content.addLayout(grid)
        self.content.addSpacing(4)
        self.content.addWidget(self.preview)
        self.content.addStretch()

    def _limit(self) -> None:
        """What a server with presets only does not have is shown, and says why it cannot be chosen."""
        reason = self._presets_only
        for key in _BY_CRON:
            self.way.set_choice_enabled(key, not reason, reason)
        for field in (*self.keep.values(), self.max_age, self.zone, self.span, self.missed):
            field.setEnabled(not reason)
            field.setToolTip(reason or field.toolTip())

    def _fill(self, draft: Draft) -> None:
        monthly = monthly_of(draft.cron)
        by_cron = "monthly" if monthly is not None else "custom"
        self.way.set_current(by_cron if draft.cron else draft.frequency.value)
        if monthly is not None:
            self.month_days.setText(", ".join(monthly.days).replace(LAST_DAY, "last"))
        self.minute.setCurrentText(str(draft.minute // 15 * 15))
        self.time.setText(monthly.time if monthly is not None else ", ".join(draft.times))
        for day, made in zip(DAYS, self.days, strict=True):
            made.setChecked(day in draft.days)
        self.cron.setText(draft.cron)
        self.zone.setText(draft.zone)
        self.span.setText(draft.window)
        self.retained.setValue(draft.retained)
        for period, field in self.keep.items():
            field.setValue(draft.keep.get(period, 0))
        self.max_age.setValue(draft.max_age_days)
        self.missed.setCurrentIndex(self.missed.findData(draft.missed))

    def _connect(self) -> None:
        self.way.chosen.connect(self._switched)
        self.minute.currentIndexChanged.connect(self._answer)
        self.missed.currentIndexChanged.connect(self._answer)
        for field in (self.time, self.month_days, self.cron, self.zone, self.span):
            field.textChanged.connect(self._answer)
        for day in self.days:
            day.toggled.connect(self._answer)
        for number in (self.retained, self.max_age, *self.keep.values()):
            number.valueChanged.connect(self._answer)
        self.preview.answered.connect(self.changed)

    def _switched(self) -> None:
        way = self.way.current()
        if way not in _BY_CRON:
            kept = self._draft.with_frequency(VMSSFrequency(way)).retained
            with QSignalBlocker(self.retained):
                self.retained.setValue(kept)
        self._answer()

    def _answer(self) -> None:
        way = self.way.current()
        self._rows.setCurrentIndex([key for key, _ in KEYS].index(way))
        # The one field for times serves two of the rows; a stretch ends each.
        row = self._rows.currentWidget()
        rows = row.layout() if row is not None else None
        if way in ("daily", "weekly", "monthly") and isinstance(rows, QHBoxLayout):
            for widget in (self.time, self._several):
                rows.removeWidget(widget)
                rows.insertWidget(rows.count() - 1, widget)
            self._several.setVisible(way != "monthly")
        frequency = self.applied(self._draft).frequency
        self._draft = replace(self._draft, frequency=frequency, retained=self.retained.value())
        self._ask()
        self.changed.emit()

    def _ask(self) -> None:
        missing = self._why_incomplete_here()
        if missing:
            self.preview.show_missing(missing)
            return
        if self._presets_only:
            self.preview.show_missing("This server does not tell beforehand what a run removes.")
            return
        self.preview.show_draft(self.applied(self._draft), self._vms, self._uuid)


_TIME: Final = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")


def _times(text: str) -> list[str]:
    matches = (_TIME.fullmatch(part.strip()) for part in text.split(","))
    return [f"{int(match[1]):02}:{match[2]}" for match in matches if match is not None]


def _is_preset(times: Sequence[str]) -> bool:
    return len(times) == 1 and times[0][-2:] in ("00", "15", "30", "45")


def _all_times(text: str) -> bool:
    return len(_times(text)) == len([part for part in text.split(",") if part.strip()])


def _field(field: QLineEdit, name: str, placeholder: str, width: int) -> None:
    field.setAccessibleName(name)
    field.setPlaceholderText(placeholder)
    field.setFixedWidth(width)


def _row(*widgets: QWidget) -> QWidget:
    made = QWidget()
    row = beside(*widgets)
    row.setContentsMargins(0, 4, 0, 4)
    made.setLayout(row)
    return made


def _day_button(day: str) -> QToolButton:
    made = QToolButton()
    made.setText(day[:2])
    made.setToolTip(day)
    made.setAccessibleName(day)
    made.setCheckable(True)
    made.setProperty("day", True)
    made.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    return made
