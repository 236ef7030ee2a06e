"""Who runs the schedules when the window is closed: asked once, with the first schedule that is turned on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from PySide6.QtWidgets import QWidget

from app.client.service import Service, ServiceError, ServiceState
from ui.base.commands import Selection
from ui.base.dialogs import Dialog, ErrorDialog, ask
from ui.base.settings import KEEP_RUNNING
from ui.base.workspace import Workspace
from ui.widgets.cards import ChoiceCard

ASKED: Final = "schedules/asked-to-keep-running"


@dataclass(frozen=True, slots=True)
class Way:
    """One answer: whether schedules go on at all, by a service from login on, or from the machine's start on."""

    key: str
    icon: str
    title: str
    means: str


WINDOW: Final = Way(
    "window", "close", "Only while the window is open", "Runs that are missed meanwhile are told when it opens again."
)
BACKGROUND: Final = Way(
    "background", "clock", "Go on when the window closes", "A process of its own takes over, until the machine stops."
)
LOGIN: Final = Way("login", "user", "Always, from when you log in", "A service of yours starts with your session.")
BOOT: Final = Way("boot", "power", "Always, from when the machine starts", "The service also runs before you log in.")


def ways(state: ServiceState) -> tuple[Way, ...]:
    """The answers that this machine has."""
    return {
        "systemd": (LOGIN, BOOT, WINDOW),
        "launchd": (LOGIN, WINDOW),
        "task": (LOGIN, WINDOW),
        "none": (BACKGROUND, WINDOW),
    }[state.manager]


async def offer(workspace: Workspace) -> None:
    """Ask, unless someone has answered before, or a service runs the engine already."""
    if workspace.service is not None and not workspace.settings.get(ASKED, False):
        await choose(workspace, ())


async def choose(workspace: Workspace, _selection: Selection) -> None:
    """Ask and do what is answered. :raise ServiceError: never; it is shown."""
    service = workspace.service
    if service is None:
        return
    state = await service.state()
    dialog = KeepRunningDialog(state, workspace.window)
    key = dialog.chosen if await ask(dialog) else ""
    if not key:
        return
    workspace.settings.put(ASKED, True)
    workspace.settings.put(KEEP_RUNNING, key != WINDOW.key)
    try:
        await _arrange(service, key)
    except ServiceError as error:
        advice = "Schedules go on in a process of its own when the window closes, until the machine stops."
        await ask(ErrorDialog("The service could not be set up", str(error), advice, parent=workspace.window))


async def _arrange(service: Service, key: str) -> None:
    if key in (LOGIN.key, BOOT.key):
        await service.install(linger=key == BOOT.key)
    else:
        await service.remove()


class KeepRunningDialog(Dialog):
    """`chosen` is the key of the answer."""

    def __init__(self, state: ServiceState, parent: QWidget | None = None) -> None:
        super().__init__("Keep schedules running?", primary="Keep", cancel="Ask Later", parent=parent)
        self.add_sentence(
            "A schedule only protects while something runs it. What should run it when this window is closed?"
        )
        self.cards = {way.key: ChoiceCard(way.icon, way.title, way.means) for way in ways(state)}
        self.chosen = next(iter(self.cards))
        for key, card in self.cards.items():
            card.toggled.connect(lambda on, key=key: self._choose(key) if on else None)
            self.content.addWidget(card)
        self.cards[self.chosen].setChecked(True)
        self.add_sentence("Guests go on in any case. This can be changed in the Pool menu.", "secondary")
        self.setMinimumWidth(480)

    def _choose(self, key: str) -> None:
        self.chosen = key
