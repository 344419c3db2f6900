"""nats-server dies, the cable is pulled, the parent is killed: who notices, how soon, and who comes back."""

from __future__ import annotations

import asyncio
import datetime
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cubbyhole.protocol.fabric.errors import FabricError
from cubbyhole.server.fabric import authority
from cubbyhole.server.fabric.link import BankUnreachable
from cubbyhole.server.fabric.nats_server import NatsServer, NatsServerFailed, check_version, find_binary

from .conftest import Fabric, echo, free_port, until, until_answered
from .relay import Cable

pytestmark = pytest.mark.asyncio


async def test_after_a_restart_of_nats_the_bank_reconnects_by_itself(fabric: Fabric) -> None:
    link = await fabric.connected("A")
    await fabric.nats.stop()
    await until(lambda: not link.connected)
    await asyncio.sleep(0.5)
    await fabric.nats.start()
    assert await until(lambda: link.connected) < 4
    assert await until_answered(lambda: fabric.link.request_live("A", b"x", 1.0)) == b"echo x"


async def test_a_killed_nats_is_started_again_and_everybody_is_back(fabric: Fabric) -> None:
    first, second = await fabric.connected("A"), await fabric.connected("B")
    killed = fabric.nats.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    await until(lambda: not first.connected and not second.connected)
    assert await until(lambda: first.connected and second.connected) < 5
    assert await until_answered(lambda: fabric.link.request_live("A", b"x", 1.0)) == b"echo x"
    assert await until_answered(lambda: fabric.link.request_live("B", b"x", 1.0)) == b"echo x"
    assert fabric.nats.restarts == 1
    assert fabric.nats.pid not in (None, killed)


async def test_nats_killed_again_and_again_leaves_one_nats_and_working_links(fabric: Fabric) -> None:
    await fabric.connected("A")
    for _ in range(4):
        pid = fabric.nats.pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.3)
    assert await until_answered(lambda: fabric.link.request_live("A", b"x", 1.0)) == b"echo x"
    assert await until_answered(lambda: fabric.link.request_live("A", b"x", 1.0)) == b"echo x"


async def test_a_pulled_cable_is_noticed_within_three_seconds_and_mended_by_itself(fabric: Fabric) -> None:
    cable = Cable(fabric.port)
    await cable.start()
    try:
        enrolment = await fabric.enrolled("A")
        link = fabric.bank_link(enrolment, f"tls://127.0.0.1:{cable.port}")
        link.on_live("A", echo)
        await link.start()
        await link.wait_connected(5)
        await until(lambda: enrolment.controller in fabric.link.presence.connected)
        cable.cut()
        assert await until(lambda: not link.connected) < 3.5
        # nats-server looks on its own, between two and four of its ping intervals
        await until(lambda: enrolment.controller not in fabric.link.presence.connected)
        with pytest.raises(BankUnreachable):
            await fabric.link.request_live("A", b"", 1.0)
        cable.mend()
        assert await until(lambda: link.connected, 10) < 6
        assert await until_answered(lambda: fabric.link.request_live("A", b"x", 1.0)) == b"echo x"
    finally:
        await cable.stop()


async def test_what_was_sent_into_a_dead_cable_does_not_arrive_when_it_is_mended(fabric: Fabric) -> None:
    heard: list[bytes] = []

    async def hear(bank: str, payload: bytes) -> bytes:
        heard.append(payload)
        return b""

    await fabric.link.stop()
    fabric.link = fabric.new_link()
    fabric.link.subscribe("events", hear)
    await fabric.link.start()
    cable = Cable(fabric.port)
    await cable.start()
    try:
        link = fabric.bank_link(await fabric.enrolled("A"), f"tls://127.0.0.1:{cable.port}")
        await link.start()
        await link.wait_connected(5)
        await link.request("A", "events", b"before", 1.0)
        cable.cut()
        # More than a socket buffer: most of it never leaves the bank's kernel, and must be thrown away there.
        lost = [link.request("A", "events", b"lost" + bytes(900_000), 10.0) for _ in range(8)]
        assert all(isinstance(e, FabricError) for e in await asyncio.gather(*lost, return_exceptions=True))
        assert not link.connected
        await asyncio.sleep(0.5)
        cable.mend()
        await until_answered(lambda: link.request("A", "events", b"after", 1.0))
        assert heard == [b"before", b"after"]
    finally:
        await cable.stop()


async def test_nats_dies_with_its_killed_parent(tmp_path: Path) -> None:
    script = """
import asyncio, pathlib, sys
from cubbyhole.server.fabric import authority, keys
from cubbyhole.server.fabric.nats_server import NatsServer

async def main():
    folder = pathlib.Path(sys.argv[1])
    nats = NatsServer(folder, authority.load_or_make(folder), keys.load_or_make(folder), port=int(sys.argv[2]))
    await nats.start()
    print(nats.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(tmp_path), str(free_port()), stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert parent.stdout is not None
    child = int(await asyncio.wait_for(parent.stdout.readline(), 20))
    os.kill(child, 0)
    parent.kill()
    await parent.wait()
    await until(lambda: not _runs(child))


async def test_a_taken_port_is_said_to_be_taken(fabric: Fabric, tmp_path: Path) -> None:
    second = NatsServer(tmp_path / "second", fabric.authority, fabric.keys, port=fabric.port, host="127.0.0.1")
    with pytest.raises(NatsServerFailed, match=f"port {fabric.port} is taken"):
        await second.start()
    assert second.pid is None


async def test_a_program_that_is_not_nats_or_too_old_is_refused(tmp_path: Path) -> None:
    assert await check_version(find_binary()) == "2.15.1"
    old = tmp_path / "old"
    old.write_text("#!/bin/sh\necho 'nats-server: v2.9.10'\n")
    old.chmod(0o755)
    with pytest.raises(NatsServerFailed, match=r"needs 2\.15\.0"):
        await check_version(old)
    with pytest.raises(NatsServerFailed, match="does not look like"):
        await check_version(Path("/bin/echo"))
    with pytest.raises(NatsServerFailed, match="not a program"):
        find_binary(tmp_path / "missing")


async def test_a_bank_whose_clock_is_years_off_still_reaches_its_server(tmp_path: Path) -> None:
    fabric = Fabric(tmp_path)
    future = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=3650)
    fabric.authority = authority.load_or_make(tmp_path / "later", now=future)
    fabric.nats = NatsServer(tmp_path / "nats", fabric.authority, fabric.keys, port=fabric.port, host="127.0.0.1")
    enrolment_endpoint = fabric.authority.trust()
    enrolment_endpoint.verify_flags |= 0x200000
    fabric.authority.trust = lambda: enrolment_endpoint  # type: ignore[method-assign]
    fabric.link = fabric.new_link()
    try:
        await fabric.start()
        await fabric.connected("A")
        assert await fabric.link.request_live("A", b"x", 1.0) == b"echo x"
    finally:
        await fabric.stop()


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
