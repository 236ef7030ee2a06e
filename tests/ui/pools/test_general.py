"""The General tabs of pool and host: facts, and an overview that leads on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtWidgets import QPushButton, QScrollArea
from pytestqt.qtbot import QtBot

from app.api import SR, VM, Host, HostMetrics, Pool
from app.api.enums import VMPowerState
from tests.support.fake_session import FakeEngine
from tests.support.settling import restless
from tests.ui.main_window import pools
from ui.base.commands import Command
from ui.base.workspace import Workspace
from ui.pools.general import HostGeneralTab, PoolGeneralTab


@pytest.fixture
def pool(qtbot: QtBot, engine: FakeEngine, workspace: Workspace) -> Iterator[PoolGeneralTab]:
    workspace.commands.add(Command(id="vm.new", title="New VM…", run=lambda _w, _s: None))
    pools.empty_pool(engine)
    made = PoolGeneralTab(workspace)
    qtbot.addWidget(made)
    made.show()
    made.show_object("pool", pools.POOL)
    yield made


@pytest.fixture
def host(qtbot: QtBot, engine: FakeEngine, workspace: Workspace) -> Iterator[HostGeneralTab]:
    pools.small_pool(engine)
    made = HostGeneralTab(workspace)
    qtbot.addWidget(made)
    made.resize(900, 600)
    made.show()
    made.show_object("host", pools.HOST)
    yield made


def test_an_empty_pool_leads_to_the_first_vm(pool: PoolGeneralTab, engine: FakeEngine) -> None:
    assert pool.machines.sentence.text().startswith("No virtual machines yet")
    assert pool.machines.new is not None
    assert pool.machines.new.isVisible()
    engine.put(pools.machine("first"))
    assert pool.machines.sentence.text() == "1 VM, 0 snapshots"
    assert not pool.machines.new.isVisible()


def test_facts_of_the_pool(pool: PoolGeneralTab, engine: FakeEngine) -> None:
    facts = dict(pool.facts("About"))
    assert (facts["Hosts"], facts["Coordinator"], facts["New disks go to"]) == (
        "1 host",
        "workstation",
        "Local storage",
    )
    engine.change(Pool, pools.POOL, default_SR=pools.ref("OpaqueRef:NULL"), name_label="Garage")
    assert dict(pool.facts("About"))["New disks go to"] == "no default storage is set"
    assert pool.name.text() == "Garage"


def test_storage_is_a_bar_each_that_leads_there(
    qtbot: QtBot, pool: PoolGeneralTab, engine: FakeEngine, workspace: Workspace
) -> None:
    links = [made for made in pool.storage.findChildren(QPushButton) if made.text()]
    assert [made.text() for made in links] == ["Local storage"]  # a library of ISOs has no size of interest
    with qtbot.waitSignal(workspace.show_requested) as shown:
        links[0].click()
    assert shown.args == ["SR", pools.SR_DISKS, ""]
    engine.change(SR, pools.SR_DISKS, name_label="Fast & big")
    assert links[0].text() == "Fast && big"
    engine.remove(SR, pools.SR_DISKS)
    assert not pool.storage.isVisible()


def test_a_host_says_what_runs_its_guests(host: HostGeneralTab) -> None:
    facts = dict(host.facts("Guests run with"))
    assert facts["Accelerator"] == "tcg: software runs guests, slowly"
    assert facts["Tried"] == "kvm: there is no /dev/kvm, tcg: works"
    assert facts["QEMU"] == "7.2.19"
    assert dict(host.facts("Processors and memory"))["Model"] == "AMD Ryzen 7 5800X 8-Core Processor"
    about = dict(host.facts("About"))
    assert about["Data folder"] == "/home/you/.local/share/stillframe"
    assert about["Disks in"] == "/srv/user"


def test_a_host_without_qemu_says_so(host: HostGeneralTab, engine: FakeEngine) -> None:
    engine.change(
        Host,
        pools.HOST,
        enabled=False,
        software_version={"accelerator": "none", "hypervisor-error": "QEMU is not there"},
    )
    facts = dict(host.facts("Guests run with"))
    assert facts["Accelerator"] == "none: guests cannot run"
    assert facts["Problem"] == "QEMU is not there"
    assert dict(host.facts("About"))["Takes VMs"] == "not now"


def test_memory_and_vms_of_a_host(host: HostGeneralTab, engine: FakeEngine) -> None:
    assert host.memory.words() == "21\u00a0GiB free of 32\u00a0GiB"
    assert host.machines.sentence.text() == "4 VMs, 1 snapshot"
    engine.change(HostMetrics, "OpaqueRef:metrics", memory_free=40 * pools.GIB)
    assert host.memory.words() == "32\u00a0GiB free of 32\u00a0GiB"
    engine.change(HostMetrics, "OpaqueRef:metrics", memory_free=0)  # not known
    assert not host.memory.isVisible()
    assert dict(host.facts("Processors and memory"))["Memory"] == "32\u00a0GiB"
    engine.change(VM, pools.WIN, power_state=VMPowerState.Suspended)
    assert host.machines.state_words() == ["2 running", "1 paused", "1 suspended"]


def test_hidden_it_waits(host: HostGeneralTab, engine: FakeEngine) -> None:
    host.hide()
    engine.change(Host, pools.HOST, name_label="garage")
    assert host.name.text() == "workstation"
    host.show()
    assert host.name.text() == "garage"


async def test_a_refused_name_is_taken_back(host: HostGeneralTab, engine: FakeEngine, workspace: Workspace) -> None:
    engine.answer("host.set_name_label", pools.refused())
    host.name.set_text("mine")
    host.name.committed.emit("mine")
    await pools.settled()
    assert host.name.text() == "workstation"
    await workspace.close()


def test_it_comes_to_rest_at_every_height(host: HostGeneralTab, engine: FakeEngine) -> None:
    engine.change(Host, pools.HOST, name_description="A description of several lines. " * 8)
    area = host.findChild(QScrollArea)
    assert area is not None
    assert not restless(area, lambda height: host.resize(760, height), range(200, 700, 5))
