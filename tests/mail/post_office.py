"""A mail server that does what a test says: on a real socket, with TLS where asked, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
import threading
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cubbyhole.simulator.mail_sink import Kept, MailSink

T = TypeVar("T")


class PostOffice(MailSink):
    """Answers in ``rcpt`` and ``data`` are given out first come, first served; then it takes everything.

    ``hold``: a mail is kept, but the word that it is waits until this is set.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, implicit: bool = False, login: str = "") -> None:
        super().__init__()
        self.rcpt: list[str] = []
        self.data: list[str] = []
        self.tried = 0
        self.hold = threading.Event()
        self.hold.set()
        self.port = 0
        self._tls, self._implicit, self._login = tls, implicit, login
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.BaseTransport] = set()

    def open(self) -> None:
        """Listen, at the second call on the same port."""
        self._do(self._open())

    def shut(self) -> None:
        """Listen no more: connections are refused."""
        self._do(self._shut())

    def close(self) -> None:
        self.hold.set()
        if self._server is not None:
            self.shut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def arrived(self) -> list[Kept]:
        return list(self.mails)

    def wait_for(self, many: int, limit_s: float = 15.0) -> list[Kept]:
        end = time.monotonic() + limit_s
        while len(self.mails) < many:
            assert time.monotonic() < end, f"{len(self.mails)} of {many} mails came, {self.tried} tries"
            time.sleep(0.02)
        return self.arrived

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        self.tried += 1
        if self.rcpt and not (answer := self.rcpt.pop(0)).startswith("2"):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.data and not (answer := self.data.pop(0)).startswith("2"):
            return answer
        said = await super().handle_DATA(server, session, envelope)
        while not self.hold.is_set():
            await asyncio.sleep(0.01)
        return said

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _open(self) -> None:
        self._server = await self._loop.create_server(
            self._protocol, "127.0.0.1", self.port, ssl=self._tls if self._implicit else None
        )
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def _shut(self) -> None:
        assert self._server is not None
        self._server.close()
        self._server = None

    def _protocol(self) -> SMTP:
        def check(_server: SMTP, _session: Session, _envelope: Envelope, _how: str, given: Any) -> AuthResult:
            assert isinstance(given, LoginPassword)
            right = f"{given.login.decode()}:{given.password.decode()}" == self._login
            return AuthResult(success=right, handled=False)

        return SMTP(
            self, hostname="post.test", loop=self._loop,
            tls_context=None if self._implicit else self._tls,
            authenticator=check, auth_require_tls=not self._implicit,
            auth_required=bool(self._login) and not self._implicit,  # it knows nothing of TLS from the first byte
        )  # fmt: skip


@contextlib.contextmanager
def post_office(**how: Any) -> Iterator[PostOffice]:
    office = PostOffice(**how)
    try:
        office.open()
        yield office
    finally:
        office.close()


def certificate(folder: Path, name: str = "localhost") -> tuple[ssl.SSLContext, Path]:
    """A server's side of TLS for that name, and the file that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    names: list[x509.GeneralName] = [x509.DNSName(name)]
    if name == "localhost":
        names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    made = (
        x509.CertificateBuilder()
        .subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    trusted, both = folder / "trusted.pem", folder / "server.pem"
    pem = made.public_bytes(serialization.Encoding.PEM)
    trusted.write_bytes(pem)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    both.write_bytes(private + pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(both)
    return context, trusted
