"""What the Tab key offers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TextIO

import pytest

from app.cli.completion import SPECIAL, for_bash
from app.cli.errors import Unreachable
from app.cli.words import Words
from tests.contracts.tree import ROOT
from tests.unit.cli.recorded import RecordedServer, records, ref_of, server, xe

__all__ = ["server"]


def offered(line: str, shell: str = "zsh") -> list[str]:
    printed = xe("--complete", shell, line)
    assert (printed.stderr, printed.status) == ("", 0)
    return printed.stdout.removesuffix("\n").split("\n")


def test_commands() -> None:
    assert offered("xe snapshot-re") == ["snapshot-reset-powerstate ", "snapshot-revert "]
    assert "help " in offered("xe ")
    assert offered("xe help vm-unp") == ["vm-unpause "]
    assert offered("xe -s ") != [""]
    assert offered("xe nosuch uuid=") == [""]


def test_parameters_and_flags() -> None:
    assert offered("xe vm-snapshot new-name-") == ["new-name-label=", "new-name-description="]
    assert {"vm=", "power-state=", "--multiple ", "uuid="} <= set(offered("xe vm-snapshot "))
    assert "power-state=" not in offered("xe snapshot-revert ")
    assert offered("xe vmss-create sched") == ["schedule:"]
    assert offered("xe vm-snapshot --mu") == ["--multiple "]
    assert offered("xe vm-uninstall keep-") == ["keep-snapshots="]
    assert offered("xe vm-uninstall keep-snapshots=") == ["keep-snapshots=true ", "keep-snapshots=false "]
    assert offered("xe vm-import netw") == ["network:"]


def test_objects_of_the_server(server: RecordedServer) -> None:
    snapshot = records()["VM"][ref_of("VM", "A2a1")]["uuid"]
    assert f"snapshot-uuid={snapshot} " in offered("xe snapshot-revert snapshot-uuid=")
    assert offered(f"xe snapshot-revert uuid={snapshot[:9]}") == [f"uuid={snapshot} "]
    assert sorted(offered("xe vm-start vm=web")) == ["vm=web1 ", "vm=web1\\ copy "]
    assert offered("xe vm-install template=Gen") == ["template=Generic\\ template "]
    assert len(offered("xe vm-param-set snapshot-schedule=")) == len(records()["VMSS"])


def test_values(server: RecordedServer) -> None:
    assert offered("xe vmss-create type=s") == ["type=snapshot ", "type=snapshot_with_quiesce "]
    assert offered("xe vm-list power-state=r") == ["power-state=running "]
    assert offered("xe vm-param-get param-name=is-a-s") == ["param-name=is-a-snapshot "]
    assert offered("xe vm-list params=uuid,na") == ["params=uuid,name-label", "params=uuid,name-description"]
    assert offered("xe snapshot-disk-list vbd-params=userd") == ["vbd-params=userdevice"]
    assert offered("xe vm-list is-a-template=t") == ["is-a-template=true "]


def test_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my vm.xva").touch()
    (tmp_path / "more").mkdir()
    assert offered("xe vm-import filename=m") == ["filename=more/", "filename=my\\ vm.xva "]
    assert offered(f"xe vm-import filename={tmp_path}/mo") == [f"filename={tmp_path}/more/"]
    assert offered("xe vm-import filename=/nosuch/") == [""]


def test_without_a_server_there_is_nothing_to_offer(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_given: object) -> None:
        raise Unreachable("no")

    monkeypatch.setattr("app.cli.main._connected", refuse)
    assert offered("xe vm-start vm=") == [""]


def test_the_server_is_that_of_the_line_and_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    reached: list[dict[str, str]] = []

    def connected(words: Words, streams: tuple[TextIO, TextIO, TextIO]) -> RecordedServer:
        reached.append(words.server)
        assert not streams[0].isatty() and streams[0].read() == ""
        return RecordedServer()

    monkeypatch.setattr("app.cli.main._connected", connected)
    assert offered("xe -s host -u root --data-dir /d vm-start vm=web1\\ ") == ["vm=web1\\ copy "]
    assert reached == [{"server": "host", "username": "root", "data-dir": "/d"}]


def test_half_a_quotation(server: RecordedServer) -> None:
    assert offered('xe vm-start "vm=web1 c') == ["vm=web1\\ copy "]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("xe vm-unp", ["vm-unpause "]),
        ("xe vmss-create type=ch", ["checkpoint "]),
        ("xe vmss-create frequency=", ["hourly ", "daily ", "weekly "]),
    ],
)
def test_bash_itself(line: str, found: list[str], tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not here")
    program = tmp_path / "xe"
    program.write_text(f'#!/bin/sh\ncd "{ROOT}" && exec "{sys.executable}" -m app.cli.main "$@"\n')
    program.chmod(0o755)
    script = (
        f'. "{ROOT}/resources/completion/xe.bash"; COMP_LINE="{line}"; COMP_POINT=${{#COMP_LINE}}; _xe xe; '
        'printf "%s\\n" "${COMPREPLY[@]}"; complete -p xe'
    )
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "STILLFRAME_DATA_DIR": str(tmp_path)}
    ran = subprocess.run([bash, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == [*found, "complete -o nospace -F _xe xe"]


ODD = 'it\'s a $1:"x"=\\ `y`'


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(("begin", "quote"), [("vm='", "'"), ('vm="', '"'), ("'vm=", "'"), ('"vm=', '"')])
@pytest.mark.parametrize("typed", ["", "it", "it's a"])
def test_bash_within_quotes(begin: str, quote: str, typed: str) -> None:
    """It keeps them and closes them by itself: what they make plain is not escaped, and no space follows."""
    within = typed.replace("'", "'\\''") if quote == "'" else typed
    line = f"xe vm-start {begin}{within}"
    escaped = SPECIAL.sub(r"\\\1", ODD)
    (word,) = for_bash(line, [f"vm={escaped} "])
    finished = f"{line[: line.rindex(quote) + 1]}{word}{quote}".replace("xe vm-start", "printf %s", 1)
    assert subprocess.check_output(["bash", "-c", finished], text=True) == f"vm={ODD}"
