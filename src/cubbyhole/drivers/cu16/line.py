"""The serial line of CU boards: one request at a time, its reply, and an honest account of what was written."""

from __future__ import annotations

import asyncio
import contextlib

from serialx import BaseSerialTransport, SerialException, create_serial_connection

from cubbyhole.drivers.cu16.codec import Frame, FrameParser
from cubbyhole.drivers.port import BadReply, LinkDown, NoReply

OPEN_TIMEOUT_S = 3.0
CLOSE_TIMEOUT_S = 2.0
_FRAMES_HELD_MAX = 32


class CuLine(asyncio.Protocol):
    """A port with a ``FrameParser`` behind it. After a failed request the line is left quiet for a while."""

    def __init__(self, port: str, baudrate: int) -> None:
        self.port = port
        self.baudrate = baudrate
        self._transport: BaseSerialTransport | None = None
        self._lost: str | None = None
        self._parser = FrameParser()
        self._frames: list[Frame] = []
        self._arrived = asyncio.Event()
        self._last_byte_at = 0.0
        self._bytes_seen = 0
        self._quiet_until = 0.0
        self._quiet_cap = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, BaseSerialTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._last_byte_at = asyncio.get_running_loop().time()
        self._bytes_seen += len(data)
        self._frames += self._parser.feed(data)
        del self._frames[:-_FRAMES_HELD_MAX]
        self._arrived.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = str(exc or "closed by the other side")
        self._arrived.set()

    def wire_s(self, byte_count: int) -> float:
        """The time that so many bytes take on this line: 10 bits each."""
        return byte_count * 10 / self.baudrate

    async def open(self) -> None:
        """Open the port. Raises ``LinkDown``."""
        if self._transport is not None and self._lost is None:
            return
        await self.close()
        self._lost = None
        self._quiet_until = self._quiet_cap = 0.0
        try:
            await asyncio.wait_for(
                create_serial_connection(asyncio.get_running_loop(), lambda: self, self.port, baudrate=self.baudrate),
                OPEN_TIMEOUT_S,
            )
        except (TimeoutError, OSError, SerialException, ValueError) as error:
            self._transport = None
            reason = str(error) or "it does not answer"
            raise LinkDown(f"{self.port} cannot be opened: {reason}. Is it plugged in, and free?") from error

    async def close(self) -> None:
        """Close the port and drop whatever was not yet written. Never raises."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(transport.wait_closed(), CLOSE_TIMEOUT_S)

    def require_up(self) -> BaseSerialTransport:
        """The open port. Raises ``LinkDown``."""
        if self._transport is None:
            raise LinkDown(f"{self.port} is not open.")
        if self._lost is not None or self._transport.is_closing():
            raise LinkDown(f"{self.port} is gone ({self._lost or 'closing'}). Check the plug of the converter.")
        return self._transport

    def write(self, octets: bytes) -> None:
        """Write bytes once. Raises ``LinkDown`` when surely none of them left; otherwise some or all may have."""
        transport = self.require_up()
        self._parser.reset()
        self._frames.clear()
        try:
            transport.write(octets)
        except (SerialException, OSError) as error:
            raise LinkDown(f"{self.port} is gone ({error}).") from error

    async def ask(self, octets: bytes, board: int, command: int, reply_bytes: int, reply_s: float) -> Frame:
        """Send a request once and return the board's frame with that command.

        Raises ``LinkDown``, ``NoReply`` (silence) or ``BadReply`` (bytes came, but no such frame).
        """
        await self.wait_until_quiet()
        seen_before = self._bytes_seen
        timeout_s = self.wire_s(len(octets) + reply_bytes) + reply_s
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
                self.require_up()
                try:
                    async with asyncio.timeout_at(deadline):
                        await self._arrived.wait()
                except TimeoutError:
                    break
        finally:
            if not answered:
                self.failed(reply_s)
        if self._bytes_seen > seen_before:
            raise BadReply(
                f"Board {board} on {self.port}: the reply was damaged. "
                "If this goes on, check the cable, its shield and the termination."
            )
        raise NoReply(
            f"Board {board} on {self.port} did not answer within {timeout_s * 1000:.0f} ms. "
            "Check its power, its address switches and the two bus wires."
        )

    def failed(self, reply_s: float) -> None:
        """Keep the line quiet for a while, so that a late reply is not taken for the next one; drop unwritten bytes."""
        now = asyncio.get_running_loop().time()
        self._quiet_until, self._quiet_cap = now + reply_s, now + 2 * reply_s
        self.drop_unwritten()

    def drop_unwritten(self) -> None:
        """Give the port up if it has not taken all bytes: they would go out whenever it does, an unlock out of time."""
        transport = self._transport
        if transport is not None and transport.get_write_buffer_size() > 0:
            self._lost = "it takes no bytes"
            transport.abort()

    async def wait_until_quiet(self) -> None:
        """After a failure: until nothing has come for a while. Bounded by twice the reply time."""
        loop = asyncio.get_running_loop()
        while (now := loop.time()) < self._quiet_cap:
            ready_at = max(self._quiet_until, self._last_byte_at + self.wire_s(4))
            if now >= ready_at:
                break
            await asyncio.sleep(min(ready_at, self._quiet_cap) - now)
