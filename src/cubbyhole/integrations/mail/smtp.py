"""Mail by SMTP (`RFC 5321`_): one connection for each mail, TLS with a checked certificate unless told otherwise.

The address of the server is ``smtp://user:password@host:587?starttls=required`` (the default: without TLS nothing is
sent), ``smtp://host:25?starttls=off`` for a relay that one trusts on the way to it, or ``smtps://user:password@host``
for TLS from the first byte. ``&ca=/path/to.pem`` names who is trusted instead of the machine's store.

.. _RFC 5321: https://www.rfc-editor.org/rfc/rfc5321
"""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from cubbyhole.server.notices.mail import Mail, MailNotSent

STEP_S: Final = 15.0  # for one answer of the server
ALL_S: Final = 60.0  # for one mail from the first byte to the last
PORTS: Final = {"smtp": 587, "smtps": 465}
_SAID_MOST = 200


class MailSettingsError(ValueError):
    """What was given cannot be used; the message says what would be."""


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """Where the mail server is. ``tls``: "starttls", "implicit" or "off"."""

    host: str
    port: int
    tls: str
    user: str = ""
    password: str = field(default="", repr=False)
    ca: Path | None = None

    @property
    def shown(self) -> str:
        """For people: without the password."""
        return f"{self.host}:{self.port} ({'no TLS' if self.tls == 'off' else self.tls})"


def parse_smtp(text: str) -> SmtpSettings:
    """Raises MailSettingsError; its message never shows the password."""
    example = "write it like smtp://user:password@mail.example.com:587?starttls=required or smtps://..."
    try:
        parts = urlsplit(text)
        port = parts.port
        options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query), max_num_fields=5))
    except ValueError:
        raise MailSettingsError(f"the address of the mail server cannot be read: {example}") from None
    if parts.scheme not in PORTS or not parts.hostname or parts.path not in ("", "/") or parts.fragment:
        raise MailSettingsError(f"the address of the mail server has another form: {example}")
    if unknown := options.keys() - {"starttls", "ca"}:
        raise MailSettingsError(f"the mail server's address knows starttls and ca, not {', '.join(sorted(unknown))}")
    starttls = options.get("starttls", "required")
    if starttls not in ("required", "off") or (parts.scheme == "smtps" and "starttls" in options):
        raise MailSettingsError("starttls is `required` or `off`, and only for smtp://; smtps:// has TLS anyway")
    tls = "implicit" if parts.scheme == "smtps" else "starttls" if starttls == "required" else "off"
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if user and tls == "off":
        raise MailSettingsError("a password does not go over a line without TLS: leave starttls=off or the user out")
    ca = Path(options["ca"]) if "ca" in options else None
    if ca is not None and not ca.is_file():
        raise MailSettingsError(f"there is no file {ca} with the certificates to trust")
    return SmtpSettings(parts.hostname, port or PORTS[parts.scheme], tls, user, password, ca)


def parse_sender(text: str) -> Address:
    """``Cubbyhole <lockers@example.com>`` or the address alone. Raises MailSettingsError."""
    name, bracket, rest = text.rpartition("<")
    address = rest.removesuffix(">").strip() if bracket else text.strip()
    local, at, domain = address.rpartition("@")
    try:
        if not at or not local or not domain or any(c.isspace() for c in address):
            raise ValueError
        return Address(name.strip().strip('"') or "Cubbyhole", username=local, domain=domain)
    except (ValueError, IndexError, MessageError):
        raise MailSettingsError(
            f"{text[:80]!r} cannot be a sender: write --mail-from 'Cubbyhole <lockers@example.com>'"
        ) from None


def make_transport(smtp: str, sender: str) -> SmtpTransport | None:
    """The transport for what was given on the command line; None where no mail server was. Raises MailSettingsError."""
    if not smtp:
        return None
    if not sender:
        raise MailSettingsError("mail needs a sender: give --mail-from 'Cubbyhole <lockers@example.com>'")
    return SmtpTransport(parse_smtp(smtp), parse_sender(sender))


class SmtpTransport:
    """`server.notices.mail.MailTransport` over SMTP."""

    def __init__(self, settings: SmtpSettings, sender: Address) -> None:
        """Raises MailSettingsError where certificates cannot be loaded."""
        self.settings, self._sender = settings, sender
        self._lock = threading.Lock()
        self._open: set[smtplib.SMTP] = set()
        try:
            self._tls = ssl.create_default_context(cafile=settings.ca)
        except (ssl.SSLError, OSError) as error:
            raise MailSettingsError(f"{settings.ca} cannot be read as certificates: {error}") from None

    def send(self, mail: Mail) -> None:
        """Raises MailNotSent. The server has taken it over when this returns."""
        if not mail.to.isascii():
            raise MailNotSent("an address with letters beyond ASCII cannot be written to", final=True)
        try:
            message = self._message(mail)
        except (ValueError, IndexError, MessageError) as error:
            raise MailNotSent(f"cannot be written as a mail: {error}", final=True) from None
        with self._session() as client:
            self._hand_over(client, mail.to, message)

    def break_off(self) -> None:
        with self._lock:
            for client in self._open:
                _cut(client)

    def _message(self, mail: Mail) -> EmailMessage:
        message = EmailMessage(policy=SMTP)
        message["From"] = self._sender
        message["To"] = Address(mail.name, addr_spec=mail.to)
        message["Subject"] = mail.drawn.subject
        message["Date"] = format_datetime(datetime.fromtimestamp(mail.made_ms / 1000, UTC))
        message["Message-ID"] = f"<{mail.key}.cubbyhole@{self._sender.domain}>"
        # No out-of-office answers, please.
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"
        message.set_content(mail.drawn.text)
        message.add_alternative(mail.drawn.html, subtype="html")
        return message

    @contextlib.contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        """A connection that is ready for a mail. What cannot be reached or is no safe line may be so tomorrow."""
        where = self.settings.shown
        client: smtplib.SMTP | None = None
        timer: threading.Timer | None = None
        try:
            client = self._connect()
            # Answers that come a byte at a time would outlast any limit on one step.
            timer = threading.Timer(ALL_S, _cut, [client])
            timer.daemon = True
            timer.start()
            with self._lock:
                self._open.add(client)
            self._secure(client)
            yield client
        except smtplib.SMTPAuthenticationError as error:
            raise MailNotSent(f"{where} does not accept the user or password: {_said(error)}") from None
        except smtplib.SMTPResponseException as error:
            raise MailNotSent(f"{where} refused: {_said(error)}") from None
        except ssl.SSLCertVerificationError as error:
            raise MailNotSent(
                f"{where}: its certificate is not to be trusted ({error.verify_message}); nothing was sent. "
                "Name who is trusted with ?ca=/path/to.pem, or use the name that the certificate is for"
            ) from None
        except (smtplib.SMTPException, OSError) as error:
            raise MailNotSent(f"{where} cannot be used: {str(error)[:_SAID_MOST] or type(error).__name__}") from None
        finally:
            if timer is not None:
                timer.cancel()
            if client is not None:
                with self._lock:
                    self._open.discard(client)
                client.close()

    def _connect(self) -> smtplib.SMTP:
        s = self.settings
        if s.tls == "implicit":
            return smtplib.SMTP_SSL(s.host, s.port, timeout=STEP_S, context=self._tls)
        return smtplib.SMTP(s.host, s.port, timeout=STEP_S)

    def _secure(self, client: smtplib.SMTP) -> None:
        client.ehlo_or_helo_if_needed()
        if self.settings.tls == "starttls":
            if not client.has_extn("starttls"):
                raise MailNotSent(
                    f"{self.settings.shown} offers no TLS, so nothing was sent. If the way to it is safe, say so with "
                    "?starttls=off"
                )
            client.starttls(context=self._tls)
            client.ehlo()
        if self.settings.user:
            client.login(self.settings.user, self.settings.password)

    def _hand_over(self, client: smtplib.SMTP, to: str, message: EmailMessage) -> None:
        try:
            # Not `send_message`, which changes lines that begin with "From ".
            client.sendmail(self._sender.addr_spec, [to], message.as_bytes())
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()))
            raise MailNotSent(f"the receiver's address was refused: {code} {_text(said)}", final=code >= 500) from None
        except smtplib.SMTPDataError as error:
            # The content was refused, and it will be the same next time.
            raise MailNotSent(f"the mail was refused: {_said(error)}", final=error.smtp_code >= 500) from None
        with contextlib.suppress(smtplib.SMTPException, OSError):
            client.quit()  # it has the mail, whatever becomes of the goodbye


def _said(error: smtplib.SMTPResponseException) -> str:
    return f"{error.smtp_code} {_text(error.smtp_error)}"


def _text(said: bytes | str) -> str:
    """An answer of a server, as one short line."""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_SAID_MOST]


def _cut(client: smtplib.SMTP) -> None:
    """Whatever another thread does with this client ends now."""
    line = client.sock
    if isinstance(line, socket.socket):
        with contextlib.suppress(OSError):
            # Of the line, not of the TLS on it, which that thread uses.
            socket.socket.shutdown(line, socket.SHUT_RDWR)
