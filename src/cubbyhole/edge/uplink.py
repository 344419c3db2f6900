"""What a bank says to the server and asks of it: heartbeats, events up, directory and standing commands down.

Everything is request and reply and may fail at any time; nothing here is needed for a decision at the bank. One batch
of events is under way at a time, and only what the server has acknowledged is behind us.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import zlib
from collections.abc import Callable
from typing import Protocol

import msgspec
import structlog

from cubbyhole.edge import inputs as io
from cubbyhole.edge.clock import Clock
from cubbyhole.edge.core import BankCore
from cubbyhole.edge.store import JournalReader
from cubbyhole.protocol import messages as m
from cubbyhole.protocol.fabric.errors import FabricError

BEAT_S = 1.0
SILENT_AFTER_MS = 3_000
REQUEST_S = 5.0
SYNC_S = 30.0
PULL_EVERY_S = 60.0
MAX_DIRECTORY_BYTES = 64 * 1024 * 1024

log = structlog.get_logger(__name__)


class Link(Protocol):
    """The connection to the fabric: `edge.fabric.link.BankLink`."""

    @property
    def connected(self) -> bool: ...
    async def request(self, bank: str, verb: str, payload: bytes, timeout_s: float) -> bytes: ...


class Uplink:
    """The conversation of one bank with its server."""

    def __init__(
        self,
        core: BankCore,
        reader: JournalReader,
        link: Link,
        post: Callable[[io.Input], bool],
        clock: Clock,
        acked: int,
    ) -> None:
        self._core, self._reader, self._link, self._post, self._clock = (
            core,
            reader,
            link,
            post,
            clock,
        )
        self._bank, self._acked = core.settings.bank, acked
        self._more, self._pull, self._stand = (
            asyncio.Event(),
            asyncio.Event(),
            asyncio.Event(),
        )
        self._full = False
        self._silent_since_ms: int | None = None
        self._last_heard_ms = clock.wall_ms()
        self._standing_head = 0
        self._quarantined = False

    @property
    def acked(self) -> int:
        return self._acked

    def wake(self) -> None:
        """There are new lines, or the connection is back."""
        self._more.set()

    def resync(self) -> None:
        """Ask for the whole directory."""
        self._full = True
        self._pull.set()

    def nudged(self, payload: bytes) -> None:
        """The server says that there is something to pull. Anything else that comes this way is dropped."""
        try:
            nudge = m.decode(m.Nudge, payload)
        except m.MessageError as error:
            log.warning("a nudge could not be read", bank=self._bank, why=str(error))
            return
        self._compare(nudge.directory, nudge.standing)

    async def run(self) -> None:
        """Talk for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._beats())
            tasks.create_task(self._send())
            tasks.create_task(self._pulls())
            tasks.create_task(self._stands())

    # -- heartbeat ----------------------------------------------------------------------------------------------

    async def _beats(self) -> None:
        while True:
            asked_ms = self._clock.mono_ms()
            state = self._core.state
            beat = m.Beat(
                bank=self._bank, epoch=self._core.epoch, seq=state.seq, directory=self._core.directory.version,
                standing=state.standing, at=self._clock.wall_ms(), mono=asked_ms, boot=state.boot,
                sync=not state.clock_in_doubt, in_doubt=state.clock_in_doubt,
            )  # fmt: skip
            try:
                reply = m.decode(
                    m.BeatReply,
                    await self._link.request(self._bank, "beat", m.encode(beat), 2.0),
                )
            except (FabricError, m.MessageError):
                self._silence()
            else:
                now_ms = self._clock.mono_ms()
                self._silent_since_ms, self._last_heard_ms = None, self._clock.wall_ms()
                self._post(io.ServerAnswered(reply.at, now_ms - asked_ms))
                self._compare(reply.directory, reply.standing)
                if reply.acked_epoch == self._core.epoch and reply.acked < self._acked:
                    # The server's database was restored to an earlier day: send again what it lacks.
                    self._acked = reply.acked
                if self._acked < state.seq:
                    self._more.set()
            await asyncio.sleep(max(0.1, BEAT_S - (self._clock.mono_ms() - asked_ms) / 1000))

    def _silence(self) -> None:
        now_ms = self._clock.mono_ms()
        if self._silent_since_ms is None:
            self._silent_since_ms = now_ms
        elif now_ms - self._silent_since_ms > SILENT_AFTER_MS:
            self._post(io.ServerSilent(self._last_heard_ms))

    def _compare(self, directory: int, standing: int) -> None:
        if directory > self._core.directory.version or self._core.directory.version == 0:
            self._pull.set()
        self._standing_head = standing
        if standing > self._core.state.standing:
            self._stand.set()

    # -- events -------------------------------------------------------------------------------------------------

    def batch(self) -> m.Events | None:
        """The next lines that the server lacks, cut behind a head; None where it has all of them."""
        epoch = self._core.epoch
        lines = self._reader.lines(epoch, self._acked + 1, m.MAX_BATCH_LINES, m.MAX_BATCH_BYTES)
        if not lines:
            return None
        heads = self._reader.heads(epoch, self._acked + 1, lines[-1][0])
        if not heads:
            return None
        upto = heads[-1].seq
        raw = [msgspec.Raw(line) for seq, line in lines if seq <= upto]
        return m.Events(bank=self._bank, epoch=epoch, first=lines[0][0], lines=raw, heads=heads)

    def took(self, reply: m.EventsReply) -> None:
        """Act on the server's answer to a batch."""
        if reply.epoch != self._core.epoch:
            return
        if reply.quarantined and not self._quarantined:
            log.error(
                "the server does not believe this journal and keeps it as evidence; call whoever runs it",
                bank=self._bank,
            )
        self._quarantined = reply.quarantined
        self._acked = reply.need - 1 if reply.need is not None else max(self._acked, reply.ack)
        self._post(io.Acked(reply.epoch, self._acked))

    async def _send(self) -> None:
        pause_s = 0.0
        while True:
            await self._more.wait()
            self._more.clear()
            while (batch := self.batch()) is not None and self._link.connected:
                try:
                    reply = m.decode(
                        m.EventsReply,
                        await self._link.request(self._bank, "events", m.encode(batch), REQUEST_S),
                    )
                except (FabricError, m.MessageError) as error:
                    pause_s = min(5.0, max(0.2, pause_s * 2)) * (0.75 + random.random() / 2)
                    log.info(
                        "events wait at the bank",
                        bank=self._bank,
                        why=str(error),
                        pause_s=round(pause_s, 1),
                    )
                    await asyncio.sleep(pause_s)
                    self._more.set()
                    break
                pause_s = 0.0
                self.took(reply)

    # -- directory and standing commands ------------------------------------------------------------------------

    async def _pulls(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._pull.wait(), PULL_EVERY_S)
            self._pull.clear()
            directory = self._core.directory
            have = 0 if self._full else directory.version
            request = m.SyncRequest(bank=self._bank, have=have, content_hash=directory.content_hash)
            try:
                raw = await self._link.request(self._bank, "sync", m.encode(request), SYNC_S)
                reply = m.decode(m.SyncReply, _inflate(raw))
            except (FabricError, m.MessageError, zlib.error) as error:
                log.info("the directory could not be pulled", bank=self._bank, why=str(error))
                await asyncio.sleep(1.0)
                continue
            self._full = False
            self._post(io.DirectoryCame(reply))
            if reply.more:
                self._pull.set()
            self._stand.set()
            await asyncio.sleep(0.05)

    async def _stands(self) -> None:
        while True:
            await self._stand.wait()
            self._stand.clear()
            if self._standing_head <= self._core.state.standing:
                continue
            request = m.StandingRequest(bank=self._bank, after=self._core.state.standing)
            try:
                reply = m.decode(
                    m.StandingReply,
                    await self._link.request(self._bank, "standing", m.encode(request), REQUEST_S),
                )
            except (FabricError, m.MessageError) as error:
                log.info(
                    "standing commands could not be pulled",
                    bank=self._bank,
                    why=str(error),
                )
                await asyncio.sleep(1.0)
                continue
            if reply.commands:
                self._post(io.StandingCame(tuple(reply.commands)))
            await asyncio.sleep(0.05)


def _inflate(raw: bytes) -> bytes:
    """Unpack a directory, bounded. A reply that is no zlib stream is a plain `Trouble`."""
    if raw[:1] == b"{":
        return raw
    box = zlib.decompressobj()
    text = box.decompress(raw, MAX_DIRECTORY_BYTES)
    if box.unconsumed_tail:
        raise m.MessageError("too_large", f"a directory has at most {MAX_DIRECTORY_BYTES} bytes")
    return text
