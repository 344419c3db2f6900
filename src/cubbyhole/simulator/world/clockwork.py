"""Virtual time: one queue of things to come, and controllers' clocks that drift and jump against it."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


class Kernel:
    """The world's own time in ms since the Unix epoch, which nobody in the world can read directly."""

    def __init__(self, start_ms: int) -> None:
        self.now_ms = self.start_ms = start_ms
        self.steps = 0
        self._queue: list[tuple[int, int, Callable[..., object], tuple[Any, ...]]] = []
        self._count = 0

    def at(self, when_ms: int, what: Callable[..., object], *args: Any) -> None:
        """Do ``what`` at ``when_ms``, or now where that has passed; things of one ms keep their order."""
        self._count += 1
        heapq.heappush(self._queue, (max(when_ms, self.now_ms), self._count, what, args))

    def after(self, delay_ms: int, what: Callable[..., object], *args: Any) -> None:
        self.at(self.now_ms + delay_ms, what, *args)

    def run_until(self, end_ms: int) -> None:
        """Let the world go on until ``end_ms``."""
        queue, pop = self._queue, heapq.heappop
        while queue and queue[0][0] <= end_ms:
            self.now_ms, _, what, args = pop(queue)
            self.steps += 1
            what(*args)
        self.now_ms = end_ms


class MachineClock:
    """A controller's clocks (`edge.clock.Clock`): wall time with an error, monotonic time since its boot.

    ``synced`` machines are disciplined by a time source: their error stays below a few ms. Others drift by ``ppm``.
    """

    def __init__(self, kernel: Kernel, ppm: float, synced: bool) -> None:
        self._kernel, self.ppm, self.synced = kernel, ppm, synced
        self._error_ms = 0.0
        self._since_ms = kernel.now_ms
        self._boot_ms = kernel.now_ms

    def booted(self) -> None:
        self._boot_ms = self._kernel.now_ms

    def wall_ms(self) -> int:
        return self._kernel.now_ms + round(self.error_ms())

    def mono_ms(self) -> int:
        return self._kernel.now_ms - self._boot_ms + 1_000

    def error_ms(self) -> float:
        """How far the wall clock is ahead of the world's time."""
        if self.synced:
            return self._error_ms
        return self._error_ms + (self._kernel.now_ms - self._since_ms) * self.ppm / 1e6

    def jump(self, by_ms: float) -> None:
        self._error_ms = self.error_ms() + by_ms
        self._since_ms = self._kernel.now_ms

    def discipline(self, synced: bool) -> None:
        """A time source takes over, or is gone."""
        self._error_ms = 0.0 if synced else self.error_ms()
        self._since_ms = self._kernel.now_ms
        self.synced = synced
