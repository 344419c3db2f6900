"""One bank put together: readers and buses in front, the core in its thread, the uplink behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from cubbyhole.domain.vocabulary import Outcome
from cubbyhole.drivers.port import BoardBus
from cubbyhole.edge import inputs as io
from cubbyhole.edge.bus import BusWorker
from cubbyhole.edge.clock import Clock, kernel_sync
from cubbyhole.edge.config import BankConfig, BusConfig, wiring
from cubbyhole.edge.core import BankCore
from cubbyhole.edge.fabric.link import BankLink
from cubbyhole.edge.lights import Lights
from cubbyhole.edge.reader import JournalReader
from cubbyhole.edge.runner import BankRunner
from cubbyhole.edge.supply import Supply, mono_ms
from cubbyhole.edge.uplink import Uplink
from cubbyhole.protocol import messages as m
from cubbyhole.protocol.fabric.errors import FabricError

SLOT_FOR_COMMAND_MS = 800
ANSWER_S = 2.0
COMMANDS_MOST = 20
KERNEL_EVERY_TICKS = 10
BEHIND_FRAME_S = 0.03

log = structlog.get_logger(__name__)


class Bank:
    """Runs one bank until it is cancelled. Readers are started by the composition root, which knows their drivers."""

    def __init__(
        self, config: BankConfig, core: BankCore, journal: Path, acked: int, buses: list[tuple[BusConfig, BoardBus]],
        link: BankLink, clock: Clock, on_broken: Callable[[BaseException], None],
    ) -> None:  # fmt: skip
        self._config, self._core, self._link, self._clock = config, core, link, clock
        self._runner = BankRunner(core, self._on_effects, on_broken)
        self._reader = JournalReader(journal)
        self._uplink = Uplink(core, self._reader, link, self._runner.post, clock, acked)
        self._supplies = {bus.supply: Supply() for bus, _ in buses}
        self._workers: dict[str, tuple[BusWorker, Supply]] = {}
        self._buses: list[BusWorker] = []
        for bus, board_bus in buses:
            lines = wiring(config, bus)
            worker = BusWorker(bus.name, board_bus, lines, self._runner.post)
            self._buses.append(worker)
            self._workers.update(dict.fromkeys(lines, (worker, self._supplies[bus.supply])))
        self._lights = Lights(self._draw)
        self._slots: dict[str, Supply] = {}  # slots that live commands hold, by command
        self._frames = 0  # unlock orders whose frame has not left yet
        self._behind: list[io.Effect] = []  # what can wait for them
        self._commands = 0
        self._tasks: set[asyncio.Task[None]] = set()
        link.on_live(self.id, self._live)
        link.on_nudge(self.id, self._nudged)

    @property
    def id(self) -> str:
        return self._config.id

    def tap(self, locker: str | None, canonical: str, received_ms: int) -> None:
        """A badge was read at ``locker``'s reader (None: the shared one)."""
        self._runner.post(io.TapSeen(locker, canonical, received_ms))

    async def run(self) -> None:
        self._runner.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                for worker in self._buses:
                    tasks.create_task(worker.run())
                tasks.create_task(self._uplink.run())
                tasks.create_task(self._ticks())
                if self._config.drives_lights:
                    tasks.create_task(self._lights.run())
        finally:
            for worker in self._buses:
                await worker.close()
            self._runner.stop()
            self._reader.close()

    def reconnected(self) -> None:
        self._uplink.reconnected()

    async def _ticks(self) -> None:
        ticks, synced = 0, kernel_sync()
        while True:
            if ticks % KERNEL_EVERY_TICKS == 0:
                synced = kernel_sync()
            self._runner.post(io.Tick(mono_ms(), synced))
            ticks += 1
            await asyncio.sleep(1.0)

    # -- effects ------------------------------------------------------------------------------------------------

    def _on_effects(self, effects: list[io.Effect]) -> None:
        """Doors first. What is shown, logged and told the server waits until the frame has left, BEHIND_FRAME_S at
        most: the event loop must be free when the board's last answer makes room for it."""
        for effect in effects:
            match effect:
                case io.Unlock():
                    self._frames += 1
                    self._spawn(self._unlock(effect, self._slots.pop(effect.command or "", None)))
                case io.Answer():
                    token = effect.token
                    if isinstance(token, asyncio.Future) and not token.done():
                        token.set_result(effect.answer)
                case _:
                    self._behind.append(effect)
        if self._frames:
            asyncio.get_running_loop().call_later(BEHIND_FRAME_S, self._catch_up)
        else:
            self._catch_up()

    def _catch_up(self) -> None:
        behind, self._behind = self._behind, []
        for effect in behind:
            match effect:
                case io.Light():
                    self._lights.show(effect.locker, effect.look)
                case io.Resync():
                    self._uplink.resync()
                case io.Said():
                    log.info("tap", bank=self.id, locker=effect.tap.locker, decision=type(effect.decision).__name__)
        self._uplink.wake()

    def _spawn(self, work: object) -> None:
        task = asyncio.ensure_future(work)  # type: ignore[call-overload]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _unlock(self, order: io.Unlock, held: Supply | None) -> None:
        try:
            await self._send(order, held)
        finally:
            self._frames -= 1
            self._catch_up()

    async def _send(self, order: io.Unlock, held: Supply | None) -> None:
        """Take the supply's slot (unless a command holds it already) and send the frame once, in time."""
        worker, supply = self._workers.get(order.locker, (None, None))
        if worker is None or supply is None:
            self._runner.post(io.PulseFailed(order.grant, order.locker, Outcome.NOT_SENT))
            return
        if held is None and not await supply.take(order.until_ms):
            self._runner.post(io.PulseFailed(order.grant, order.locker, Outcome.LATE))
            return
        pulse_ms = 0
        try:
            word, sent_ms = await worker.unlock(order.locker, self._config.pulse_ms, order.until_ms)
            if word in ("sent", "unconfirmed"):
                pulse_ms = self._config.pulse_ms
                self._runner.post(
                    io.PulseSent(
                        order.grant,
                        order.locker,
                        order.asked_ms,
                        sent_ms,
                        word == "sent",
                    )
                )
            else:
                outcome = Outcome.LATE if word == "late" else Outcome.NOT_SENT
                self._runner.post(io.PulseFailed(order.grant, order.locker, outcome))
        finally:
            supply.give_back(pulse_ms)

    def _draw(self, locker: str, on: bool) -> None:
        worker = self._workers.get(locker)
        if worker is not None:
            worker[0].light(locker, on)

    # -- commands -----------------------------------------------------------------------------------------------

    async def _nudged(self, payload: bytes) -> None:
        self._uplink.nudged(payload)

    async def _live(self, payload: bytes) -> bytes:
        """Slot, claim, journal, clock, send: in this order, so that a live command is never late and never twice."""
        try:
            command = m.decode(m.LiveCommand, payload)
        except m.MessageError as error:
            return m.encode(m.Trouble(error=error.word, detail=str(error)))
        if self._commands >= COMMANDS_MOST:
            return m.encode(m.CommandAnswer(command=command.command, outcome="refused", reason="busy"))
        self._commands += 1
        try:
            return m.encode(await self._claim_and_open(command))
        finally:
            self._commands -= 1

    async def _claim_and_open(self, command: m.LiveCommand) -> m.CommandAnswer:
        def refused(reason: str) -> m.CommandAnswer:
            return m.CommandAnswer(command=command.command, outcome="refused", reason=reason)

        if command.kind != "open":
            return refused("unknown_kind")
        known = self._core.state.answered.get(command.command)
        if known is not None:
            return m.CommandAnswer(command=command.command, outcome=known.outcome, reason=known.reason)
        _, supply = self._workers.get(command.locker, (None, None))
        if supply is None:
            return refused("unknown_locker")
        if not await supply.take(mono_ms() + SLOT_FOR_COMMAND_MS):
            return refused("busy")
        self._slots[command.command] = supply
        asked_ms = mono_ms()  # the second that the claim is good for begins before it is asked
        token: asyncio.Future[m.CommandAnswer] = asyncio.get_running_loop().create_future()
        try:
            claim = m.Claim(bank=self.id, command=command.command)
            try:
                reply = m.decode(
                    m.ClaimReply,
                    await self._link.request(self.id, "claim", m.encode(claim), 1.0),
                )
            except (FabricError, m.MessageError) as error:
                return refused(f"claim_failed: {error}")
            if not reply.go:
                return refused(reply.why or "not_claimed")
            if not self._runner.post(io.Claimed(command, token, asked_ms)):
                return refused("busy")
            try:
                async with asyncio.timeout(ANSWER_S):
                    answer = await token
            except TimeoutError:
                return m.CommandAnswer(command=command.command, outcome="unknown", reason="slow")
        finally:
            # Still here: no unlock came of it, so nobody else gives the slot back.
            if self._slots.pop(command.command, None) is not None:
                supply.give_back()
        batch = self._uplink.batch()
        if batch is not None and batch.first == self._uplink.acked + 1:
            answer = m.CommandAnswer(
                command=answer.command,
                outcome=answer.outcome,
                reason=answer.reason,
                events=batch,
            )
        return answer
