"""A whole server in a thread, with its nats-server, and a bank that speaks to it over the real fabric."""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
import secrets
import socket
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from cubbyhole.domain import events as ev
from cubbyhole.domain.chain import genesis
from cubbyhole.domain.vocabulary import Door, Way
from cubbyhole.edge.fabric.enrol import enrol
from cubbyhole.edge.fabric.link import BankLink
from cubbyhole.protocol import messages as m
from cubbyhole.protocol.fabric.errors import FabricError
from cubbyhole.protocol.signing import public_text
from cubbyhole.server.auth import owner_link
from cubbyhole.server.auth.roles import Scope
from cubbyhole.server.auth.tokens import create
from cubbyhole.server.banks.controllers import create_code
from cubbyhole.server.main import Server
from cubbyhole.server.services import Services
from cubbyhole.server.settings import ServerSettings
from tests.server.hand import COLUMNS, HandBank

T = TypeVar("T")


@dataclass
class Running:
    """A running server, asked from the test's own thread."""

    server: Server
    services: Services
    loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        return self.services.settings.base_url

    def do(self, work: Coroutine[Any, Any, T], timeout_s: float = 20.0) -> T:
        """Run something in the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout_s)

    def program(self, *scopes: Scope) -> httpx.Client:
        """A program with a token of its own."""
        with self.services.store.write() as work:
            title = "+".join(scope.value for scope in scopes)
            token = create(work, f"{title} {secrets.token_hex(4)}", scopes, "op:test")
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=15)

    @contextlib.contextmanager
    def browser(self) -> Iterator[httpx.Client]:
        """A browser in which the owner is signed in."""
        with self.services.store.write() as work:
            token = owner_link.make(work)
        headers = {"Origin": self.url, "Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
        with httpx.Client(base_url=self.url, headers=headers, timeout=15) as client:
            assert client.post(f"/owner/{token}").status_code == 303
            yield client


@contextlib.contextmanager
def running(home: Path, database_url: str, *, named: str | None = None, **more: Any) -> Iterator[Running]:
    """A server until the block ends. ``named``: the host's name in its public address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    if named is not None:
        more["public_url"] = f"http://{named}:{port}"
    settings = ServerSettings(home=home, database_url=database_url, port=port, timezone="Europe/Berlin", **more)
    server, loop = Server(settings), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="server", daemon=True)
    thread.start()
    try:
        services = asyncio.run_coroutine_threadsafe(server.start(), loop).result(40)
        yield Running(server, services, loop)
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(40)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


class WireBank(HandBank):
    """A bank in the hand that enrolled with a code and sends its journal over the fabric."""

    def connect(self, to: Running, folder: Path) -> WireBank:
        self._to, self.folder = to, folder
        with self.store.write() as work:
            code = create_code(work, to.services.authority.fingerprint, (self.bank,), "op:test")
        enrolment = to.do(enrol(to.url, code, folder, [self.bank]))
        self.key, self.epoch = enrolment.keys.journal, f"{7:032x}"
        self.link = to.do(self._link(enrolment))
        self.live: queue.Queue[m.LiveCommand] = queue.Queue()
        self.nudges: queue.Queue[m.Nudge] = queue.Queue()
        self.hash = genesis(self.bank, self.epoch)
        self.write(
            ev.EpochStarted(controller=enrolment.controller, journal_key=public_text(self.key)),
            ev.BankConfigured(
                label="Lobby", area="Ground floor", site="Kestrel House", columns=COLUMNS, reader="door",
                senses_lock=True, senses_occupancy=False, drives_lights=False,
            ),
            *[ev.DoorSeen(locker=f"{n:02d}", door=Door.CLOSED) for n in range(1, 9)],
        )  # fmt: skip
        self.beat()
        return self

    async def _link(self, enrolment: Any) -> BankLink:
        link = BankLink(enrolment)
        link.on_live(self.bank, self._live)
        link.on_nudge(self.bank, self._nudged)
        await link.start()
        await link.wait_connected(10)
        return link

    def close(self) -> None:
        self._to.do(self.link.stop())

    def request(self, verb: str, message: m.Message, bank: str | None = None) -> bytes:
        """Raises FabricError."""
        return self._to.do(self.link.request(bank or self.bank, verb, m.encode(message), 5.0))

    def send(self, batch: m.Events) -> m.EventsReply:
        return m.decode(m.EventsReply, self.request("events", batch))

    def beat(self, directory: int = 0, standing: int = 0) -> m.BeatReply:
        beat = m.Beat(
            bank=self.bank, epoch=self.epoch, seq=self.seq, directory=directory, standing=standing, at=0, mono=0,
            boot="b", sync=True,
        )  # fmt: skip
        return m.decode(m.BeatReply, self.request("beat", beat))

    async def _live(self, payload: bytes) -> bytes:
        """Claim, then open, as a controller does."""
        command = m.decode(m.LiveCommand, payload)
        self.live.put(command)
        claim = m.Claim(bank=self.bank, command=command.command)
        try:
            raw = await self.link.request(self.bank, "claim", m.encode(claim), 1.0)
        except FabricError as error:
            return m.encode(m.CommandAnswer(command=command.command, outcome="refused", reason=str(error)))
        if not m.decode(m.ClaimReply, raw).go:
            return m.encode(m.CommandAnswer(command=command.command, outcome="refused", reason="late"))
        batch = self.batch(
            ev.AccessGranted(
                grant=f"g_{self.seq}", locker=command.locker, way=Way.COMMAND, command=command.command,
                reason=command.reason, note=command.note,
            ),
            ev.CommandDone(command=command.command, kind="open", outcome="done"),
            actor=command.actor,
        )  # fmt: skip
        return m.encode(m.CommandAnswer(command=command.command, outcome="done", events=batch))

    async def _nudged(self, payload: bytes) -> None:
        self.nudges.put(m.decode(m.Nudge, payload))


def events_of(stream: Iterator[str]) -> Iterator[tuple[str, int | None, dict[str, Any]]]:
    """Server-sent events of an open response, as (event, id, body)."""
    kind, number = "", None
    for line in stream:
        if line.startswith("event: "):
            kind = line[7:]
        elif line.startswith("id: "):
            number = int(line[4:])
        elif line.startswith("data: "):
            yield kind, number, json.loads(line[6:])
