"""Qt and asyncio on one loop, and the garbage of both."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator

import pytest
from PySide6.QtWidgets import QApplication, QWidget

from app.garbage import Collector
from ui.base import loop


class Knot(QWidget):
    """A widget that only a search for garbage finds, once nobody else holds it."""

    def __init__(self) -> None:
        super().__init__()
        self.itself = self


@pytest.fixture
def python_searches_outside() -> Iterator[None]:
    """As in the application, where nobody has told Python not to search before the loop runs."""
    gc.enable()
    yield
    Collector().start()


def make_many(kept: list[list[int]]) -> None:
    kept.extend([n] for n in range(20 * gc.get_threshold()[0]))


@pytest.mark.usefixtures("python_searches_outside")
def test_an_engine_s_thread_never_finds_a_widget(qapp: QApplication, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SEARCH_INTERVAL", 10)
    found_by: list[int] = []
    kept: list[list[int]] = []

    async def leave_a_widget() -> None:
        gc.collect()
        found = asyncio.Event()

        def on_found() -> None:
            found_by.append(threading.get_ident())
            found.set()

        weakref.finalize(Knot(), on_found)
        thread = threading.Thread(target=make_many, args=[kept])
        thread.start()
        thread.join()
        await found.wait()

    loop.run(qapp, leave_a_widget())
    assert found_by == [threading.get_ident()]
    assert gc.isenabled()
