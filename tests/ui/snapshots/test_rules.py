"""What can be done now, and the reason for what cannot."""

from __future__ import annotations

import pytest

from app.api import VM, VMOperation
from tests.ui.snapshots.estate import Estate
from ui.base.commands import Selection


def vm(*refs: str) -> Selection:
    return tuple(("VM", ref) for ref in refs)


@pytest.mark.parametrize(
    ("command", "refs", "reason"),
    [
        ("vm.snapshot", ("vm",), ""),
        ("vm.snapshot", (), "Choose a VM."),
        ("vm.snapshot", ("trial",), "This is a snapshot already."),
        ("vm.snapshot", ("gone",), "It no longer exists."),
        ("snapshot.revert", ("trial",), ""),
        ("snapshot.revert", ("trial", "quiet"), "Choose one snapshot."),
        ("snapshot.revert", ("vm",), "Choose a snapshot."),
        ("snapshot.delete", ("trial", "quiet"), ""),
        ("snapshot.delete", ("installed",), "It is locked: golden image."),
        ("snapshot.delete", ("installed", "trial"), ""),
        ("snapshot.delete", ("vm", "trial"), "Choose snapshots only."),
        ("snapshot.delete", (), "Choose a snapshot."),
        ("snapshot.rename", ("trial",), ""),
        ("snapshot.rename", ("vm",), "Choose a snapshot."),
    ],
)
def test_what_can_be_done_and_why_not(estate: Estate, command: str, refs: tuple[str, ...], reason: str) -> None:
    state = estate.workspace.commands.state(command, vm(*refs))
    assert (state.enabled, state.reason) == (not reason, reason)


def test_a_busy_vm_cannot_be_reverted_whatever_its_snapshot_allows(estate: Estate) -> None:
    estate.engine.change(VM, "vm", current_operations={"t": VMOperation.clean_shutdown})
    state = estate.workspace.commands.state("snapshot.revert", vm("trial"))
    assert state.reason == "The VM is busy: shutting down."


@pytest.mark.parametrize("command", ["snapshot.revert", "snapshot.delete"])
def test_a_busy_snapshot_says_so(estate: Estate, command: str) -> None:
    estate.engine.change(VM, "trial", allowed_operations=frozenset(), current_operations={"t": VMOperation.destroy})
    assert estate.workspace.commands.state(command, vm("trial")).reason == "It is busy: deleting."


def test_a_template_is_told_from_a_busy_vm(estate: Estate) -> None:
    estate.engine.change(VM, "vm", is_a_template=True, allowed_operations=frozenset())
    assert "template" in estate.workspace.commands.state("vm.snapshot", vm("vm")).reason
