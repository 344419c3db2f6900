"""The rig's end of a serial line: a pty with a symlink where the driver looks for it, or a TCP listener."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from cubbyhole.simulator.rig.settings import address
from cubbyhole.simulator.rig.table import SettingsError

CHUNK_BYTES = 4096
Receive = Callable[[bytes], None]


class Port(Protocol):
    """One end of a line. ``plug`` and ``unplug`` may be called in any state, any number of times."""

    async def plug(self) -> None:
        """Make the port appear. Raises ``SettingsError`` when its place is taken."""
        ...

    async def unplug(self) -> None:
        """Make it vanish, as if its cable were pulled out of the computer."""
        ...

    def send(self, octets: bytes) -> None:
        """Put bytes on the line. Nobody there, or no room: they are lost, as on a real one."""
        ...


def make_port(place: str, receive: Receive) -> Port:
    """The port for a path or ``socket://host:port``."""
    if place.startswith("socket://"):
        return TcpPort(*address(place.removeprefix("socket://"), place), receive)
    return PtyPort(Path(place), receive)


class PtyPort:
    """A pseudo-terminal. The rig keeps the far end open too, so that a closing driver does not end the line."""

    def __init__(self, path: Path, receive: Receive) -> None:
        self._path = path
        self._receive = receive
        self._near: int | None = None
        self._far: int | None = None

    async def plug(self) -> None:
        if self._near is not None:
            return
        if self._path.exists() and not self._path.is_symlink():
            raise SettingsError(f"{self._path} is there and is no symlink: choose another port path")
        near, far = pty.openpty()
        tty.setraw(far)
        os.set_blocking(near, False)
        self._near, self._far = near, far
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.ttyname(far))
        os.replace(fresh, self._path)
        asyncio.get_running_loop().add_reader(near, self._readable)

    async def unplug(self) -> None:
        near, far, self._near, self._far = self._near, self._far, None, None
        if near is None or far is None:
            return
        asyncio.get_running_loop().remove_reader(near)
        with contextlib.suppress(OSError):
            if os.readlink(self._path) == os.ttyname(far):
                self._path.unlink()
        os.close(near)
        os.close(far)

    def send(self, octets: bytes) -> None:
        if self._near is not None:
            with contextlib.suppress(OSError):
                os.write(self._near, octets)

    def _readable(self) -> None:
        if self._near is None:
            return
        try:
            received = os.read(self._near, CHUNK_BYTES)
        except OSError:
            return
        if received:
            self._receive(received)


class TcpPort:
    """A serial gateway: raw bytes over TCP, one client at a time, the newest."""

    def __init__(self, host: str, port: int, receive: Receive) -> None:
        self._host = host
        self._port = port
        self._receive = receive
        self._server: asyncio.Server | None = None
        self._client: asyncio.Transport | None = None

    async def plug(self) -> None:
        if self._server is not None:
            return
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: _Client(self), self._host, self._port)
        except OSError as error:
            raise SettingsError(f"cannot listen on {self._host}:{self._port}: {error.strerror or error}") from error

    async def unplug(self) -> None:
        server, self._server = self._server, None
        client, self._client = self._client, None
        if client is not None:
            client.abort()
        if server is not None:
            server.close()
            await server.wait_closed()

    def send(self, octets: bytes) -> None:
        if self._client is not None and self._client.get_write_buffer_size() < CHUNK_BYTES:
            self._client.write(octets)

    def came(self, client: asyncio.Transport) -> None:
        if self._client is not None:
            self._client.abort()
        self._client = client

    def went(self, client: asyncio.Transport | None) -> None:
        if self._client is client:
            self._client = None

    def took(self, client: asyncio.Transport | None, octets: bytes) -> None:
        if self._client is client:
            self._receive(octets)


class _Client(asyncio.Protocol):
    def __init__(self, port: TcpPort) -> None:
        self._port = port
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._port.came(transport)

    def data_received(self, data: bytes) -> None:
        self._port.took(self._transport, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._port.went(self._transport)
