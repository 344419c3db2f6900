"""The bounded thread pool that services run in: what does not fit is refused at once, never queued without end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Overloaded(RuntimeError):
    """Too much is waiting already; the caller should try again shortly."""


class WorkPool:
    """``threads`` calls run at once, at most ``waiting`` more wait."""

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self._name = name
        self._room = threads + waiting
        self._busy = 0
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name)

    async def run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run ``call`` in a thread. Raises Overloaded where the queue is full. Call only from the event loop."""
        if self._busy >= self._room:
            raise Overloaded(f"{self._name}: {self._busy} calls are under way or waiting, which is the limit")
        self._busy += 1
        loop = asyncio.get_running_loop()
        # A cancelled waiter does not stop its thread: the place is free only once the call has ended.
        future = loop.run_in_executor(self._threads, lambda: call(*args, **kwargs))
        future.add_done_callback(self._done)
        return await asyncio.shield(future)

    def _done(self, future: asyncio.Future[R]) -> None:
        self._busy -= 1
        if not future.cancelled():
            future.exception()  # read it, so that an abandoned call is not reported as never retrieved

    def close(self) -> None:
        """Wait for what runs, drop what waits."""
        self._threads.shutdown(wait=True, cancel_futures=True)
