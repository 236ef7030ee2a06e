"""Each operation with what has to be true of its VM whenever it is interrupted: it happened, or it did not.

A module for each family of operations; its `SCENARIOS` are gathered here.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.faults.scenarios import (
    checkpoints,
    cloning,
    groups,
    imports,
    merges,
    orphans,
    power,
    quiesced,
    removals,
    reverts,
    snapshots,
    storage,
)
from tests.faults.scenarios.base import Facts, Scenario

__all__ = ["SCENARIOS", "Facts", "Scenario"]

SCENARIOS: Mapping[str, Scenario] = {
    name: scenario
    for module in (
        snapshots,
        checkpoints,
        groups,
        quiesced,
        reverts,
        removals,
        orphans,
        cloning,
        power,
        storage,
        merges,
        imports,
    )
    for name, scenario in module.SCENARIOS.items()
}
