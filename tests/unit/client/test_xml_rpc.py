"""XML-RPC: what we say is what a XenServer's own client library says, and what is said to us is understood."""

from __future__ import annotations

import xmlrpc.client
from datetime import UTC, datetime
from typing import Any

import pytest

from app.api import Failure, VMPowerState
from app.client import xml_rpc
from app.client.dialects import NotUnderstood, XmlRpc
from tests.support.recordings import body_of, exchanges


def test_values_of_every_kind_arrive() -> None:
    when = datetime(2026, 11, 26, 9, 30, tzinfo=UTC)
    params = [
        "OpaqueRef:session", "a <b> & 'c' \"d\" ünïcode 快照\r\n\t", 1 << 40, -1, True, False, 0.5, 30.0, when,
        VMPowerState.Halted, ["x", ("y",)], {"k": {"<": "v"}, "n": 5}, frozenset({"b", "a"}), None, [], {}, "",
    ]  # fmt: skip
    found, method = xmlrpc.client.loads(xml_rpc.call("VM.do", params), use_builtin_types=False)
    assert method == "VM.do"
    assert list(found) == [
        "OpaqueRef:session", "a <b> & 'c' \"d\" ünïcode 快照\r\n\t", str(1 << 40), "-1", True, False, 0.5, 30.0,
        xmlrpc.client.DateTime("20261126T09:30:00Z"), "Halted", ["x", ["y"]], {"k": {"<": "v"}, "n": "5"}, ["a", "b"],
        "", [], {}, "",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["\0", "a\x1b[31m", "\ud800", "\uffff"])
def test_what_xml_cannot_hold_is_refused_here(text: str) -> None:
    with pytest.raises(Failure, match="FIELD_TYPE_ERROR"):
        xml_rpc.call("VM.set_name_label", ["session", text])


def test_our_requests_are_those_that_were_recorded() -> None:
    """But for the type of whole numbers, which some clients leave out."""
    compared = 0
    for name, (request, _) in exchanges().items():
        if "-xmlrpc-" in name and b"</methodCall>" in request:
            params, method = xmlrpc.client.loads(body_of(request))
            said = xmlrpc.client.loads(xml_rpc.call(str(method), params))
            assert (as_text(said[0]), said[1]) == (as_text(params), method)
            compared += 1
    assert compared > 90


def as_text(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [as_text(item) for item in value]
    if isinstance(value, dict):
        return {key: as_text(item) for key, item in value.items()}
    return str(value) if type(value) is int else value


def test_every_recorded_answer_is_read_as_python_reads_it() -> None:
    compared = 0
    for name, (_, response) in exchanges().items():
        body = body_of(response)
        if "-xmlrpc-" in name and b"<methodResponse>" in body:
            (expected,), _ = xmlrpc.client.loads(body.decode())
            assert xml_rpc.reply(body) == dates_as_text(expected), name
            compared += 1
    assert compared > 100


def dates_as_text(value: Any) -> Any:
    if isinstance(value, xmlrpc.client.DateTime):
        return value.value
    if isinstance(value, list):
        return [dates_as_text(item) for item in value]
    if isinstance(value, dict):
        return {key: dates_as_text(item) for key, item in value.items()}
    return value


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    b"<methodResponse><params><param><value>&b;</value></param></params></methodResponse>"
)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<", b"<a/>", b"text", b"<methodResponse/>", b"<methodResponse><params/></methodResponse>", BOMB,
        BOMB.decode().encode("utf-16"), b"<methodResponse><params><param><value><odd/></value></param></params>",
        b"<methodResponse><params><param><value><odd/></value></param></params></methodResponse>",
        b"<methodResponse><params><param><value><int>x</int></value></param></params></methodResponse>",
        b"<methodResponse><params><param><value>plain</value></param></params></methodResponse>",
        b"<methodResponse><params><param>" + b"<value><array><data>" * 3000,
    ],
)  # fmt: skip
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(NotUnderstood):
        XmlRpc().result(body)


def test_a_fault_is_a_failure() -> None:
    body = xmlrpc.client.dumps(xmlrpc.client.Fault(1, "it broke"), methodresponse=True).encode()
    with pytest.raises(Failure) as caught:
        XmlRpc().result(body)
    assert caught.value.description() == ["INTERNAL_ERROR", "it broke"]


def test_types_of_other_servers() -> None:
    value = (
        "<struct><member><name>a</name><value><nil/></value></member><member><name>b</name><value><i8>5</i8></value>"
    )
    value += "</member><member><name>c</name><value><string>s</string></value></member></struct>"
    body = f"<methodResponse><params><param><value>{value}</value></param></params></methodResponse>"
    assert xml_rpc.reply(body.encode()) == {"a": None, "b": 5, "c": "s"}
