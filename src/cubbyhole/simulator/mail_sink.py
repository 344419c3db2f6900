"""A mail server for the demo: it takes every mail on a real socket, keeps the last ones in memory, and shows them.

What it shows is asked for at a unix socket, a JSON line in and a JSON line out, as with the rig::

    {"do": "mails"}              → {"ok": true, "mails": [{"id", "at_ms", "to", "subject"}, ...]}   the newest first
    {"do": "mail", "id": "7"}    → {"ok": true, "id", "at_ms", "to", "from", "subject", "text", "html"}
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final

from aiosmtpd.smtp import SMTP, Envelope, Session

KEPT_MOST: Final = 200
MAIL_BYTES_MOST: Final = 256 * 1024
LINE_BYTES_MOST: Final = 4096
BODY_SHOWN_MOST: Final = 14_000
LINE_SHOWN_MOST: Final = 120


@dataclass(frozen=True, slots=True)
class Kept:
    """One mail that arrived. ``to`` are the receivers of the envelope."""

    id: int
    at_ms: int
    to: tuple[str, ...]
    sender: str
    content: EmailMessage

    @property
    def line(self) -> dict[str, object]:
        to, subject = ", ".join(self.to)[:LINE_SHOWN_MOST], str(self.content["subject"] or "")[:LINE_SHOWN_MOST]
        return {"id": str(self.id), "at_ms": self.at_ms, "to": to, "subject": subject}

    def part(self, kind: str) -> str:
        """The body of that kind ("plain" or "html"), cut where it is very long."""
        body = self.content.get_body(preferencelist=(kind,))
        text = str(body.get_content()) if body is not None else ""
        return text.replace("\r\n", "\n")[:BODY_SHOWN_MOST]


class MailSink:
    """Takes mails as aiosmtpd's handler does, and answers questions about them."""

    def __init__(self) -> None:
        self.mails: deque[Kept] = deque(maxlen=KEPT_MOST)
        self._next = 1

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        message = message_from_bytes(content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        at_ms = time.time_ns() // 1_000_000
        self.mails.append(Kept(self._next, at_ms, tuple(envelope.rcpt_tos), envelope.mail_from or "", message))
        self._next += 1
        return "250 Kept"

    def answer(self, request: Mapping[str, Any]) -> dict[str, object]:
        """The answer to one question."""
        match request.get("do"):
            case "mails":
                return {"ok": True, "mails": [mail.line for mail in reversed(self.mails)]}
            case "mail":
                found = next((mail for mail in self.mails if str(mail.id) == str(request.get("id"))), None)
                if found is None:
                    return {"ok": False, "error": f"there is no mail {request.get('id')!r} any more"}
                shown = {"from": found.sender, "text": found.part("plain"), "html": found.part("html")}
                return {"ok": True, **found.line, **shown}
            case other:
                return {"ok": False, "error": f"the mail server knows mails and mail, not {other!r}"}

    async def serve_questions(self, socket: Path) -> asyncio.Server:
        """Answer at a unix socket (made anew), until the server that is returned is closed."""

        async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, ValueError):
                writer.write(json.dumps(self._asked(await reader.readline()), ensure_ascii=False).encode() + b"\n")
                await writer.drain()
            writer.close()

        return await asyncio.start_unix_server(one, str(socket), limit=LINE_BYTES_MOST)

    def _asked(self, line: bytes) -> dict[str, object]:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            request = None
        return self.answer(request) if isinstance(request, dict) else {"ok": False, "error": "send a JSON object"}

    async def serve_mail(self, port: int) -> asyncio.Server:
        """Take mails on the loopback interface, without TLS: they never leave the machine."""
        loop = asyncio.get_running_loop()
        return await loop.create_server(
            lambda: SMTP(self, data_size_limit=MAIL_BYTES_MOST, hostname="mail.demo", loop=loop), "127.0.0.1", port
        )


def run_mail_sink(port: int, socket: Path) -> None:
    """Take mails at the port and answer questions at the socket, until SIGINT or SIGTERM."""

    async def run() -> None:
        stop, sink = asyncio.Event(), MailSink()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        servers = [await sink.serve_mail(port), await sink.serve_questions(socket)]
        await stop.wait()
        for server in servers:
            server.close()

    asyncio.run(run())
