"""Logging: structlog over the standard library, with the running task in every line and no secret in any.

A module takes its logger once, `log = get(__name__)`, and writes events with named values:
`log.info("overlay written", vdi=uuid)`. Until `setup` is called, nothing is written to a file.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import cast

from app.config import Config
from app.unwanted import unwanted

# For colours that we do not use, structlog loads rich: half as much again as everything else that logging needs.
with unwanted("rich"):
    import structlog
    from structlog.types import EventDict, Processor, WrappedLogger

MAX_FILE_BYTES = 5 * 1024 * 1024
KEPT_FILES = 5
CONCEALED = "[concealed]"

_SECRET_WORDS = r"password|passwd|passphrase|secret|session_id|session_ref|authorization|cookie|private_key"
_SECRET_KEY = re.compile(rf"(?:^|_)(?:{_SECRET_WORDS}|session)$", re.IGNORECASE)
_SECRET_IN_TEXT = re.compile(
    rf"""(?P<key>\b\w*(?:{_SECRET_WORDS})["']?\s*[=:]\s*)(?:Basic\s|Bearer\s)?(?:"[^"]*"|'[^']*'|[^\s&,;)}}\]]+)""",
    re.IGNORECASE,
)
_SECRET_IN_URL = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)[^\s/@]*:[^\s/@]*@", re.IGNORECASE)

_handlers: list[logging.Handler] = []
_secrets: frozenset[str] = frozenset()


class _PrivateFile(logging.handlers.RotatingFileHandler):
    """A rotating log file that only its owner can read, from its first byte."""

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return cast(TextIOWrapper, os.fdopen(descriptor, self.mode, encoding=self.encoding, errors="backslashreplace"))


def get(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of that name; call it with the module's `__name__`."""
    return structlog.stdlib.get_logger(name)


def setup(config: Config, debug: bool = False, file_name: str = "stillframe.log") -> Path:
    """Start logging to `config.logs_dir / file_name` and to stderr, and return the file's path.

    The file holds everything from INFO on and is rotated at 5 MiB, five old files kept. stderr shows warnings and
    errors. With `debug`, both show everything. Calling it again replaces the earlier set-up. Two processes must not
    share a file name: rotation by one would lose lines of the other.

    :raise OSError: the file cannot be written.
    """
    path = config.logs_dir / file_name
    to_file = _PrivateFile(path, maxBytes=MAX_FILE_BYTES, backupCount=KEPT_FILES, encoding="utf-8")
    to_console = logging.StreamHandler(sys.stderr)
    to_file.setLevel(logging.DEBUG if debug else logging.INFO)
    to_console.setLevel(logging.DEBUG if debug else logging.WARNING)
    shutdown()
    root = logging.getLogger()
    root.setLevel(logging.DEBUG if debug else logging.INFO)
    for handler in (to_file, to_console):
        handler.setFormatter(_formatter())
        root.addHandler(handler)
        _handlers.append(handler)
    return path


def shutdown() -> None:
    """Stop logging and close the file. Harmless when nothing was set up."""
    while _handlers:
        handler = _handlers.pop()
        logging.getLogger().removeHandler(handler)
        handler.close()


@contextmanager
def task_context(ref: str, name: str) -> Iterator[None]:
    """Within the block, every line of this coroutine and of those it starts names the task."""
    with structlog.contextvars.bound_contextvars(task=ref, task_name=name):
        yield


def conceal(secret: str) -> None:
    """Never write this text to a log again: a password, or the ref of a session (which opens every door)."""
    global _secrets
    if secret:
        _secrets |= {secret}


def stop_concealing(secret: str) -> None:
    """Forget a text given to `conceal`, once it no longer opens anything."""
    global _secrets
    _secrets -= {secret}


def _formatter() -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_COMMON,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _render],
    )


def _redact_values(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: CONCEALED if _SECRET_KEY.search(key) else _redacted(value) for key, value in event.items()}


def _redacted(value: object) -> object:
    if isinstance(value, Mapping):
        return {k: CONCEALED if _SECRET_KEY.search(str(k)) else _redacted(v) for k, v in value.items()}
    if type(value) in (list, tuple):
        return [_redacted(item) for item in cast("list[object]", value)]
    return value


def _render(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """One event as text: `time level logger [task] what happened key=value`, a traceback on the lines after it."""
    trace = str(event.pop("exception", ""))
    parts = [str(event.pop("timestamp", "")), f"{event.pop('level', '')!s:<8}", str(event.pop("logger", ""))]
    if task := event.pop("task", None):
        parts.append(f"[{_text(task)} {_text(event.pop('task_name', ''))}]")
    parts.append(_one_line(str(event.pop("event", ""))))
    parts += [f"{key}={_text(value)}" for key, value in event.items() if not key.startswith("_")]
    line = " ".join(parts) + ("\n" + trace if trace else "")
    return _redact_text(line)


def _redact_text(text: str) -> str:
    for secret in _secrets:
        text = text.replace(secret, CONCEALED)
    text = _SECRET_IN_TEXT.sub(rf"\g<key>{CONCEALED}", text)
    return _SECRET_IN_URL.sub(rf"\g<scheme>{CONCEALED}@", text)


def _text(value: object) -> str:
    plain = value if isinstance(value, str) else repr(value)
    return repr(plain) if not plain or re.search(r"\s", plain) else _one_line(plain)


def _one_line(text: str) -> str:
    """A name typed by someone must not be able to forge a line of its own."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


_COMMON: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    _redact_values,
]

# At import, so that a module used without `setup` (a test, a script) logs through the standard library and does not
# print to stdout, which is structlog's default.
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        *_COMMON,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    wrapper_class=structlog.stdlib.BoundLogger,
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
