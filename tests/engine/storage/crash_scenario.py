"""What the sweep of test_crashes kills at every point: a little of everything a repository and a journal do.

Run as a program, it prints each step when it is done.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

from app.storage.file_repository import FileRepository
from app.storage.journal import Journal

MIB = 1 << 20
BASE, LEFT, RIGHT, IMPORTED, BOOT, FLAT = (f"0000000{n}-0000-4000-8000-000000000000" for n in range(6))

IMAGES_AFTER: dict[str, set[str]] = {
    "nothing": set(),
    "create": {BASE},
    "overlays": {BASE, LEFT, RIGHT},
    "import": {BASE, LEFT, RIGHT, IMPORTED},
    "boot": {BASE, LEFT, RIGHT, IMPORTED, BOOT},
    "flatten": {BASE, LEFT, RIGHT, IMPORTED, BOOT, FLAT},
    "memory": {BASE, LEFT, RIGHT, IMPORTED, BOOT, FLAT},
    "discard": {IMPORTED, BOOT, FLAT},
}
"""The steps in their order, and the disk images there are when each is done."""


async def run(root: Path, done: Callable[[str], None]) -> None:
    """All steps, in the folders sr and journal of *root*; *done* is called after each."""
    repository, journal = FileRepository(root / "sr"), Journal(root / "journal")
    repository.open()
    repository.create(BASE, 4 * MIB)
    done("create")
    repository.freeze(BASE)
    entry = journal.begin("vm_snapshot", images=[LEFT, RIGHT])
    repository.create_overlays([(LEFT, BASE), (RIGHT, BASE)])
    entry.record("overlays_written")
    entry.end()
    done("overlays")
    source = root / "source.raw"
    source.write_bytes(b"import" * 100_000)
    await repository.import_image(source, "raw", IMPORTED)
    done("import")
    await repository.write_raw(BOOT, b"boot", MIB)
    done("boot")
    await repository.flatten(LEFT, FLAT)
    done("flatten")
    repository.thaw(BASE)
    repository.memory_part_path(LEFT).write_bytes(b"memory" * 10_000)
    repository.publish_memory(LEFT)
    done("memory")
    entry = journal.begin("vdi_destroy", images=[BASE, LEFT, RIGHT])
    repository.discard([BASE, LEFT, RIGHT])
    entry.end()
    done("discard")


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), lambda step: print(step, flush=True)))
