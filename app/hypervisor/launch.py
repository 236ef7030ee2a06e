"""Starting a guest's process: sockets first, then QEMU, then a conversation, and no trace when it fails."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
import socket
from contextlib import ExitStack
from pathlib import Path

from app.hypervisor.argv import build_argv, check, cpu_model, first_node
from app.hypervisor.driver import DriverError, DriverFacts, EventSink, GuestSpec
from app.hypervisor.guest import GREETING_TIMEOUT, ActiveImage, Guest
from app.hypervisor.layout import GuestRecord, Layout, RunPaths
from app.hypervisor.process import Process, identity, spawn

_FIRST_DESCRIPTOR = 10
_LOG_LIMIT = 1024 * 1024
_END_TIMEOUT = 10.0
_BACKLOG = 4
_HINT_LINES = 3
_PROGRAM = re.compile(r"^\S*qemu\S*: ")
_OPTION = re.compile(r"^-[a-z]+ (\{.*\}|\S+): ")


async def launch(
    spec: GuestSpec, facts: DriverFacts, layout: Layout, sink: EventSink, *, incoming: bool = False
) -> Guest:
    """Start QEMU with stopped virtual CPUs and connect to it.

    :param incoming: let it wait for a memory image.
    :raise DriverError: "unsupported" for an impossible spec, "start" with QEMU's own text for anything else.
    """
    check(spec)
    run = layout.prepare(spec.uuid)
    try:
        guest = _spawn(spec, facts, layout, run, sink, incoming=incoming)
    except OSError as error:
        layout.clean(run)
        raise DriverError(f"QEMU could not be started: {error}", cause="start") from error
    except BaseException:
        layout.clean(run)
        raise
    try:
        await guest.connect(GREETING_TIMEOUT)
        run.vnc.chmod(0o600)  # the one socket QEMU makes itself, with the rights the umask leaves
        await guest.refresh()
    except DriverError as error:
        raise await start_error(guest, error) from error
    except OSError as error:
        await guest.abandon()
        raise DriverError(f"QEMU could not be started: {error}", cause="start") from error
    except BaseException:
        await guest.abandon()
        raise
    for disk in spec.disks:
        if disk.path is not None:
            guest.images[disk.device] = ActiveImage(first_node(disk.device), disk.path)
    return guest


async def start_error(guest: Guest, error: DriverError) -> DriverError:
    """Turn a failure during the start into one that tells what QEMU said; the process is gone afterwards."""
    if error.cause == "lost":
        # The connection broke because QEMU is ending: let it finish its sentence.
        try:
            async with asyncio.timeout(_END_TIMEOUT):
                await guest.process.wait()
        except TimeoutError:
            pass
    await guest.abandon()
    words = guest.layout.last_words(guest.uuid)
    reason = sentence(words) or error.message
    command = shlex.join(guest.record.argv)
    return DriverError(f"QEMU could not start: {reason}", cause="start", command=command, detail=words or error.detail)


def sentence(words: str) -> str:
    """QEMU's first complaint with the hint that follows it, "" if it did not complain.

    Left out are the program's name, the option it is about, and warnings. Later complaints are consequences.
    """
    parts: list[str] = []
    for line in filter(None, map(str.strip, words.splitlines())):
        text = _PROGRAM.sub("", line)
        if text.startswith(("warning:", "info:")):
            continue
        if parts and text != line:
            break
        parts.append(_OPTION.sub("", text))
    return " ".join(part if part.endswith((".", "?", "!")) else part + "." for part in parts[:_HINT_LINES])


def _spawn(
    spec: GuestSpec, facts: DriverFacts, layout: Layout, run: RunPaths, sink: EventSink, *, incoming: bool
) -> Guest:
    """Everything up to the running process. Not a coroutine: nothing can come in between."""
    paths = {"engine": run.engine, "rescue": run.rescue, "serial": run.serial, "agent": run.agent}
    numbers = {role: _FIRST_DESCRIPTOR + index for index, role in enumerate(paths)}
    argv = build_argv(spec, facts, run, descriptors=numbers, incoming=incoming)
    with ExitStack() as stack:
        listeners = {role: stack.enter_context(_listen(path)) for role, path in paths.items()}
        log, log_start = _open_log(layout.log(spec.uuid))
        stack.callback(os.close, log)
        record = GuestRecord(
            uuid=spec.uuid,
            name=spec.name,
            argv=tuple(argv),
            machine=spec.machine or facts.machine,
            cpu=spec.cpu or cpu_model(facts.accelerator),
            accelerator=facts.accelerator,
            version=facts.version,
            run=str(run.folder),
            log_start=log_start,
        )
        layout.write(record)
        descriptors = {numbers[role]: listener.fileno() for role, listener in listeners.items()}
        pid = spawn(argv, descriptors=descriptors, log=log)
    process = Process(pid)
    try:
        record = layout.set_process(record, pid, identity(pid))
    except OSError:
        process.signal(signal.SIGKILL)
        raise
    return Guest(record, layout, process, sink)


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _open_log(path: Path) -> tuple[int, int]:
    """The log's descriptor and its length; one that has grown large starts again."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    log = os.open(path, flags, 0o600)
    if os.fstat(log).st_size > _LOG_LIMIT:
        os.ftruncate(log, 0)
    return log, os.fstat(log).st_size
