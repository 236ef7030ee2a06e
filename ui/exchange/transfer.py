"""A transfer of the client's as an operation in the history: how far, how fast, how long still; and cancelling it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from app.api.failure import task_cancelled
from app.client.exchange import Progress, Report, Stage
from ui.base.history import Entry
from ui.base.sizes_and_dates import rate, size
from ui.base.workspace import Workspace

T = TypeVar("T")
#: the stages of a transfer in order, each with its share of the bar
Shares = tuple[tuple[Stage, float], ...]

PLAIN: Final[Shares] = (("preparing", 0.02), ("writing", 0.98))
VERIFIED: Final[Shares] = (("preparing", 0.02), ("writing", 0.6), ("verifying", 0.38))
IMPORT: Final[Shares] = (("preparing", 0.02), ("reading", 0.98))
_WORDS: Final[dict[Stage, str]] = {
    "preparing": "preparing",
    "writing": "writing",
    "reading": "reading",
    "verifying": "verifying",
}


async def follow(
    workspace: Workspace,
    title: str,
    subject: tuple[str, str],
    shares: Shares,
    work: Callable[[Report], Coroutine[Any, Any, T]],
    *,
    packed: bool = False,
) -> tuple[Entry, T]:
    """Run a transfer, shown and cancellable; answer its entry, which has ended, and its result.

    :param work: makes the coroutine, given where it reports to.
    :param packed: what is written is compressed: how much it becomes is only guessed, and not said.
    :raise: what the transfer raised; TASK_CANCELLED if the person cancelled it. The history has it already.
    """
    history = workspace.history
    entry = history.begin(title, subject)

    def report(progress: Progress) -> None:
        show(entry, progress, shares, packed=packed)
        history.changed.emit(entry)

    return entry, await carried(workspace, entry, work(report))


async def carried(workspace: Workspace, entry: Entry, work: Coroutine[Any, Any, T]) -> T:
    """Wait for the work of an entry, which can be cancelled meanwhile, and end the entry; answer its result.

    :raise: as `follow`.
    """
    history = workspace.history
    task = asyncio.ensure_future(work)
    entry.stop, entry.cancellable = task.cancel, True
    history.changed.emit(entry)
    try:
        result = await task
    except asyncio.CancelledError:
        cancelled = task_cancelled("")
        asked = entry.cancel_asked
        history.end(entry, cancelled)
        if asked:
            raise cancelled from None
        raise
    except Exception as error:
        history.end(entry, error)
        raise
    history.end(entry)
    return result


def show(entry: Entry, progress: Progress, shares: Shares, *, packed: bool = False) -> None:
    """Put what a transfer reports into its entry."""
    before, share = 0.0, 0.0
    for stage, share in shares:
        if stage == progress.stage:
            break
        before += share
    done = min(1.0, progress.done / progress.total) if progress.total else 0.0
    entry.progress = min(1.0, before + share * done)
    entry.words = words_of(progress, packed=packed and progress.stage == "writing")
    is_last = progress.stage == shares[-1][0]
    entry.seconds_left = progress.seconds_left if is_last else None


def words_of(progress: Progress, *, packed: bool = False) -> str:
    """``writing 1.2 GiB of 3 GiB · 120 MiB/s``; `packed` leaves out of how much."""
    said = _WORDS[progress.stage]
    if progress.total and not packed:
        said += f" {size(min(progress.done, progress.total))} of {size(progress.total)}"
    elif progress.done:
        said += f" {size(progress.done)}"
    return f"{said} · {rate(progress.rate)}" if progress.rate >= 1 else said
