"""Results of tasks as XenAPI writes them: an XML-RPC value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from xml.sax.saxutils import escape

import msgspec

_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, not even escaped (section 2.2)."""


def xml_value(value: Any) -> str:
    """`<value>…</value>` of a result; nothing for None."""
    return f"<value>{_inner(value)}</value>"


def _inner(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return f"<boolean>{int(value)}</boolean>"
    if isinstance(value, float):
        return f"<double>{value}</double>"
    if isinstance(value, str | int):
        return _text(str(value))
    if isinstance(value, datetime):
        return f"<dateTime.iso8601>{value.astimezone(UTC):%Y%m%dT%H:%M:%SZ}</dateTime.iso8601>"
    if isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    if isinstance(value, Mapping):
        members = "".join(f"<member><name>{_text(str(k))}</name>{xml_value(v)}</member>" for k, v in value.items())
        return f"<struct>{members}</struct>"
    return f"<array><data>{''.join(xml_value(v) for v in value)}</data></array>"


def _text(text: str) -> str:
    return escape(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text))


def ref_in(result: str) -> str:
    """The reference or text inside a task's result; "" for none."""
    return result.removeprefix("<value>").removesuffix("</value>")
