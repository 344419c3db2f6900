"""The network cable between a controller and the server: a TCP relay that can be cut and mended.

Cut means what a pulled plug means to TCP: nothing arrives, nothing is refused, no end of a connection is told.
Whatever the two ends go on sending waits (in their own buffers) and arrives after mending, if they are still there.
"""

from __future__ import annotations

import asyncio
import contextlib

from cubbyhole.simulator.rig.settings import CableSpec
from cubbyhole.simulator.rig.table import SettingsError

CONNECTIONS_MAX = 128
CHUNK_BYTES = 16_384
CONNECT_TIMEOUT_S = 10.0


class Cable:
    """One relay. ``whole`` tells its state."""

    def __init__(self, spec: CableSpec) -> None:
        self._spec = spec
        self._server: asyncio.Server | None = None
        self._mended = asyncio.Event()
        self._mended.set()
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def whole(self) -> bool:
        return self._mended.is_set()

    @property
    def listen(self) -> tuple[str, int]:
        """Where it listens; the port is known after ``start`` even if 0 was asked for."""
        if self._server is not None and self._server.sockets:
            host, port = self._server.sockets[0].getsockname()[:2]
            return str(host), int(port)
        return self._spec.listen

    async def start(self) -> None:
        """Raises ``SettingsError`` when it cannot listen."""
        host, port = self._spec.listen
        try:
            self._server = await asyncio.start_server(self._accept, host, port, limit=CHUNK_BYTES)
        except OSError as error:
            raise SettingsError(f"the cable cannot listen on {host}:{port}: {error.strerror or error}") from error

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def cut(self) -> None:
        self._mended.clear()

    def mend(self) -> None:
        self._mended.set()

    def describe(self) -> dict[str, object]:
        host, port = self.listen
        return {
            "state": "whole" if self.whole else "cut",
            "listen": f"{host}:{port}",
            "to": f"{self._spec.to[0]}:{self._spec.to[1]}",
            "connections": len(self._connections),
        }

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= CONNECTIONS_MAX:
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._carry(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._mended.wait()
        host, port = self._spec.to
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            far_reader, far_writer = await asyncio.open_connection(host, port, limit=CHUNK_BYTES)
        pumps = [
            asyncio.create_task(self._pump(reader, far_writer)),
            asyncio.create_task(self._pump(far_reader, writer)),
        ]
        try:
            await asyncio.gather(*pumps)
        finally:
            for pump in pumps:
                pump.cancel()
            far_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await self._mended.wait()
            try:
                chunk = await reader.read(CHUNK_BYTES)
            except OSError:
                # A reset, too, is news that a cut cable does not carry.
                await self._mended.wait()
                writer.transport.abort()
                return
            await self._mended.wait()
            if not chunk:
                with contextlib.suppress(OSError, NotImplementedError):
                    writer.write_eof()
                return
            writer.write(chunk)
            await writer.drain()
