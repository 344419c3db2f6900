"""A real fabric on loopback: nats-server from its wheel, TLS by an authority of its own, and a registry in memory."""

from __future__ import annotations

import asyncio
import hmac
import http.server
import os
import secrets
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest_asyncio

from cubbyhole.edge.fabric import enrol
from cubbyhole.edge.fabric.link import BankLink
from cubbyhole.protocol.enrolment import AUTHORITY_PATH, FABRIC_HEADER, EnrolmentCode, EnrolReply, make_code
from cubbyhole.protocol.fabric.errors import FabricError, Refused
from cubbyhole.protocol.fabric.login import Endpoint
from cubbyhole.server.fabric import authority, keys
from cubbyhole.server.fabric.callout import ControllerGrant, EnrolmentGrant
from cubbyhole.server.fabric.link import NewController, ServerLink
from cubbyhole.server.fabric.nats_server import NatsServer
from cubbyhole.server.fabric.presence import PresenceChange


class MemoryRegistry:
    """Controllers and codes as the server's tables would hold them."""

    def __init__(self) -> None:
        self.codes: dict[str, str] = {}
        self.controllers: dict[str, ControllerGrant] = {}
        self.enrolled: list[NewController] = []
        self.delay_s = 0.0

    def controller_banks(self, nkey_public: str) -> ControllerGrant | None:
        return self.controllers.get(nkey_public)

    def enrolment(self, code_id: str, secret: str) -> EnrolmentGrant | None:
        known = self.codes.get(code_id)
        good = known is not None and hmac.compare_digest(known.encode(), secret.encode())
        return EnrolmentGrant(code_id) if good else None

    async def desk(self, new: NewController) -> EnrolReply:
        if not hmac.compare_digest(self.codes.pop(new.code_id, ""), new.secret):
            raise Refused("code", "this code is not good any more; make a new one")
        controller = f"ctl_{secrets.token_hex(6)}"
        self.controllers[new.nkey_public] = ControllerGrant(controller, new.banks)
        self.enrolled.append(new)
        return EnrolReply(1, controller, "tls://:4222", new.banks)

    def remove(self, controller: str) -> None:
        self.controllers = {k: g for k, g in self.controllers.items() if g.controller != controller}


class Fabric:
    """Everything on the server's side that these tests need, and makers for controllers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = authority.load_or_make(folder / "authority")
        self.keys = keys.load_or_make(folder / "fabric")
        self.registry = MemoryRegistry()
        self.port = free_port()
        self.nats = NatsServer(folder / "fabric", self.authority, self.keys, port=self.port, host="127.0.0.1")
        self.changes: list[PresenceChange] = []
        self.banks: list[BankLink] = []
        self.pages: list[http.server.ThreadingHTTPServer] = []
        self.link = self.new_link()

    def new_link(self) -> ServerLink:
        endpoint = Endpoint((self.nats.url,), self.authority.trust())
        link = ServerLink(endpoint, self.keys, self.registry, on_presence=self.changes.append)
        link.serve_enrolment(self.registry.desk)
        return link

    async def start(self) -> None:
        await self.nats.start()
        await self.link.start()

    async def stop(self) -> None:
        for page in self.pages:
            await asyncio.to_thread(page.shutdown)
            page.server_close()
        await asyncio.gather(*(bank.stop() for bank in self.banks))
        await self.link.stop()
        await self.nats.stop()

    def code(self, fingerprint: bytes | None = None) -> EnrolmentCode:
        code = make_code(fingerprint or self.authority.fingerprint, os.urandom(14))
        self.registry.codes[code.code_id] = code.secret
        return code

    def page(self, pem: str | None = None) -> str:
        """Serve the authority's certificate as the server's web pages do; gives the address."""
        body, offered = (pem or self.authority.pem).encode(), self.nats.offered_url

        class Page(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = self.path == AUTHORITY_PATH
                self.send_response(200 if known else 404)
                self.send_header(FABRIC_HEADER, offered)
                self.end_headers()
                self.wfile.write(body if known else b"")

            def log_message(self, *_: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.pages.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    async def enrolled(self, *banks: str) -> enrol.Enrolment:
        folder = self.folder / f"controller-{secrets.token_hex(3)}"
        return await enrol.enrol(self.page(), self.code().text, folder, banks)

    def bank_link(self, enrolment: enrol.Enrolment, nats_url: str | None = None) -> BankLink:
        link = BankLink(enrolment, nats_urls=[nats_url] if nats_url else ())
        self.banks.append(link)
        return link

    async def connected(self, *banks: str) -> BankLink:
        """A newly enrolled controller with these banks, connected, echoing live commands."""
        link = self.bank_link(await self.enrolled(*banks))
        for bank in banks:
            link.on_live(bank, echo)
        await link.start()
        await link.wait_connected(5)
        return link


async def echo(payload: bytes) -> bytes:
    return b"echo " + payload


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


async def until(condition: Callable[[], bool], timeout_s: float = 5.0) -> float:
    """Wait until it holds; how many seconds that took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not condition():
        assert loop.time() - began < timeout_s, f"not within {timeout_s} s"
        await asyncio.sleep(0.005)
    return loop.time() - began


async def until_answered(ask: Callable[[], Awaitable[bytes]], timeout_s: float = 10.0) -> bytes:
    """Ask until there is an answer instead of an error of the fabric."""
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout_s
    while True:
        try:
            return await ask()
        except FabricError:
            if loop.time() > end:
                raise
            await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def fabric(tmp_path: Path) -> AsyncIterator[Fabric]:
    fabric = Fabric(tmp_path)
    try:
        await fabric.start()
        yield fabric
    finally:
        await fabric.stop()
