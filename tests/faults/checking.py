"""Looking at what a cut leaves: a new engine opens the folder, another opens it again and must find nothing to do."""

from __future__ import annotations

import time
from pathlib import Path

from tests.faults.arming import Cut
from tests.faults.deaths import check_after_death
from tests.faults.scenarios import SCENARIOS, Facts
from tests.faults.world import assert_sound, contents, difference, files, objects
from tests.support.engine import Bench, open_bench


async def check(cut: Cut, folder: Path, facts: Facts, *, died: bool) -> float:
    """Answer the seconds that the first opening took, without those in which others had the processor.

    :param died: a guest was killed.
    :raise AssertionError: what is left is not right.
    """
    began = time.perf_counter() - waited_for_processor()
    async with open_bench(folder, kill_guests=False) as bench:
        recovery = time.perf_counter() - waited_for_processor() - began
        assert_sound(bench, folder)
        _assert_frozen(bench, facts)
        recovered, kept = objects(bench), files(folder)
    async with open_bench(folder) as bench:
        again = objects(bench)
        assert again == recovered, f"opening again changed {difference(recovered, again)}"
        assert files(folder) == kept
        assert_sound(bench, folder)
        if died:
            await (SCENARIOS[cut.scenario].after_death or check_after_death)(bench, facts)
        else:
            await SCENARIOS[cut.scenario].check(bench, facts)
        _assert_frozen(bench, facts)
        assert_sound(bench, folder)
    return recovery


def waited_for_processor() -> float:
    """Seconds in which this thread could have run and others did: the second figure of schedstat, proc(5)."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def _assert_frozen(bench: Bench, facts: Facts) -> None:
    """A snapshot that is there shows what it showed, to the byte."""
    for ref, expected in facts["frozen"].items():
        if ref in bench.store.of_class("VM"):
            assert contents(bench, ref) == expected
