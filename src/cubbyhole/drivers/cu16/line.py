"""The serial line of CU boards: one request at a time, its reply, and an honest account of what was written."""

from __future__ import annotations

import asyncio

from serialx import SerialException, create_serial_connection

from cubbyhole.drivers.cu16.codec import Frame, FrameParser
from cubbyhole.drivers.port import LinkDown
from cubbyhole.drivers.wire import OPEN_TIMEOUT_S, Wire

_FRAMES_HELD_MAX = 32


class CuLine(asyncio.Protocol):
    """A ``Wire`` with a ``FrameParser`` behind it."""

    def __init__(self, port: str, baudrate: int) -> None:
        self.wire = Wire(port, baudrate)
        self._parser = FrameParser()
        self._frames: list[Frame] = []
        self._arrived = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.wire.made(transport)

    def data_received(self, data: bytes) -> None:
        self.wire.heard(data)
        self._frames += self._parser.feed(data)
        del self._frames[:-_FRAMES_HELD_MAX]
        self._arrived.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.wire.gone(exc)
        self._arrived.set()

    async def open(self) -> None:
        """Open the port. Raises ``LinkDown``."""
        wire = self.wire
        if wire.up:
            return
        await wire.close()
        wire.opening()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await create_serial_connection(loop, lambda: self, wire.port, baudrate=wire.baudrate)
        except (TimeoutError, OSError, SerialException, ValueError) as error:
            wire.transport = None
            reason = str(error) or "it does not answer"
            raise LinkDown(f"{wire.port} cannot be opened: {reason}. Is it plugged in, and free?") from error

    def write(self, octets: bytes) -> None:
        """Write bytes once. Raises ``LinkDown`` when surely none of them left; otherwise some or all may have."""
        transport = self.wire.require_up()
        self._parser.reset()
        self._frames.clear()
        try:
            transport.write(octets)
        except (SerialException, OSError) as error:
            raise LinkDown(f"{self.wire.port} is gone ({error}).") from error

    async def ask(self, octets: bytes, board: int, command: int, reply_bytes: int, reply_s: float) -> Frame:
        """Send a request once and return the board's frame with that command.

        Raises ``LinkDown``, ``NoReply`` (silence) or ``BadReply`` (bytes came, but no such frame).
        """
        await self.wire.wait_until_quiet()
        seen_before = self.wire.bytes_seen
        timeout_s = self.wire.wire_s(len(octets) + reply_bytes) + reply_s
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        answered = False
        try:
            self.write(octets)
            while True:
                for frame in self._frames:
                    if frame.board == board and frame.command == command:
                        answered = True
                        return frame
                self._frames.clear()
                self._arrived.clear()
                self.wire.require_up()
                try:
                    async with asyncio.timeout_at(deadline):
                        await self._arrived.wait()
                except TimeoutError:
                    break
        finally:
            if not answered:
                self.wire.failed(reply_s)
        raise self.wire.no_reply(board, seen_before, timeout_s)
