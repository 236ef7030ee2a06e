"""The completion of xe in real shells: commands, parameters, and what the running engine has."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator

import pytest

from tests.contracts.tree import ROOT
from tests.e2e.shell import Shell
from tests.e2e.terminal import Terminal, terminal

NAME = "Windows Server 2016 (1)"
TYPED = r"Windows\ Server\ 2016\ \(1\)"


@pytest.fixture(params=["bash", "zsh"], scope="module")
def tty(
    request: pytest.FixtureRequest, shell: Shell, vm: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Terminal]:
    name = str(request.param)
    if shutil.which(name) is None:
        pytest.skip(f"there is no {name}")
    folder = tmp_path_factory.mktemp(name)
    xe = folder / "xe"
    xe.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m app.cli.main "$@"\n')
    xe.chmod(0o755)
    (folder / "my file.xva").touch()
    (folder / "folder").mkdir()
    path = f"{folder}:/usr/local/bin:/usr/bin:/bin"
    with terminal(name, folder, {"PATH": path, "STILLFRAME_DATA_DIR": str(shell.data_dir)}) as made:
        yield made


def test_commands_and_parameters(tty: Terminal) -> None:
    for typed, line in {
        "xe vm-checkp": "xe vm-checkpoint ",
        "xe help vm-checkp": "xe help vm-checkpoint ",
        "xe -s host vm-checkp": "xe -s host vm-checkpoint ",
        "./xe vm-checkp": "./xe vm-checkpoint ",
        "~/xe vm-checkp": "~/xe vm-checkpoint ",
        "true; xe vm-checkp": "true; xe vm-checkpoint ",
        "xe snapshot-drop": "xe snapshot-drop-memory ",
        "xe vm-snapshot new-name-l": "xe vm-snapshot new-name-label=",
        "xe vm-list --mini": "xe vm-list --minimal ",
        "xe vm-list tags:con": "xe vm-list tags:contains=",
        "xe vm-list params=uuid,power": "xe vm-list params=uuid,power-state",
        "xe vmss-create type=snapshot_": "xe vmss-create type=snapshot_with_quiesce ",
        "xe template-param-get param-name=other-con": "xe template-param-get param-name=other-config ",
        "xe vm-import filename=my": r"xe vm-import filename=my\ file.xva ",
        "xe vm-import filename=fo": "xe vm-import filename=folder/",
        "xe nonsense fo": "xe nonsense fo",
    }.items():
        assert tty.tab(typed)[0] == line


def test_several_are_shown(tty: Terminal) -> None:
    line, shown = tty.tab("xe vm-snap")
    assert line == "xe vm-snapshot"
    assert "vm-snapshot-with-quiesce" in shown and "vm-snapshot-readiness" in shown
    line, shown = tty.tab("xe vmss-create frequency=")
    assert line == "xe vmss-create frequency=" and all(word in shown for word in ("hourly", "daily", "weekly"))


def test_what_the_engine_has(tty: Terminal, vm: str, snapshot: str) -> None:
    assert tty.tab(f"xe vm-start uuid={vm[:11]}")[0] == f"xe vm-start uuid={vm} "
    assert (
        tty.tab(f"xe snapshot-revert snapshot-uuid={snapshot[:11]}")[0]
        == f"xe snapshot-revert snapshot-uuid={snapshot} "
    )
    assert tty.tab("xe vm-start vm=Win")[0] == f"xe vm-start vm={TYPED} "
    assert tty.tab(r"xe vm-start vm=Windows\ Ser")[0] == f"xe vm-start vm={TYPED} "


def test_within_quotes(tty: Terminal) -> None:
    """bash keeps the quotes, zsh puts backslashes in their place; both mean the same name."""
    for quote in ("'", '"'):
        line, _ = tty.tab(f"xe vm-start vm={quote}Windows Ser")
        assert line in (f"xe vm-start vm={quote}{NAME}{quote}", f"xe vm-start vm={TYPED} ")
