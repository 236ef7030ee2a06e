"""The Alerts page: what the engine has to say about the objects, until it is dismissed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout

from app.api import Message, Ref
from app.client import Delta
from ui.base.dialogs import GAP, IconLabel, label
from ui.base.sizes_and_dates import age, count, date_and_time, exact
from ui.base.workspace import Workspace
from ui.base.xe_lines import line, records_of
from ui.base.xe_menu import offer_xe
from ui.models.table_model import Column, TableModel
from ui.navigation.titles import Title
from ui.notifications.alerts import Alert, Subjects, alert_of
from ui.notifications.list_page import ListPage, matches
from ui.widgets.buttons import ActionButton, button
from ui.widgets.facts import FactGrid

_KINDS: Final = (("alerts", "Needs attention"), ("all", "All"))
_WIDTHS: Final = (124, 0, 140, 130)
_WHEN = 3
_INFORMATION: Final = 2
_MAIL: Final = "pool.mail"
_SCHEDULES: Final = "pool.schedules"
"""Schedules stand in a dialog of their own, which another feature has."""


def columns() -> list[Column[Alert]]:
    """Severity, what, about which object, when."""
    return [
        Column(title="Severity", text=lambda a: a.word, icon=lambda a: a.icon, order=lambda a: a.severity),
        Column(title="Message", text=lambda a: _one_line(a), tooltip=lambda a: a.as_text()),
        Column(title="About", text=lambda a: a.object_name),
        Column(title="When", text=lambda a: age(a.when), order=lambda a: a.when, tooltip=lambda a: exact(a.when)),
    ]


class AlertsPage(ListPage):
    """Rows of the engine's messages, newest first."""

    def __init__(self, workspace: Workspace) -> None:
        model: TableModel[Alert] = TableModel(columns())
        super().__init__(
            workspace,
            Title("bell", "Alerts", ""),
            model,
            _KINDS,
            _WIDTHS,
            empty="No alerts. Everything is as it should be.",
            without={"alerts": "Nothing needs your attention."},
            newest=_WHEN,
        )
        self.dismiss = button("Dismiss", "check")
        self.dismiss_all = button("Dismiss all")
        if _MAIL in workspace.commands.ids():
            self.tools.addWidget(ActionButton(workspace.commands.action(_MAIL), words="E-mail…"))
        self.tools.addWidget(self.dismiss)
        self.tools.addWidget(self.dismiss_all)
        self._mark = IconLabel("alert-info")
        self.heading = label("", "strong")
        self.body = label("")
        self.advice = label("", "quiet")
        self.facts = FactGrid(name="The chosen alert")
        self.copy = button("Copy details", "copy")
        self.go_to = button("Show object", "forward")
        self._lay_out_details()
        self._connect()
        self.refilter()
        self.refresh()

    def refresh(self) -> None:
        """Take all messages from the cache; the rows that differ change."""
        subjects = Subjects(self.workspace.cache)
        rows = {str(r): alert_of(message, subjects) for r, message in self.workspace.cache.all(Message).items()}
        self.model.set_items(rows)
        urgent = sum(1 for row in rows.values() if row.severity < _INFORMATION)
        said = f"{urgent or 'none'} {'need' if urgent > 1 else 'needs'} attention"
        self.say_where(f"{said} · {count(len(rows), 'message')}" if rows else "")
        self.say_empty()
        self.show_details()

    def refilter(self) -> None:
        everything, words = self.kinds.current() == "all", self.search.text()
        self.model.set_filter(
            lambda a: (
                (everything or a.severity < _INFORMATION) and matches(words, a.title, a.body, a.object_name, a.word)
            )
        )
        self.say_empty()
        self.show_details()

    def show_details(self) -> None:
        chosen = [self.model.items[key] for key in self.chosen()]
        self.dismiss.setEnabled(bool(chosen))
        self.dismiss.setToolTip("" if chosen else "Choose an alert first.")
        self.dismiss_all.setEnabled(self.model.rowCount() > 0)
        self.details.setVisible(len(chosen) == 1)
        if len(chosen) == 1:
            self._show_one(chosen[0])

    def dismiss_chosen(self) -> None:
        """Dismiss the chosen ones, for every client."""
        self._dismiss(self.chosen())

    def dismiss_shown(self) -> None:
        """Dismiss all that the filter shows."""
        self._dismiss(self.model.shown_keys())

    def show_object(self) -> None:
        """Show what the chosen alert is about."""
        chosen = self.chosen()
        subject = self.model.items[chosen[0]].subject if len(chosen) == 1 else None
        if subject is not None and subject[0] == "VMSS":
            self.workspace.commands.run(_SCHEDULES)
        elif subject is not None:
            self.workspace.show(*subject)

    def _lay_out_details(self) -> None:
        self.body.setWordWrap(True)
        self.advice.setWordWrap(True)
        title = QHBoxLayout()
        title.setSpacing(GAP)
        title.addWidget(self._mark)
        title.addWidget(self.heading, 1)
        row = QHBoxLayout()
        row.setSpacing(GAP)
        row.addWidget(self.copy)
        row.addWidget(self.go_to)
        row.addStretch()
        self.details.content.addLayout(title)
        self.details.content.addWidget(self.body)
        self.details.content.addWidget(self.advice)
        self.details.content.addWidget(self.facts)
        self.details.content.addLayout(row)

    def _connect(self) -> None:
        self.dismiss.clicked.connect(self.dismiss_chosen)
        self.dismiss_all.clicked.connect(self.dismiss_shown)
        offer_xe(self.dismiss, lambda: self._line(self.chosen()))
        offer_xe(self.dismiss_all, lambda: self._line(self.model.shown_keys()))
        self.table.dismissed.connect(self.dismiss_chosen)
        self.table.opened.connect(self.show_object)
        self.table.doubleClicked.connect(lambda _index: self.show_object())
        self.go_to.clicked.connect(self.show_object)
        self.copy.clicked.connect(self._copy)
        self.workspace.changed.connect(self._follow)

    def _show_one(self, alert: Alert) -> None:
        self._mark.set_icon(alert.icon)
        self.heading.setText(alert.title)
        self.body.setText(alert.body)
        self.body.setVisible(bool(alert.body))
        self.advice.setText(alert.advice)
        self.advice.setVisible(bool(alert.advice))
        self.facts.set_facts(
            [
                ("Severity", alert.word),
                ("About", alert.object_name),
                ("When", date_and_time(alert.when), exact(alert.when)),
            ]
        )
        about_schedule = alert.subject is not None and alert.subject[0] == "VMSS"
        self.go_to.setText("Show schedules" if about_schedule else "Show object")
        can = not about_schedule or _SCHEDULES in self.workspace.commands.ids()
        self.go_to.setVisible(alert.subject is not None and can)

    def _dismiss(self, keys: Sequence[str]) -> None:
        self.workspace.spawn(self._destroy(list(keys)), "Dismissing")

    async def _destroy(self, keys: Sequence[str]) -> None:
        for key in keys:
            await self.workspace.session.message.destroy(Ref(key))

    def _line(self, keys: Sequence[str]) -> str:
        uuids = ",".join(message.uuid for message in records_of(self.workspace.cache, Message, keys))
        return line("message-destroy", uuids=uuids) if uuids else ""

    def _copy(self) -> None:
        chosen = self.chosen()
        if len(chosen) == 1:
            QGuiApplication.clipboard().setText(self.model.items[chosen[0]].as_text())

    def _follow(self, delta: Delta) -> None:
        if delta.touches(Message):
            self.refresh_or_wait()


def _one_line(alert: Alert) -> str:
    first = alert.body.splitlines()[0] if alert.body else ""
    return f"{alert.title}: {first}" if first else alert.title
