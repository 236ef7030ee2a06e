"""Dialogs and the wizard."""

from __future__ import annotations

from PySide6.QtWidgets import QCheckBox, QLineEdit, QPlainTextEdit, QWidget

from tests.ui.gallery.controls import choices
from ui.base.dialogs import ConsequenceDialog, Dialog, ErrorDialog, label
from ui.base.wizard import Wizard, WizardPage
from ui.widgets.buttons import Segmented
from ui.widgets.cards import Card
from ui.widgets.facts import FactGrid


def dialogs() -> list[tuple[str, QWidget]]:
    revert = ConsequenceDialog(
        "Revert billing-db to “Before upgrade 16”?",
        "The machine goes back to 21 Nov 2026, 09:41, with the memory it had then.",
        [
            ("alert-attention", "Changes since then are lost: 2 days, about 3.4 GiB"),
            ("alert-good", "All other snapshots stay"),
            ("alert-info", "It ends suspended; resume continues its RAM"),
        ],
        QCheckBox("Take a snapshot of the present state first"),
        primary="Revert",
        danger=True,
    )
    error = ErrorDialog(
        "web-01 could not be reverted",
        "There is not enough space in Local storage.",
        "Free 2.1 GiB there, or move a disk elsewhere, then try again.",
        "SR_BACKEND_FAILURE_44\nqemu-img: No space left on device",
    )
    error.show_details.click()
    take = Dialog("Take a snapshot of billing-db", primary="Take Snapshot")
    take.content.addWidget(label("Name", "secondary"))
    take.content.addWidget(QLineEdit("billing-db 2026-11-23 09:41"))
    take.content.addWidget(label("Description", "secondary"))
    notes = QPlainTextEdit()
    notes.setFixedHeight(56)
    take.content.addWidget(notes)
    take.content.addSpacing(8)
    take.content.addWidget(choices())
    take.resize(470, 640)
    return [("revert", revert), ("error", error), ("take", take), ("wizard", wizard())]


def wizard() -> Wizard:
    when = WizardPage("Schedule", "When are snapshots taken?", "Times are in Europe/Berlin, the pool’s zone.")
    when.content.addWidget(
        Segmented([("h", "Hourly"), ("d", "Daily"), ("w", "Weekly"), ("c", "Custom")], "How often", "d")
    )
    when.content.addStretch()
    pages = [
        WizardPage("Name"),
        WizardPage("Virtual machines"),
        WizardPage("Snapshot type"),
        when,
        WizardPage("Finish"),
    ]
    summary = Card("Nightly", raised=True)
    summary.content.addWidget(FactGrid([("Machines", "3"), ("Next", "today 22:00, in 12 h")], "Summary", 64))
    summary.content.addStretch()
    made = Wizard("New snapshot schedule", pages, finish="Create schedule", summary=summary)
    for _page in range(3):
        made.go_next()
    return made
