"""The thread that a bank's core lives in. Everything that waits is decided as one group with one commit.

The event loop never touches the disk, and the core never touches a socket: inputs go in through a bounded queue,
effects come back to the loop only after they are durable. New lines without effects come back as no effects: the
server shall hear of a door that somebody has closed now, and not with the next heartbeat.
"""

from __future__ import annotations

import asyncio
import gc
import queue
import threading
from collections.abc import Callable

import structlog

from cubbyhole.edge.core import BankCore
from cubbyhole.edge.inputs import DirectoryCame, Effect, Input

QUEUE_MOST = 1_000
GROUP_MOST = 64

log = structlog.get_logger(__name__)


def settle_memory() -> None:
    """Take everything that is here now out of the garbage collector's rounds.

    Modules, journal state and directory stay for as long as the controller runs; a round over all of them would hold
    up whichever tap comes just then.
    """
    gc.collect()
    gc.freeze()


class BankRunner:
    """Runs one `BankCore`. Made on the event loop; `post` may be called from any thread."""

    def __init__(
        self,
        core: BankCore,
        on_effects: Callable[[list[Effect]], None],
        on_broken: Callable[[BaseException], None],
    ) -> None:
        self.core = core
        self._on_effects, self._on_broken = on_effects, on_broken
        self._loop = asyncio.get_running_loop()
        self._queue: queue.Queue[Input | None] = queue.Queue(QUEUE_MOST)
        self._thread = threading.Thread(target=self._run, name=f"bank-{core.settings.bank}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def post(self, item: Input) -> bool:
        """Hand ``item`` to the core; False where QUEUE_MOST are waiting already, and the item is not taken."""
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            log.error(
                "the bank's queue is full; the input was not taken",
                bank=self.core.settings.bank,
                input=type(item).__name__,
            )
            return False
        return True

    def stop(self) -> None:
        """Let the core finish what is waiting, then end its thread."""
        self._queue.put(None, timeout=5)
        self._thread.join(timeout=10)

    def _run(self) -> None:
        try:
            while True:
                first = self._queue.get()
                if first is None:
                    return
                group, last = [first], False
                while len(group) < GROUP_MOST:
                    try:
                        item = self._queue.get_nowait()
                    except queue.Empty:
                        break
                    if item is None:
                        last = True
                        break
                    group.append(item)
                before = self.core.state.seq
                effects = self.core.handle(group)
                if effects or self.core.state.seq != before:
                    self._loop.call_soon_threadsafe(self._on_effects, effects)
                if any(isinstance(item, DirectoryCame) and item.reply.full for item in group):
                    settle_memory()
                if last:
                    return
        except BaseException as error:
            self._loop.call_soon_threadsafe(self._on_broken, error)
