"""A transfer in the history: progress, cancelling, failing."""

from __future__ import annotations

import asyncio

import pytest

from app.api import Failure
from app.client.exchange import Progress, Report
from tests.ui.exchange.standin import WRITING
from tests.ui.machines.windows import until
from tests.ui.machines.world import GIB, MIB, World
from ui.base.history import Entry
from ui.exchange.transfer import VERIFIED, follow, show, words_of


def plain(words: str) -> str:
    return words.replace("\xa0", " ")


def test_the_bar_covers_all_stages() -> None:
    entry, seen = Entry("Exporting"), []
    for stage, done in (("preparing", 0), ("writing", 0), ("writing", 6), ("writing", 12), ("verifying", 12)):
        show(entry, Progress(stage, done, 12, 1.0, 5.0), VERIFIED)  # type: ignore[arg-type]
        seen.append(round(entry.progress, 2))
    assert seen == [0.0, 0.02, 0.32, 0.62, 1.0]


def test_the_time_left_is_told_only_of_the_last_stage() -> None:
    entry = Entry("Exporting")
    show(entry, WRITING, VERIFIED)
    assert entry.seconds_left is None
    show(entry, Progress("verifying", 1, 12, 1.0, 9.0), VERIFIED)
    assert entry.seconds_left == 9.0


def test_words_tell_how_far_and_how_fast() -> None:
    assert plain(words_of(WRITING)) == "writing 3 GiB of 12 GiB · 120 MiB/s"
    assert plain(words_of(Progress("reading", 5 * MIB, None, 0.0, None))) == "reading 5 MiB"
    assert plain(words_of(WRITING, packed=True)) == "writing 3 GiB · 120 MiB/s"
    assert words_of(Progress("preparing", 0, None, 0.0, None)) == "preparing"


async def test_cancelling_ends_the_coroutine_and_is_no_failure(world: World) -> None:
    undone = asyncio.Event()

    async def work(report: Report) -> None:
        report(Progress("writing", 1, 4, 2.0, 3.0))
        try:
            await asyncio.sleep(60)
        finally:
            undone.set()

    running = asyncio.ensure_future(follow(world.workspace, "Exporting web", ("", ""), VERIFIED, work))
    entry = (await until(world.workspace.history.running))[0]
    await until(lambda: entry.words)
    assert entry.cancellable
    await world.workspace.cancel(entry)
    with pytest.raises(Failure, match="TASK_CANCELLED"):
        await running
    assert undone.is_set()
    assert (entry.state, entry.error, entry.cancel_asked) == ("cancelled", None, True)
    assert world.engine.called("task.cancel") == []


async def test_closing_the_window_cancels_what_runs(world: World) -> None:
    ended = asyncio.Event()

    async def work(_report: Report) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    task = world.workspace.spawn(follow(world.workspace, "Exporting web", ("", ""), VERIFIED, work))
    await until(world.workspace.history.running)
    await asyncio.sleep(0)
    await world.workspace.close()
    assert ended.is_set()
    assert task.cancelled()
    assert world.workspace.history.entries[0].state == "cancelled"


async def test_a_failure_stays_in_the_history(world: World) -> None:
    async def work(_report: Report) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="space"):
        await follow(world.workspace, "Exporting web", ("", ""), VERIFIED, work)
    assert [entry.state for entry in world.workspace.history.entries] == ["failed"]


def test_sizes_are_not_more_than_the_whole() -> None:
    assert plain(words_of(Progress("writing", 13 * GIB, 12 * GIB, 0.0, None))) == "writing 12 GiB of 12 GiB"
