"""The command line is a function of the spec, and nothing in a spec can become an option of its own."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import pytest

from app.hypervisor.argv import build_argv, check, image_node
from app.hypervisor.driver import DiskBus, DiskSpec, DriverError, DriverFacts, GuestSpec, NicSpec
from app.hypervisor.layout import RunPaths

FACTS = DriverFacts(
    version="7.2.22",
    version_tuple=(7, 2, 22),
    accelerator="tcg",
    tried={"tcg": "works"},
    machine="pc-i440fx-7.2",
    binary=Path("/usr/bin/qemu-system-x86_64"),
    features=frozenset({"sandbox"}),
)
RUN = RunPaths(Path("/run/with, comma"))
NUMBERS = {"engine": 10, "rescue": 11, "serial": 12, "agent": 13}
UUID = "12345678-1234-1234-1234-123456789abc"


def disk(number: int, **changes: object) -> DiskSpec:
    spec = DiskSpec(f"disk{number}", "disk", Path(f"/images/{number}.qcow2"), "qcow2", False)
    return dataclasses.replace(spec, **changes)  # type: ignore[arg-type]


def cd(number: int, path: Path | None = None, bus: DiskBus = "ide") -> DiskSpec:
    return DiskSpec(f"cd{number}", "cd", path, "raw", True, bus=bus)


def guest(*disks: DiskSpec, **changes: object) -> GuestSpec:
    spec = GuestSpec(uuid=UUID, name="web", memory=64 << 20, vcpus=2, disks=disks)
    return dataclasses.replace(spec, **changes)  # type: ignore[arg-type]


def argv_of(spec: GuestSpec, facts: DriverFacts = FACTS, *, incoming: bool = False) -> list[str]:
    return build_argv(spec, facts, RUN, descriptors=NUMBERS, incoming=incoming)


def values(argv: list[str], option: str) -> list[str]:
    return [value for name, value in itertools.pairwise(argv) if name == option]


def device(argv: list[str], name: str) -> dict[str, str]:
    """The properties of a device; its driver is under "driver"."""
    for value in values(argv, "-device"):
        driver, *parts = value.split(",")
        properties = dict(part.split("=", 1) for part in parts)
        if properties.get("id") == name:
            return {"driver": driver, **properties}
    raise AssertionError(f"no device {name}")


def test_a_plain_guest() -> None:
    argv = argv_of(guest(disk(0)))
    assert argv[0] == "/usr/bin/qemu-system-x86_64"
    assert values(argv, "-uuid") == [UUID]
    assert values(argv, "-machine") == ["pc-i440fx-7.2,usb=off"]
    assert values(argv, "-accel") == ["tcg"]
    assert values(argv, "-m") == ["size=64M"]
    assert values(argv, "-smp") == ["2,sockets=1,cores=2,threads=1"]
    assert values(argv, "-rtc")[0].startswith("base=utc")
    assert "spawn=deny" in values(argv, "-sandbox")[0]
    assert {"-S", "-nodefaults", "-no-user-config"} <= set(argv)
    assert "-incoming" not in argv


def test_the_same_spec_gives_the_same_command_line() -> None:
    spec = guest(disk(0), disk(1), cd(3), nics=(NicSpec("nic0", "52:54:00:00:00:01"),))
    assert argv_of(spec) == argv_of(spec)


def test_nothing_listens_on_a_network() -> None:
    argv = argv_of(guest(disk(0), nics=(NicSpec("nic0", "52:54:00:00:00:01"),)))
    listening = [*values(argv, "-vnc"), *values(argv, "-chardev"), *values(argv, "-netdev")]
    assert listening
    for value in listening:
        assert value.startswith(("unix:", "socket,id=", "user,id="))
        assert "hostfwd" not in value
        assert "port=" not in value


def test_two_monitors_a_serial_port_and_an_agent_channel() -> None:
    argv = argv_of(guest())
    assert values(argv, "-mon") == ["chardev=mon-engine,mode=control", "chardev=mon-rescue,mode=control"]
    assert [value.split(",")[1:3] for value in values(argv, "-chardev")] == [
        ["id=mon-engine", "fd=10"],
        ["id=mon-rescue", "fd=11"],
        ["id=serial0", "fd=12"],
        ["id=agent0", "fd=13"],
    ]
    assert any("org.qemu.guest_agent.0" in value for value in values(argv, "-device"))


def test_serial_log_is_appended_to() -> None:
    argv = argv_of(guest(serial_log=Path("/logs/a,b.log")))
    assert values(argv, "-chardev")[2].endswith(",logfile=/logs/a,,b.log,logappend=on")


def test_sandbox_and_incoming_are_optional() -> None:
    argv = argv_of(guest(), dataclasses.replace(FACTS, features=frozenset()), incoming=True)
    assert "-sandbox" not in argv
    assert values(argv, "-incoming") == ["defer"]


def test_machine_and_cpu_of_a_memory_image_are_used() -> None:
    argv = argv_of(guest(machine="pc-i440fx-6.2", cpu="host"))
    assert values(argv, "-machine")[0].startswith("pc-i440fx-6.2,")
    assert values(argv, "-cpu") == ["host"]


@pytest.mark.parametrize(("accelerator", "cpu"), [("tcg", "max,la57=off"), ("kvm", "host"), ("hvf", "host")])
def test_cpu_follows_the_accelerator(accelerator: str, cpu: str) -> None:
    assert values(argv_of(guest(), dataclasses.replace(FACTS, accelerator=accelerator)), "-cpu") == [cpu]


def test_disk_names_its_format_over_a_named_file() -> None:
    (text,) = values(argv_of(guest(disk(0, path=Path('/images/a "b", c.qcow2')))), "-blockdev")
    assert json.loads(text) == {
        "driver": "qcow2",
        "node-name": "disk0-0",
        "read-only": False,
        "discard": "unmap",
        "detect-zeroes": "unmap",
        "file": {
            "driver": "file",
            "node-name": "disk0-0-file",
            "filename": '/images/a "b", c.qcow2',
            "discard": "unmap",
        },
    }


def test_overlay_leaves_its_backing_file_to_the_switch() -> None:
    assert image_node("n", Path("/o"), "qcow2", read_only=False, overlay=True)["backing"] is None
    assert "backing" not in image_node("n", Path("/o"), "qcow2", read_only=False)


def test_cd_is_read_only_whatever_the_spec_says() -> None:
    drive = dataclasses.replace(cd(3, Path("/iso")), read_only=False)
    argv = argv_of(guest(drive))
    node = json.loads(values(argv, "-blockdev")[0])
    assert node["read-only"] is True
    assert node["file"]["read-only"] is True
    assert "werror" not in device(argv, "cd3")


def test_empty_cd_drive_has_no_image() -> None:
    argv = argv_of(guest(cd(3)))
    assert values(argv, "-blockdev") == []
    assert device(argv, "cd3") == {"driver": "ide-cd", "bus": "ide.1", "unit": "1", "id": "cd3", "bootindex": "1"}


def test_writable_disk_stops_the_guest_when_the_host_is_full() -> None:
    assert device(argv_of(guest(disk(0))), "disk0")["werror"] == "stop"


@pytest.mark.parametrize(
    ("bus", "driver", "place"),
    [
        ("virtio", "virtio-blk-pci", ("addr", "0x12")),
        ("ide", "ide-hd", ("bus", "ide.1")),
        ("sata", "ide-hd", ("bus", "sata0.2")),
    ],
)
def test_buses(bus: DiskBus, driver: str, place: tuple[str, str]) -> None:
    found = device(argv_of(guest(disk(2, bus=bus))), "disk2")
    assert found["driver"] == driver
    assert found[place[0]] == place[1]


def test_a_disk_keeps_its_place_when_another_one_goes() -> None:
    both = device(argv_of(guest(disk(0), disk(1), disk(2))), "disk2")
    alone = device(argv_of(guest(disk(0), disk(2))), "disk2")
    assert both["addr"] == alone["addr"]


def test_all_places_are_different() -> None:
    nics = tuple(NicSpec(f"nic{number}", f"52:54:00:00:00:{number:02x}") for number in range(8))
    spec = guest(*(disk(number) for number in range(16)), cd(3), disk(20, bus="sata"), nics=nics)
    addresses = [
        part for value in values(argv_of(spec), "-device") for part in value.split(",") if part.startswith("addr=")
    ]
    assert len(addresses) == len(set(addresses)) == 16 + 8 + 4


def test_a_clash_of_numbers_is_settled() -> None:
    argv = argv_of(guest(disk(0), disk(0, device="data0"), disk(0, device="plain")))
    assert [device(argv, name)["addr"] for name in ("disk0", "data0", "plain")] == ["0x10", "0x11", "0x12"]


def test_boot_order() -> None:
    nic = NicSpec("nic0", "52:54:00:00:00:01")
    argv = argv_of(guest(disk(0), disk(1, boot_index=0), cd(3), nics=(nic,), boot_order="dcn"))
    order = {name: device(argv, name)["bootindex"] for name in ("cd3", "disk1", "disk0", "nic0")}
    assert order == {"cd3": "1", "disk1": "2", "disk0": "3", "nic0": "4"}


def test_what_is_not_in_the_boot_order_is_not_booted() -> None:
    argv = argv_of(guest(disk(0), cd(3), boot_order="d"))
    assert "bootindex" not in device(argv, "disk0")
    assert device(argv, "cd3")["bootindex"] == "1"


def test_a_name_stays_one_value() -> None:
    argv = argv_of(guest(name="a,process=evil"))
    assert values(argv, "-name") == ["guest=a,,process=evil,debug-threads=on"]
    assert values(argv, "-vnc")[0].startswith("unix:/run/with,, comma/vnc,")


NIC = NicSpec("nic0", "52:54:00:00:00:01")


@pytest.mark.parametrize(
    "spec",
    [
        guest(uuid="not-a-uuid"),
        guest(memory=0),
        guest(memory=(1 << 20) + 1),
        guest(memory=-(1 << 20)),
        guest(vcpus=0),
        guest(vcpus=1000),
        guest(boot_order="cx"),
        guest(machine="pc -monitor stdio"),
        guest(cpu=""),
        guest(disk(0, device="disk0,serial=x")),
        guest(disk(0, device="0disk")),
        guest(disk(0, device="a-very-long-device-name")),
        guest(disk(0), disk(0)),
        guest(disk(0, path=None)),
        guest(nics=(dataclasses.replace(NIC, mac="52:54:00"),)),
        guest(nics=(dataclasses.replace(NIC, model="e1000 -x"),)),
        guest(nics=(dataclasses.replace(NIC, model=""),)),
        guest(nics=(dataclasses.replace(NIC, model="e1000,romfile=/etc/passwd"),)),
    ],
)
def test_impossible_specs_are_refused(spec: GuestSpec) -> None:
    with pytest.raises(DriverError) as caught:
        check(spec)
    assert caught.value.cause == "unsupported"


@pytest.mark.parametrize(
    "spec",
    [
        guest(*(disk(number) for number in range(17))),
        guest(*(disk(number, bus="ide") for number in range(5))),
        guest(cd(3, bus="virtio")),
    ],
)
def test_what_does_not_fit_is_refused(spec: GuestSpec) -> None:
    with pytest.raises(DriverError) as caught:
        argv_of(spec)
    assert caught.value.cause == "unsupported"
