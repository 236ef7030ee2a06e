"""`python -m tests.fuzz TARGET [--seconds N]`: bytes bred by coverage, against what reads files from outside.

Needs atheris, which is not among the locked packages: `pip install atheris` (Linux, up to Python 3.13). The seeds in
tests/data/fuzz/TARGET are where it begins; what is bred goes to a folder of its own, named at the end. A crash stays
behind as `crash-…` in the current folder: a file that raised something else than the error that the target may raise.
Mend the cause, and put the file among the seeds if it is small: the suite reads each of them once.

`python -m tests.fuzz TARGET --merge FOLDER`: of what was bred there, adds to the seeds what reaches something that no
seed reaches, the shortest files first (libFuzzer's -merge=1), if they are short enough for seeds. To make the seeds few
again, move those with names of 40 hexadecimal digits elsewhere first, and merge that folder too: `--merge FOLDER
--merge OTHER`. What only raises is not seen by atheris; a file for it is worth keeping by hand.
"""

from __future__ import annotations

import argparse
import importlib
import random
import shlex
import sys
import tempfile
from collections.abc import Sequence
from typing import Any, Final

from tests.fuzz.targets import MODULES, SEEDS, TARGETS, Modules

_OPTIONS: Final = ("-rss_limit_mb=500", "-timeout=20")


def main(arguments: Sequence[str]) -> None:
    """Fuzz one target, or merge what was bred for it; does not return."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--merge", metavar="FOLDER", action="append", help="add to the seeds what was bred there")
    asked, of_libfuzzer = parser.parse_known_args(arguments)
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        sys.exit("atheris is not installed: pip install atheris")
    # Only what is ours: coverage of others' modules breeds files for them, and takes half the time. With all modules
    # instrumented a run with a gzip seed was once seen to die natively. It left no file, and two million runs of the
    # same kind since have not done it again; of our code no reference is lost on that way, with atheris or without.
    with atheris.instrument_imports(include=["app"]):
        modules = {name: importlib.import_module(name) for name in MODULES}
    atheris.Setup(
        [_own_command(asked.target), *_OPTIONS, *_rest(asked, of_libfuzzer)],
        lambda data: TARGETS[asked.target].read(modules, data),
        custom_mutator=lambda data, longest, seed: _mutated(asked.target, atheris, modules, data, longest, seed),
    )
    atheris.Fuzz()


def _own_command(target: str) -> str:
    """How libFuzzer starts this program again, for the parts of a merge. It gives it to a shell as it is."""
    return shlex.join([sys.executable, "-m", "tests.fuzz", target])


def _rest(asked: argparse.Namespace, of_libfuzzer: Sequence[str]) -> list[str]:
    seeds = SEEDS / asked.target
    if of_libfuzzer:  # a part of a merge: libFuzzer says what to do
        return list(of_libfuzzer)
    if asked.merge:
        return ["-merge=1", f"-max_len={TARGETS[asked.target].kept}", str(seeds), *asked.merge]
    bred = tempfile.mkdtemp(prefix=f"fuzz-{asked.target}-")
    print(f"what is bred goes to {bred}", flush=True)
    return [f"-max_total_time={asked.seconds}", f"-max_len={TARGETS[asked.target].longest}", bred, str(seeds)]


def _mutated(target: str, atheris: Any, modules: Modules, data: bytes, longest: int, seed: int) -> bytes:
    def change(given: bytes, at_most: int) -> bytes:
        return bytes(atheris.Mutate(given, max(at_most, len(given))))[:at_most]

    return TARGETS[target].mutate(data, longest, random.Random(seed), change)


if __name__ == "__main__":
    main(sys.argv[1:])
