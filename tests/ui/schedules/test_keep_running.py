"""Who runs the schedules when the window is closed: what is offered, remembered and arranged."""

from __future__ import annotations

import pytest

from app.client.service import ServiceError, ServiceState
from tests.ui.machines.windows import opened, until
from tests.ui.schedules.conftest import Pool
from ui.base.dialogs import ErrorDialog
from ui.schedules.keep_running import ASKED, KeepRunningDialog, offer


class FakeService:
    """Notes what it was asked to do."""

    def __init__(self, manager: str, error: str = "") -> None:
        self.manager, self.error = manager, error
        self.done: list[str] = []

    async def state(self) -> ServiceState:
        return ServiceState(self.manager, installed=False, lingers=False)  # type: ignore[arg-type]

    async def install(self, *, linger: bool = False) -> None:
        if self.error:
            raise ServiceError(self.error)
        self.done.append("linger" if linger else "install")

    async def remove(self) -> None:
        self.done.append("remove")


def give(pool: Pool, service: FakeService) -> None:
    pool.workspace.service = service  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("manager", "key", "done", "keeps"),
    [
        ("systemd", "login", "install", True),
        ("systemd", "boot", "linger", True),
        ("systemd", "window", "remove", False),
        ("launchd", "login", "install", True),
        ("task", "login", "install", True),
        ("none", "background", "remove", True),
    ],
)
async def test_the_answer_is_arranged_and_remembered(
    pool: Pool, manager: str, key: str, done: str, keeps: bool
) -> None:
    service = FakeService(manager)
    give(pool, service)
    pool.workspace.spawn(offer(pool.workspace))
    dialog = await opened(KeepRunningDialog)
    dialog.cards[key].setChecked(True)
    dialog.accept()
    await until(lambda: service.done)
    assert service.done == [done]
    assert pool.workspace.settings.keep_running is keeps
    assert pool.workspace.settings.get(ASKED, False)
    await offer(pool.workspace)  # asked once
    assert service.done == [done]


async def test_asking_later_changes_nothing(pool: Pool) -> None:
    service = FakeService("systemd")
    give(pool, service)
    asking = pool.workspace.spawn(offer(pool.workspace))
    (await opened(KeepRunningDialog)).reject()
    await asking
    assert service.done == [] and not pool.workspace.settings.get(ASKED, False)


async def test_a_manager_that_refuses_is_told_in_its_own_words(pool: Pool) -> None:
    give(pool, FakeService("systemd", "Access denied"))
    pool.workspace.spawn(offer(pool.workspace))
    (await opened(KeepRunningDialog)).accept()
    told = await opened(ErrorDialog)
    assert pool.workspace.settings.keep_running
    told.reject()


async def test_behind_a_service_nothing_is_asked(pool: Pool) -> None:
    await offer(pool.workspace)
    state = pool.workspace.commands.state("pool.keep_running", ())
    assert not state.enabled and "already" in state.reason
