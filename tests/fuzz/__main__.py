"""`python -m tests.fuzz TARGET [--seconds N]`: bytes bred by coverage, against what reads files from outside.

Needs atheris, which is not among the locked packages: `pip install atheris` (Linux, up to Python 3.13). The seeds in
tests/data/fuzz/TARGET are kept; what is bred goes to a folder of its own, named at the end. A crash stays behind as
`crash-…` in the current folder: a file that raised something else than the error that the target may raise.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

SEEDS: Final = Path(__file__).resolve().parents[1] / "data" / "fuzz"
_LARGEST_DISK: Final = 1 << 22
_MODULES: Final = (
    "app.api.failure",
    "app.xva.reader",
    "app.xva.ova",
    "app.xva.contents",
    "app.client.ovf",
    "app.storage.image_reader",
    "app.storage.errors",
    "app.storage.inspection",
)


def archive(modules: dict[str, Any], data: bytes) -> None:
    """An .xva: any bytes are read, or refused with a Failure."""
    reader, ova, contents = (modules[f"app.xva.{name}"] for name in ("reader", "ova", "contents"))
    try:
        found = reader.Reader(io.BytesIO(data))
        sizes = contents.sizes_of(ova.parse(found.ova()))
        for block in found.blocks(sizes, force=True):
            assert block.offset + len(block.data) <= sizes[block.disk]
    except modules["app.api.failure"].Failure as failure:
        assert failure.code.startswith("IMPORT_")


def description(modules: dict[str, Any], data: bytes) -> None:
    """An `ova.xml`."""
    try:
        modules["app.xva.contents"].sizes_of(modules["app.xva.ova"].parse(data))
    except modules["app.api.failure"].Failure as failure:
        assert failure.code.startswith("IMPORT_")


def appliance(modules: dict[str, Any], data: bytes) -> None:
    """An .ovf."""
    try:
        modules["app.client.ovf"].parse(data)
    except modules["app.api.failure"].Failure as failure:
        assert failure.code.startswith("IMPORT_")


def image(modules: dict[str, Any], data: bytes) -> None:
    """A disk image: looked at, and read as a chain of one."""
    error = modules["app.storage.errors"].StorageError
    with tempfile.NamedTemporaryFile(suffix=".img") as file:
        file.write(data)
        file.flush()
        path = Path(file.name)
        with contextlib.suppress(error):
            modules["app.storage.inspection"].inspect(path)
        try:
            reader = modules["app.storage.image_reader"].ImageReader([path])
        except error:
            return
        with contextlib.closing(reader), contextlib.suppress(error):
            if reader.size <= _LARGEST_DISK:
                for number in reader.holding(1 << 20):
                    reader.read_into(number << 20, memoryview(bytearray(min(1 << 20, reader.size - (number << 20)))))


TARGETS: Final[dict[str, Callable[[dict[str, Any], bytes], None]]] = {
    "archive": archive,
    "description": description,
    "appliance": appliance,
    "image": image,
}


def main() -> None:
    """Fuzz one target; does not return."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    asked = parser.parse_args()
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        sys.exit("atheris is not installed: pip install atheris")
    with atheris.instrument_imports():
        modules = {name: importlib.import_module(name) for name in _MODULES}
    bred = tempfile.mkdtemp(prefix=f"fuzz-{asked.target}-")
    print(f"what is bred goes to {bred}", flush=True)
    options = [f"-max_total_time={asked.seconds}", "-max_len=20000", "-rss_limit_mb=500", bred]
    seeds = [str(SEEDS / asked.target)] if (SEEDS / asked.target).is_dir() else []
    atheris.Setup([sys.argv[0], *options, *seeds], lambda data: TARGETS[asked.target](modules, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
