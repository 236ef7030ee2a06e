"""Running qemu-img: asynchronous, with progress, cancellable, never guessing a format.

Works in any asyncio loop that can run subprocesses, in the main thread or not.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.storage import files
from app.storage.errors import StorageError

Progress = Callable[[float], None]
"""Called with 0.0 to 1.0, never going backwards."""

NEW_IMAGE = {"cluster_size": "128k", "extended_l2": "on"}
"""What our own qcow2 files are made of; see `app.storage.qcow2.write_image`."""

_PERCENT = re.compile(rb"\((\d+(?:\.\d+)?)/100%\)")
# QEMU repeats the json: argument, shortened; the file name follows it.
_IMAGE_ARGUMENT = re.compile(r"Could not open 'json:.*?}': ")
_MAX_STDERR = 64 << 10
# Formats that can name a parent in their header; for files from outside this is switched off.
_WITH_PARENT = frozenset(("qcow2", "vmdk"))
_USUAL_FOLDERS = ("/opt/homebrew/bin", "/usr/local/bin", r"C:\Program Files\qemu")
_CHECK_EXIT_CODES = (0, 2, 3, 63)


@dataclass(frozen=True, slots=True)
class Output:
    """What one run printed and returned."""

    command: str
    returncode: int
    stdout: bytes
    stderr: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What `check` found. *leaks* waste space and do no harm; *supported* is False where a format has no check."""

    supported: bool
    errors: int
    corruptions: int
    leaks: int

    @property
    def sound(self) -> bool:
        return self.errors == 0 and self.corruptions == 0


@dataclass(frozen=True, slots=True)
class MapEntry:
    """One range of a disk, in bytes. *depth* counts the images from the leaf; *offset* is in that image's file."""

    start: int
    length: int
    depth: int
    present: bool
    zero: bool
    data: bool
    offset: int | None


def find_qemu_img() -> Path:
    """The qemu-img program.

    :raise StorageError: tool, if it is not installed.
    """
    found = shutil.which("qemu-img") or shutil.which("qemu-img", path=os.pathsep.join(_USUAL_FOLDERS))
    if found is None:
        raise StorageError.tool("qemu-img was not found. Install QEMU; on Debian and Ubuntu the package is qemu-utils.")
    return Path(found)


def image_argument(path: Path, image_format: str, *, follow_parent: bool) -> str:
    """How an existing image is named on the command line, always with its format.

    Without *follow_parent* a parent named in the header is not opened, even if the file was changed a moment ago.

    :raise StorageError: unsupported, if the name cannot be told to qemu-img.
    """
    filename = str(path.absolute())
    try:
        filename.encode()
    except UnicodeEncodeError:
        raise StorageError.unsupported(f"The name of {filename!r} is not valid UTF-8. Rename the file first.") from None
    options: dict[str, object] = {"driver": image_format, "file": {"driver": "file", "filename": filename}}
    if image_format in _WITH_PARENT and not follow_parent:
        options["backing"] = None
    if image_format == "vpc":
        # Otherwise the size depends on the program that made the file and on QEMU's version; see app.storage.vhd.
        options["force_size_calc"] = "current_size"
    return "json:" + json.dumps(options)


async def convert(
    source: Path,
    source_format: str,
    target: Path,
    target_format: str = "qcow2",
    options: Mapping[str, str] = NEW_IMAGE,
    *,
    progress: Progress | None = None,
    cancel: asyncio.Event | None = None,
    follow_parent: bool = False,
) -> None:
    """Copy the content of *source* into the new image *target*, leaving out zeros. Not synced.

    *target* is removed if anything goes wrong, and when the task is cancelled. Eight requests in parallel, out of
    order, were measured to be the fastest. With its parents an image is one of ours: see `_sharing`.

    :raise StorageError: as `run`.
    """
    arguments = ["convert", *_sharing(follow_parent), "-p", "-W", "-m", "8", "-O", target_format]
    if options:
        arguments += ["-o", ",".join(f"{key}={value}" for key, value in options.items())]
    arguments += [image_argument(source, source_format, follow_parent=follow_parent), str(target.absolute())]
    try:
        await run(arguments, progress=progress, cancel=cancel)
    except BaseException:
        files.remove_quietly(target)
        raise


async def check(path: Path, image_format: str, *, cancel: asyncio.Event | None = None) -> CheckResult:
    """Check the consistency of one image, without its parents; repairs nothing.

    :raise StorageError: as `run`.
    """
    image = image_argument(path, image_format, follow_parent=False)
    output = await run(["check", "--output=json", image], cancel=cancel, accept=_CHECK_EXIT_CODES)
    if output.returncode == 63:
        return CheckResult(supported=False, errors=0, corruptions=0, leaks=0)
    found = _json_object(output)
    return CheckResult(True, _number(found, "check-errors"), _number(found, "corruptions"), _number(found, "leaks"))


async def measure(path: Path, image_format: str, *, follow_parent: bool = False) -> int:
    """Bytes needed to convert the image to qcow2 as `convert` does.

    :raise StorageError: as `run`.
    """
    image = image_argument(path, image_format, follow_parent=follow_parent)
    options = ",".join(f"{key}={value}" for key, value in NEW_IMAGE.items())
    output = await run(["measure", *_sharing(follow_parent), "--output=json", "-O", "qcow2", "-o", options, image])
    return _number(_json_object(output), "required")


def _sharing(follow_parent: bool) -> list[str]:
    """Read whatever locks a running QEMU has on the image: the engine's own claims keep our chains as they are.

    QEMU 10.0 was seen to keep a base open for writing after a merge into it, with nobody writing. An image of somebody
    else's, which is read without its parents, has to be free.
    """
    return ["--force-share"] if follow_parent else []


async def map_image(path: Path, image_format: str, *, follow_parent: bool = True) -> list[MapEntry]:
    """Which ranges of a disk hold data, in order and without gaps.

    :raise StorageError: as `run`.
    """
    image = image_argument(path, image_format, follow_parent=follow_parent)
    output = await run(["map", "--output=json", image])
    return [
        MapEntry(
            start=item["start"],
            length=item["length"],
            depth=item["depth"],
            present=item.get("present", True),
            zero=item["zero"],
            data=item["data"],
            offset=item.get("offset"),
        )
        for item in json.loads(output.stdout)
    ]


async def run(
    arguments: Sequence[str],
    *,
    progress: Progress | None = None,
    cancel: asyncio.Event | None = None,
    accept: Sequence[int] = (0,),
) -> Output:
    """Run ``qemu-img`` with *arguments* and wait for its end. It is killed and waited for when the task is cancelled.

    :raise StorageError: tool (absent, or failed for a reason we do not know), no_space, in_use, io, missing, corrupt
        as far as its error text tells, cancelled if *cancel* was set.
    """
    program = [*_tie_to_us(), str(find_qemu_img()), *arguments]
    command = shlex.join(["qemu-img", *arguments])
    if cancel is not None and cancel.is_set():
        raise StorageError.cancelled("The operation was cancelled.", command)
    try:
        process = await asyncio.create_subprocess_exec(
            *program,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C"},
        )
    except OSError as error:
        raise StorageError.tool(f"qemu-img cannot be started: {error.strerror}.", command) from error
    try:
        output = await _follow(process, command, progress, cancel)
    finally:
        await _end(process)
    if output.returncode not in accept:
        raise _failure(output)
    return output


def _tie_to_us() -> list[str]:
    """On Linux, have the kernel end qemu-img with us, so that none goes on writing after a crash."""
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


async def _follow(
    process: asyncio.subprocess.Process, command: str, progress: Progress | None, cancel: asyncio.Event | None
) -> Output:
    assert process.stdout is not None
    assert process.stderr is not None
    stdout = asyncio.create_task(_read_stdout(process.stdout, progress))
    stderr = asyncio.create_task(_read_stderr(process.stderr))
    ended = asyncio.gather(stdout, stderr, process.wait())
    cancelled = asyncio.create_task((cancel or asyncio.Event()).wait())
    futures: list[asyncio.Future[Any]] = [ended, cancelled, stdout, stderr]
    try:
        await asyncio.wait((ended, cancelled), return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            raise StorageError.cancelled("The operation was cancelled.", command)
        _, _, returncode = ended.result()
        return Output(command, returncode, stdout.result(), stderr.result())
    finally:
        for future in futures:
            future.cancel()
        await asyncio.gather(*futures, return_exceptions=True)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        # Reads the pipes to their end too, so that nothing of the process is left open.
        await process.communicate()


async def _read_stdout(stream: asyncio.StreamReader, progress: Progress | None) -> bytes:
    """All that is printed; with *progress*, only the percentages are read and reported."""
    collected = bytearray()
    reported = -1.0
    while piece := await stream.read(1 << 16):
        collected += piece
        if progress is None:
            continue
        last = max(_PERCENT.finditer(bytes(collected)), key=lambda match: match.end(), default=None)
        if last is not None:
            del collected[: last.end()]
            fraction = min(1.0, float(last[1]) / 100)
            if fraction > reported:
                reported = fraction
                progress(fraction)
    return bytes(collected)


async def _read_stderr(stream: asyncio.StreamReader) -> str:
    collected = bytearray()
    while piece := await stream.read(1 << 16):
        collected += piece
        del collected[:-_MAX_STDERR]
    return collected.decode(errors="replace").strip()


def _failure(output: Output) -> StorageError:
    text = output.stderr or f"it ended with status {output.returncode}"
    reason = _IMAGE_ARGUMENT.sub("", text.splitlines()[-1]).removeprefix("qemu-img: ").rstrip(".")
    rest = (output.command, output.stderr)
    if any(sign in text for sign in ("No space left on device", "Disk quota exceeded", "File too large")):
        return StorageError.no_space("There is not enough free space for the disk image.", *rest)
    if output.returncode == -25:  # SIGXFSZ: the limit on file sizes
        return StorageError.no_space("The disk image would exceed the largest size allowed for a file.", *rest)
    if "Is another process using the image" in text or "Failed to get" in text:
        return StorageError.in_use(f"The disk image is in use by another process: {reason}.", *rest)
    if "Input/output error" in text or "Permission denied" in text or "Read-only file system" in text:
        return StorageError.io(f"The disk image cannot be read or written: {reason}.", *rest)
    if "No such file or directory" in text:
        return StorageError(f"A disk image is missing: {reason}.", "missing", *rest)
    return StorageError.tool(f"qemu-img failed: {reason}.", *rest)


def _json_object(output: Output) -> Mapping[str, object]:
    try:
        found = json.loads(output.stdout)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise StorageError.tool("qemu-img gave an answer that is not understood.", output.command, output.stderr)
    return found


def _number(found: Mapping[str, object], key: str) -> int:
    value = found.get(key, 0)
    return value if isinstance(value, int) else 0
