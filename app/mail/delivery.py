"""Delivery of one message by SMTP, with the reason in a sentence when it fails. Blocks for some seconds at most."""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Final

from app.mail.settings import MailSettings

SECONDS: Final = 10.0
"""For each step: connecting, and every answer of the server."""
_LONGEST_ANSWER: Final = 300


class MailError(Exception):
    """The message was not sent; the text is a sentence."""


def send(settings: MailSettings, password: str, message: EmailMessage) -> tuple[str, ...]:
    """Send to all recipients; answer those that the server refused while it took others.

    :raise MailError: nobody got it.
    """
    with _in_words(settings), _connected(settings) as smtp:
        if settings.user:
            smtp.login(settings.user, password)
        return tuple(smtp.send_message(message, settings.sender, list(settings.to)))


@contextmanager
def _connected(settings: MailSettings) -> Iterator[smtplib.SMTP]:
    context = ssl.create_default_context()
    if settings.security == "tls":
        with smtplib.SMTP_SSL(settings.server, settings.port, timeout=SECONDS, context=context) as smtp:
            yield smtp
        return
    with smtplib.SMTP(settings.server, settings.port, timeout=SECONDS) as smtp:
        if settings.security == "starttls":
            smtp.starttls(context=context)
        yield smtp


@contextmanager
def _in_words(settings: MailSettings) -> Iterator[None]:
    where = f"{settings.server}, port {settings.port}"
    try:
        yield
    except smtplib.SMTPAuthenticationError as error:
        raise MailError(f"The server refused the user name or the password: {_answer(error)}") from error
    except smtplib.SMTPRecipientsRefused as error:
        refused = next(iter(error.recipients.values()), (0, b""))
        raise MailError(f"The server refused the recipients: {_text(refused[1])}") from error
    except smtplib.SMTPNotSupportedError as error:
        wanted = "a login" if settings.user and "AUTH" in str(error) else "STARTTLS"
        raise MailError(f"The server at {where} does not offer {wanted}.") from error
    except smtplib.SMTPResponseException as error:
        raise MailError(f"The server refused: {_answer(error)}") from error
    except smtplib.SMTPServerDisconnected as error:
        if "timed out" in str(error):  # smtplib tells it so while it waits for an answer
            raise MailError(f"The server at {where} did not answer in time.") from error
        raise MailError(f"The server at {where} ended the connection. Does it expect TLS from the start?") from error
    except ssl.SSLCertVerificationError as error:
        raise MailError(f"The certificate of {settings.server} is not valid: {error.verify_message}.") from error
    except ssl.SSLError as error:
        raise MailError(f"No TLS connection could be made to {where}; the server may expect STARTTLS.") from error
    except socket.gaierror as error:
        raise MailError(f"There is no server called {settings.server}, or names cannot be looked up now.") from error
    except TimeoutError as error:
        raise MailError(f"The server at {where} did not answer in time.") from error
    except (OSError, smtplib.SMTPException) as error:
        raise MailError(f"The server at {where} cannot be reached: {error}") from error


def _answer(error: smtplib.SMTPResponseException) -> str:
    return f"{_text(error.smtp_error)} ({error.smtp_code})"


def _text(said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_LONGEST_ANSWER]
