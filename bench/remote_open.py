"""F2: opening a door from afar, against two bare request/replies and one durable commit.

Real nats-server, real TLS, server and bank in two processes. The same command is timed at three places: as a whole
(`LiveCommands.open` on its store, in three transactions), from its sending on (its claim is one of them), and once
more with a claim that is answered from memory, which leaves the fabric alone. The bank always claims, journals with a
signed head and syncs. The comparison goes over the same connections and commits one row to SQLite in the bank's
process. All take turns.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.figure import Figure, NotMeasured, quantile
from bench.remote_bank import BANK, COLUMNS, COMMIT, CONTROLLER, ECHO
from cubbyhole.domain.layout import parse_columns
from cubbyhole.edge.fabric import keys as controller_keys
from cubbyhole.protocol import messages as m
from cubbyhole.protocol.fabric.errors import FabricError
from cubbyhole.protocol.fabric.login import Endpoint
from cubbyhole.server.commands.live import LiveCommands
from cubbyhole.server.desk import BankDesk
from cubbyhole.server.directory.sync import DirectoryDesk
from cubbyhole.server.fabric import authority, keys
from cubbyhole.server.fabric.callout import ControllerGrant, EnrolmentGrant
from cubbyhole.server.fabric.link import BankUnreachable, ServerLink
from cubbyhole.server.fabric.nats_server import NatsServer
from cubbyhole.server.installation import open_store
from cubbyhole.server.keys import load_or_make
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.settings import ServerSettings, database_address
from cubbyhole.simulator.house import free_ports

ROUNDS = 1_000
WARM_UP = 100
START_S = 15.0
TIMEOUT_S = 5.0
FROM_MEMORY = "m_"  # how commands begin that no store knows; real ones begin with c_


class _OneController:
    """A registry that knows the bench's controller and nobody else."""

    def __init__(self, nkey_public: str) -> None:
        self._nkey = nkey_public

    def controller_banks(self, nkey_public: str) -> ControllerGrant | None:
        return ControllerGrant(CONTROLLER, (BANK, ECHO)) if nkey_public == self._nkey else None

    def enrolment(self, code_id: str, secret: str) -> EnrolmentGrant | None:
        return None


@dataclass(slots=True)
class _Times:
    """Seconds, one of each for every turn."""

    whole: list[float] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)


class _TimedLine:
    """The server's link, with a clock on what is asked over it."""

    def __init__(self, link: ServerLink) -> None:
        self._link = link
        self.taken_s = 0.0

    async def request_live(self, bank: str, payload: bytes, timeout_s: float) -> bytes:
        began = time.perf_counter()
        answer = await self._link.request_live(bank, payload, timeout_s)
        self.taken_s = time.perf_counter() - began
        return answer


def run(folder: Path) -> list[Figure]:
    """Six figures, p50 and p99 of three spans. Raises NotMeasured."""
    folder = (folder / "remote_open").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    try:
        times = asyncio.run(_measure(folder))
    except FabricError as error:
        raise NotMeasured(f"the fabric failed: {error}") from None
    spans = (
        ("with its claim on the store", times.sent, True,
         "server sends the command → its answer is here: claimed and committed at the server, journaled and synced"),
        ("fabric alone", times.alone, True,
         "server sends the command → its answer is here: claimed from memory, journaled and synced"),
        ("whole command", times.whole, False,
         "LiveCommands.open called → it returns: written down, claimed, answered, each committed at the server"),
    )  # fmt: skip
    return [
        Figure(
            name=f"F2 remote open, {name}, p{share * 100:.0f}", unit=f"ms, p{share * 100:.0f}",
            value=quantile(taken, share) * 1000, limit=quantile(times.bare, share) * 1000,
            goal=goal if promised else None, at_least=False,
            limit_is="two bare request/replies over the same TLS connections + one bare SQLite commit (WAL, FULL)",
            span=f"{span}, {len(taken)} commands",
        )
        for name, taken, promised, span in spans
        for share, goal in ((0.5, 2.0), (0.99, 3.0))
    ]  # fmt: skip


async def _measure(folder: Path) -> _Times:
    own = authority.load_or_make(folder / "authority")
    fabric_keys = keys.load_or_make(folder / "fabric")
    bank_folder = folder / "bank"
    bank_folder.mkdir(parents=True)
    login = controller_keys.load_or_make(bank_folder).login
    nats = NatsServer(folder / "fabric", own, fabric_keys, port=free_ports(1)[0], host="127.0.0.1")
    link = ServerLink(Endpoint((nats.url,), own.trust()), fabric_keys, _OneController(login.public))
    pem = folder / "authority.pem"
    pem.write_text(own.pem)
    async with contextlib.AsyncExitStack() as stack:
        line = _TimedLine(link)
        live = _server(folder / "server", link, line, stack)
        await nats.start()
        stack.push_async_callback(nats.stop)
        await link.start()
        stack.push_async_callback(link.stop)
        program = [sys.executable, "-m", "bench.remote_bank", str(bank_folder), nats.url, str(pem)]
        async with _process(program) as bank:
            await _there(link, bank)
            return await _turns(link, line, live)


def _server(home: Path, link: ServerLink, line: _TimedLine, stack: contextlib.AsyncExitStack) -> LiveCommands:
    """The server's live commands on a store of their own, as `server.main` puts them together."""
    settings = ServerSettings(home=home, database_url=database_address(None, home))
    store = open_store(settings)
    stack.callback(store.engine.dispose)
    pool = WorkPool("work", 8, 256)
    stack.callback(pool.close)
    live = LiveCommands(store, pool, line, lambda bank, events: None)
    desk = BankDesk(store, DirectoryDesk(store, load_or_make(settings.keys / "sealing.key")), live)

    async def claim(bank: str, payload: bytes) -> bytes:
        if m.decode(m.Claim, payload).command.startswith(FROM_MEMORY):
            return m.encode(m.ClaimReply(go=True))
        return await pool.run(desk.claim, bank, payload)

    link.subscribe("claim", claim)
    return live


@contextlib.asynccontextmanager
async def _process(program: list[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    bank = await asyncio.create_subprocess_exec(*program, stdin=asyncio.subprocess.PIPE)
    try:
        yield bank
    finally:
        assert bank.stdin is not None
        bank.stdin.close()
        try:
            async with asyncio.timeout(5):
                await bank.wait()
        except TimeoutError:
            bank.kill()
            await bank.wait()


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


async def _turns(link: ServerLink, line: _TimedLine, live: LiveCommands) -> _Times:
    times = _Times()
    numbers = [spec.number for spec in parse_columns(COLUMNS)]
    for turn in range(WARM_UP + ROUNDS):
        number = numbers[turn % len(numbers)]
        began = time.perf_counter()
        result = await live.open(BANK, number, "op:bench", "drill")
        whole = time.perf_counter() - began
        _done(result.outcome, result.why)
        await link.request_live(BANK, b"", TIMEOUT_S)

        command = m.LiveCommand(
            command=f"{FROM_MEMORY}{turn:016x}", kind="open", locker=number, actor="op:bench", reason="drill"
        )
        payload = m.encode(command)
        began = time.perf_counter()
        answer = m.decode(m.CommandAnswer, await link.request_live(BANK, payload, TIMEOUT_S))
        alone = time.perf_counter() - began
        _done(answer.outcome, answer.reason)
        await link.request_live(BANK, b"", TIMEOUT_S)

        began = time.perf_counter()
        await link.request_live(ECHO, payload, TIMEOUT_S)
        await link.request_live(ECHO, COMMIT + payload, TIMEOUT_S)
        bare = time.perf_counter() - began
        if turn >= WARM_UP:
            times.whole.append(whole)
            times.sent.append(line.taken_s)
            times.alone.append(alone)
            times.bare.append(bare)
    return times


def _done(outcome: str, why: str | None) -> None:
    if outcome != "done":
        raise NotMeasured(f"a command ended as {outcome}: {why}")
