"""The Console tab: a VM's live screen with keyboard and mouse, or why there is none and what to do about it."""

from __future__ import annotations

import asyncio
from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication, QHideEvent, QImage, QShowEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QMenu,
    QScrollArea,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from app.api import VM, Console, VMOperation, VMPowerState
from app.api.enums import ConsoleProtocol
from app.client import Delta
from app.client.keys import NAMED
from app.client.rfb import Update
from ui.base import icons
from ui.base.dialogs import GAP, GROUP, ask_for_path, label
from ui.base.workspace import Workspace
from ui.base.xe_menu import offer_xe
from ui.machines.console_link import ConsoleLink
from ui.machines.screen import GuestScreen
from ui.models.states import doing, is_machine
from ui.widgets.buttons import MenuButton, Segmented, button
from ui.widgets.cards import EmptyState
from ui.widgets.notice import Notice, toast

_CTRL_ALT_DEL: Final = (NAMED["Control_L"], NAMED["Alt_L"], NAMED["Delete"])
_HINT: Final = "Click the screen to type into the guest"
_HINT_FOCUSED: Final = "The keyboard is the guest’s · press Ctrl+Alt to get it back"


class ConsoleTab(QWidget):
    """Shows the console of one VM. Connected only while it is visible and the VM has a console."""

    #: connected or not, as the tool bar's buttons are
    live_changed = Signal(bool)

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self._ref = ""
        self.setProperty("plane", "background")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName("Console")
        self.link = ConsoleLink(workspace, self)
        self.screen_view = GuestScreen()
        self.notice = Notice()
        self.empty = EmptyState("console", "")
        self.empty_act = button("Start", "play", "primary")
        self.send_cad = button("Send Ctrl+Alt+Del", "keyboard")
        self.scale = Segmented([("fit", "Fit"), ("whole", "100 %")], "Size of the screen")
        self.screenshot = MenuButton("Screenshot", self._screenshot_menu(), "camera")
        self.hint = label(_HINT, "secondary")
        self._stack = QStackedLayout()
        self._act = ""
        self._lay_out()
        self._wire()
        workspace.changed.connect(self._on_delta)

    def show_object(self, cls: str, ref: str) -> None:
        """Show this VM's console; any other class shows nothing."""
        wanted = ref if cls == "VM" else ""
        if wanted != self._ref:
            self._ref = wanted
            self.link.close()
            self.screen_view.set_client(None)
            self.screen_view.clear()
        self._refresh()

    # ---- layout -----------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        rows = QVBoxLayout(self)
        rows.setContentsMargins(GROUP, 12, GROUP, 12)
        rows.setSpacing(GAP)
        bar = QHBoxLayout()
        bar.setSpacing(GAP)
        bar.addWidget(self.send_cad)
        bar.addWidget(self.screenshot)
        bar.addStretch()
        bar.addWidget(self.scale)
        rows.addLayout(bar)
        rows.addWidget(self.notice)
        self._area = QScrollArea()
        self._area.setWidgetResizable(True)
        self._area.setWidget(self.screen_view)
        self._area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._area.setAlignment(Qt.AlignmentFlag.AlignCenter)
        nothing = QWidget()
        within = QVBoxLayout(nothing)
        within.addStretch(2)
        within.addWidget(self.empty)
        within.addWidget(self.empty_act, 0, Qt.AlignmentFlag.AlignHCenter)
        within.addStretch(3)
        self._stack.addWidget(self._area)
        self._stack.addWidget(nothing)
        rows.addLayout(self._stack, 1)
        rows.addWidget(self.hint, 0, Qt.AlignmentFlag.AlignHCenter)

    def _screenshot_menu(self) -> QMenu:
        menu = QMenu(self)
        menu.addAction(icons.icon("copy"), "Copy to clipboard", self.copy_screenshot)
        menu.addAction(icons.icon("save"), "Save as…", self._save_screenshot)
        return menu

    def _wire(self) -> None:
        self.link.state_changed.connect(self._on_link)
        self.link.updated.connect(self._on_update)
        self.send_cad.clicked.connect(lambda: self.screen_view.send_keys(_CTRL_ALT_DEL))
        self.scale.chosen.connect(self._set_scale)
        self.screen_view.given_back.connect(self.send_cad.setFocus)
        self.screen_view.focus_changed.connect(self._show_hint)
        self.notice.acted.connect(self._run_act)
        self.empty_act.clicked.connect(self._run_act)
        offer_xe(self.empty_act, lambda: self._workspace.commands.xe_line(self._act, (("VM", self._ref),)))
        self.scale.set_current(self._workspace.settings.get("console/scale", "fit"))
        self._set_scale(self.scale.current())

    # ---- what it connects to, and when ------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._refresh()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.link.close()

    def _on_delta(self, delta: Delta) -> None:
        if self._ref and (("VM", self._ref) in delta.changed | delta.removed or delta.touches(Console)):
            self._refresh()

    def _refresh(self) -> None:
        if not self.isVisible():
            return
        vm = self._workspace.cache.get(VM, self._ref)
        console = self._console(vm)
        self.link.open(console)
        if not console:
            self.screen_view.clear()
        self._show_state(vm)

    def _console(self, vm: VM | None) -> str:
        """The console to connect to, "" for none."""
        if vm is None or vm.power_state not in (VMPowerState.Running, VMPowerState.Paused):
            return ""
        for ref in sorted(vm.consoles):
            console = self._workspace.cache.get(Console, ref)
            if console is not None and console.protocol is ConsoleProtocol.rfb:
                return ref
        return ""

    def _on_link(self) -> None:
        client = self.link.client
        self.screen_view.set_client(client)
        self.live_changed.emit(client is not None)
        self._show_state(self._workspace.cache.get(VM, self._ref))

    def _on_update(self, update: Update) -> None:
        self.screen_view.changed(update.rects, resized=update.resized)

    # ---- what is said -----------------------------------------------------------------------------------------

    def _show_state(self, vm: VM | None) -> None:
        live = self.link.client is not None
        has_picture = not self.screen_view.picture_rect().isEmpty() and bool(self.link.state != "idle")
        self.send_cad.setEnabled(live)
        self.screenshot.setEnabled(live)
        paused = vm is not None and vm.power_state is VMPowerState.Paused
        self.screen_view.set_dimmed(paused or not live)
        if self._console(vm) and (live or has_picture):
            self._stack.setCurrentIndex(0)
            self._say_over_picture(vm)
        else:
            self._stack.setCurrentIndex(1)
            self.notice.hide()
            self._say_instead(vm)
        self._show_hint()

    def _say_over_picture(self, vm: VM | None) -> None:
        if self.link.client is None and self.link.state == "lost":
            self._act = ""
            self.notice.say(f"{self.link.reason} Connecting again…", "attention")
            self.notice.show()
        elif vm is not None and vm.power_state is VMPowerState.Paused:
            self._act = "vm.unpause"
            allowed = VMOperation.unpause in vm.allowed_operations
            self.notice.say("This VM is paused: its screen stands still.", "info", "Unpause" if allowed else "")
            self.notice.show()
        else:
            self.notice.hide()

    def _say_instead(self, vm: VM | None) -> None:
        sentence, act, words = self._instead(vm)
        self.empty.set_sentence(sentence)
        self._act = act
        self.empty_act.setText(words)
        self.empty_act.setVisible(bool(act))
        if act:
            self.empty_act.setIcon(icons.icon(self._workspace.commands.get(act).icon, "accent_text"))
            state = self._workspace.commands.state(act, (("VM", self._ref),))
            self.empty_act.setEnabled(state.enabled)
            self.empty_act.setToolTip(state.reason)

    def _instead(self, vm: VM | None) -> tuple[str, str, str]:
        """The sentence, the command that helps, and its words."""
        if vm is None or not is_machine(vm):
            return "Only a VM has a console.", "", ""
        if vm.power_state in (VMPowerState.Running, VMPowerState.Paused):
            if self.link.state == "lost":
                return f"{self.link.reason} Connecting again…", "", ""
            return "Connecting to the console…", "", ""
        if vm.current_operations:
            return f"This VM is {doing(vm)}…", "", ""
        if vm.power_state is VMPowerState.Suspended:
            return "This VM is suspended. It goes on where it was when it is resumed.", "vm.resume", "Resume"
        return "This VM is off.", "vm.start", "Start"

    def _run_act(self) -> None:
        if self._act:
            self._workspace.commands.run(self._act, (("VM", self._ref),))

    def _show_hint(self, _focused: bool = False) -> None:
        live = self.link.client is not None
        self.hint.setText(_HINT_FOCUSED if self.screen_view.hasFocus() else _HINT)
        self.hint.setVisible(live)

    # ---- the tool bar -----------------------------------------------------------------------------------------

    def _set_scale(self, scale: str) -> None:
        self.screen_view.set_scale("whole" if scale == "whole" else "fit")
        self._workspace.settings.put("console/scale", scale)

    def copy_screenshot(self) -> None:
        """Put what is on the screen on the clipboard."""
        QGuiApplication.clipboard().setImage(self.screen_view.picture())
        if self._workspace.window is not None:
            toast(self._workspace.window, "The screenshot is on the clipboard.")

    def _save_screenshot(self) -> None:
        self._workspace.spawn(self._save(self.screen_view.picture()), "Saving the screenshot")

    async def _save(self, picture: QImage) -> None:
        vm = self._workspace.cache.get(VM, self._ref)
        dialog = QFileDialog(self, "Save screenshot", f"{vm.name_label if vm is not None else 'console'}.png")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilter("PNG pictures (*.png)")
        dialog.setDefaultSuffix("png")
        chosen = await ask_for_path(dialog)
        if chosen and not await asyncio.to_thread(lambda: picture.save(chosen)):
            raise OSError(f"{chosen} could not be written")
