"""Texts of records are made once, kept within limits, and never taken for another record's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from app.api import EPOCH, VM, Event, EventBatch, EventOperation
from app.api.wire import plain
from app.engine import record_texts, xml_values
from app.engine.record_texts import RecordTexts
from app.engine.xml_values import xml_pieces, xml_value
from app.server import json_values
from app.server.json_values import encoded


def test_a_record_is_written_once() -> None:
    written: list[str] = []

    def write(record: msgspec.Struct) -> str:
        assert isinstance(record, VM)
        written.append(record.name_label)
        return f"<{record.name_label}>"

    texts = RecordTexts(write)
    one = VM(name_label="one", other_config={"no": "hash"})
    assert [texts(one), texts(one), texts(msgspec.structs.replace(one, name_label="two"))] == [
        "<one>",
        "<one>",
        "<two>",
    ]
    assert written == ["one", "two"]
    # Equal, but another object: it is written again rather than compared.
    assert texts(msgspec.structs.replace(one)) == "<one>"


def test_what_is_kept_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_texts, "MOST", 100)
    texts = RecordTexts(lambda record: f"{getattr(record, 'name_label', ''):>30}")
    records = [VM(name_label=str(number)) for number in range(50)]
    for record in records * 2:
        assert texts(record).strip() == record.name_label
        assert len(texts._known) <= 4


def many(number: int) -> list[Any]:
    """Results of several kinds with so many parts."""
    records = {f"OpaqueRef:{n}": VM(name_label=f"<{n}>", snapshot_time=EPOCH + timedelta(n)) for n in range(number)}
    events = tuple(
        Event(id=str(n), timestamp="0.0", cls="VM", operation=EventOperation.add, ref=ref, snapshot=record)
        for n, (ref, record) in enumerate(records.items())
    )
    gone = Event(id="9", timestamp="0.0", cls="VM", operation=EventOperation.delete, ref="OpaqueRef:gone")
    batch = EventBatch(events=(*events, gone), valid_ref_counts={"vm": number}, token="1,0")
    return [records, batch, {str(n): "text" for n in range(number)}, [str(n) for n in range(number)]]


@pytest.mark.parametrize("number", [0, 1, 2, 3, 7])
def test_pieces_make_the_whole(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for result in many(number):
        whole, as_json = xml_value(result), encoded(result)
        monkeypatch.setattr(xml_values, "AT_ONCE", 2)
        monkeypatch.setattr(json_values, "AT_ONCE", 2)
        pieces = list(xml_pieces(result))
        assert "".join(pieces) == whole
        assert len(pieces) > 1 or number < 3 or isinstance(result, list)
        assert encoded(result) == as_json
        assert msgspec.json.decode(as_json) == plain(result)
        monkeypatch.undo()
