"""A serial line under a driver: whether it is there, when it may be spoken on again, and what was surely not sent."""

from __future__ import annotations

import asyncio
import contextlib

from serialx import BaseSerialTransport

from cubbyhole.drivers.port import BadReply, DriverError, LinkDown, NoReply

OPEN_TIMEOUT_S = 3.0
CLOSE_TIMEOUT_S = 2.0


class Wire:
    """One port. After a failed request it is left quiet for a while, so that a late reply is not taken for the next
    one's: neither family numbers its replies."""

    def __init__(self, port: str, baudrate: int) -> None:
        self.port = port
        self.baudrate = baudrate
        self.transport: BaseSerialTransport | None = None
        self.lost: str | None = None
        self.bytes_seen = 0
        self._last_byte_at = 0.0
        self._quiet_until = 0.0
        self._quiet_cap = 0.0

    # -- its state, as the port's callbacks tell it ---------------------------------------------------------------

    def opening(self) -> None:
        """Forget what the port was before."""
        self.lost = None
        self._quiet_until = self._quiet_cap = 0.0

    def made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, BaseSerialTransport)
        self.transport = transport

    def heard(self, octets: bytes) -> None:
        self._last_byte_at = asyncio.get_running_loop().time()
        self.bytes_seen += len(octets)

    def gone(self, error: Exception | None) -> None:
        self.lost = str(error or "closed by the other side")

    @property
    def up(self) -> bool:
        """Whether the port is open as far as is known."""
        return self.transport is not None and self.lost is None

    def require_up(self) -> BaseSerialTransport:
        """The open port. Raises ``LinkDown``."""
        if self.transport is None:
            raise LinkDown(f"{self.port} is not open.")
        if self.lost is not None or self.transport.is_closing():
            raise LinkDown(f"{self.port} is gone ({self.lost or 'closing'}). Check the plug of the converter.")
        return self.transport

    async def close(self) -> None:
        """Close the port and drop whatever was not yet written. Never raises."""
        transport, self.transport = self.transport, None
        if transport is not None:
            transport.abort()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await transport.wait_closed()

    # -- speaking on it -------------------------------------------------------------------------------------------

    def wire_s(self, byte_count: int) -> float:
        """The time that so many bytes take on this line: 10 bits each."""
        return byte_count * 10 / self.baudrate

    def failed(self, reply_s: float) -> None:
        """A request has failed: keep quiet for ``reply_s`` from here and from the last byte on, and drop what was not
        yet written."""
        now = asyncio.get_running_loop().time()
        self._quiet_until, self._quiet_cap = now + reply_s, now + 2 * reply_s
        self.drop_unwritten()

    async def wait_until_quiet(self) -> None:
        """After a failure: until nothing has come for a while. Bounded by twice the reply time."""
        loop = asyncio.get_running_loop()
        while (now := loop.time()) < self._quiet_cap:
            ready_at = max(self._quiet_until, self._last_byte_at + self.wire_s(4))
            if now >= ready_at:
                break
            await asyncio.sleep(min(ready_at, self._quiet_cap) - now)

    def drop_unwritten(self) -> None:
        """Give the port up if it has not taken all bytes: they would go out whenever it does, an unlock out of time."""
        if self.transport is not None and self.transport.get_write_buffer_size() > 0:
            self.lost = "it takes no bytes"
            self.transport.abort()

    def no_reply(self, board: int, seen_before: int, timeout_s: float) -> DriverError:
        """What to say of a board whose sound reply did not come, ``seen_before`` bytes having come before it."""
        if self.bytes_seen > seen_before:
            return BadReply(
                f"Board {board} on {self.port}: the reply was damaged. "
                "If this goes on, check the cable, its shield and the termination."
            )
        return NoReply(
            f"Board {board} on {self.port} did not answer within {timeout_s * 1000:.0f} ms. "
            "Check its power, its address and the two bus wires."
        )
