"""XML-RPC requests, read with care: nothing is fetched, nothing unfolds, nothing nests forever."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Final

from lxml import etree

from app.server.desk import NoRequest

DEEPEST: Final = 32
"""Values inside values. The deepest we know is a record in a list, 3."""
_NUMBER: Final = re.compile(r"\s*[+-]?[0-9]{1,19}\s*")


def parse(body: bytes) -> tuple[str, list[Any]]:
    """The method and its parameters: text, numbers, truth values, lists, maps and None. Dates stay text.

    :raise NoRequest: the body is not well-formed, has a document type, or is no XML-RPC request.
    """
    # With huge_tree off, libxml2 itself refuses deep nesting and very long texts.
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        place = getattr(error, "position", None)
        raise NoRequest(f"not well-formed XML{f' (line {place[0]}, column {place[1]})' if place else ''}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise NoRequest("a document type is not accepted")
    return _method_call(root)


def _method_call(root: Any) -> tuple[str, list[Any]]:
    name = root.findtext("methodName")
    if root.tag != "methodCall" or name is None:
        raise NoRequest("not an XML-RPC call")
    params = root.find("params")
    values = [] if params is None else [param.find("value") for param in params if param.tag == "param"]
    if any(value is None for value in values):
        raise NoRequest("a parameter without a value")
    return name.strip(), [_value(value, 0) for value in values]


def _value(element: Any, depth: int) -> Any:
    if depth > DEEPEST:
        raise NoRequest("values are nested too deeply")
    inner = next(iter(element), None)
    if inner is None:
        return element.text or ""
    text = inner.text or ""
    match inner.tag:
        case "string" | "dateTime.iso8601":
            return text
        case "int" | "i4" | "i8":
            return int(text) if _NUMBER.fullmatch(text) else text
        case "boolean":
            return _truth(text.strip())
        case "double":
            return _double(text)
        case "nil":
            return None
        case "array":
            data = inner.find("data")
            return [] if data is None else [_value(item, depth + 1) for item in data if item.tag == "value"]
        case "struct":
            return dict(_members(inner, depth))
    raise NoRequest("a value of unknown type")


def _members(struct: Any, depth: int) -> Sequence[tuple[str, Any]]:
    found = []
    for member in struct.iterchildren("member"):
        name, value = member.find("name"), member.find("value")
        if name is None or value is None:
            raise NoRequest("a member without name or value")
        found.append((name.text or "", _value(value, depth + 1)))
    return found


def _truth(text: str) -> bool:
    if text not in ("0", "1"):
        raise NoRequest("a boolean that is neither 0 nor 1")
    return text == "1"


def _double(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise NoRequest("a double that is no number") from None
    if not math.isfinite(value):
        raise NoRequest("a double that is no number")
    return value
