"""The server's link to all banks: their requests come in here, live commands and nudges go out."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from cubbyhole.protocol import signing, subjects
from cubbyhole.protocol.enrolment import BANKS_MAX, EnrolReply, EnrolRequest, proof_message
from cubbyhole.protocol.fabric import nkey
from cubbyhole.protocol.fabric.errors import FabricError, NobodyThere, Offline, Refused
from cubbyhole.protocol.fabric.login import Credentials, Endpoint
from cubbyhole.protocol.fabric.serving import Serving
from cubbyhole.protocol.fabric.session import Session
from cubbyhole.server.fabric.callout import Callout, Registry
from cubbyhole.server.fabric.keys import FabricKeys
from cubbyhole.server.fabric.presence import Presence, PresenceChange

log = logging.getLogger(__name__)

INGEST_QUEUE = "ingest"
HANDLERS_AT_ONCE = 32
HANDLER_TIMEOUT_S = 30.0
PENDING_MAX = 8192
LIVE_MAX = 256
ENROLMENTS_AT_ONCE = 2
BACKOFF_S = (0.02, 0.1)

UpHandler = Callable[[str, bytes], Awaitable[bytes]]


class BankUnreachable(FabricError):
    """The bank does not listen, or the fabric itself is down. Nobody received the message."""

    def __init__(self, bank: str, why: str) -> None:
        super().__init__(f"bank {bank} cannot be reached: {why}")
        self.bank = bank


@dataclass(frozen=True, slots=True)
class NewController:
    """A controller that asks to be enrolled and has proved that it holds both keys. ``journal_key`` is base64."""

    code_id: str
    secret: str
    nkey_public: str
    journal_key: str
    banks: tuple[str, ...]


EnrolmentDesk = Callable[[NewController], Awaitable[EnrolReply]]
"""Spends the code, once and atomically, and records the controller; raises Refused(word, text for the person)."""


class Link(Protocol):
    """What features use of the link."""

    async def request_live(self, bank: str, payload: bytes, timeout_s: float) -> bytes: ...

    async def nudge(self, bank: str, payload: bytes) -> None: ...

    async def kick(self, controller: str) -> int: ...


class ServerLink:
    """Three sessions, one for each account. Set handlers before `start`; afterwards each keeps itself connected.

    A link that was stopped is not started again; make a new one.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        keys: FabricKeys,
        registry: Registry,
        *,
        on_presence: Callable[[PresenceChange], None] | None = None,
        on_state: Callable[[bool, str], None] | None = None,
        ping_interval_s: int = 1,
    ) -> None:
        self.presence = Presence(on_presence or (lambda change: None))
        self._callout = Callout(keys, registry)
        self._servings: dict[str, Serving] = {}
        self._desk: Serving | None = None

        def session(
            account: str, key: nkey.Nkey, on_open: Callable[[Session], Awaitable[None]], requests_max: int
        ) -> Session:
            return Session(
                endpoint,
                Credentials(seed=key.seed),
                name=f"server {account}",
                inbox_prefix=subjects.SERVER_INBOX,
                on_open=on_open,
                on_state=on_state if account == "LOCK" else None,
                ping_interval_s=ping_interval_s,
                requests_max=requests_max,
                backoff_s=BACKOFF_S,
            )

        self._auth = session("AUTH", keys.auth, self._callout.attach, 1)
        self._system = session("SYS", keys.system, self.presence.attach, 64)
        self._lock = session("LOCK", keys.server, self._listen, LIVE_MAX)

    @property
    def connected(self) -> bool:
        """Whether banks can be reached and new ones can log in."""
        return self._lock.connected and self._auth.connected

    async def start(self, timeout_s: float = 10.0) -> None:
        """Connect. Raises Offline if NATS cannot be reached in this time; it goes on trying until `stop`."""
        sessions = self._auth, self._lock, self._system
        for session in sessions:
            session.start()
        await asyncio.gather(*(session.wait_connected(timeout_s) for session in sessions))
        await self.presence.reconcile()

    async def stop(self) -> None:
        """Let handlers end, deliver their answers, close."""
        servings = [*self._servings.values(), *([self._desk] if self._desk else [])]
        await self._auth.stop()
        await self._callout.stop()
        for serving in servings:
            await serving.settled(timeout_s=2.0)
        await self._lock.stop()
        await self._system.stop()
        for serving in servings:
            await serving.stop()

    def subscribe(self, verb: str, handler: UpHandler) -> None:
        """Who answers ``verb`` for all banks: ``await handler(bank, payload)`` gives the answer.

        Raise `Refused` to answer with an error of one's own; any other exception is logged and answered ``failed``.
        """

        async def answer(subject: str, payload: bytes) -> bytes:
            bank = subjects.bank_of(subject)
            if bank is None:
                raise Refused("malformed", "no such bank")
            return await handler(bank, payload)

        self._servings[subjects.up_from_any_bank(verb)] = Serving(
            f"up {verb}",
            answer,
            at_once=HANDLERS_AT_ONCE,
            timeout_s=HANDLER_TIMEOUT_S,
            may_answer=subjects.may_be_answered,
        )

    def serve_enrolment(self, desk: EnrolmentDesk) -> None:
        """Who enrols controllers. The desk is asked only once the request has been checked."""

        async def answer(_subject: str, payload: bytes) -> bytes:
            return msgspec.json.encode(await desk(_checked(payload)))

        self._desk = Serving(
            "enrolment",
            answer,
            at_once=ENROLMENTS_AT_ONCE,
            timeout_s=HANDLER_TIMEOUT_S,
            may_answer=subjects.may_be_answered,
        )

    async def request_live(self, bank: str, payload: bytes, timeout_s: float) -> bytes:
        """Ask a bank now. Raises BankUnreachable at once when nobody listens, NoAnswer (the bank may act yet; only its
        claim tells), Offline when the link broke in between, TooLarge, TooMany, Refused (the bank's own error).
        """
        if not self._lock.connected:
            raise BankUnreachable(bank, f"the fabric is down ({self._lock.reason})")
        try:
            return await self._lock.request(subjects.cmd(bank, subjects.LIVE), payload, timeout_s)
        except NobodyThere as error:
            raise BankUnreachable(bank, "it is not connected") from error

    async def nudge(self, bank: str, payload: bytes) -> None:
        """Tell a bank that there is something to pull. It may get lost; the bank's heartbeat tells it as well.

        Raises BankUnreachable when the fabric is down, TooLarge, TooMany.
        """
        try:
            await self._lock.publish(subjects.cmd(bank, subjects.NUDGE), payload)
        except Offline as error:
            raise BankUnreachable(bank, f"the fabric is down ({self._lock.reason})") from error

    async def kick(self, controller: str) -> int:
        """End this controller's connections now; how many there were. Call it after its removal was committed.

        A controller that is still enrolled comes back at once, with the banks that it has then. Raises FabricError.
        """
        ended = await self.presence.kick(controller)
        # One that was let in before the removal may only now be there.
        await self._callout.settled(timeout_s=2.0)
        return ended + await self.presence.kick(controller)

    async def _listen(self, session: Session) -> None:
        for subject, serving in self._servings.items():
            await session.subscribe(subject, serving.take, queue=INGEST_QUEUE, pending_max=PENDING_MAX)
        if self._desk is not None:
            await session.subscribe(subjects.ENROL, self._desk.take, queue=INGEST_QUEUE, pending_max=64)


def _checked(payload: bytes) -> NewController:
    """Parse a request for enrolment and check its form and proofs. Raises Refused."""
    try:
        request = msgspec.json.decode(payload, type=EnrolRequest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused("malformed", f"the request cannot be read: {error}") from error
    if request.v != 1:
        raise Refused("unknown_version", f"enrolment version {request.v}; this server speaks 1. Update one of both.")
    banks = request.banks
    if not 1 <= len(banks) <= BANKS_MAX or len(set(banks)) != len(banks) or not all(map(subjects.is_bank, banks)):
        raise Refused("malformed", f"a controller names 1 to {BANKS_MAX} different banks by their ids")
    text = proof_message(request.code_id, request.nkey, request.journal_key, banks)
    try:
        journal = signing.parse_public(request.journal_key)
        nkey.public_key(request.nkey, nkey.USER)
    except (ValueError, binascii.Error) as error:
        raise Refused("malformed", f"a key cannot be read: {error}") from error
    if not nkey.is_signed_by(request.nkey, nkey.USER, text, request.nkey_proof):
        raise Refused("unproven", "the controller did not prove that it holds its login key")
    if not signing.is_signed(journal, text, request.journal_proof):
        raise Refused("unproven", "the controller did not prove that it holds its journal key")
    journal_key = base64.b64encode(journal.public_bytes_raw()).decode()
    return NewController(request.code_id, request.secret, request.nkey, journal_key, banks)
