"""F2: opening a door from afar, the fabric's part alone, against two bare request/replies and one durable commit.

Real nats-server, real TLS, server and bank in two processes. The command takes the claim handshake and the bank's
durable commit with its signed head; the comparison goes over the same connections and commits one row to SQLite in
the bank's process. Both take turns.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from pathlib import Path

from bench.figure import Figure, NotMeasured, quantile
from bench.remote_bank import BANK, COLUMNS, COMMIT, CONTROLLER, ECHO
from cubbyhole.domain.layout import parse_columns
from cubbyhole.edge.fabric import keys as controller_keys
from cubbyhole.protocol import messages as m
from cubbyhole.protocol.fabric.errors import FabricError
from cubbyhole.protocol.fabric.login import Endpoint
from cubbyhole.server.fabric import authority, keys
from cubbyhole.server.fabric.callout import ControllerGrant, EnrolmentGrant
from cubbyhole.server.fabric.link import BankUnreachable, ServerLink
from cubbyhole.server.fabric.nats_server import NatsServer
from cubbyhole.simulator.house import free_ports

ROUNDS = 1_000
WARM_UP = 100
START_S = 15.0
TIMEOUT_S = 5.0


class _OneController:
    """A registry that knows the bench's controller and nobody else."""

    def __init__(self, nkey_public: str) -> None:
        self._nkey = nkey_public

    def controller_banks(self, nkey_public: str) -> ControllerGrant | None:
        return ControllerGrant(CONTROLLER, (BANK, ECHO)) if nkey_public == self._nkey else None

    def enrolment(self, code_id: str, secret: str) -> EnrolmentGrant | None:
        return None


def run(folder: Path) -> list[Figure]:
    """Two figures, p50 and p99. Raises NotMeasured."""
    folder = (folder / "remote_open").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    try:
        ours, bare = asyncio.run(_measure(folder))
    except FabricError as error:
        raise NotMeasured(f"the fabric failed: {error}") from None
    return [
        Figure(
            name=f"F2 remote open, fabric part, p{share * 100:.0f}", unit=f"ms, p{share * 100:.0f}",
            value=quantile(ours, share) * 1000, limit=quantile(bare, share) * 1000, goal=goal, at_least=False,
            limit_is="two bare request/replies over the same TLS connections + one bare SQLite commit (WAL, FULL)",
            span=f"server sends the command → its answer is here (claimed, journaled, synced), {len(ours)} commands",
        )
        for share, goal in ((0.5, 2.0), (0.99, 3.0))
    ]  # fmt: skip


async def _measure(folder: Path) -> tuple[list[float], list[float]]:
    own = authority.load_or_make(folder / "authority")
    fabric_keys = keys.load_or_make(folder / "fabric")
    bank_folder = folder / "bank"
    bank_folder.mkdir(parents=True)
    login = controller_keys.load_or_make(bank_folder).login
    nats = NatsServer(folder / "fabric", own, fabric_keys, port=free_ports(1)[0], host="127.0.0.1")
    link = ServerLink(Endpoint((nats.url,), own.trust()), fabric_keys, _OneController(login.public))
    link.subscribe("claim", _go)
    pem = folder / "authority.pem"
    pem.write_text(own.pem)
    await nats.start()
    try:
        await link.start()
        program = [sys.executable, "-m", "bench.remote_bank", str(bank_folder), nats.url, str(pem)]
        bank = await asyncio.create_subprocess_exec(*program, stdin=asyncio.subprocess.PIPE)
        try:
            await _there(link, bank)
            return await _turns(link)
        finally:
            assert bank.stdin is not None
            bank.stdin.close()
            try:
                await asyncio.wait_for(bank.wait(), 5)
            except TimeoutError:
                bank.kill()
                await bank.wait()
    finally:
        await link.stop()
        await nats.stop()


async def _go(bank: str, payload: bytes) -> bytes:
    m.decode(m.Claim, payload)
    return m.encode(m.ClaimReply(go=True))


async def _there(link: ServerLink, bank: asyncio.subprocess.Process) -> None:
    end = time.monotonic() + START_S
    while True:
        try:
            await link.request_live(ECHO, b"there?", 1.0)
            return
        except BankUnreachable:
            if bank.returncode is not None or time.monotonic() > end:
                raise NotMeasured("the bank's process did not come; see what it printed") from None
            await asyncio.sleep(0.05)


async def _turns(link: ServerLink) -> tuple[list[float], list[float]]:
    """Seconds for each command, and for each bare pair with its commit."""
    ours, bare = [], []
    numbers = [spec.number for spec in parse_columns(COLUMNS)]
    for turn in range(WARM_UP + ROUNDS):
        command = m.LiveCommand(
            command=f"c_{turn:016x}", kind="open", locker=numbers[turn % len(numbers)], actor="op:bench", reason="bench"
        )
        payload = m.encode(command)
        began = time.perf_counter()
        answer = m.decode(m.CommandAnswer, await link.request_live(BANK, payload, TIMEOUT_S))
        taken = time.perf_counter() - began
        if answer.outcome != "done":
            raise NotMeasured(f"the bank refused a command: {answer.reason}")
        await link.request_live(BANK, b"", TIMEOUT_S)
        began = time.perf_counter()
        await link.request_live(ECHO, payload, TIMEOUT_S)
        await link.request_live(ECHO, COMMIT + payload, TIMEOUT_S)
        if turn >= WARM_UP:
            ours.append(taken)
            bare.append(time.perf_counter() - began)
    return ours, bare
