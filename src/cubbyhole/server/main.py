"""The server's composition root: every part is made here, started in order and stopped in the opposite one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import time
from collections.abc import Awaitable, Callable

import structlog
import uvicorn

from cubbyhole.integrations.mail.smtp import make_transport
from cubbyhole.protocol.fabric.errors import Refused
from cubbyhole.protocol.fabric.login import Endpoint
from cubbyhole.server.app import create_app
from cubbyhole.server.auth import owner_link
from cubbyhole.server.auth.access import Auth
from cubbyhole.server.banks.controllers import ControllerRegistry
from cubbyhole.server.banks.enrolling import enrolment_desk
from cubbyhole.server.banks.ingest import Change, Ingest
from cubbyhole.server.banks.messages import Unacceptable
from cubbyhole.server.banks.presence import Heartbeats, Standing
from cubbyhole.server.banks.queries import BankQueries, standings
from cubbyhole.server.banks.refold import refold_stale
from cubbyhole.server.banks.rounds import Rounds
from cubbyhole.server.commands.actions import Actions, Outcomes
from cubbyhole.server.commands.live import LiveCommands, Result
from cubbyhole.server.desk import BankDesk
from cubbyhole.server.directory.sync import DirectoryDesk
from cubbyhole.server.fabric import authority as authorities
from cubbyhole.server.fabric import keys as fabric_keys
from cubbyhole.server.fabric.link import ServerLink
from cubbyhole.server.fabric.nats_server import NatsServer
from cubbyhole.server.fabric.presence import PresenceChange
from cubbyhole.server.installation import now_ms, open_store
from cubbyhole.server.keys import load_or_make
from cubbyhole.server.live.hub import Hub, Moved
from cubbyhole.server.live.stream import LiveFeed
from cubbyhole.server.notices.post import Post
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.unit import Store
from cubbyhole.server.services import Services
from cubbyhole.server.settings import ServerSettings
from cubbyhole.server.web.readiness import Readiness
from cubbyhole.ui.render import NotBuilt, Renderer

log = structlog.get_logger(__name__)

CONNECTIONS_MOST = 2000
STOP_WITHIN_S = 4


class Server:
    """One server process. `start` returns once it serves; `stop` leaves nothing behind."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self._stack = contextlib.AsyncExitStack()
        self._uvicorn: uvicorn.Server | None = None
        self.services: Services | None = None
        self.link: ServerLink | None = None

    async def start(self) -> Services:
        """Raises what the parts raise: each message says what to do."""
        settings, loop = self.settings, asyncio.get_running_loop()
        transport = await asyncio.to_thread(make_transport, settings.smtp, settings.mail_from)
        store = await asyncio.to_thread(open_store, settings)
        self._stack.callback(store.engine.dispose)
        await asyncio.to_thread(refold_stale, store)
        authority = authorities.load_or_make(settings.keys, settings.fabric_names)
        keys = fabric_keys.load_or_make(settings.keys)
        sealing = load_or_make(settings.keys / "sealing.key")
        pool, ingest_pool = WorkPool("work", 8, 256), WorkPool("ingest", 8, 1024)
        self._stack.callback(pool.close)
        self._stack.callback(ingest_pool.close)

        hub, outcomes = Hub(loop), Outcomes(loop)
        heartbeats = Heartbeats(time.monotonic, now_ms, lambda bank, online: hub.publish(Moved(bank, all_lockers=True)))

        def announce(change: Change) -> None:
            if not change.quarantined:
                loop.call_soon_threadsafe(heartbeats.committed, change.bank, change.epoch, change.seq)
            hub.publish(Moved(change.bank, change.lockers, False, *change.ordinals))
            for settled in change.settled:
                outcomes.settled(Result(settled.command, settled.outcome, settled.reason))

        ingest = Ingest(store, authority.receipt_key, announce)
        queries = BankQueries(store, heartbeats)
        endpoint, offered = await self._fabric(authority, keys)
        link = self.link = ServerLink(
            endpoint, keys, ControllerRegistry(store),
            on_presence=lambda change: _left(heartbeats, change),
        )  # fmt: skip
        live = LiveCommands(store, pool, link, ingest.receive)
        rounds = Rounds(store, pool, heartbeats, link)
        actions = Actions(store, pool, live, outcomes, rounds.nudge)
        desk = BankDesk(store, DirectoryDesk(store, sealing), live)
        await ingest_pool.run(lambda: heartbeats.learn(*_look(store)))

        _serve(link, "events", ingest_pool, ingest.take)
        _serve(link, "claim", ingest_pool, desk.claim)
        _serve(link, "sync", pool, desk.sync)
        _serve(link, "standing", pool, desk.standing)
        _serve(link, "resume", pool, desk.resume)
        link.subscribe("beat", rounds.beat)
        link.serve_enrolment(enrolment_desk(store, pool, sealing, offered, rounds.look))
        await link.start()
        self._stack.push_async_callback(link.stop)
        await rounds.start()
        self._stack.push_async_callback(rounds.stop)

        post = Post(store, sealing, transport, base_url=settings.base_url, language=settings.language)
        await post.start()
        self._stack.push_async_callback(post.stop)
        readiness = Readiness(store, {"fabric": lambda: link.connected}, post.hints)
        feed = LiveFeed(hub, store, pool, queries)
        self.services = Services(
            settings, store, pool, sealing, authority, heartbeats, queries, actions, feed, readiness, offered, post
        )
        auth = Auth(store, pool, always_secure=settings.base_url.startswith("https:"))
        self._stack.callback(auth.close)
        await self._web(self.services, auth, hub)
        return self.services

    async def _fabric(self, authority: authorities.Authority, keys: fabric_keys.FabricKeys) -> tuple[Endpoint, str]:
        settings = self.settings
        if settings.nats_url:
            return Endpoint((settings.nats_url,), authority.trust()), settings.nats_url
        folder = settings.home / "nats"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        nats = NatsServer(
            folder, authority, keys, port=self._nats_port(), host=settings.nats_host, binary=settings.nats_binary
        )
        await nats.start()
        self._stack.push_async_callback(nats.stop)
        return Endpoint((nats.url,), authority.trust()), nats.offered_url

    def _nats_port(self) -> int:
        """The port of the own nats-server. Chosen once and kept: controllers remember it."""
        if self.settings.nats_port:
            return self.settings.nats_port
        path = self.settings.home / "nats" / "port.json"
        if path.exists():
            return int(json.loads(path.read_text())["port"])
        with socket.socket() as probe:
            probe.bind((self.settings.nats_host, 0))
            port = int(probe.getsockname()[1])
        path.write_text(json.dumps({"port": port}))
        return port

    async def _web(self, services: Services, auth: Auth, hub: Hub) -> None:
        renderer = None
        try:
            renderer = Renderer()
        except NotBuilt as error:
            log.warning("there is an API but there are no pages", why=str(error))
        config = uvicorn.Config(
            create_app(services, auth, renderer), host=self.settings.host, port=self.settings.port, log_config=None,
            access_log=False,
            limit_concurrency=CONNECTIONS_MOST, timeout_graceful_shutdown=STOP_WITHIN_S, lifespan="on",
            server_header=False,
        )  # fmt: skip
        server = self._uvicorn = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        listening = _listen(self.settings.host, self.settings.port)
        task = asyncio.create_task(server._serve([listening]), name="web")

        async def end() -> None:
            server.should_exit = True
            hub.close()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            listening.close()

        self._stack.push_async_callback(end)
        while not server.started:
            if task.done():
                task.result()
                raise RuntimeError("the web server ended at once")
            await asyncio.sleep(0.01)

    def owner_link(self) -> str | None:
        """A fresh one-time address for becoming the owner; None where there is one."""
        assert self.services is not None
        with self.services.store.write() as work:
            token = owner_link.first_link(work)
        return f"{self.settings.base_url}/owner/{token}" if token is not None else None

    async def stop(self) -> None:
        await self._stack.aclose()


async def run(settings: ServerSettings, ready: Callable[[Server], Awaitable[None]] | None = None) -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    server = Server(settings)
    try:
        await server.start()
        if ready is not None:
            await ready(server)
        await stop.wait()
    finally:
        await server.stop()


def _serve(link: ServerLink, verb: str, pool: WorkPool, handler: Callable[[str, bytes], bytes]) -> None:
    """Answer a verb from a thread; what cannot be accepted is answered with its fixed word."""

    async def answer(bank: str, payload: bytes) -> bytes:
        try:
            return await pool.run(handler, bank, payload)
        except Unacceptable as error:
            raise Refused(error.word, str(error)) from None

    link.subscribe(verb, answer)


def _look(store: Store) -> tuple[int, dict[str, Standing]]:
    with store.read() as connection:
        return standings(connection)


def _left(heartbeats: Heartbeats, change: PresenceChange) -> None:
    if not change.connected:
        heartbeats.disconnected(change.controller)


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError with an address in its text."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise OSError(
            error.errno, f"cannot listen on {host}:{port}: {error.strerror}; choose another with --port"
        ) from None
    listening.listen(256)
    return listening
