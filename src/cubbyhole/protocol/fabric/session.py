"""One connection to NATS that is made again for ever, with requests that fail as soon as it is known that they do.

nats-py's own reconnecting is switched off on purpose: it can end for ever (an ``-ERR``), it keeps what was published
while disconnected, and it waits for a dead peer. Each connection here is a new client with a new inbox; what belonged
to the old one is gone with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from cubbyhole.protocol.fabric.errors import (
    AccessRefused,
    FabricError,
    NoAnswer,
    NobodyThere,
    NotPermitted,
    Offline,
    Refused,
    TooLarge,
    TooMany,
)
from cubbyhole.protocol.fabric.login import Connection, Credentials, Endpoint, in_our_words, log_in
from cubbyhole.protocol.messages import Trouble
from cubbyhole.protocol.subjects import MAX_PAYLOAD_BYTES

log = logging.getLogger(__name__)

ERROR_HEADER = "Cubbyhole-Error"  # an answer with this header has a `Trouble` for its body

# While the server starts, nobody may be there yet to answer who may log in, and then nats-server keeps the client
# waiting for its whole 10 s; so give up sooner at first. In a storm of logins they do take that long.
_LOGIN_TIMEOUTS_S = (1, 3, 11)
_FLUSH_TIMEOUT_S = 5
_BACKOFF_REFUSED_MAX_S = 5.0
_OUTBOUND_MAX_BYTES = 8 * MAX_PAYLOAD_BYTES

Subscriber = Callable[[Msg], Awaitable[None]]


class Session:
    """Keeps one connection. ``on_open`` makes the subscriptions of each new connection before it counts as up.

    ``backoff_s`` is the first and the longest pause between attempts. The server's own pauses are the shorter ones, so
    that after a restart of NATS somebody answers before the banks are back.

    ``on_state(connected, reason)`` is called on each change, from the event loop, and must not block or raise.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        credentials: Credentials,
        *,
        name: str,
        inbox_prefix: str,
        on_open: Callable[[Session], Awaitable[None]] | None = None,
        on_state: Callable[[bool, str], None] | None = None,
        ping_interval_s: int = 1,
        requests_max: int = 64,
        backoff_s: tuple[float, float] = (0.25, 2.0),
    ) -> None:
        self._endpoint = endpoint
        self._credentials = credentials
        self._name = name
        self._inbox_prefix = inbox_prefix
        self._on_open = on_open
        self._on_state = on_state
        self._ping_interval_s = ping_interval_s
        self._requests_max = requests_max
        self._backoff_s = backoff_s
        self._connection: Connection | None = None
        self._up = asyncio.Event()
        self._inbox = ""
        self._waiting: dict[str, tuple[str, asyncio.Future[Msg]]] = {}
        self._numbers = itertools.count(1)
        self._task: asyncio.Task[None] | None = None
        self._reason = "not connected yet"

    @property
    def connected(self) -> bool:
        """Whether a message sent now would leave. A dead link is noticed after about two and a half ping intervals."""
        return self._up.is_set()

    @property
    def reason(self) -> str:
        """Why there is no connection, for a person; of no meaning while connected."""
        return self._reason

    def start(self) -> None:
        """Begin connecting; returns at once."""
        if self._task is None:
            self._task = asyncio.create_task(self._keep_connected(), name=f"fabric {self._name}")

    async def stop(self) -> None:
        """Deliver what was sent, then close. Afterwards every request raises Offline."""
        task, self._task = self._task, None
        connection = self._connection
        if connection is not None and self.connected:
            with contextlib.suppress(nats.errors.Error, OSError):
                await connection.all_sent(timeout_s=1)
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def connect_once(self) -> None:
        """Connect without supervision, for a short errand; ends with `disconnect`. Raises FabricError."""
        await self._connect()

    async def disconnect(self) -> None:
        """End what `connect_once` made."""
        await self._drop("closed")

    async def wait_connected(self, timeout_s: float) -> None:
        """Raises Offline with the last reason when there is still no connection then."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._up.wait()
        except TimeoutError:
            raise Offline(f"{self._name}: no connection to {self._endpoint.urls[0]}: {self._reason}") from None

    async def subscribe(self, subject: str, take: Subscriber, *, queue: str = "", pending_max: int = 256) -> None:
        """Listen on the present connection only; call it from ``on_open``. Beyond ``pending_max`` messages are lost."""
        connection = self._connection
        if connection is None:
            raise Offline(self._reason)
        limit_bytes = min(pending_max, 64) * MAX_PAYLOAD_BYTES
        with in_our_words():
            await connection.client.subscribe(
                subject, queue, cb=take, pending_msgs_limit=pending_max, pending_bytes_limit=limit_bytes
            )

    async def publish(self, subject: str, payload: bytes, headers: dict[str, str] | None = None) -> None:
        """Send without an answer; raises Offline, TooLarge."""
        client = self._sendable(payload)
        with in_our_words():
            await client.publish(subject, payload, headers=headers)

    async def request(self, subject: str, payload: bytes, timeout_s: float) -> bytes:
        """Send and wait for the answer.

        Raises Offline (at once when not connected or when the connection breaks), NobodyThere (at once), NoAnswer,
        TooLarge, TooMany, NotPermitted, or Refused when the answer is an error.
        """
        client = self._sendable(payload)
        if len(self._waiting) >= self._requests_max:
            raise TooMany(f"{self._requests_max} requests are waiting for answers already; try again shortly")
        number = str(next(self._numbers))
        future: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
        self._waiting[number] = (subject, future)
        try:
            async with asyncio.timeout(timeout_s):
                with in_our_words():
                    await client.publish(subject, payload, reply=f"{self._inbox}.{number}")
                return _answer(await future, subject)
        except TimeoutError:
            raise NoAnswer(f"no answer on {subject} within {timeout_s:g} s") from None
        finally:
            del self._waiting[number]

    async def ask_all(
        self, subject: str, payload: bytes, most: int, first_timeout_s: float, more_timeout_s: float
    ) -> AsyncIterator[bytes]:
        """The answers of several who listen, as they come: waits ``first_timeout_s`` for the first, then until none
        comes for ``more_timeout_s``. Raises as `request` does.
        """
        client = self._sendable(payload)
        inbox = f"{self._inbox_prefix}.{secrets.token_hex(8)}"
        count = 0
        with in_our_words():
            subscription = await client.subscribe(inbox, pending_msgs_limit=most)
        try:
            with in_our_words():
                await client.publish(subject, payload, reply=inbox)
            while count < most:
                try:
                    with in_our_words():
                        msg = await subscription.next_msg(timeout=more_timeout_s if count else first_timeout_s)
                except NoAnswer:
                    break
                count += 1
                yield _answer(msg, subject)
        finally:
            with contextlib.suppress(nats.errors.Error, OSError):
                await subscription.unsubscribe()
        if not count:
            raise NoAnswer(f"no answer on {subject} within {first_timeout_s:g} s")

    # The connection

    async def _keep_connected(self) -> None:
        # Each kind of failure has its own count: a server that just starts refuses or keeps silent for a moment, and
        # it does not matter then how long it was away before.
        turn = lost = silent = refused = 0
        first_s, longest_s = self._backoff_s
        try:
            while True:
                try:
                    await self._connect(turn, _LOGIN_TIMEOUTS_S[min(silent, 2)])
                    lost = silent = refused = 0
                    if self._connection is not None:
                        await self._connection.until_gone()
                    await self._drop("the connection was lost")
                    pause_s = first_s
                except AccessRefused as error:
                    pause_s = min(_BACKOFF_REFUSED_MAX_S, first_s * 2 ** min(refused, 10))
                    refused += 1
                    self._note_failure(error)
                except NoAnswer as error:
                    pause_s = first_s
                    silent += 1
                    self._note_failure(error)
                except (FabricError, OSError) as error:
                    pause_s = min(longest_s, first_s * 2 ** min(lost, 10))
                    lost, refused = lost + 1, 0
                    self._note_failure(error)
                turn += 1
                await asyncio.sleep(
                    pause_s * random.uniform(0.5, 1.0)
                )  # jitter: a thousand banks must not march in step
        finally:
            await self._drop("stopped")

    def _note_failure(self, error: Exception) -> None:
        reason = str(error) or type(error).__name__
        if reason != self._reason:
            self._reason = reason
            log.info("%s: %s; trying again", self._name, reason)

    async def _connect(self, turn: int = 0, login_timeout_s: int = _LOGIN_TIMEOUTS_S[-1]) -> None:
        self._connection = connection = await log_in(
            self._endpoint,
            turn,
            self._credentials,
            name=self._name,
            inbox_prefix=self._inbox_prefix,
            ping_interval_s=self._ping_interval_s,
            timeout_s=login_timeout_s,
            on_error=self._on_error,
        )
        self._inbox = f"{self._inbox_prefix}.{secrets.token_hex(8)}"
        try:
            await self.subscribe(f"{self._inbox}.*", self._take_answer, pending_max=4 * self._requests_max)
            if self._on_open is not None:
                await self._on_open(self)
            with in_our_words():
                await connection.all_sent(_FLUSH_TIMEOUT_S)  # the subscriptions are in force when this returns
        except BaseException:
            await self._drop("the connection was lost while it was made")
            raise
        self._reason = ""
        self._up.set()
        self._tell(True, "connected")

    async def _drop(self, reason: str) -> None:
        connection, self._connection = self._connection, None
        was_up = self.connected
        self._up.clear()
        if was_up:
            self._reason = reason
        for _, future in self._waiting.values():
            if not future.done():
                future.set_exception(Offline(f"{reason} before the answer came"))
        if connection is not None:
            connection.transport.abort()
        if was_up:
            self._tell(False, reason)
        if connection is not None:
            await connection.close()

    def _tell(self, connected: bool, reason: str) -> None:
        log.info("%s: %s", self._name, reason)
        if self._on_state is not None:
            self._on_state(connected, reason)

    # Messages

    def _sendable(self, payload: bytes) -> Client:
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise TooLarge(
                f"a message of {len(payload)} bytes was not sent: the fabric carries up to {MAX_PAYLOAD_BYTES} bytes;"
                " send it in smaller parts"
            )
        connection = self._connection
        if connection is None or not self.connected or not connection.client.is_connected:
            raise Offline(f"not connected: {self._reason or 'the connection is being lost'}")
        client = connection.client
        if client.pending_data_size > _OUTBOUND_MAX_BYTES:
            raise TooMany("the connection is too slow for what is being sent; try again shortly")
        return client

    async def _take_answer(self, msg: Msg) -> None:
        waiting = self._waiting.get(msg.subject.rpartition(".")[2])
        if waiting is not None and not waiting[1].done():
            waiting[1].set_result(msg)

    async def _on_error(self, error: Exception) -> None:
        text = str(error)
        if "permissions violation" in text:
            log.error("%s: %s", self._name, text)
            # nats-server says which subject, nats-py in lower case; whoever waits for its answer waits in vain.
            for subject, future in self._waiting.values():
                if f'"{subject.lower()}"' in text and not future.done():
                    future.set_exception(NotPermitted(f"this connection may not use {subject}"))
        elif isinstance(error, nats.errors.SlowConsumerError):
            log.warning("%s: a message on %s was dropped, too many are waiting", self._name, error.subject)
        else:
            log.debug("%s: %s", self._name, text or type(error).__name__)


def _answer(msg: Msg, subject: str) -> bytes:
    headers = msg.headers or {}
    if headers.get("Status") == "503":
        raise NobodyThere(f"nobody listens on {subject}")
    if ERROR_HEADER in headers:
        try:
            trouble = msgspec.json.decode(msg.data, type=Trouble)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            trouble = Trouble(error=headers[ERROR_HEADER], detail="the rest of the answer cannot be read")
        raise Refused(trouble.error, trouble.detail)
    return msg.data
