"""The TLS stream under a NATS connection: the handshake comes first, and closing never waits for a dead peer.

nats-py's own transport asks for TLS only if the server's first line, in plain text, says so; and closing waits for
the TLS shutdown, which a dead peer never answers (half a minute). Here the stream is TLS before the first byte is
read, and it is closed by abort: what a person or program wanted delivered was flushed before, and what a lost link
still held must not be delivered later.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from typing import Any

from nats.aio.transport import Transport

_READ_LIMIT_BYTES = 64 * 1024
_DRAIN_TIMEOUT_S = 2.0
_LINGER_NONE = struct.pack("ii", 1, 0)  # close with RST and throw away what the kernel has not delivered


class AbortingTransport(Transport):
    """Open it first, then give it to a nats-py client. ``gone`` is set once the stream is of no more use."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def open(self, host: str, port: int, tls: ssl.SSLContext, tls_name: str, timeout_s: float) -> None:
        """Connect and shake hands. Raises OSError (also ssl.SSLError and TimeoutError)."""
        async with asyncio.timeout(timeout_s):
            self._reader, self._writer = await asyncio.open_connection(
                host, port, ssl=tls, server_hostname=tls_name, limit=_READ_LIMIT_BYTES
            )
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def abort(self) -> None:
        """End the stream now, from either side of nats-py. Idempotent."""
        self.gone.set()
        if self._writer is not None:
            with contextlib.suppress(RuntimeError):  # the event loop is closed already
                self._writer.transport.abort()

    # What nats-py calls.

    async def connect(self, uri: object, buffer_size: int, connect_timeout: int) -> None:
        """Nothing to do: the stream was opened before."""

    async def connect_tls(self, uri: object, ssl_context: object, buffer_size: int, connect_timeout: int) -> None:
        """Nothing to do: the stream has been TLS from its first byte."""

    def write(self, payload: bytes) -> None:
        self._open_writer().write(payload)

    def writelines(self, payload: list[bytes]) -> None:
        self._open_writer().write(b"".join(payload))

    async def read(self, buffer_size: int) -> bytes:
        return await self._open_reader().read(buffer_size)

    async def readline(self) -> bytes:
        """The next line of the login, which is all that nats-py reads by lines.

        nats-server may ping while it is still deciding whom it lets in; nats-py would take that for a yes.
        """
        while (line := await self._open_reader().readline()).strip() == b"PING":
            self.write(b"PONG\r\n")
        return line

    async def drain(self) -> None:
        try:
            async with asyncio.timeout(_DRAIN_TIMEOUT_S):
                await self._open_writer().drain()
        except OSError:  # TimeoutError is one
            self.abort()
            raise

    def close(self) -> None:
        self.abort()

    async def wait_closed(self) -> None:
        """Nothing to wait for: closing is an abort."""

    def at_eof(self) -> bool:
        return self._reader is None or self._reader.at_eof()

    def __bool__(self) -> bool:
        return True  # else nats-py would put its own transport in our place

    def _open_writer(self) -> asyncio.StreamWriter:
        if self._writer is None:
            raise ConnectionError("the stream is not open")
        return self._writer

    def _open_reader(self) -> asyncio.StreamReader:
        if self._reader is None:
            raise ConnectionError("the stream is not open")
        return self._reader


def trust_only(authority_pem: str, *, at_any_time: bool) -> ssl.SSLContext:
    """A client context whose only root is this authority.

    ``at_any_time`` ignores validity dates: a controller whose clock has lost its battery must still reach the server
    that can tell it the time, and the pinned authority signs nothing but its own fabric's certificates.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=authority_pem)
    if at_any_time:
        no_check_time: Any = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, which the ssl module does not name
        context.verify_flags |= no_check_time
    return context
