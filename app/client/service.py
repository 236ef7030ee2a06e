"""Keeping the engine running without a window: by the user's service manager, or as a process of its own.

Linux has systemd's user manager (systemd.unit(5), systemd.service(5)), macOS launchd, Windows its task scheduler. Where
there is none of them, the engine is started by itself when the window closes, and ends when the machine does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import plistlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final, Literal

from app.client.local_address import HOST, place_of
from app.config import Config
from app.log import get

log = get(__name__)

NAME: Final = "stillframe"
UNIT: Final = f"{NAME}.service"
LABEL: Final = "org.stillframe.engine"
ROOT: Final = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS: Final = 20.0

Manager = Literal["systemd", "launchd", "task", "none"]


class ServiceError(Exception):
    """The service could not be set up or started; the text has the tool's own words."""


@dataclass(frozen=True, slots=True)
class ServiceState:
    """How the engine of a data folder is kept running.

    :ivar manager: who would start it.
    :ivar installed: it starts when the user logs in.
    :ivar lingers: it also starts when the machine does, before anyone logs in.
    """

    manager: Manager
    installed: bool
    lingers: bool


def command(config: Config) -> list[str]:
    """The command line that serves the data folder."""
    return [sys.executable, "-P", "-m", "app", "serve", "--data-dir", str(config.data_dir)]


def unit_text(config: Config) -> str:
    """The systemd unit. Guests outlive it: only the engine's own process is ended."""
    words = " ".join(_quoted(word) for word in command(config))
    return f"""[Unit]
Description=Stillframe engine and snapshot schedules
Documentation=man:systemd.service(5)

[Service]
Type=notify
ExecStart={words}
WorkingDirectory={_quoted_path(ROOT)}
KillMode=process
Restart=on-failure
RestartSec=2
UMask=0077

[Install]
WantedBy=default.target
"""


def _quoted(word: str) -> str:
    """A word as systemd.syntax(7) and its specifiers need it."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def _quoted_path(path: Path) -> str:
    return str(path).replace("%", "%%")


def plist(config: Config) -> bytes:
    """The launchd agent. Not tried on a Mac yet."""
    return plistlib.dumps(
        {
            "Label": LABEL,
            "ProgramArguments": command(config),
            "WorkingDirectory": str(ROOT),
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "AbandonProcessGroup": True,
        }
    )


def task_xml(config: Config) -> bytes:
    """The task for Windows' scheduler (schtasks /Create /XML): at logon, without a limit of time. Not tried there."""
    program, *arguments = command(config)
    return f"""<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <Triggers><LogonTrigger><Enabled>true</Enabled></LogonTrigger></Triggers>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <RestartOnFailure><Interval>PT1M</Interval><Count>10</Count></RestartOnFailure>
  </Settings>
  <Actions>
    <Exec>
      <Command>{escape(program, quote=False)}</Command>
      <Arguments>{escape(subprocess.list2cmdline(arguments), quote=False)}</Arguments>
      <WorkingDirectory>{escape(str(ROOT), quote=False)}</WorkingDirectory>
    </Exec>
  </Actions>
</Task>
""".encode("utf-16")


class Service:
    """The service of one data folder. Every method that talks to a manager runs its tool and may take a second."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None

    async def state(self) -> ServiceState:
        """How things are now."""
        manager = await self._manager()
        lingers = manager == "systemd" and await self._answers("loginctl", "show-user", _user(), "--property=Linger")
        return ServiceState(manager, self._file(manager) is not None and self._is_installed(manager), lingers)

    async def install(self, *, linger: bool = False) -> None:
        """Have the engine started at each login, and with `linger` at each start of the machine.

        It is not started now: the engine that has the folder goes on. :raise ServiceError:
        """
        manager = await self._manager()
        file = self._file(manager)
        if file is None:
            raise ServiceError("This system has no service manager that Stillframe knows (systemd or launchd).")
        content = _definition(manager, self._config)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        except OSError as error:
            raise ServiceError(f"{file} could not be written: {error.strerror}") from error
        if manager == "systemd":
            await _run("systemctl", "--user", "daemon-reload")
            await _run("systemctl", "--user", "enable", UNIT)
            if linger:
                await _run("loginctl", "enable-linger")
        elif manager == "task":
            await _run("schtasks", "/Create", "/F", "/TN", NAME, "/XML", str(file))

    async def remove(self) -> None:
        """Have it started no more. A running engine goes on. :raise ServiceError:"""
        manager = await self._manager()
        file = self._file(manager)
        if file is None or not file.exists():
            return
        if manager == "systemd":
            await _run("systemctl", "--user", "disable", UNIT)
        elif manager == "task":
            await _run("schtasks", "/Delete", "/F", "/TN", NAME)
        file.unlink(missing_ok=True)
        if manager == "systemd":
            await _run("systemctl", "--user", "daemon-reload")

    async def start(self) -> None:
        """Start the engine now, by the manager where the service is installed, and wait until it answers.

        :raise ServiceError:
        """
        manager = await self._manager()
        if self._is_installed(manager) and manager == "systemd":
            await _run("systemctl", "--user", "start", UNIT)
        elif self._is_installed(manager) and manager == "launchd":
            await _run("launchctl", "bootstrap", f"gui/{os.getuid()}", str(self._file(manager)))
        elif self._is_installed(manager) and manager == "task":
            await _run("schtasks", "/Run", "/TN", NAME)
        else:
            self._start_detached()
        await self._until_it_answers()

    def _start_detached(self) -> None:
        environment = {key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"}
        with (self._config.logs_dir / "serve.out").open("ab") as output:
            if sys.platform != "win32":
                os.fchmod(output.fileno(), 0o600)
            self._process = subprocess.Popen(
                command(self._config), cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, start_new_session=True,
            )  # fmt: skip

    async def _until_it_answers(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not await is_answering(self._config):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
                return
        raise ServiceError(f"The engine was started and does not answer; {self._config.logs_dir} has its log.")

    async def _manager(self) -> Manager:
        if sys.platform == "darwin":
            return "launchd"
        if sys.platform == "win32":
            return "task"
        if shutil.which("systemctl") and await self._answers("systemctl", "--user", "show-environment"):
            return "systemd"
        return "none"

    def _file(self, manager: Manager) -> Path | None:
        if manager == "systemd":
            home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
            return home / "systemd" / "user" / UNIT
        if manager == "task":
            return self._config.data_dir / "service-task.xml"
        return Path.home() / "Library" / "LaunchAgents" / f"{LABEL}.plist" if manager == "launchd" else None

    def _is_installed(self, manager: Manager) -> bool:
        file = self._file(manager)
        with contextlib.suppress(OSError):
            named = str(self._config.data_dir)
            return file is not None and any(named.encode(code) in file.read_bytes() for code in ("utf-8", "utf-16-le"))
        return False

    async def _answers(self, *words: str) -> bool:
        try:
            answer = await _run(*words)
        except ServiceError:
            return False
        return "Linger=no" not in answer


def _definition(manager: Manager, config: Config) -> bytes:
    """What tells the manager about the engine."""
    if manager == "task":
        return task_xml(config)
    return plist(config) if manager == "launchd" else unit_text(config).encode()


def _user() -> str:
    return str(os.getuid())


async def is_answering(config: Config) -> bool:
    """Whether an engine answers for the data folder."""
    try:
        place = place_of(config.engine_socket)
        if place.socket is not None:
            _, writer = await asyncio.open_unix_connection(place.socket)
        else:
            _, writer = await asyncio.open_connection(HOST, place.port)
    except OSError:
        return False
    writer.close()
    return True


async def _run(*words: str) -> str:
    """Run a tool; answer what it said. :raise ServiceError: with its own words."""
    try:
        process = await asyncio.create_subprocess_exec(
            *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        async with asyncio.timeout(PATIENCE_SECONDS):
            output, _ = await process.communicate()
    except (OSError, TimeoutError) as error:
        raise ServiceError(f"{words[0]} could not be run: {error}") from error
    said = output.decode(errors="replace").strip()
    if process.returncode != 0:
        raise ServiceError(f"{' '.join(words)}: {said or f'status {process.returncode}'}")
    return said
