"""What changes in an .xva on its way in, and what must not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from app.xva import values
from app.xva.reader import Reader
from app.xva.rewriting import Changes, changed, rewritten
from tests.unit.xva.making import file, whole

LAN = Changes("other", {"LAN": ("Here", "xenbr7")})


def document(**network: Any) -> bytes:
    objects = [
        {"class": "VM", "id": "Ref:0", "snapshot": {"name_label": "made", "is_a_snapshot": False}},
        {"class": "VM", "id": "Ref:1", "snapshot": {"name_label": "snap", "is_a_snapshot": True}},
        {"class": "network", "id": "Ref:2", "snapshot": {"bridge": "xenbr0", **network}},
    ]
    return values.written({"version": {"export_vsn": "2"}, "objects": objects}).encode()


def fields(written: bytes) -> list[dict[str, Any]]:
    return [entry["snapshot"] for entry in values.read(written)["objects"]]


def test_the_vm_and_its_networks_get_their_new_names() -> None:
    vm, snap, network = fields(changed(document(name_label="LAN"), LAN))
    assert (vm["name_label"], snap["name_label"]) == ("other", "snap")
    assert network == {"name_label": "Here", "bridge": "xenbr7"}
    vm, _, network = fields(changed(document(name_label="WAN"), Changes("", LAN.networks)))
    assert (vm["name_label"], network) == ("made", {"name_label": "WAN", "bridge": "xenbr0"})


def test_a_network_whose_name_is_no_text_is_left_alone() -> None:
    for name in (["LAN"], {"LAN": "LAN"}, True):
        assert fields(changed(document(name_label=name), LAN))[2]["name_label"] == name


def test_all_else_stays_as_it_was() -> None:
    odd = {"long_ago": datetime(33, 4, 3, tzinfo=UTC), "lines": "a\r\nb\rc\nd", "rate": 0.1, "none": "", "set": []}
    assert fields(changed(document(**odd), Changes("other")))[2] == {"bridge": "xenbr0", **odd}


def test_the_disks_pass_as_they_are() -> None:
    data = bytes(range(256)) * 5
    stream = b"".join(rewritten(file(whole({"Ref:1": data})), Changes("other")))
    reader = Reader(file(stream))
    assert fields(reader.ova())[0]["name_label"] == "other"
    assert [bytes(block.data) for block in reader.blocks({"Ref:1": len(data)})] == [data]
