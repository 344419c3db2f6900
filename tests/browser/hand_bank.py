"""A real server and a bank in the hand, which can be made to lag, to lie and to refuse, watched in a browser."""

from __future__ import annotations

import threading
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from playwright.sync_api import Browser, BrowserContext

from cubbyhole.protocol import messages as m
from cubbyhole.protocol.fabric.errors import FabricError
from cubbyhole.server.auth import owner_link
from cubbyhole.server.persistence.unit import DIRECTORY, counter_value
from tests.server.running import Running, WireBank

BEAT_S = 0.5


class WatchedBank(WireBank):
    """Beats by itself until `close`. ``behind``: it does not take over its directory. ``refuses``: with what word it
    refuses to open a door."""

    behind = False
    refuses: str | None = None
    _ended: threading.Event
    _heart: threading.Thread

    @classmethod
    def of(cls, server: Running, folder: Path) -> WatchedBank:
        made = cls(server.services.store, Ed25519PrivateKey.generate())
        made.connect(server, folder)
        made._ended = threading.Event()
        made._heart = threading.Thread(target=made._beat_on, daemon=True)
        made._heart.start()
        return made

    def close(self) -> None:
        self._ended.set()
        self._heart.join(10)
        super().close()

    def _beat_on(self) -> None:
        while not self._ended.wait(BEAT_S):
            with self.store.read() as connection:
                directory = counter_value(connection, DIRECTORY)
            try:
                self.beat(directory=directory - (1 if self.behind else 0))
            except FabricError:
                continue  # the next beat tries again; a test that needs this one says what is missing on the page

    async def _live(self, payload: bytes) -> bytes:
        if self.refuses is None:
            return await super()._live(payload)
        command = m.decode(m.LiveCommand, payload).command
        return m.encode(m.CommandAnswer(command=command, outcome="refused", reason=self.refuses))


def owner_at(browser: Browser, server: Running, locale: str = "en-GB") -> BrowserContext:
    """A browser window in which the owner is signed in, in a language."""
    with server.services.store.write() as work:
        token = owner_link.make(work)
    context = browser.new_context(base_url=server.url, locale=locale, viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(f"/owner/{token}")
    page.locator("form button").click()
    page.wait_for_url(server.url + "/")
    page.close()
    return context
