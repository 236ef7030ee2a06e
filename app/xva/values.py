"""XML-RPC values, as `ova.xml` is one: written, and read without trust.

The format is that of xmlrpc.com/spec.md. Integers are text in XenServer's, as everywhere in its records.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from enum import Enum
from html import escape
from typing import Any, Final

from lxml import etree

from app.xva.refusals import not_understood

DATE_FORM: Final = "%Y%m%dT%H:%M:%SZ"
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, not even escaped (section 2.2)."""
_FORBIDDEN: Final = (b"<!DOCTYPE", b"<!ENTITY", b"\0")


def written(value: Any) -> str:
    """A value as `<value>…</value>`."""
    return f"<value>{_inner(value)}</value>"


def _inner(value: Any) -> str:
    if isinstance(value, bool):
        return f"<boolean>{int(value)}</boolean>"
    if isinstance(value, float):
        return f"<double>{value:.17g}</double>"
    if isinstance(value, datetime):
        utc = value.astimezone(UTC)  # %Y has no zeros before a year of fewer than four digits, and is not read then
        return f"<dateTime.iso8601>{utc.year:04}{utc:%m%dT%H:%M:%SZ}</dateTime.iso8601>"
    if isinstance(value, Mapping):
        members = (f"<member><name>{_text(key)}</name>{written(item)}</member>" for key, item in value.items())
        return f"<struct>{''.join(members)}</struct>"
    if isinstance(value, str | int):
        return _text(value)
    items = sorted(value) if isinstance(value, AbstractSet) else value
    return f"<array><data>{''.join(written(item) for item in items)}</data></array>"


def _text(value: object) -> str:
    text = str(value.value) if isinstance(value, Enum) else str(value)
    # Who reads XML takes a bare carriage return for a new line (section 2.11).
    return escape(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text), quote=False).replace("\r", "&#13;")


def read(document: bytes) -> Any:
    """The value in an XML document: text, bool, float, datetime, list or dict.

    No document type, no entities, nothing fetched. Integers become text, as XenServer writes them.

    :raise Failure: IMPORT_ERROR_GENERIC.
    """
    upper = document.upper()
    if any(word in upper for word in _FORBIDDEN):
        raise not_understood("The description in the archive has a document type or entities, which it must not have.")
    try:
        return _value(etree.fromstring(document, _parser()))
    except (etree.XMLSyntaxError, ValueError, IndexError, RecursionError) as error:
        raise not_understood(f"The description in the archive cannot be read: {error}.") from error


def _parser() -> etree.XMLParser:
    # The encoding is said here, so that a document cannot hide words from the look above by another one.
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


def _value(element: etree._Element) -> Any:
    if element.tag != "value":
        raise ValueError(f"<{element.tag}> in place of <value>")
    if len(element) == 0:
        return element.text or ""
    if len(element) > 1:
        raise ValueError("a value has several types")
    typed = element[0]
    text = typed.text or ""
    match typed.tag:
        case "string" | "i4" | "i8" | "int":
            return text
        case "boolean":
            return _boolean(text)
        case "double":
            return float(text)
        case "dateTime.iso8601":
            return _date(text)
        case "array":
            return [_value(item) for item in typed[0]]
        case "struct":
            return {_name(member): _value(member[1]) for member in typed}
        case "nil":
            return ""
    raise ValueError(f"a value of the type <{typed.tag}>")


def _boolean(text: str) -> bool:
    if text.strip() not in ("0", "1"):
        raise ValueError(f"{text!r} is no boolean")
    return text.strip() == "1"


def _date(text: str) -> datetime:
    for form in (DATE_FORM, "%Y%m%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"):
        try:
            return datetime.strptime(text.strip(), form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise ValueError(f"{text!r} is no date")


def _name(member: etree._Element) -> str:
    if member.tag != "member" or len(member) != 2 or member[0].tag != "name":
        raise ValueError("a struct has something else than members")
    return member[0].text or ""
