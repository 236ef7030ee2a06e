"""Pictures of the machines' widgets, to be looked at: ``python -m tests.ui.machines.pictures folder [what…]``."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication, QDialog, QWidget

from app.api import SR, VDI, VMPowerState
from tests.ui.machines.world import CHINESE_NAME, LONG_NAME, NOW, World, billing_db, make_world
from ui.base import theme
from ui.base.wizard import Wizard
from ui.machines.copy_vm import CopyDialog
from ui.machines.creation import Source
from ui.machines.delete_vm import DeleteDialog, deletable, doomed
from ui.machines.general_tab import GeneralTab
from ui.machines.new_vm_wizard import NewVmWizard
from ui.machines.power import force_dialog
from ui.machines.properties import PropertiesDialog
from ui.machines.templates import convert_dialog
from ui.models.states import machines
from ui.widgets.outcomes import Outcome, OutcomeDialog

Shot = Callable[[World], QWidget]


def general(world: World) -> QWidget:
    tab = GeneralTab(world.workspace)
    tab.show_object("VM", billing_db(world))
    tab.resize(1120, 740)
    return tab


def general_chains(world: World) -> QWidget:
    tab = GeneralTab(world.workspace)
    ref = billing_db(world)
    told = {"depth": "27", "depth-limit": "30", "head-room": "3", "pending-merges": "2", "missing": "0", "blocked": ""}
    tab.show_object("VM", ref)
    tab.health.ref, tab.health.answer = ref, {ref: told}
    tab.resize(1120, 740)
    return tab


def general_suspended(world: World) -> QWidget:
    tab = GeneralTab(world.workspace)
    ref = billing_db(world)
    memory = world.engine.put(VDI(name_label="Suspend image", SR=world.sr, physical_utilisation=768 * 2**20))
    world.set(ref, power_state=VMPowerState.Suspended, suspend_VDI=memory)
    tab.show_object("VM", ref)
    tab.resize(760, 740)
    return tab


def general_small(world: World) -> QWidget:
    tab = GeneralTab(world.workspace)
    tab.show_object("VM", billing_db(world, LONG_NAME))
    tab.resize(740, 560)
    return tab


def general_halted(world: World) -> QWidget:
    ref = world.add_vm(CHINESE_NAME, VMPowerState.Halted, memory_static_max=2**31)
    tab = GeneralTab(world.workspace)
    tab.show_object("VM", ref)
    tab.resize(1120, 740)
    return tab


def general_template(world: World) -> QWidget:
    tab = GeneralTab(world.workspace)
    tab.show_object("VM", world.sample)
    tab.resize(740, 560)
    return tab


def delete(world: World) -> QWidget:
    ref = billing_db(world)
    world.set(ref, power_state=VMPowerState.Halted)
    chosen = deletable(world.engine.cache, (("VM", ref),))
    return DeleteDialog(chosen, doomed(world.engine.cache, chosen))


def copy(world: World) -> QWidget:
    ref = billing_db(world)
    world.set(ref, power_state=VMPowerState.Halted)
    dialog = CopyDialog(world.engine.cache, world.vm(ref))
    dialog.choice.full.setChecked(True)
    return dialog


def copy_tight(world: World) -> QWidget:
    ref = billing_db(world, LONG_NAME)
    world.engine.change(SR, world.sr, physical_utilisation=490 * 2**30)
    dialog = CopyDialog(world.engine.cache, world.vm(ref))
    world.set(ref, power_state=VMPowerState.Halted)
    dialog.choice.show_source(world.vm(ref))
    dialog.choice.full.setChecked(True)
    return dialog


def convert(world: World) -> QWidget:
    ref = billing_db(world)
    return convert_dialog(machines(world.engine.cache, (("VM", ref),)))


def wizard_snapshots(world: World) -> QWidget:
    ref = billing_db(world)
    for name in ("Debian 13 base", "Windows Server 2025 with updates", CHINESE_NAME):
        world.add_template(name)
    for number in range(8):
        world.add_snapshot(ref, f"Nightly {number}", NOW - timedelta(days=number), memory=number % 3 == 0)
    return NewVmWizard(world.workspace, next(iter(sorted(world.vm(ref).snapshots))))


def wizard_copy(world: World) -> QWidget:
    wizard = wizard_snapshots(world)
    assert isinstance(wizard, NewVmWizard)
    wizard.disks.copying.full.setChecked(True)
    wizard.go_to(3)
    return wizard


def force(world: World) -> QWidget:
    ref = billing_db(world, LONG_NAME)
    return force_dialog(machines(world.engine.cache, (("VM", ref),)), reboot=False)


def properties(world: World) -> QWidget:
    ref = billing_db(world)
    return PropertiesDialog(world.vm(ref), 8, 16 * 2**30)


def _wizard(world: World, source: Source, page: int) -> QWidget:
    wizard = NewVmWizard(world.workspace)
    wizard.source.cards[source].setChecked(True)
    wizard.source.isos.table.selectRow(1)
    wizard.go_to(page)
    return wizard


def image_refused(world: World) -> QWidget:
    wizard = NewVmWizard(world.workspace)
    wizard.source.cards["image"].setChecked(True)
    picker = wizard.source.image
    picker.path.blockSignals(True)
    picker.path.setText("/srv/images/overlay-of-something-else.qcow2")
    picker.verdict.say("It builds on another file, /srv/images/base.qcow2, which could be anything.", "bad")
    picker.verdict.show()
    return wizard


def outcome(world: World) -> QWidget:
    failed = [
        Outcome("1", "web-01", "It is running already."),
        Outcome("2", LONG_NAME, "The storage is full. 2 GiB are free and 8.2 GiB are needed.", Exception()),
    ]
    return OutcomeDialog("Start", 5, failed)


WIZARDS: dict[str, tuple[Source, int]] = {
    "wizard-source": ("sample", 0),
    "wizard-source-iso": ("iso", 0),
    "wizard-name": ("sample", 1),
    "wizard-hardware": ("iso", 2),
    "wizard-disks": ("iso", 3),
    "wizard-disks-sample": ("sample", 3),
    "wizard-network": ("iso", 4),
    "wizard-finish": ("iso", 5),
}
SHOTS: dict[str, Shot] = {
    "general": general,
    "general-chains": general_chains,
    "general-suspended": general_suspended,
    "general-small": general_small,
    "general-halted": general_halted,
    "general-template": general_template,
    "delete": delete,
    "copy": copy,
    "copy-tight": copy_tight,
    "convert": convert,
    "wizard-snapshots": wizard_snapshots,
    "wizard-copy": wizard_copy,
    "force": force,
    "properties": properties,
    "outcome": outcome,
    "wizard-image-refused": image_refused,
    **{name: partial(_wizard, source=source, page=page) for name, (source, page) in WIZARDS.items()},
}


def take(app: QApplication, folder: Path, names: list[str]) -> None:
    for chosen in (theme.Theme.LIGHT, theme.Theme.DARK):
        theme.apply(app, chosen)
        for name in names or SHOTS:
            with tempfile.TemporaryDirectory() as settings:
                widget = SHOTS[name](make_world(Path(settings)))
                if isinstance(widget, QDialog) and not isinstance(widget, Wizard):
                    widget.adjustSize()
                widget.show()
                app.processEvents()
                app.sendPostedEvents(None, QEvent.Type.DeferredDelete)
                widget.grab().save(str(folder / f"{name}-{chosen.value}.png"))
                widget.close()
                widget.deleteLater()
                app.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def main() -> None:
    app = QApplication.instance() or QApplication([])
    assert isinstance(app, QApplication)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    take(app, folder, sys.argv[2:])


if __name__ == "__main__":
    main()
