"""XML-RPC as XenServer speaks it: whole numbers are text, void is an empty value, answers are in an envelope."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from enum import Enum
from html import escape
from typing import Any, Final
from xml.etree import ElementTree

import msgspec

from app.api.failure import type_error
from app.api.wire import DATE_FORM

_PIECE: Final = 1 << 18
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, not even escaped (section 2.2)."""


def call(method: str, params: Sequence[Any]) -> bytes:
    """A message as the body of a request. :raise Failure: FIELD_TYPE_ERROR: text that XML cannot hold."""
    values = "".join(f"<param><value>{_inner(param)}</value></param>" for param in params)
    head = f'<?xml version="1.0"?><methodCall><methodName>{_text(method)}</methodName>'
    return f"{head}<params>{values}</params></methodCall>".encode()


def _inner(value: Any) -> str:
    if value is None:
        return "<string></string>"
    if isinstance(value, bool):
        return f"<boolean>{int(value)}</boolean>"
    if isinstance(value, float):
        return f"<double>{value!r}</double>"
    if isinstance(value, str):
        return f"<string>{_text(value.value if isinstance(value, Enum) else value)}</string>"
    if isinstance(value, int):
        return f"<string>{value}</string>"
    if isinstance(value, datetime):
        return f"<dateTime.iso8601>{value.astimezone(UTC).strftime(DATE_FORM)}</dateTime.iso8601>"
    if isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    if isinstance(value, Mapping):
        return f"<struct>{''.join(_member(key, item) for key, item in value.items())}</struct>"
    items = sorted(value) if isinstance(value, AbstractSet) else value
    return f"<array><data>{''.join(f'<value>{_inner(item)}</value>' for item in items)}</data></array>"


def _member(key: Any, value: Any) -> str:
    return f"<member><name>{_text(str(key))}</name><value>{_inner(value)}</value></member>"


def _text(text: str) -> str:
    if _NOT_XML.search(text):
        raise type_error("text that XML cannot hold")
    # A bare carriage return would arrive as a line feed (section 2.11).
    return escape(text, quote=False).replace("\r", "&#13;")


def reply(body: bytes) -> Any:
    """The value in an answer, numbers as text and dates as they are.

    A fault, which XenServer does not use, is answered as its envelope of a failure.

    :raise ValueError: it is no answer.
    """
    if b"<!DOCTYPE" in body:
        raise ValueError("an answer has no document type")  # nor entities, which could be endless
    try:
        parser = ElementTree.XMLParser(encoding="utf-8")
        for start in range(0, len(body), _PIECE):
            parser.feed(body[start : start + _PIECE])  # other threads have their turn between two pieces
        root = parser.close()
        if root.tag != "methodResponse":
            raise ValueError("no methodResponse")
        if root[0].tag == "fault":
            fault = _value(root[0][0])
            return {"Status": "Failure", "ErrorDescription": ["INTERNAL_ERROR", str(fault.get("faultString"))]}
        return _value(root[0][0][0])
    except (ElementTree.ParseError, IndexError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"no XML-RPC: {error}") from error


def _value(node: ElementTree.Element) -> Any:
    if len(node) == 0:
        return node.text or ""
    return _READERS[node[0].tag](node[0])


def _struct(node: ElementTree.Element) -> dict[str, Any]:
    return {member[0].text or "": _value(member[1]) for member in node}


def _array(node: ElementTree.Element) -> list[Any]:
    return [_value(item) for item in node[0]]


def _string(node: ElementTree.Element) -> str:
    return node.text or ""


def _integer(node: ElementTree.Element) -> int:
    return int(node.text or "0")


_READERS: Final[Mapping[str, Callable[[ElementTree.Element], Any]]] = {
    "struct": _struct,
    "array": _array,
    "string": _string,
    "dateTime.iso8601": _string,
    "base64": _string,
    "int": _integer,
    "i4": _integer,
    "i8": _integer,
    "boolean": lambda node: (node.text or "").strip() == "1",
    "double": lambda node: float(node.text or "0"),
    "nil": lambda _node: None,
}
