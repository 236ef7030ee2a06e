"""The expressions of get_all_records_where: `field "name__label" = "web" and not field "is_a_template" = "true"`.

XenServer takes the names of its database (two underscores for each part), and values as text; the record's own names
are taken, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from app.api.failure import invalid_value
from app.api.types import Record, XenClass
from app.api.wire import plain

Test = Callable[[Record], bool]

_TOKEN: Final = re.compile(r"""\s*(?:(?P<text>"[^"]*"|'[^']*')|(?P<word>[A-Za-z_]+)|(?P<mark>[()=]))""")
_LONGEST: Final = 4096
_DEEPEST: Final = 32


def parse_where(declared: XenClass[Any], expression: str) -> Test:
    """What tells whether a record fulfils the expression. :raise Failure: INVALID_VALUE[expression, what is wrong]."""
    parser = _Parser(declared, expression)
    test = parser.either()
    if parser.next() is not None:
        raise parser.wrong("more than one expression")
    return test


class _Parser:
    def __init__(self, declared: XenClass[Any], expression: str) -> None:
        self._declared = declared
        self._expression = expression
        self._depth = 0
        self._tokens = self._split(expression)

    def wrong(self, why: str) -> Exception:
        return invalid_value(self._expression[:_LONGEST], why)

    def next(self) -> str | None:
        return self._tokens[0] if self._tokens else None

    def either(self) -> Test:
        tests = [self._both()]
        while self._skip("or"):
            tests.append(self._both())
        return lambda record: any(test(record) for test in tests)

    def _both(self) -> Test:
        tests = [self._single()]
        while self._skip("and"):
            tests.append(self._single())
        return lambda record: all(test(record) for test in tests)

    def _single(self) -> Test:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self.wrong("nested too deeply")
        try:
            if self._skip("not"):
                inner = self._single()
                return lambda record: not inner(record)
            if self._skip("("):
                inner = self.either()
                self._need(")")
                return inner
            if self.next() in ("true", "false"):
                holds = self._take() == "true"
                return lambda _record: holds
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Test:
        left = self._operand()
        self._need("=")
        right = self._operand()
        return lambda record: left(record) == right(record)

    def _operand(self) -> Callable[[Record], str]:
        if self._skip("field"):
            name = self._text().replace("__", "_")
            if name not in self._declared.by_name:
                raise self.wrong(f"no field {name}")
            return lambda record: _as_text(getattr(record, name))
        value = self._text()
        return lambda _record: value

    def _text(self) -> str:
        token = self._take()
        if token[:1] not in ("'", '"'):
            raise self.wrong(f"a text in quotes is wanted, not {token or 'the end'}")
        return token[1:-1]

    def _need(self, mark: str) -> None:
        if not self._skip(mark):
            raise self.wrong(f"{mark} is wanted, not {self.next() or 'the end'}")

    def _skip(self, word: str) -> bool:
        if self.next() != word:
            return False
        self._take()
        return True

    def _take(self) -> str:
        return self._tokens.pop(0) if self._tokens else ""

    def _split(self, expression: str) -> list[str]:
        if len(expression) > _LONGEST:
            raise self.wrong("too long")
        found, at = [], 0
        while at < len(expression.rstrip()):
            match = _TOKEN.match(expression, at)
            if match is None:
                raise self.wrong(f"unexpected {expression[at]} at {at + 1}")
            found.append(match["text"] or match["word"] or match["mark"])
            at = match.end()
        return found


def _as_text(value: Any) -> str:
    """A field as XenServer's database holds it; sets and maps cannot be compared sensibly."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(plain(value))
