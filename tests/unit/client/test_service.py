"""The service manager's side: what is written, which tools are run, what is said when they fail."""

from __future__ import annotations

import plistlib
import shlex
import shutil
import stat
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from app.client import service
from app.client.service import Service, ServiceError, ServiceState, is_answering, plist, unit_text
from app.config import Config, load


class Tools:
    """Stand-ins for systemctl and loginctl that write down how they were called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.log.touch()

    def make(self, name: str, script: str = "") -> None:
        tool = self.folder / name
        tool.write_text(f'#!/bin/sh\necho "{name} $*" >> {shlex.quote(str(self.log))}\n{script}\n')
        tool.chmod(0o755)

    def calls(self) -> list[str]:
        return self.log.read_text().splitlines()


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr("sys.platform", "linux")
    made = Tools(folder)
    made.make("systemctl")
    made.make("loginctl", "echo Linger=no")
    return made


@pytest.fixture
def config(data_dir: Path) -> Config:
    return load(data_dir)


def unit_file(tmp_path: Path) -> Path:
    return tmp_path / "config" / "systemd" / "user" / "stillframe.service"


async def test_installing_writes_the_unit_and_enables_it(tools: Tools, config: Config, tmp_path: Path) -> None:
    unit = Service(config)
    assert await unit.state() == ServiceState("systemd", installed=False, lingers=False)
    await unit.install()
    assert unit_file(tmp_path).read_text() == unit_text(config)
    assert tools.calls()[-2:] == ["systemctl --user daemon-reload", "systemctl --user enable stillframe.service"]
    assert await unit.state() == ServiceState("systemd", installed=True, lingers=False)
    await unit.install(linger=True)
    assert tools.calls()[-1] == "loginctl enable-linger"
    await unit.remove()
    assert not unit_file(tmp_path).exists()
    assert not (await unit.state()).installed


async def test_a_unit_of_another_folder_is_not_ours(tools: Tools, config: Config, tmp_path: Path) -> None:
    unit_file(tmp_path).parent.mkdir(parents=True)
    unit_file(tmp_path).write_text("[Service]\nExecStart=stillframe serve --data-dir /elsewhere\n")
    assert not (await Service(config).state()).installed


async def test_the_tools_own_words_are_told(tools: Tools, config: Config) -> None:
    tools.make("systemctl", '[ "$2" = enable ] && { echo "Access denied"; exit 1; }\nexit 0')
    with pytest.raises(ServiceError, match="Access denied"):
        await Service(config).install()


async def test_without_a_manager_it_says_so(tools: Tools, config: Config) -> None:
    tools.make("systemctl", "echo no bus; exit 1")
    assert (await Service(config).state()).manager == "none"
    with pytest.raises(ServiceError, match="no service manager"):
        await Service(config).install()


async def test_a_service_that_is_installed_is_started_by_its_manager(
    tools: Tools, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "PATIENCE_SECONDS", 0.3)
    await Service(config).install()
    with pytest.raises(ServiceError, match="does not answer"):
        await Service(config).start()
    assert "systemctl --user start stillframe.service" in tools.calls()
    assert not await is_answering(config)


def test_words_in_the_unit_are_quoted(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "command", lambda _config: ["/opt/my python", 'a"b', "100%", "$HOME", "back\\slash"])
    line = next(line for line in unit_text(config).splitlines() if line.startswith("ExecStart="))
    assert line == r'ExecStart="/opt/my python" "a\"b" "100%%" "$$HOME" "back\\slash"'


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_finds_nothing_wrong_with_the_unit(config: Config, tmp_path: Path) -> None:
    unit = tmp_path / "stillframe.service"
    unit.write_text(unit_text(config))
    environment = {"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(tmp_path)}
    argv = ["systemd-analyze", "--user", "verify", str(unit)]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


async def test_windows_gets_a_task_without_a_limit_of_time(
    tools: Tools, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools.make("schtasks")
    arguments = ["-m", "app", "a & b", str(config.data_dir)]
    monkeypatch.setattr(service, "command", lambda _config: ["C:\\py thon.exe", *arguments])
    monkeypatch.setattr("sys.platform", "win32")
    made = Service(config)
    await made.install()
    text = (config.data_dir / "service-task.xml").read_bytes().decode("utf-16")
    root = ElementTree.fromstring(text.partition("?>")[2])
    found = {element.tag.rpartition("}")[2]: element.text for element in root.iter()}
    assert (found["Command"], found["Arguments"]) == ("C:\\py thon.exe", f'-m app "a & b" {config.data_dir}')
    assert found["ExecutionTimeLimit"] == "PT0S"
    assert await made.state() == ServiceState("task", installed=True, lingers=False)
    await made.remove()
    assert [call.split()[1] for call in tools.calls()] == ["/Create", "/Delete"]
    assert not (await made.state()).installed


def test_guests_outlive_the_service(config: Config) -> None:
    assert "KillMode=process" in unit_text(config)
    assert plistlib.loads(plist(config))["AbandonProcessGroup"] is True


async def test_the_log_of_a_detached_engine_is_private(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "command", lambda _config: ["/bin/true"])
    started = Service(config)
    started._start_detached()
    assert started._process is not None and started._process.wait() == 0
    assert stat.S_IMODE((config.logs_dir / "serve.out").stat().st_mode) == 0o600
