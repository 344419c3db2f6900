"""The real application on a test's database: pages, sign-in, bench; without a fabric, so without banks that answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import httpx
from fastapi import FastAPI

from cubbyhole.server.app import create_app
from cubbyhole.server.auth.access import Auth
from cubbyhole.server.banks.presence import Heartbeats
from cubbyhole.server.banks.queries import BankQueries
from cubbyhole.server.fabric import authority
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.notices.post import Post
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.unit import Store
from cubbyhole.server.services import Services
from cubbyhole.server.settings import ServerSettings
from cubbyhole.server.web.readiness import Readiness
from cubbyhole.ui.render import Renderer

ORIGIN = "http://cubby.example"
NO_FABRIC = cast(Any, None)  # what only routes use that talk to banks


class Unsent:
    """A mail server that is never asked: nothing runs the outbox here."""

    def send(self, mail: object) -> None:
        raise AssertionError("nobody sends mail in this test")

    def break_off(self) -> None:
        pass


def application(
    store: Store, pool: WorkPool, sealing: SealingKey, auth: Auth, home: Path, workbench: Path | None = None,
    actions: Any = NO_FABRIC, live: Any = NO_FABRIC, mail: bool = False, public_url: str = ORIGIN,
) -> FastAPI:  # fmt: skip
    """The application as `cubbyhole serve` makes it."""
    settings = ServerSettings(home=home, database_url="", workbench=workbench, public_url=public_url)
    heartbeats = Heartbeats(lambda: store.now_ms() / 1000, store.now_ms, lambda bank, online: None)
    services = Services(
        settings=settings, store=store, pool=pool, sealing=sealing, authority=authority.load_or_make(settings.keys),
        heartbeats=heartbeats, queries=BankQueries(store, heartbeats), actions=actions, live=live,
        readiness=Readiness(store, {}), fabric_url="tls://cubby.example:4222",
        post=Post(store, sealing, Unsent() if mail else None, base_url=public_url),
    )  # fmt: skip
    return create_app(services, auth, Renderer())


def browser(app: FastAPI, **headers: str) -> httpx.AsyncClient:
    """A browser that keeps cookies and says where its forms come from."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url=ORIGIN,
        headers={"accept": "text/html", "origin": ORIGIN, **headers},
    )
