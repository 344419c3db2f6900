"""The parts of a running server, as the composition root puts them together for pages and API."""

from __future__ import annotations

from dataclasses import dataclass

from cubbyhole.server.banks.presence import Heartbeats
from cubbyhole.server.banks.queries import BankQueries
from cubbyhole.server.commands.actions import Actions
from cubbyhole.server.fabric.authority import Authority
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.live.stream import LiveFeed
from cubbyhole.server.notices.post import Post
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.unit import Store
from cubbyhole.server.settings import ServerSettings
from cubbyhole.server.web.readiness import Readiness


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a request may need; made once, never changed."""

    settings: ServerSettings
    store: Store
    pool: WorkPool
    sealing: SealingKey
    authority: Authority
    heartbeats: Heartbeats
    queries: BankQueries
    actions: Actions
    live: LiveFeed
    readiness: Readiness
    fabric_url: str  # as offered to controllers
    post: Post
