"""One serial line with pymodbus' RTU client on it, one request at a time, and an honest account of what was sent.

pymodbus brings the framing, the checksum and the messages; serialx brings the port (``/dev/…`` and ``socket://…``),
so that no second serial library is needed. Nothing is ever sent twice: pymodbus runs with ``retries=0`` and without
its own reconnecting.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial

from pymodbus.client.base import ModbusBaseClient
from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerType
from pymodbus.pdu import ModbusPDU
from pymodbus.transport import CommParams, CommType
from serialx import BaseSerialTransport, SerialException, create_serial_connection

from cubbyhole.drivers.modbus.pdu import CoilWrite
from cubbyhole.drivers.port import BadReply, LinkDown, NoReply

OPEN_TIMEOUT_S = 3.0
CLOSE_TIMEOUT_S = 2.0


class _Relay(asyncio.Protocol):
    """Passes the port's callbacks on to pymodbus, notes when bytes came, and keeps a decoder's error in this bus."""

    def __init__(self, link: Link, client: ModbusBaseClient) -> None:
        self._link = link
        self._client = client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, BaseSerialTransport)
        self._link.transport = transport
        self._client.ctx.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._link.bytes_seen += len(data)
        self._link.last_byte_at = asyncio.get_running_loop().time()
        try:
            self._client.ctx.data_received(data)
        except Exception:
            # Whatever a decoder trips over stays in this request: it runs into its timeout and says BadReply.
            self._client.ctx.recv_buffer = b""

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.lost = str(exc or "closed by the other side")
        self._client.ctx.connection_lost(exc)


class Link:
    """The port and its client. After any failed request the line is left quiet for a while before the next one."""

    def __init__(self, port: str, baudrate: int) -> None:
        self.port = port
        self.baudrate = baudrate
        self.transport: BaseSerialTransport | None = None
        self.lost: str | None = None
        self.bytes_seen = 0
        self.last_byte_at = 0.0
        self.handed_over = False
        self._client: ModbusBaseClient | None = None
        self._quiet_until = 0.0
        self._quiet_cap = 0.0

    def wire_s(self, byte_count: int) -> float:
        """The time that so many bytes take on this line: 10 bits each."""
        return byte_count * 10 / self.baudrate

    async def open(self) -> None:
        """Open the port. Raises ``LinkDown``."""
        if self._client is not None and self.up:
            return
        await self.close()
        logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)  # its lines repeat what our errors say
        params = CommParams(
            comm_type=CommType.SERIAL,
            host=self.port,
            baudrate=self.baudrate,
            bytesize=8,
            parity="N",
            stopbits=1,
            reconnect_delay=None,
            timeout_connect=OPEN_TIMEOUT_S,
        )
        client = ModbusBaseClient(FramerType.RTU, 0, params, self._note_packet, None, None)
        client.register(CoilWrite)
        relay = _Relay(self, client)
        loop = asyncio.get_running_loop()
        client.ctx.call_create = partial(
            create_serial_connection, loop, lambda: relay, self.port, baudrate=self.baudrate
        )
        self.lost = None
        try:
            opened = await client.connect()
        except (OSError, SerialException, ValueError) as error:
            raise LinkDown(f"{self.port} cannot be opened: {error}. Is it plugged in, and free?") from error
        if not opened:
            raise LinkDown(f"{self.port} cannot be opened. Is it plugged in, and not used by another program?")
        self._client = client
        self._quiet_until = 0.0

    async def close(self) -> None:
        """Close the port and drop whatever was not yet written. Never raises."""
        client, self._client = self._client, None
        transport, self.transport = self.transport, None
        if transport is not None:
            transport.abort()
        if client is not None:
            client.close()
        if transport is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(transport.wait_closed(), CLOSE_TIMEOUT_S)

    @property
    def up(self) -> bool:
        """Whether the port is open as far as is known."""
        return self._client is not None and self.transport is not None and self.lost is None

    def require_up(self) -> ModbusBaseClient:
        """The client. Raises ``LinkDown`` when the port is closed or lost."""
        if self._client is None:
            raise LinkDown(f"{self.port} is not open.")
        if self.transport is None or self.transport.is_closing() or self.lost is not None:
            raise LinkDown(f"{self.port} is gone ({self.lost or 'closing'}). Check the plug of the converter.")
        return self._client

    async def ask(self, request: ModbusPDU, request_bytes: int, reply_bytes: int, reply_s: float) -> ModbusPDU:
        """Send one request, once, and return its reply (which may be a Modbus exception; see ``isError``).

        ``handed_over`` tells afterwards whether the frame was given to the port.
        Raises ``LinkDown``, ``NoReply`` (silence) or ``BadReply`` (bytes came, but no sound reply).
        """
        self.handed_over = False
        self.require_up()
        await self._wait_until_quiet()
        client = self.require_up()
        timeout_s = self.wire_s(request_bytes + reply_bytes) + reply_s
        client.ctx.comm_params.timeout_connect = timeout_s
        seen_before = self.bytes_seen
        loop = asyncio.get_running_loop()
        answered = False
        try:
            reply = await client.ctx.execute(False, request)
            answered = True
            return reply
        except (ModbusException, SerialException, OSError) as error:
            self.require_up()
            if self.bytes_seen > seen_before:
                raise BadReply(
                    f"Board {request.dev_id} on {self.port}: the reply was damaged. "
                    "If this goes on, check the cable, its shield and the termination."
                ) from error
            raise NoReply(
                f"Board {request.dev_id} on {self.port} did not answer within {timeout_s * 1000:.0f} ms. "
                "Check its power, its address and the two bus wires."
            ) from error
        finally:
            if not answered:
                # A late reply must not be taken for the next one: RTU replies carry no number.
                self._quiet_until = loop.time() + reply_s
                self._quiet_cap = loop.time() + 2 * reply_s
                self._drop_unwritten()

    async def _wait_until_quiet(self) -> None:
        loop = asyncio.get_running_loop()
        while (now := loop.time()) < self._quiet_cap:
            ready_at = max(self._quiet_until, self.last_byte_at + self.wire_s(4))
            if now >= ready_at:
                break
            await asyncio.sleep(min(ready_at, self._quiet_cap) - now)

    def _drop_unwritten(self) -> None:
        # A frame still waiting in the program would go out whenever the port takes bytes again: an unlock out of time.
        transport = self.transport
        if transport is not None and transport.get_write_buffer_size() > 0:
            self.lost = "it takes no bytes"
            transport.abort()

    def _note_packet(self, sending: bool, data: bytes) -> bytes:
        if sending:
            self.handed_over = True
        return data
