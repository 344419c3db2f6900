"""A controller's link to the server: requests up, live commands and nudges down, for all of its banks."""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable, Sequence

from cubbyhole.edge.fabric.enrol import Enrolment
from cubbyhole.protocol import subjects
from cubbyhole.protocol.fabric.login import Credentials, Endpoint
from cubbyhole.protocol.fabric.serving import Serving
from cubbyhole.protocol.fabric.session import Session
from cubbyhole.protocol.fabric.transport import trust_only

log = logging.getLogger(__name__)

LIVE_AT_ONCE = 16
LIVE_TIMEOUT_S = 30.0
NUDGES_AT_ONCE = 2
NUDGE_TIMEOUT_S = 30.0
REQUESTS_MAX = 64

LiveHandler = Callable[[bytes], Awaitable[bytes]]
NudgeHandler = Callable[[bytes], Awaitable[None]]


class BankLink:
    """Connects with the controller's key and comes back for ever.

    What is asked while there is no connection fails at once and is never sent later. ``nats_urls`` overrides the
    address in the enrolment (a relay, or several nodes).
    """

    def __init__(self, enrolment: Enrolment, *, nats_urls: Sequence[str] = (), ping_interval_s: int = 1) -> None:
        urls = tuple(nats_urls) or (enrolment.nats_url,)
        start = random.randrange(len(urls))  # spreads the controllers over the nodes
        self._banks = frozenset(enrolment.banks)
        self._live: dict[str, Serving] = {}
        self._nudge: dict[str, Serving] = {}
        self._listeners: list[Callable[[bool, str], None]] = []
        self._session = Session(
            Endpoint(urls[start:] + urls[:start], trust_only(enrolment.authority_pem, at_any_time=True)),
            Credentials(seed=enrolment.keys.login.seed),
            name=enrolment.controller,
            inbox_prefix=subjects.controller_inbox(enrolment.controller),
            on_open=self._subscribe,
            on_state=self._tell,
            ping_interval_s=ping_interval_s,
            requests_max=REQUESTS_MAX,
        )

    async def start(self) -> None:
        """Begin connecting. Returns at once: a controller without its server is an ordinary day."""
        self._session.start()

    async def stop(self) -> None:
        """Let handlers end, deliver what was sent, close."""
        for serving in (*self._live.values(), *self._nudge.values()):
            await serving.settled(timeout_s=1.0)
        await self._session.stop()
        for serving in (*self._live.values(), *self._nudge.values()):
            await serving.stop()

    @property
    def connected(self) -> bool:
        """Whether the server's NATS can be reached now. Whether the server itself answers, only an answer tells."""
        return self._session.connected

    @property
    def reason(self) -> str:
        """Why there is no connection, for a person."""
        return self._session.reason

    async def wait_connected(self, timeout_s: float) -> None:
        """Raises Offline when there is still no connection then."""
        await self._session.wait_connected(timeout_s)

    async def request(self, bank: str, verb: str, payload: bytes, timeout_s: float) -> bytes:
        """Ask the server on behalf of one of the own banks.

        Raises Offline at once when not connected or when the connection breaks, NobodyThere at once when the server
        is not running, NoAnswer after ``timeout_s``, TooLarge, TooMany, NotPermitted, Refused (the server's own
        error), and ValueError for a verb or bank id that is none.
        """
        return await self._session.request(subjects.up(bank, verb), payload, timeout_s)

    def on_live(self, bank: str, handler: LiveHandler) -> None:
        """Who answers live commands for this bank; set it before `start`. An exception becomes an error answer."""

        async def answer(_subject: str, payload: bytes) -> bytes:
            return await handler(payload)

        self._live[self._own(bank)] = Serving(
            f"bank {bank} live", answer, at_once=LIVE_AT_ONCE, timeout_s=LIVE_TIMEOUT_S, refuse_when_busy=True
        )

    def on_nudge(self, bank: str, handler: NudgeHandler) -> None:
        """Who is told that there is something to pull for this bank; set it before `start`."""

        async def tell(_subject: str, payload: bytes) -> bytes:
            await handler(payload)
            return b""

        self._nudge[self._own(bank)] = Serving(
            f"bank {bank} nudge", tell, at_once=NUDGES_AT_ONCE, timeout_s=NUDGE_TIMEOUT_S
        )

    def on_state(self, callback: Callable[[bool, str], None]) -> None:
        """Called with (connected, reason) on each change, in the event loop; it must not block."""
        self._listeners.append(callback)

    def _own(self, bank: str) -> str:
        if bank not in self._banks:
            raise ValueError(f"bank {bank!r} is not among this controller's banks {sorted(self._banks)}")
        return bank

    async def _subscribe(self, session: Session) -> None:
        for bank in sorted(self._banks):
            if bank in self._live:
                await session.subscribe(subjects.cmd(bank, subjects.LIVE), self._live[bank].take, pending_max=64)
            if bank in self._nudge:
                await session.subscribe(subjects.cmd(bank, subjects.NUDGE), self._nudge[bank].take, pending_max=16)

    def _tell(self, connected: bool, reason: str) -> None:
        for callback in self._listeners:
            try:
                callback(connected, reason)
            except Exception:
                log.exception("a listener for the link's state failed")
