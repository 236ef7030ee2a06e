"""Debian packages unpacked into a cache, without root and without installing anything.

The cache is the folder STILLFRAME_TEST_CACHE or ~/.cache/stillframe-tests; what is in it needs no network again.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

CACHE_VARIABLE = "STILLFRAME_TEST_CACHE"
_TIME_LIMIT = 600  # seconds for one command: only a dead network takes that long


class Unavailable(Exception):
    """Something that a test needs cannot be had on this machine; the text says why."""


def cache() -> Path:
    """The cache folder, made if need be."""
    named = os.environ.get(CACHE_VARIABLE)
    folder = Path(named) if named else Path.home() / ".cache" / "stillframe-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def cached(pattern: str) -> list[str]:
    """Names of the packages in the cache that match a shell pattern, sorted."""
    return sorted(folder.name for folder in (cache() / "packages").glob(pattern))


def dependencies(package: str) -> list[str]:
    """Packages that `package` depends on directly; of alternatives the first. Virtual ones are left out.

    :raise Unavailable: there is no apt here.
    """
    found, alternative = [], False
    for line in run("apt-cache", "depends", package).splitlines():
        if match := re.match(r"^([ |]{2})Depends: ([^<\s]+)$", line):
            if not alternative:
                found.append(match[2])
            alternative = match[1] == " |"
    return found


def with_dependencies(package: str) -> list[str]:
    """`package` and all that it needs, directly or not."""
    found = [package]
    for name in found:
        found += [other for other in dependencies(name) if other not in found]
    return found


def unpacked(package: str) -> Path:
    """The folder in the cache with the package's files, downloaded if need be.

    :raise Unavailable: it cannot be downloaded.
    """
    fetch([package])
    return cache() / "packages" / package


def fetch(packages: Sequence[str]) -> None:
    """Have all these packages in the cache, downloading together what is missing.

    :raise Unavailable: one of them cannot be downloaded.
    """
    folder = cache() / "packages"
    folder.mkdir(exist_ok=True)
    missing = [package for package in packages if not (folder / package).exists()]
    if not missing:
        return
    with tempfile.TemporaryDirectory(dir=cache(), prefix=".new-") as name:
        run("apt-get", "-q", "-o", "Acquire::Retries=2", "download", *missing, folder=Path(name))
        for package in missing:
            (archive,) = Path(name).glob(f"{package}_*.deb")
            _unpack(archive, Path(name, package), folder / package)


def _unpack(archive: Path, aside: Path, target: Path) -> None:
    run("dpkg-deb", "-x", str(archive), str(aside))
    try:
        aside.rename(target)
    except OSError:
        # Another test process was quicker; what it put there is the same.
        if not target.exists():
            raise


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that others see complete or not at all."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".new-", delete=False) as file:
        file.write(data)
    Path(file.name).replace(path)


def run(*argv: str, folder: Path | None = None) -> str:
    """What the command prints. :raise Unavailable: it is not installed, failed or hung."""
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            argv, cwd=folder, env=environment, capture_output=True, text=True, check=True, timeout=_TIME_LIMIT
        )
    except FileNotFoundError:
        raise Unavailable(f"{argv[0]} is not installed") from None
    except subprocess.CalledProcessError as error:
        raise Unavailable(f"{' '.join(argv)}: {(error.stderr or error.stdout).strip()}") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{' '.join(argv)} did not end in {_TIME_LIMIT} s") from error
    return done.stdout
