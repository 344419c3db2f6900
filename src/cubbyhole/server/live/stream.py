"""Server-sent events: `change` carries what moved, `reset` tells the page to load its picture anew.

The id of each event is a feed ordinal; a browser that comes back sends the last one and gets what it missed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from cubbyhole.server.banks.queries import BankQueries
from cubbyhole.server.live.hub import Hub, Moved, Watcher
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.unit import FEED, Store, counter_value
from cubbyhole.ui.words import Words

KEEP_ALIVE_S = 15.0
GATHER_S = 0.02  # events of one tap commit within milliseconds of each other: one message instead of five
CATCH_UP_MOST = 300
BATCH_MOST = 64


class LiveFeed:
    """Makes the stream of one page."""

    def __init__(self, hub: Hub, store: Store, pool: WorkPool, queries: BankQueries) -> None:
        self._hub, self._store, self._pool, self._queries = hub, store, pool, queries

    async def stream(self, banks: tuple[str, ...] | None, last_id: int | None, speak: Words) -> AsyncIterator[bytes]:
        """The stream for these banks (None: all) behind feed ordinal ``last_id`` (None: from now), in a language.

        Raises TooManyWatchers before the first byte.
        """
        with self._hub.watch(frozenset(banks) if banks is not None else None) as watcher:
            yield b"retry: 1000\n\n"
            # Watching began before this look, so nothing falls in between; what is seen twice does no harm.
            sent, message = await self._pool.run(self._picture, banks, last_id, speak)
            yield message
            while True:
                moved = await self._next(watcher)
                if watcher.ended:
                    return
                if watcher.overflown:
                    yield _message("reset", None, {})
                    return
                if not moved:
                    yield b": still here\n\n"
                    continue
                sent, message = await self._pool.run(self._change, banks, moved, sent, speak)
                yield message

    async def _next(self, watcher: Watcher) -> list[Moved]:
        """What moved since, gathered for a moment; nothing where all was quiet for `KEEP_ALIVE_S`."""
        try:
            async with asyncio.timeout(KEEP_ALIVE_S):
                found = [await watcher.queue.get()]
        except TimeoutError:
            return []
        await asyncio.sleep(GATHER_S)
        while len(found) < BATCH_MOST and not watcher.queue.empty():
            found.append(watcher.queue.get_nowait())
        return found

    def _picture(self, banks: tuple[str, ...] | None, last_id: int | None, speak: Words) -> tuple[int, bytes]:
        with self._store.read() as connection:
            newest = counter_value(connection, FEED)
            missed = 0 if last_id is None else newest - last_id
            if missed < 0 or missed > CATCH_UP_MOST:
                return newest, _message("reset", newest, {})
            found = self._queries.lockers(connection, banks, speak)
            events = (
                self._queries.events(
                    connection, after=last_id, only=banks, quiet=False, limit=CATCH_UP_MOST, speak=speak
                )
                if missed
                else []
            )
            body = {
                "banks": self._queries.headers(connection, banks),
                "lockers": [view for views in found.values() for view in views],
                "events": events,
            }
        return newest, _message("change", newest, body)

    def _change(
        self, banks: tuple[str, ...] | None, moved: list[Moved], sent: int, speak: Words
    ) -> tuple[int, bytes]:
        names = sorted({one.bank for one in moved})
        whole = {one.bank for one in moved if one.all_lockers}
        numbers = {(one.bank, number) for one in moved for number in one.lockers}
        newest = max([one.last for one in moved] + [sent])
        if newest - sent > CATCH_UP_MOST:
            # A bank that was away long brings more than a page can show: it loads its picture anew.
            return newest, _message("reset", newest, {})
        with self._store.read() as connection:
            found = self._queries.lockers(connection, names, speak)
            events = []
            if newest > sent:
                # Of all watched banks: their ordinals are committed in order, but the news of it may overtake.
                events = self._queries.events(
                    connection, after=sent, upto=newest, only=banks, quiet=False, limit=CATCH_UP_MOST,
                    speak=speak,
                )  # fmt: skip
            body = {
                "banks": self._queries.headers(connection, names),
                "lockers": [
                    view for bank, views in found.items() for view in views
                    if bank in whole or (bank, view["number"]) in numbers
                ],
                "events": events,
            }  # fmt: skip
        return newest, _message("change", newest, body)


def _message(event: str, ordinal: int | None, body: dict[str, Any]) -> bytes:
    head = f"id: {ordinal}\n" if ordinal is not None else ""
    return f"{head}event: {event}\ndata: {json.dumps(body, separators=(',', ':'))}\n\n".encode()
