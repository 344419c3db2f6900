"""The network cable: what is sent while it is cut waits, and no end of a connection is told."""

from __future__ import annotations

import asyncio

import pytest

from cubbyhole.simulator.rig.cable import Cable
from cubbyhole.simulator.rig.settings import CableSpec


class Echo:
    """A server that sends back what comes, and counts who is there."""

    def __init__(self) -> None:
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while chunk := await reader.read(1024):
            writer.write(chunk)
        self.connections -= 1
        writer.close()


async def test_a_cut_cable_holds_everything_back_and_a_mended_one_delivers_it() -> None:
    echo = Echo()
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    cable = Cable(CableSpec(("127.0.0.1", 0), ("127.0.0.1", server.sockets[0].getsockname()[1])))
    await cable.start()
    reader, writer = await asyncio.open_connection(*cable.listen)
    try:
        writer.write(b"one")
        assert await asyncio.wait_for(reader.readexactly(3), 2) == b"one"
        cable.cut()
        assert not cable.whole
        writer.write(b"two")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(3), 0.3)
        assert echo.connections == 1
        cable.mend()
        assert await asyncio.wait_for(reader.readexactly(3), 2) == b"two"
    finally:
        writer.close()
        await cable.stop()
        server.close()


async def test_a_new_connection_while_cut_hears_nothing_and_is_carried_after_mending() -> None:
    echo = Echo()
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    cable = Cable(CableSpec(("127.0.0.1", 0), ("127.0.0.1", server.sockets[0].getsockname()[1])))
    await cable.start()
    cable.cut()
    reader, writer = await asyncio.open_connection(*cable.listen)
    try:
        writer.write(b"hello")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.2)
        assert echo.connections == 0
        cable.mend()
        assert await asyncio.wait_for(reader.readexactly(5), 2) == b"hello"
    finally:
        writer.close()
        await cable.stop()
        server.close()


async def test_the_end_of_a_connection_is_not_told_through_a_cut_cable() -> None:
    echo = Echo()
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    cable = Cable(CableSpec(("127.0.0.1", 0), ("127.0.0.1", server.sockets[0].getsockname()[1])))
    await cable.start()
    reader, writer = await asyncio.open_connection(*cable.listen)
    writer.write(b"x")
    await asyncio.wait_for(reader.readexactly(1), 2)
    cable.cut()
    writer.close()
    await asyncio.sleep(0.2)
    assert echo.connections == 1
    cable.mend()
    for _ in range(100):
        if echo.connections == 0:
            break
        await asyncio.sleep(0.02)
    assert echo.connections == 0
    await cable.stop()
    server.close()


async def test_a_server_that_is_not_there_ends_the_connection() -> None:
    cable = Cable(CableSpec(("127.0.0.1", 0), ("127.0.0.1", 9)))
    await cable.start()
    reader, writer = await asyncio.open_connection(*cable.listen)
    try:
        assert await asyncio.wait_for(reader.read(), 5) == b""
    except ConnectionResetError:
        pass
    finally:
        writer.close()
        await cable.stop()
