"""What a benchmark is, and how a set of them is run: one after the other, each answering for itself."""

from __future__ import annotations

import fnmatch
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.result import Result, failed, skipped


@dataclass(frozen=True)
class Options:
    """What the command line says to every benchmark.

    :ivar folder: where temporary data folders are made; decides which file system is measured.
    :ivar rounds: how many samples to take in place of a benchmark's own number.
    :ivar install_peers: install a missing program to compare with, instead of skipping the comparison.
    """

    folder: Path
    rounds: int | None = None
    install_peers: bool = False

    def take(self, usual: int) -> int:
        """How many samples to take."""
        return usual if self.rounds is None else self.rounds


class Unavailable(Exception):
    """A benchmark cannot run here; the text says what is missing and what to do."""


@dataclass(frozen=True)
class Benchmark:
    """A benchmark. Its function may raise `Unavailable`; whatever else it raises is its failure, not the program's."""

    name: str
    about: str
    measure: Callable[[Options], Sequence[Result]]


def choose(known: Sequence[Benchmark], names: Sequence[str]) -> list[Benchmark]:
    """The benchmarks of these names, all without any; `*` stands for anything. :raise KeyError: nothing has a name."""
    if not names:
        return list(known)
    chosen: set[str] = set()
    for name in names:
        found = {benchmark.name for benchmark in known if fnmatch.fnmatchcase(benchmark.name, name)}
        if not found:
            raise KeyError(name)
        chosen |= found
    return [benchmark for benchmark in known if benchmark.name in chosen]


def run(chosen: Sequence[Benchmark], options: Options) -> Iterator[tuple[Benchmark, Sequence[Result]]]:
    """Run each benchmark and hand on its results, whatever happens to it."""
    for benchmark in chosen:
        yield benchmark, measured(benchmark, options)


def measured(benchmark: Benchmark, options: Options) -> Sequence[Result]:
    """The results of one benchmark, or the one that says why there are none."""
    try:
        return benchmark.measure(options)
    except Unavailable as reason:
        return [skipped(benchmark.name, str(reason))]
    except Exception as error:
        traceback.print_exc()
        return [failed(benchmark.name, f"{type(error).__name__}: {error}")]
