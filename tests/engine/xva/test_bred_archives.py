"""Archives that are damaged behind their checksums, imported for good.

Either an error of an import, and nothing is left; or a VM that takes all with it when it is uninstalled.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest

from app.api import SR, VBD, VDI, VIF, VM, Failure, Network, Ref, VBDType, VDIType, VMCalls, VMPowerState
from app.client.exchange import ImportOptions, import_xva
from app.xva import ova
from tests.fuzz.targets import SEEDS, TARGETS
from tests.fuzz.test_mutators import blind
from tests.support.engine import Bench
from tests.unit.xva.making import block, member

UUID = "6f2c0c8e-6a0b-4b5f-9d0e-3d1c2b1a0f00"
MOST = (1 << 63) - 1
REFUSALS = ("IMPORT_", "SR_BACKEND_FAILURE_44", "DUPLICATE_MAC_SEED", "VM_TO_IMPORT_IS_NOT_NEWER_VERSION")


def complete(memory_size: str = "70", version: int = 3, of_vbd: str = "vm", of_vif: str = "vm") -> bytes:
    """A suspended VM with all fields of its class, a disk, an interface and a memory image of ours."""
    vm = VM(uuid=UUID, power_state=VMPowerState.Suspended, suspend_VDI=Ref("memory"), version=version)
    config = {"memory-size": memory_size, "machine": "q35"}
    objects = {
        "vm": vm,
        "vbd": VBD(VM=Ref(of_vbd), VDI=Ref("disk"), userdevice="0", type=VBDType.Disk, empty=False),
        "vif": VIF(VM=Ref(of_vif), network=Ref("network"), device="0", MAC="02:00:00:00:00:01"),
        "network": Network(name_label="LAN", bridge="xenbr9"),
        "disk": VDI(SR=Ref("sr"), virtual_size=64),
        "memory": VDI(SR=Ref("sr"), virtual_size=70, type=VDIType.suspend, sm_config=config),
        "sr": SR(content_type="user"),
    }
    ids = {ref: f"Ref:{number}" for number, ref in enumerate(objects)}
    document = ova.written(ova.Version(product_brand="Stillframe"), list(objects.items()), ids)
    disks = block("Ref:4/00000000", bytes(range(64))) + block("Ref:5/00000000", b"m" * 70)
    return member("ova.xml", document) + disks + bytes(1024)


def left(bench: Bench) -> dict[str, int]:
    """How much there is of what an import makes, but for networks: these stay."""
    counts = {cls.__name__: len(bench.store.all(cls)) for cls in (VM, VBD, VIF, VDI)}
    return counts | {"journal": len(list(bench.engine.context.journal.pending()))}


async def attempt(bench: Bench, folder: Path, data: bytes, options: ImportOptions | None = None) -> str:
    """Import it and uninstall it again; "" or why it was refused."""
    path = folder / "a.xva"
    path.write_bytes(data)
    before, networks = left(bench), len(bench.store.all(Network))
    try:
        vms = await import_xva(bench.session, path, options)
    except Failure as failure:
        assert failure.code.startswith(REFUSALS), failure
        assert (left(bench), len(bench.store.all(Network))) == (before, networks)
        return failure.code
    for vm in vms:
        await bench.run(VMCalls.uninstall, vm, False)
    assert left(bench) == before
    return ""


@pytest.mark.parametrize("seed", ["plain", "gzip", "complete"])
async def test_bred_archives(bench: Bench, tmp_path: Path, seed: str) -> None:
    random = Random(seed)
    data = first = complete() if seed == "complete" else (SEEDS / "archive" / seed).read_bytes()
    assert await attempt(bench, tmp_path, first) == ""
    outcomes: Counter[str] = Counter()
    for number in range(15):
        data = TARGETS["archive"].mutate(first if number % 4 == 0 else data, 60_000, random, blind(random))
        options = ImportOptions(restore=number % 3 == 0, force=number % 2 == 0)
        outcomes[await attempt(bench, tmp_path, data, options)] += 1
    assert outcomes.total() == 15 and len(outcomes) > 1


async def test_a_device_of_no_vm_is_refused(bench: Bench, tmp_path: Path) -> None:
    """Its disk would be written, and belong to nobody."""
    for data in (complete(of_vbd="sr"), complete(of_vbd="nothing"), complete(of_vif="disk")):
        assert await attempt(bench, tmp_path, data) == "IMPORT_ERROR_FAILED_TO_FIND_OBJECT"


@pytest.mark.parametrize("size", ["", "-1", "many", "9" * 25, "9" * 5000, str(MOST)])
async def test_a_memory_image_of_an_impossible_size(bench: Bench, tmp_path: Path, size: str) -> None:
    assert await attempt(bench, tmp_path, complete(memory_size=size)) in ("", "IMPORT_ERROR_GENERIC")


async def test_a_version_that_cannot_rise(bench: Bench, tmp_path: Path) -> None:
    assert await attempt(bench, tmp_path, complete(version=MOST), ImportOptions(restore=True)) == ""
