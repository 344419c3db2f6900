"""One serial bus: polls its boards, and lets an unlock jump the queue. One frame is outstanding at any time."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from cubbyhole.domain.watch import Reading
from cubbyhole.drivers.port import (
    BoardBus,
    DriverError,
    Line,
    LinkDown,
    NotSent,
    Unconfirmed,
)
from cubbyhole.edge.inputs import Input, Polled
from cubbyhole.edge.inputs import LinkDown as LinkDownInput
from cubbyhole.edge.supply import mono_ms

IDLE_POLL_S = 0.25
QUICK_FOR_MS = 3_000
SILENT_POLLS = 3
REOPEN_S = (0.2, 0.5, 1.0, 2.0)
LIGHTS_WAITING_MOST = 500

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Pulse:
    line: Line
    pulse_ms: int
    until_ms: int
    done: asyncio.Future[tuple[str, int]]  # ("sent" | "unconfirmed" | "not_sent" | "late", mono ms of the frame)


class BusWorker:
    """Owns one `BoardBus`. ``lines`` maps locker numbers to lines; readings go to ``post``."""

    def __init__(
        self,
        name: str,
        bus: BoardBus,
        lines: dict[str, Line],
        post: Callable[[Input], bool],
    ) -> None:
        self.name, self._bus, self._lines, self._post = name, bus, lines, post
        self._pulses: deque[_Pulse] = deque()
        self._lights: dict[Line, bool] = {}
        self._wake = asyncio.Event()
        self._quick_until_ms = 0
        self._misses: dict[int, int] = {}
        self._boards: dict[int, dict[int, str]] = {}
        for number, line in lines.items():
            self._boards.setdefault(line.board, {})[line.channel] = number

    async def unlock(self, number: str, pulse_ms: int, until_ms: int) -> tuple[str, int]:
        """Send one unlock frame, once, if its turn comes before ``until_ms``. See `_Pulse.done` for the answer."""
        pulse = _Pulse(
            self._lines[number],
            pulse_ms,
            until_ms,
            asyncio.get_running_loop().create_future(),
        )
        self._pulses.append(pulse)
        self._wake.set()
        return await pulse.done

    def light(self, number: str, on: bool) -> None:
        """Set a door's light soon; only the last wish for a door counts."""
        if len(self._lights) < LIGHTS_WAITING_MOST:
            self._lights[self._lines[number]] = on
            self._wake.set()

    async def run(self) -> None:
        """Poll for ever; a port that is gone is opened again with growing pauses."""
        attempt = 0
        while True:
            try:
                await self._bus.open()
                attempt = 0
                self._quick_until_ms = mono_ms() + QUICK_FOR_MS  # until a door is known its locker is given to nobody
                await self._serve()
            except LinkDown as error:
                if attempt == 0:
                    log.warning(
                        "the lock boards cannot be reached",
                        bus=self.name,
                        why=str(error),
                    )
                self._lost_all()
                await self._bus.close()
                self._refuse_waiting()
                await asyncio.sleep(REOPEN_S[min(attempt, len(REOPEN_S) - 1)])
                attempt += 1

    async def close(self) -> None:
        self._refuse_waiting()
        await self._bus.close()

    async def _serve(self) -> None:
        while True:
            for board in self._boards:
                await self._send_pulses()
                await self._poll(board)
            await self._send_lights()
            quick = mono_ms() < self._quick_until_ms
            if not quick and not self._pulses:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(IDLE_POLL_S):
                        await self._wake.wait()
            self._wake.clear()

    async def _send_pulses(self) -> None:
        while self._pulses:
            pulse = self._pulses.popleft()
            now_ms = mono_ms()
            if now_ms > pulse.until_ms:
                self._settle(pulse, "late", now_ms)
                continue
            try:
                await self._bus.unlock(pulse.line, pulse.pulse_ms)
                self._settle(pulse, "sent", now_ms)
            except NotSent:
                self._settle(pulse, "not_sent", now_ms)
            except Unconfirmed:
                self._settle(pulse, "unconfirmed", now_ms)
            self._quick_until_ms = mono_ms() + QUICK_FOR_MS

    @staticmethod
    def _settle(pulse: _Pulse, word: str, at_ms: int) -> None:
        if not pulse.done.done():
            pulse.done.set_result((word, at_ms))

    async def _poll(self, board: int) -> None:
        channels = self._boards[board]
        try:
            senses = await self._bus.poll(board)
        except LinkDown:
            raise
        except DriverError as error:
            misses = self._misses[board] = self._misses.get(board, 0) + 1
            if misses == SILENT_POLLS:
                log.warning(
                    "a lock board does not answer",
                    bus=self.name,
                    board=board,
                    why=str(error),
                )
                self._post(LinkDownInput(self._link(board), tuple(channels.values())))
            return
        self._misses[board] = 0
        readings = {
            number: Reading(sense.door_open, sense.lock_secured, sense.occupied)
            for channel, number in channels.items()
            if (sense := senses.get(channel)) is not None
        }
        self._post(Polled(self._link(board), readings, mono_ms()))

    async def _send_lights(self) -> None:
        wishes, self._lights = self._lights, {}
        for line, on in wishes.items():
            await self._send_pulses()
            try:
                await self._bus.light(line, on)
            except LinkDown:
                raise
            except DriverError as error:
                log.info("a light was not set", bus=self.name, why=str(error))

    def _link(self, board: int) -> str:
        return f"{self.name}/{board}"

    def _lost_all(self) -> None:
        for board, channels in self._boards.items():
            self._misses[board] = SILENT_POLLS
            self._post(LinkDownInput(self._link(board), tuple(channels.values())))

    def _refuse_waiting(self) -> None:
        while self._pulses:
            self._settle(self._pulses.popleft(), "not_sent", mono_ms())
