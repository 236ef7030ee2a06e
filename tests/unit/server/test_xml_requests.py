"""XML-RPC requests as clients write them, and as attackers do."""

from __future__ import annotations

from typing import Any

import pytest

from app.server.desk import NoRequest
from app.server.xml_requests import DEEPEST, parse


def call(value: str) -> str:
    return f"<methodCall><methodName>m</methodName><params><param>{value}</param></params></methodCall>"


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("<value>plain</value>", "plain"),
        ("<value></value>", ""),
        ("<value/>", ""),
        ("<value><string>a &lt;b&gt; &#13;</string></value>", "a <b> \r"),
        ("<value><string><![CDATA[<x>]]></string></value>", "<x>"),
        ("<value> spaces </value>", " spaces "),
        ("<value><int>-5</int></value>", -5),
        ("<value><i4> 7 </i4></value>", 7),
        ("<value><int>x</int></value>", "x"),
        ("<value><boolean>1</boolean></value>", True),
        ("<value><double>1.5</double></value>", 1.5),
        ("<value><nil/></value>", None),
        ("<value><dateTime.iso8601>20260102T03:04:05Z</dateTime.iso8601></value>", "20260102T03:04:05Z"),
        ("<value><array><data/></array></value>", []),
        ("<value><array><data><value>a</value><value><int>1</int></value></data></array></value>", ["a", 1]),
        ("<value><struct><member><name>k</name><value>v</value></member></struct></value>", {"k": "v"}),
        ("<value><string>a<!-- no --><?no no?>b</string></value>", "ab"),
        ("<value>快照</value>", "快照"),
    ],
)
def test_values(value: str, read: Any) -> None:
    assert parse(call(value).encode()) == ("m", [read])


def test_calls() -> None:
    assert parse(b"<methodCall><methodName> m.n\n</methodName></methodCall>") == ("m.n", [])
    assert parse(call("<value>é</value>").encode("utf-16")) == ("m", ["é"])


LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 30))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "text",
        "<a/>",
        "<methodCall/>",
        "<methodCall><params/></methodCall>",
        call(""),
        call("<value><nosuch/></value>"),
        call("<value><boolean>true</boolean></value>"),
        call("<value><double>nan</double></value>"),
        call("<value><double>many</double></value>"),
        call("<value><struct><member><name>k</name></member></struct></value>"),
        call("<value><array><data>" * (DEEPEST + 2) + "</data></array></value>" * (DEEPEST + 2)),
        call("<value><array><data>" * 100_000),
        f"<!DOCTYPE x>{call('<value/>')}",
        f'<!DOCTYPE x [<!ENTITY a0 "ha">{LAUGHS}]>{call("<value>&a29;</value>")}',
        f'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>{call("<value>&f;</value>")}',
        f'<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd">{call("<value/>")}',
        f'<!DOCTYPE x [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]>{call("<value/>")}',
        call("<value>&undefined;</value>"),
        call('<value xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="file:///etc/passwd"/></value>'),
        call("<value>\x01</value>"),
    ],
)
def test_what_is_no_request(body: str) -> None:
    for encoding in ("utf-8", "utf-16"):
        with pytest.raises(NoRequest) as caught:
            parse(body.encode(encoding))
        assert "root:" not in str(caught.value) and len(str(caught.value)) < 100
    with pytest.raises(NoRequest):
        parse(b"\xff\xfe\x00" + body.encode())
