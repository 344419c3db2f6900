"""A reader's serial port, kept open for as long as somebody wants its reads."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator

from serialx import BaseSerialTransport, SerialException, create_serial_connection

from cubbyhole.drivers.line_reader.codec import BadRead, Form, LineParser, ReadCredential
from cubbyhole.drivers.port import DriverError

OPEN_TIMEOUT_S = 3.0
CLOSE_TIMEOUT_S = 2.0
BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 2.0
READS_HELD_MAX = 32


class LineReader:
    """Iterate it for ``ReadCredential`` and ``BadRead``; it reconnects by itself and never raises while reading.

    It is iterated once; ``close`` ends it for good. At most 32 reads wait to be taken; further ones are dropped, and
    said in one ``BadRead``.
    """

    def __init__(self, port: str, baudrate: int, form: Form = "hex") -> None:
        """Raises ``DriverError`` for settings that cannot work. Opens nothing yet."""
        if form not in ("hex", "decimal"):
            raise DriverError(f"The reader on {port}: form must be hex or decimal, not {form!r}.")
        if not 300 <= baudrate <= 1_000_000:
            raise DriverError(f"The reader on {port}: baudrate {baudrate} is not usable.")
        self.port = port
        self.baudrate = baudrate
        self.form: Form = form
        self._reads: deque[ReadCredential | BadRead] = deque()
        self._wake = asyncio.Event()
        self._transport: BaseSerialTransport | None = None
        self._dropped = 0
        self._closed = False
        self.trouble: str | None = "not opened yet"

    @property
    def connected(self) -> bool:
        """Whether the port is open as far as is known; ``trouble`` says why not."""
        return self._transport is not None

    def __aiter__(self) -> AsyncIterator[ReadCredential | BadRead]:
        return self.reads()

    async def reads(self) -> AsyncGenerator[ReadCredential | BadRead, None]:
        """Every read, until ``close``. The port is opened on the first step and again whenever it was lost."""
        backoff_s = BACKOFF_FIRST_S
        try:
            while not self._closed:
                if not self.connected:
                    if await self._connect():
                        backoff_s = BACKOFF_FIRST_S
                    else:
                        await self._sleep(backoff_s)
                        backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)
                        continue
                while self._reads:
                    yield self._reads.popleft()
                if self._dropped:
                    dropped, self._dropped = self._dropped, 0
                    yield BadRead(f"{dropped} reads came too fast and were dropped", time.monotonic_ns())
                    continue
                if self.connected:
                    self._wake.clear()
                    await self._wake.wait()
                elif not self._reads:
                    # Lost just now: the plug may sit loose, so no tight loop.
                    await self._sleep(backoff_s)
        finally:
            await self.close()

    async def close(self) -> None:
        """End the iteration and close the port. Never raises."""
        self._closed = True
        self._wake.set()
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await transport.wait_closed()

    async def _connect(self) -> bool:
        loop = asyncio.get_running_loop()
        line = _Line(self)
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await create_serial_connection(loop, lambda: line, self.port, baudrate=self.baudrate)
        except (TimeoutError, OSError, SerialException, ValueError) as error:
            self.trouble = f"{self.port} cannot be opened: {error or 'it does not answer'}"
            return False
        return self.connected

    async def _sleep(self, seconds: float) -> None:
        self._wake.clear()
        if self._closed:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    def made(self, transport: BaseSerialTransport) -> None:
        """The port is open (called by its protocol)."""
        self._transport, self.trouble = transport, None

    def took(self, reads: list[ReadCredential | BadRead]) -> None:
        """Reads came (called by the port's protocol)."""
        for read in reads:
            if len(self._reads) < READS_HELD_MAX:
                self._reads.append(read)
            else:
                self._dropped += 1
        self._wake.set()

    def lost(self, transport: BaseSerialTransport | None, reason: str) -> None:
        """The port is gone (called by its protocol)."""
        if self._transport is transport:
            self._transport, self.trouble = None, f"{self.port} is gone: {reason}"
            self._wake.set()


class _Line(asyncio.Protocol):
    def __init__(self, reader: LineReader) -> None:
        self._reader = reader
        self._parser = LineParser(reader.form)
        self._transport: BaseSerialTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, BaseSerialTransport)
        self._transport = transport
        self._reader.made(transport)

    def data_received(self, data: bytes) -> None:
        reads = self._parser.feed(data, time.monotonic_ns())
        if reads:
            self._reader.took(reads)

    def connection_lost(self, exc: Exception | None) -> None:
        self._reader.lost(self._transport, str(exc or "closed by the other side"))
