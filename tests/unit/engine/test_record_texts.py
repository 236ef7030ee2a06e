"""Texts of records are made once, kept within limits, and never taken for another record's."""

from __future__ import annotations

import msgspec
import pytest

from app.api import VM
from app.engine import record_texts
from app.engine.record_texts import RecordTexts


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
