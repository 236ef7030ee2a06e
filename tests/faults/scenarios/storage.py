"""Disks by themselves."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from app.api import VDI, VDICalls
from tests.engine.vm.guests import images_of
from tests.faults.scenarios.base import MIB, Facts, Scenario, message
from tests.support.engine import Bench


async def with_a_source(bench: Bench, folder: Path) -> Facts:
    source = folder / "source.raw"
    source.write_bytes(os.urandom(MIB))
    return {"source": str(source), "frozen": {}}


async def with_a_disk(bench: Bench, _folder: Path) -> Facts:
    vdi = await bench.session.VDI.create({"SR": bench.sr(), "virtual_size": MIB, "name_label": "disk"})
    return {"vdi": vdi, "frozen": {}}


async def create_disk(bench: Bench, _facts: Facts) -> None:
    await bench.run(VDICalls.create, {"SR": bench.sr(), "virtual_size": MIB, "name_label": "new disk"})


async def import_disk(bench: Bench, facts: Facts) -> None:
    await bench.run(VDICalls.import_file, bench.sr(), facts["source"], "new disk")


async def made_or_not(bench: Bench, facts: Facts) -> None:
    for ref, vdi in list(bench.store.all(VDI).items()):
        assert vdi.name_label == "new disk"
        await bench.session.VDI.destroy(ref)
    assert images_of(bench) == set()


async def deleted_or_not(bench: Bench, facts: Facts) -> None:
    assert len(images_of(bench)) == len(bench.store.all(VDI))


SCENARIOS: Mapping[str, Scenario] = {
    "create_disk": Scenario(with_a_source, create_disk, made_or_not),
    "import_disk": Scenario(with_a_source, import_disk, made_or_not),
    "delete_disk": Scenario(with_a_disk, message(VDICalls.destroy, "vdi"), deleted_or_not),
}
