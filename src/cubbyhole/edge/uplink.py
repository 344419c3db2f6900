"""The uplink: carries a bank's `Conversation` over the fabric, in the event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol

from cubbyhole.edge import inputs as io
from cubbyhole.edge.clock import Clock
from cubbyhole.edge.conversation import Ask, Conversation
from cubbyhole.edge.core import BankCore
from cubbyhole.edge.reader import JournalReader
from cubbyhole.protocol import messages as m
from cubbyhole.protocol.fabric.errors import FabricError


class Link(Protocol):
    """The connection to the fabric: `edge.fabric.link.BankLink`."""

    @property
    def connected(self) -> bool: ...
    async def request(self, bank: str, verb: str, payload: bytes, timeout_s: float) -> bytes: ...


class Uplink:
    """One bank and its server. `Conversation` decides, this carries: at most one request a lane is under way."""

    def __init__(
        self,
        core: BankCore,
        reader: JournalReader,
        link: Link,
        post: Callable[[io.Input], bool],
        clock: Clock,
        acked: int,
    ) -> None:
        self._talk = Conversation(core, reader, clock, acked)
        self._bank, self._link, self._post, self._clock = core.settings.bank, link, post, clock
        self._stir = asyncio.Event()

    @property
    def acked(self) -> int:
        return self._talk.acked

    def batch(self) -> m.Events | None:
        """The next lines that the server lacks; None where it has all of them."""
        return self._talk.batch()

    def wake(self) -> None:
        """There are new lines."""
        self._talk.wake()
        self._stir.set()

    def reconnected(self) -> None:
        """The connection is back."""
        self._talk.reconnected()
        self._stir.set()

    def resync(self) -> None:
        """Ask for the whole directory."""
        self._talk.resync()
        self._stir.set()

    def nudged(self, payload: bytes) -> None:
        """The server says that there is something to pull."""
        self._talk.nudged(payload)
        self._stir.set()

    async def run(self) -> None:
        """Talk for ever."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._stir.clear()
                for ask in self._talk.due(self._link.connected):
                    tasks.create_task(self._carry(ask))
                next_ms = self._talk.next_ms(self._link.connected)
                wait_s = None if next_ms is None else max(0.001, (next_ms - self._clock.mono_ms()) / 1000)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._stir.wait()

    async def _carry(self, ask: Ask) -> None:
        try:
            raw = await self._link.request(self._bank, ask.verb, ask.payload, ask.patience_ms / 1000)
        except FabricError as error:
            made = self._talk.failed(ask, str(error))
        else:
            made = self._talk.answered(ask, raw)
        for item in made:
            self._post(item)
        self._stir.set()
