"""Several workshops, each a process of its own that makes cut after cut."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TypeVar

from tests.faults.arming import Cut
from tests.faults.refusing import preloaded, take_control
from tests.faults.workshop import Course, Outcome, Workshop, find_accelerators, roomy_folder, silence

A = TypeVar("A")
T = TypeVar("T")

_workshops: list[Workshop] = []
"""The one of this process, when it is a worker."""


class Pool:
    """Hands out courses and cuts."""

    def __init__(self, executor: ProcessPoolExecutor) -> None:
        self._executor = executor

    def course(self, scenario: str) -> Future[Course]:
        """See `Workshop.course`."""
        return self._executor.submit(_course, scenario)

    def cut(self, cut: Cut) -> Future[Outcome]:
        """See `Workshop.cut`."""
        return self._executor.submit(cut_here, cut)

    def submit(self, work: Callable[[A], T], argument: A) -> Future[T]:
        """Anything else, which may use `cut_here`."""
        return self._executor.submit(work, argument)


@contextmanager
def workshops(jobs: int, *, refusing: bool = False) -> Iterator[Pool]:
    """So many of them; their folders are gone afterwards.

    :param refusing: writes shall be able to fail. :raise RuntimeError: that cannot be done here.
    """
    base = roomy_folder()
    try:
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            findings = runner.run(find_accelerators(base))
        # Started afresh and not forked: a workshop forks itself, and must have no threads.
        spawn = multiprocessing.get_context("spawn")
        how = preloaded(base) if refusing else nullcontext()
        with how, ProcessPoolExecutor(jobs, spawn, _open, (base, findings, refusing)) as executor:
            try:
                yield Pool(executor)
            finally:
                executor.shutdown(cancel_futures=True)
    finally:
        shutil.rmtree(base)


def _open(base: Path, findings: Path, refusing: bool) -> None:
    silence()
    workshop = Workshop(base / str(os.getpid()), findings)
    if refusing:
        take_control(workshop.folder.parent)
    _workshops.append(workshop)


def _course(scenario: str) -> Course:
    return _workshops[0].course(scenario)


def cut_here(cut: Cut) -> Outcome:
    """In a worker: make a cut."""
    return _workshops[0].cut(cut)
