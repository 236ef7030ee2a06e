"""The two languages in which XenServer takes messages. A call goes out as bytes and comes back as a plain value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from app.api import Failure
from app.api.wire import plain
from app.client import xml_rpc


class NotUnderstood(Exception):
    """The server's answer is not in the language; the text says why."""


class Dialect(Protocol):
    """One language. `path` and `content_type` are those of its requests."""

    path: str
    content_type: str

    def request(self, method: str, params: Sequence[Any]) -> bytes:
        """A call, the session being its first parameter. :raise Failure: FIELD_TYPE_ERROR: it cannot be said."""
        ...

    def result(self, body: bytes) -> Any:
        """The result in an answer. :raise Failure: the message's. :raise NotUnderstood:"""
        ...


class JsonRpc:
    """JSON-RPC 2.0; answers of 1.0 are understood."""

    path = "/jsonrpc"
    content_type = "application/json"

    def __init__(self) -> None:
        self._number = 0

    def request(self, method: str, params: Sequence[Any]) -> bytes:
        self._number += 1
        said = {"jsonrpc": "2.0", "method": method, "params": plain(list(params)), "id": self._number}
        return msgspec.json.encode(said)

    def result(self, body: bytes) -> Any:
        try:
            reply = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise NotUnderstood(f"no JSON: {error}") from error
        if not isinstance(reply, dict) or not ("result" in reply or "error" in reply):
            raise NotUnderstood("no JSON-RPC")
        said = reply.get("error")
        if said is None:
            return reply.get("result")
        if isinstance(said, dict):
            raise _failure([said.get("message"), *_params(said.get("data"))])
        raise _failure(said)


class XmlRpc:
    """XML-RPC, which every version speaks."""

    path = "/"
    content_type = "text/xml"

    def request(self, method: str, params: Sequence[Any]) -> bytes:
        return xml_rpc.call(method, params)

    def result(self, body: bytes) -> Any:
        try:
            reply = xml_rpc.reply(body)
        except ValueError as error:
            raise NotUnderstood(str(error)) from error
        if isinstance(reply, list):
            return reply  # system.listMethods has no envelope
        if not isinstance(reply, dict) or "Status" not in reply:
            raise NotUnderstood("no XenAPI answer")
        if reply["Status"] == "Success":
            return reply.get("Value", "")
        raise _failure(reply.get("ErrorDescription"))


def _params(data: Any) -> list[Any]:
    return data if isinstance(data, list) else []


def _failure(description: Any) -> Failure:
    if not isinstance(description, list) or not description or not isinstance(description[0], str):
        raise NotUnderstood("an error without a code")
    return Failure(*description)
