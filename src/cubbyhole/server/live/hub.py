"""Who watches what: one bounded queue per open page; a page that cannot follow is told to reload its picture."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

QUEUE_MOST = 128
WATCHERS_MOST = 500


class TooManyWatchers(RuntimeError):
    """All places for live pictures are taken; the page can still be reloaded by hand."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Something about ``bank`` changed. ``first`` to ``last`` are new feed ordinals, (0, -1) where there are none."""

    bank: str
    lockers: frozenset[str] = frozenset()
    all_lockers: bool = False
    first: int = 0
    last: int = -1


@dataclass(slots=True, eq=False)
class Watcher:
    """One open page. ``overflown`` is set where it has missed something, ``ended`` where the server stops."""

    banks: frozenset[str] | None
    queue: asyncio.Queue[Moved] = field(default_factory=lambda: asyncio.Queue(QUEUE_MOST))
    overflown: bool = False
    ended: bool = False


class Hub:
    """Spreads news. `publish` may be called from any thread; everything else from the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._watchers: set[Watcher] = set()

    def publish(self, moved: Moved) -> None:
        """Tell all watchers of that bank; never waits."""
        self._loop.call_soon_threadsafe(self._spread, moved)

    @contextmanager
    def watch(self, banks: frozenset[str] | None) -> Iterator[Watcher]:
        """Watch these banks (None: all). Raises TooManyWatchers."""
        if len(self._watchers) >= WATCHERS_MOST:
            raise TooManyWatchers(f"{WATCHERS_MOST} pages watch already, which is the limit")
        watcher = Watcher(banks)
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    def close(self) -> None:
        """End every stream; a browser that comes back finds the next server."""
        for watcher in self._watchers:
            watcher.ended = True
            with suppress(asyncio.QueueFull):
                watcher.queue.put_nowait(Moved(""))

    @property
    def watchers(self) -> int:
        return len(self._watchers)

    def _spread(self, moved: Moved) -> None:
        for watcher in self._watchers:
            if watcher.banks is not None and moved.bank not in watcher.banks:
                continue
            try:
                watcher.queue.put_nowait(moved)
            except asyncio.QueueFull:
                watcher.overflown = True
