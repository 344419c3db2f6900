"""The stream under a connection: nothing that a dead link still held may be delivered later."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from cubbyhole.protocol.fabric.login import FABRIC_TLS_NAME
from cubbyhole.protocol.fabric.transport import AbortingTransport
from cubbyhole.server.fabric import authority

from .conftest import Fabric

SENT_BYTES = 100_000


async def test_an_aborted_stream_throws_away_what_its_peer_has_not_taken(tmp_path: Path) -> None:
    made = authority.load_or_make(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(made.leaf_path, made.leaf_key_path)
    stalled, received, ended = asyncio.Event(), bytearray(), asyncio.Event()

    async def read_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await stalled.wait()
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        try:
            while data := await reader.read(65536):
                received.extend(data)
        except OSError:
            pass
        writer.transport.abort()
        ended.set()

    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # the rest has to wait in the sender's kernel
    server = await asyncio.start_server(read_late, sock=listener, ssl=tls)
    transport = AbortingTransport()
    try:
        port = server.sockets[0].getsockname()[1]
        await transport.open("127.0.0.1", port, made.trust(), FABRIC_TLS_NAME, 5)
        transport.write(bytes(SENT_BYTES))
        await asyncio.sleep(0.1)
        transport.abort()
        await asyncio.sleep(0.1)
        stalled.set()
        await asyncio.wait_for(ended.wait(), 5)
        assert len(received) < SENT_BYTES
    finally:
        transport.abort()
        server.close()


async def test_a_link_counts_as_connected_only_after_its_subscriptions_were_sent(
    fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nats-py's flush alone overtakes them, and the first live command would find nobody."""
    enrolment = await fabric.enrolled("A")
    sent: list[bytes] = []
    write = AbortingTransport.write

    def recorded(self: AbortingTransport, payload: bytes) -> None:
        sent.append(payload)
        write(self, payload)

    monkeypatch.setattr(AbortingTransport, "write", recorded)
    monkeypatch.setattr(AbortingTransport, "writelines", lambda self, payload: self.write(b"".join(payload)))
    link = fabric.bank_link(enrolment)
    link.on_nudge("A", lambda payload: asyncio.sleep(0))
    await link.start()
    await link.wait_connected(5)
    nudge = max(at for at, chunk in enumerate(sent) if b"SUB cb.A.cmd.nudge" in chunk)
    ping = max(at for at, chunk in enumerate(sent) if chunk == b"PING\r\n")
    assert nudge < ping
