"""Answering requests: so many at once, each within its time, and an error becomes an answer instead of a crash."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable

import nats.errors
from nats.aio.msg import Msg

from cubbyhole.protocol.fabric.errors import Refused
from cubbyhole.protocol.fabric.session import ERROR_HEADER
from cubbyhole.protocol.messages import Trouble, encode
from cubbyhole.protocol.subjects import MAX_PAYLOAD_BYTES

log = logging.getLogger(__name__)

Handler = Callable[[str, bytes], Awaitable[bytes]]


class Serving:
    """Gives the messages of a subscription to ``handler(subject, payload)`` and sends what it returns.

    At most ``at_once`` handlers run. When all are busy, the next message waits (and with it the subscription, whose
    queue is bounded), or with ``refuse_when_busy`` is answered ``busy`` at once. A handler that raises `Refused`
    answers with its word and detail; any other exception is logged and answered ``failed``; one that takes longer
    than ``timeout_s`` is cancelled and answered ``timeout``. ``may_answer`` tells to which reply subjects.
    """

    def __init__(
        self,
        name: str,
        handler: Handler,
        *,
        at_once: int,
        timeout_s: float,
        refuse_when_busy: bool = False,
        may_answer: Callable[[str], bool] | None = None,
    ) -> None:
        self._name = name
        self._handler = handler
        self._slots = asyncio.Semaphore(at_once)
        self._timeout_s = timeout_s
        self._refuse_when_busy = refuse_when_busy
        self._may_answer = may_answer
        self._running: set[asyncio.Task[None]] = set()

    async def take(self, msg: Msg) -> None:
        """The callback for the subscription."""
        if msg.reply and self._may_answer is not None and not self._may_answer(msg.reply):
            log.warning("%s: a message on %s asks for an answer to %s; ignored", self._name, msg.subject, msg.reply)
            return
        if self._refuse_when_busy and self._slots.locked():
            await _send(msg, Trouble(error="busy", detail="too many requests are being worked on; try again shortly"))
            return
        await self._slots.acquire()
        task = asyncio.create_task(self._run(msg))
        self._running.add(task)
        task.add_done_callback(self._finished)

    async def settled(self, timeout_s: float) -> None:
        """Wait until what is running now has been answered, at most so long."""
        if self._running:
            await asyncio.wait(set(self._running), timeout=timeout_s)

    async def stop(self) -> None:
        """Cancel what is still running and wait for it."""
        running = set(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._slots.release()

    async def _run(self, msg: Msg) -> None:
        await _send(msg, await self._outcome(msg))

    async def _outcome(self, msg: Msg) -> bytes | Trouble:
        try:
            async with asyncio.timeout(self._timeout_s) as limit:
                answer = await self._handler(msg.subject, msg.data)
        except Refused as refusal:
            return Trouble(error=refusal.word, detail=refusal.detail)
        except Exception as error:
            if isinstance(error, TimeoutError) and limit.expired():
                log.error("%s: no answer to %s after %g s", self._name, msg.subject, self._timeout_s)
                return Trouble(error="timeout", detail=f"this took longer than {self._timeout_s:g} s and was given up")
            number = secrets.token_hex(4)
            log.exception("%s: answering %s failed (error %s)", self._name, msg.subject, number)
            return Trouble(
                error="failed", detail=f"this could not be done; the log there has the details under error {number}"
            )
        if len(answer) > MAX_PAYLOAD_BYTES:
            log.error("%s: the answer to %s has %d bytes, too many", self._name, msg.subject, len(answer))
            return Trouble(
                error="too-large", detail=f"the answer would have {len(answer)} bytes, more than the fabric carries"
            )
        return answer


async def _send(msg: Msg, answer: bytes | Trouble) -> None:
    if not msg.reply:
        return
    client = msg._client
    try:
        if isinstance(answer, Trouble):
            await client.publish(msg.reply, encode(answer), headers={ERROR_HEADER: answer.error})
        else:
            await client.publish(msg.reply, answer)
    except (nats.errors.Error, OSError) as error:
        log.info("the answer on %s could not be sent, the connection is gone: %s", msg.subject, error)
