"""Processes that outlive us: start one detached, know it again later, notice its end, end it.

QEMU is not started through `subprocess`: its objects insist on being waited for, while a guest shall survive the
program that started it. Nor through asyncio's subprocesses, whose watchers depend on the event loop policy.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

if os.name != "nt":
    import fcntl

_HAS_PROC = Path("/proc/self/stat").exists()
_POLL = 0.2
_FIRST_HIGH_DESCRIPTOR = 64


def spawn(argv: Sequence[str], *, descriptors: Mapping[int, int], log: int, stdout: int | None = None) -> int:
    """Start `argv` in a session of its own and return its pid.

    :param descriptors: number in the child -> our descriptor; every other descriptor of ours stays closed.
    :param log: descriptor for standard error, and for standard output unless `stdout` is given.
    :raise OSError: the program cannot be executed.
    """
    high: list[int] = []
    try:
        sources: dict[int, int] = {}
        # Sources are lifted above all targets, so that no dup2 in the child overwrites a source it still needs.
        for target, source in {1: log if stdout is None else stdout, 2: log, **descriptors}.items():
            sources[target] = fcntl.fcntl(source, fcntl.F_DUPFD_CLOEXEC, _FIRST_HIGH_DESCRIPTOR)
            high.append(sources[target])
        actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
        ]
        actions += [(os.POSIX_SPAWN_CLOSE, number) for number in _inheritable()]
        actions += [(os.POSIX_SPAWN_DUP2, source, target) for target, source in sources.items()]
        # Python ignores SIGPIPE and a terminal's Ctrl+C handler may be blocked: give the child plain signals.
        defaults = [signal.SIGPIPE, signal.SIGINT, signal.SIGHUP, signal.SIGTERM]
        return os.posix_spawn(
            argv[0], list(argv), os.environ, file_actions=actions, setsid=True, setsigmask=[], setsigdef=defaults
        )
    finally:
        for descriptor in high:
            os.close(descriptor)


def _inheritable() -> list[int]:
    """Descriptors above the standard ones that a child would get: what we ourselves were started with.

    A guest must not keep them: whoever waits for our end at the other side of a pipe would wait for the guest's.
    """
    found = []
    for number in [int(path.name) for path in Path("/dev/fd").iterdir()]:
        with contextlib.suppress(OSError):  # the descriptor of the listing itself is closed again
            if number > 2 and os.get_inheritable(number):
                found.append(number)
    return found


def identity(pid: int) -> str:
    """What tells this process from a later one with the same pid; "" if there is none or it is a zombie."""
    if _HAS_PROC:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        fields = stat.rpartition(")")[2].split()  # the name in parentheses may contain spaces; proc(5)
        return "" if fields[0] in "ZX" else f"{_boot_id()}:{fields[19]}"
    found = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    text = found.stdout.strip()
    return "" if found.returncode or text.startswith("Z") else text.partition(" ")[2].strip()


def memory_of(pid: int) -> int:
    """Bytes of memory that a process has, swapped out or not; 0 if the system does not say. Source: proc(5)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("VmRSS:", "VmSwap:")))
    except (OSError, ValueError, IndexError):
        return 0


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def lock_holder(path: Path) -> int:
    """The pid that holds QEMU's lock on its pid file, 0 if nobody does: proof that the process is that guest's.

    QEMU keeps a POSIX write lock on the file of `-pidfile` for as long as it lives (util/oslib-posix.c).
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        with contextlib.suppress(OSError, ValueError):
            return int(os.pread(descriptor, 32, 0))
        return 0
    finally:
        os.close(descriptor)
    return 0


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False  # gone, or a later process of another user
    return True


def _open_process(pid: int) -> int:
    """A descriptor that stands for the process, -1 where the system has none to give.

    :raise ProcessLookupError: there is no such process.
    """
    if not hasattr(os, "pidfd_open"):
        return -1
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except OSError:
        return -1  # a kernel before 5.3, or a container that forbids the call


class Process:
    """A process known by pid and identity, ours or adopted."""

    def __init__(self, pid: int) -> None:
        """Take hold of a living process; call it right after the spawn or after comparing identities.

        :raise ProcessLookupError: there is no such process.
        """
        self.pid = pid
        self.status: int | None = None
        """The exit code, or minus the signal that ended it; None while alive and for processes we did not start."""
        self._descriptor = _open_process(pid)
        self._identity = identity(pid)
        self._gone = asyncio.Event()
        self._poller: asyncio.Task[None] | None = None
        if self._descriptor >= 0:
            asyncio.get_running_loop().add_reader(self._descriptor, self._ended)
        else:
            self._poller = asyncio.create_task(self._poll())

    @property
    def alive(self) -> bool:
        return not self._gone.is_set()

    async def wait(self) -> None:
        """Return when the process has ended."""
        await self._gone.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; a process that is gone is fine."""
        if self._gone.is_set():
            return
        with contextlib.suppress(ProcessLookupError):
            if self._descriptor >= 0:
                signal.pidfd_send_signal(self._descriptor, number)
            elif identity(self.pid) == self._identity:
                os.kill(self.pid, number)

    def release(self) -> None:
        """Stop watching; the process goes on."""
        if self._poller is not None:
            self._poller.cancel()
        self._close()

    def _ended(self) -> None:
        self._close()
        self._reaped()
        self._gone.set()

    def _reaped(self) -> bool:
        """Collect the exit status if the process is a child of ours that has ended."""
        with contextlib.suppress(ChildProcessError):
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid == self.pid:
                self.status = os.waitstatus_to_exitcode(status)
                return True
        return False

    def _close(self) -> None:
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    async def _poll(self) -> None:
        """For systems without pidfd_open: nothing else tells us about a process that is not our child."""
        while not self._reaped() and _exists(self.pid):  # noqa: ASYNC110 - nothing to wait for
            await asyncio.sleep(_POLL)
        self._gone.set()
