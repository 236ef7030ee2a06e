"""Exporting several: ask once, then write one file after the other, and say what became of each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from PySide6.QtWidgets import QWidget

from app.api import VM, ConnectionLost, Failure, Ref, VMCalls
from app.client import exchange
from app.client.exchange import ExportResult, Progress
from app.log import get
from ui.base.commands import Selection
from ui.base.dialogs import ask
from ui.base.failures import explain
from ui.base.files import show_in_folder
from ui.base.history import Entry
from ui.base.sizes_and_dates import duration, size
from ui.base.workspace import Workspace
from ui.exchange.several import called
from ui.exchange.several_wizard import SeveralWish, SeveralWizard, Wanted, snapshot_name
from ui.exchange.subject import subject_of
from ui.exchange.transfer import PLAIN, VERIFIED, carried, show
from ui.widgets.buttons import button
from ui.widgets.notice import toast
from ui.widgets.results import Result, ResultsDialog

log = get(__name__)
_SNAPSHOTS_AT_ONCE = 4
_LEAST = 1 << 20
"""Bytes that an item counts for at least in the progress of all."""


@dataclass
class _Several:
    """An export of several under way: what is to be written, what is, and what went wrong."""

    workspace: Workspace
    wanted: Sequence[Wanted]
    done: list[ExportResult] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    def fail(self, wanted: Wanted, error: Exception) -> None:
        """Note why one is not there."""
        self.errors.append(error)
        why = explain(error, self.workspace.cache).why
        self.results.append(Result(name_of(wanted), why, failed=True))
        if not isinstance(error, Failure | ConnectionLost | OSError):
            log.error("an export failed", exc_info=error)

    def finish(self, wanted: Wanted, result: ExportResult) -> None:
        """Note one that is."""
        self.done.append(result)
        checked = ", verified" if result.verified else ""
        words = f"{result.path.name}: {size(result.bytes)}{checked}"
        self.results.append(Result(name_of(wanted), f"{words}. {result.note}" if result.note else words))


async def export_several(workspace: Workspace, selection: Selection) -> None:
    """Ask how and where; then export in the background."""
    wizard = SeveralWizard(workspace, [ref for _, ref in selection], workspace.window)
    accepted = await ask(wizard, keep=True)
    wish = wizard.wish() if accepted else None
    wizard.deleteLater()
    if wish is not None:
        workspace.spawn(write_several(workspace, wish), "The export")


async def write_several(workspace: Workspace, wish: SeveralWish) -> None:
    """Write the files, one after the other; one that fails stops no other. What became of each is told at the end."""
    work = _Several(workspace, wish.wanted)
    several = called([wanted.item for wanted in wish.wanted])
    work.wanted = await _standing(work)
    entry = workspace.history.begin(f"Exporting {several}")
    try:
        await carried(workspace, entry, _write_each(work, entry))
    except Exception:
        if entry.cancel_asked:
            await _say_cancelled(workspace, work, len(wish.wanted))
            return
    work.results += [Result(name, reason, left_out=True) for name, reason in wish.left_out]
    if work.errors or wish.left_out:
        await _tell_results(workspace, work)
    else:
        _say_done(workspace, several, work.done, entry)


async def _standing(work: _Several) -> list[Wanted]:
    """What is to be written, with a snapshot in place of each VM that runs: all are taken before the first is read."""
    turns = asyncio.Semaphore(_SNAPSHOTS_AT_ONCE)
    found = await asyncio.gather(*(_snapshot_of(work, wanted, turns) for wanted in work.wanted))
    return [wanted for wanted in found if wanted is not None]


async def _snapshot_of(work: _Several, wanted: Wanted, turns: asyncio.Semaphore) -> Wanted | None:
    subject, workspace = wanted.item.subject, work.workspace
    if not wanted.item.runs:
        return wanted
    async with turns:
        name = snapshot_name(subject.name)
        begun = workspace.session.start(VMCalls.snapshot, subject.ref, name)
        try:
            taken: Ref[VM] = Ref(await workspace.run_task(f"Taking {name}", begun, ("VM", subject.ref)))
        except (Failure, ConnectionLost) as error:
            work.fail(wanted, error)
            return None
    # The cache may hear of it only later, and no more than its reference is needed.
    still = subject_of(workspace.cache, taken) or replace(subject, ref=taken)
    return replace(wanted, item=replace(wanted.item, subject=replace(still, owner=subject.name)))


async def _write_each(work: _Several, entry: Entry) -> None:
    """:raise Exception: the first of what went wrong, when all others are written."""
    weights = [max(_LEAST, wanted.needed) for wanted in work.wanted]
    for number, wanted in enumerate(work.wanted):
        before = sum(weights[:number]) / sum(weights)
        place = _Place(number, len(weights), before, weights[number] / sum(weights))
        report = partial(_report, work.workspace, entry, wanted, place)
        try:
            result = await exchange.export_vm(
                work.workspace.session, wanted.item.subject.ref, wanted.path, wanted.options, report
            )
        except Exception as error:
            work.fail(wanted, error)
        else:
            work.finish(wanted, result)
            entry.file = str(result.path)
    if work.errors:
        raise work.errors[0]


@dataclass(frozen=True, slots=True)
class _Place:
    """Which one it is of how many, and where its share of the bar begins and how long it is, from 0 to 1."""

    number: int
    of: int
    before: float
    share: float


def _report(workspace: Workspace, entry: Entry, wanted: Wanted, place: _Place, progress: Progress) -> None:
    shares = VERIFIED if wanted.options.verify else PLAIN
    show(entry, progress, shares, packed=wanted.options.compression != "none")
    entry.progress = place.before + place.share * entry.progress
    entry.words = f"{place.number + 1} of {place.of}, {name_of(wanted)}: {entry.words}"
    entry.seconds_left = None  # of this one; the bar tells of all
    workspace.history.changed.emit(entry)


def name_of(wanted: Wanted) -> str:
    """What it is called: of a VM that runs, not what its snapshot is."""
    subject = wanted.item.subject
    return (subject.owner or subject.name) if wanted.item.runs else subject.name


def _say_done(workspace: Workspace, several: str, done: Sequence[ExportResult], entry: Entry) -> None:
    if workspace.window is None or not done:
        return
    verb = "is" if len(done) == 1 else "are"
    checked = ", verified" if all(result.verified for result in done) else ""
    octets, seconds = sum(result.bytes for result in done), sum(result.seconds for result in done)
    words = f"{several} {verb} exported{checked}: {size(octets)} in {duration(seconds)}."
    notes = " ".join(dict.fromkeys(result.note for result in done if result.note))
    _toast(workspace, f"{words} {notes}".strip(), done)


async def _say_cancelled(workspace: Workspace, work: _Several, of: int) -> None:
    """What stays; with what had failed before, if anything had."""
    if work.errors:
        known = {result.name for result in work.results}
        rest = [name_of(wanted) for wanted in work.wanted if name_of(wanted) not in known]
        work.results += [Result(name, "Cancelled", left_out=True) for name in rest]
        await _tell_results(workspace, work)
        return
    if workspace.window is None or not work.done:
        return
    stay = "is whole and stays" if len(work.done) == 1 else "are whole and stay"
    _toast(workspace, f"Cancelled: {len(work.done)} of {of} files {stay}.", work.done, "info")


def _toast(workspace: Workspace, words: str, done: Sequence[ExportResult], tone: str = "good") -> None:
    assert workspace.window is not None
    path = str(done[-1].path)
    toast(workspace.window, words, tone, act="Show in folder", on_act=lambda: show_in_folder(path))


async def _tell_results(workspace: Workspace, work: _Several) -> None:
    path = str(work.done[-1].path) if work.done else ""
    await ask(results_dialog(work.results, path, workspace.window))


def results_dialog(results: Sequence[Result], path: str, parent: QWidget | None) -> ResultsDialog:
    """What became of each. :param path: of a file that is there, "" for none."""
    dialog = ResultsDialog("Export", results, parent, sentence=_sentence(results))
    if path:
        shown = button("Show in folder", "folder")
        shown.clicked.connect(lambda: show_in_folder(path))
        dialog.buttons.insertWidget(0, shown)
    return dialog


def _sentence(results: Sequence[Result]) -> str:
    failed = sum(result.failed for result in results)
    if not failed:
        return "The others are written."
    return f"Of what failed nothing is left. {'The others are written.' if failed < len(results) else ''}".strip()
