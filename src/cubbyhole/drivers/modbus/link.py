"""One serial line with pymodbus' RTU client on it, one request at a time, and an honest account of what was sent.

pymodbus brings the framing, the checksum and the messages; serialx brings the port (``/dev/…`` and ``socket://…``),
so that no second serial library is needed. Nothing is ever sent twice: pymodbus runs with ``retries=0`` and without
its own reconnecting.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from pymodbus.client.base import ModbusBaseClient
from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerType
from pymodbus.pdu import ModbusPDU
from pymodbus.transport import CommParams, CommType
from serialx import SerialException, create_serial_connection

from cubbyhole.drivers.modbus.pdu import CoilWrite
from cubbyhole.drivers.port import LinkDown
from cubbyhole.drivers.wire import OPEN_TIMEOUT_S, Wire


class _Relay(asyncio.Protocol):
    """Passes the port's callbacks on to pymodbus, notes when bytes came, and keeps a decoder's error in this bus."""

    def __init__(self, link: Link, client: ModbusBaseClient) -> None:
        self._link = link
        self._client = client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._link.wire.made(transport)
        self._client.ctx.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._link.wire.heard(data)
        try:
            self._client.ctx.data_received(data)
        except Exception:
            # Whatever a decoder trips over stays in this request: it runs into its timeout and says BadReply.
            self._client.ctx.recv_buffer = b""

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.wire.gone(exc)
        self._client.ctx.connection_lost(exc)


class Link:
    """A ``Wire`` and its client."""

    def __init__(self, port: str, baudrate: int) -> None:
        self.wire = Wire(port, baudrate)
        self.handed_over = False
        self._client: ModbusBaseClient | None = None

    async def open(self) -> None:
        """Open the port. Raises ``LinkDown``."""
        wire = self.wire
        if self._client is not None and wire.up:
            return
        await self.close()
        logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)  # its lines repeat what our errors say
        params = CommParams(
            comm_type=CommType.SERIAL,
            host=wire.port,
            baudrate=wire.baudrate,
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
            create_serial_connection, loop, lambda: relay, wire.port, baudrate=wire.baudrate
        )
        wire.opening()
        try:
            opened = await client.connect()
        except (OSError, SerialException, ValueError) as error:
            raise LinkDown(f"{wire.port} cannot be opened: {error}. Is it plugged in, and free?") from error
        if not opened:
            raise LinkDown(f"{wire.port} cannot be opened. Is it plugged in, and not used by another program?")
        self._client = client

    async def close(self) -> None:
        """Close the port and drop whatever was not yet written. Never raises."""
        client, self._client = self._client, None
        await self.wire.close()
        if client is not None:
            client.close()

    def require_up(self) -> ModbusBaseClient:
        """The client. Raises ``LinkDown`` when the port is closed or lost."""
        self.wire.require_up()
        if self._client is None:
            raise LinkDown(f"{self.wire.port} is not open.")
        return self._client

    async def ask(self, request: ModbusPDU, request_bytes: int, reply_bytes: int, reply_s: float) -> ModbusPDU:
        """Send one request, once, and return its reply (which may be a Modbus exception; see ``isError``).

        ``handed_over`` tells afterwards whether the frame was given to the port.
        Raises ``LinkDown``, ``NoReply`` (silence) or ``BadReply`` (bytes came, but no sound reply).
        """
        self.handed_over = False
        self.require_up()
        await self.wire.wait_until_quiet()
        client = self.require_up()
        timeout_s = self.wire.wire_s(request_bytes + reply_bytes) + reply_s
        client.ctx.comm_params.timeout_connect = timeout_s
        seen_before = self.wire.bytes_seen
        answered = False
        try:
            reply = await client.ctx.execute(False, request)
            answered = True
            return reply
        except (ModbusException, SerialException, OSError) as error:
            self.require_up()
            raise self.wire.no_reply(request.dev_id, seen_before, timeout_s) from error
        finally:
            if not answered:
                self.wire.failed(reply_s)

    def _note_packet(self, sending: bool, data: bytes) -> bytes:
        if sending:
            self.handed_over = True
        return data
