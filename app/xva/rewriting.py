"""Changing what an .xva says of its VM, while the stream goes by: its name, and the networks it joins."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from app.xva import ova, tar, values
from app.xva.compression import Readable
from app.xva.contents import vm_of
from app.xva.reader import OVA, Reader

_PIECE: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Changes:
    """What to change.

    :ivar name: the VM's new name; "" keeps it.
    :ivar networks: the name and bridge of a network here, by the name in the file.
    """

    name: str = ""
    networks: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.name or self.networks)


def rewritten(readable: Readable, changes: Changes) -> Iterator[bytes]:
    """The archive with these changes, not compressed any more. :raise Failure: it cannot be read as far as needed."""
    reader = Reader(readable)
    document = changed(reader.ova(), changes)
    yield tar.pack(OVA, len(document), int(time.time())) + document + bytes(tar.padding(len(document)))
    yield from reader.rest(_PIECE)


def changed(document: bytes, changes: Changes) -> bytes:
    """An `ova.xml` with these changes. :raise Failure: as `ova.parse`."""
    vm = vm_of(ova.parse(document))
    whole: Any = values.read(document)
    for entry in whole["objects"]:
        fields = entry["snapshot"]
        if entry["id"] == vm.id and changes.name:
            fields["name_label"] = changes.name
        name = fields.get("name_label")
        if entry["class"] == "network" and isinstance(name, str) and name in changes.networks:
            fields["name_label"], fields["bridge"] = changes.networks[name]
    return values.written(whole).encode()
