"""A bank's controller in the world: the real core and uplink rules; queues, slots and polls around them.

What `edge.runner`, `edge.bank` and `edge.bus` do with threads and tasks is done here with virtual time, in the same
order: one group at a time, effects after the commit, one pulse per supply, a frame at most once.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cubbyhole.domain import events as ev
from cubbyhole.domain.vocabulary import Outcome
from cubbyhole.domain.watch import Reading
from cubbyhole.edge import inputs as io
from cubbyhole.edge.conversation import Conversation
from cubbyhole.edge.core import BankCore
from cubbyhole.edge.runner import GROUP_MOST
from cubbyhole.edge.store import StoreFull
from cubbyhole.simulator.world.clockwork import Kernel, MachineClock
from cubbyhole.simulator.world.coverage import Coverage
from cubbyhole.simulator.world.disk import PowerLost, WorldDisk
from cubbyhole.simulator.world.doors import PhysicalDoor
from cubbyhole.simulator.world.witness import PulseSeen, Violated, Witness

SLOW_SYNC_MS = (600, 9_000)
TICK_MS = 600_000
POLL_MS = 250


@dataclass(slots=True)
class BoardTrouble:
    """What is wrong with a bank's lock boards at the moment."""

    silent: bool = False  # does not answer and does nothing
    loses_replies: bool = False  # does what it is told and does not say so
    port_gone: bool = False


class Machine:
    """One controller with one bank. `boot` starts it, `die` takes its power."""

    make_core: Callable[..., BankCore] = BankCore

    def __init__(
        self,
        kernel: Kernel,
        chance: random.Random,
        settings: io.BankSettings,
        disk: WorldDisk,
        clock: MachineClock,
        doors: Mapping[str, PhysicalDoor],
        key: Ed25519PrivateKey,
        controller: str,
        witness: Witness,
        coverage: Coverage,
    ) -> None:
        self.kernel, self.chance, self.settings, self.disk, self.clock = kernel, chance, settings, disk, clock
        self.doors, self.key, self.controller = doors, key, controller
        self.witness, self.coverage = witness, coverage
        self.alive = False
        self.life = 0  # callbacks of an earlier life find another number and do nothing
        self.boot_id = ""
        self.core: BankCore
        self.conversation: Conversation
        self.board = BoardTrouble()
        self.power_fault: str | None = None  # before_pulse | after_pulse
        self.slow_disk = False
        self.is_syncing_slowly = False  # such a sync goes on when the disk is quick again
        self.extra_disk_ms: Callable[[], int] | None = None
        self.on_said: Callable[[io.Said], None] = lambda said: None
        self.on_answer: Callable[[object, Any], None] = lambda token, answer: None
        self.on_lines: Callable[[], None] = lambda: None
        self.on_died: Callable[[], None] = lambda: None
        self._queue: deque[io.Input] = deque()
        self._busy = False
        self._supply_free_ms = 0
        self._held_slots: set[str] = set()
        self._polling: dict[str, int] = {}
        self._poll_due = False

    # -- life ---------------------------------------------------------------------------------------------------

    def boot(self, epoch_started: Callable[[], ev.EpochStarted] | None = None) -> bool:
        """Start the core from the disk; False where the disk is too full to start."""
        self.life += 1
        self.clock.booted()
        self.boot_id = f"{self.chance.getrandbits(128):032x}"
        self._queue.clear()
        self._busy, self.is_syncing_slowly, self._supply_free_ms, self._poll_due = False, False, 0, False
        self._held_slots, self._polling = set(), {}
        acked = self.disk.lose_unsynced()
        self.core = self.make_core(
            self.settings, self.disk, self.key, self.controller, self.clock, self._mint, self.boot_id, "world"
        )
        try:
            self.core.start(self.clock.synced, epoch_started)
        except StoreFull:
            return False
        except PowerLost:
            return False
        self.alive = True
        self.conversation = Conversation(self.core, self.disk, self.clock, acked, chance=self.chance.random)
        self._poll_all()
        self.kernel.after(self.chance.randint(1_000, TICK_MS), self._tick_again, self.life)
        return True

    def die(self) -> None:
        """The power is gone, now."""
        if self.alive:
            self.alive = False
            self.life += 1
            self._queue.clear()
            self.on_died()

    def _mint(self, prefix: str) -> str:
        chance = self.chance
        return f"{prefix}_{chance.getrandbits(64):016x}" if prefix else f"{chance.getrandbits(128):032x}"

    # -- the core's thread --------------------------------------------------------------------------------------

    def post(self, item: io.Input) -> bool:
        if not self.alive:
            return False
        self._queue.append(item)
        if not self._busy:
            self._work()
        return True

    def _work(self) -> None:
        queue = self._queue
        while queue and self.alive:
            group = [queue.popleft() for _ in range(min(len(queue), GROUP_MOST))]
            before, refused = self.disk.commits, self.disk.refused
            try:
                effects = self.core.handle(group)
            except PowerLost:
                self.die()
                return
            except Violated:
                raise
            except Exception as error:
                text = f"bank {self.settings.bank}: an error escaped the core on {group!r:.300}: {error!r}"
                raise Violated("10 errors stay where they are", text) from error
            if self.disk.refused != refused:
                for checker in self.witness.checkers:
                    checker.refused(self.settings.bank)
            if self.disk.commits == before:
                self._deliver(effects)
                continue
            self._busy = True
            wait_ms = self.chance.randint(*SLOW_SYNC_MS) if self.slow_disk else self.chance.randint(1, 12)
            if self.slow_disk:
                self.coverage.fault("disk_slow")
                self.is_syncing_slowly = True
            self.kernel.after(wait_ms, self._synced, self.life, effects)
            return

    def _synced(self, life: int, effects: list[io.Effect]) -> None:
        if life != self.life:
            return
        self._busy = self.is_syncing_slowly = False
        self._deliver(effects)
        if self.alive:
            self.on_lines()
            self._work()

    def _deliver(self, effects: list[io.Effect]) -> None:
        for effect in effects:
            if isinstance(effect, io.Unlock):
                self._unlock(effect)
            elif isinstance(effect, io.Said):
                self.on_said(effect)
            elif isinstance(effect, io.Answer):
                self.on_answer(effect.token, effect.answer)
            elif isinstance(effect, io.Resync):
                self.conversation.resync()
                self.on_lines()

    # -- time ---------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        self.post(io.Tick(self.clock.mono_ms(), self.clock.synced))

    def _tick_again(self, life: int) -> None:
        if life == self.life:
            self.tick()
            # A tick comes each second; those that could bring nothing are left out.
            to_next = TICK_MS - self.kernel.now_ms % TICK_MS
            self.kernel.after(to_next + self.chance.randint(50, 1_000), self._tick_again, life)

    # -- pulses -------------------------------------------------------------------------------------------------

    def take_slot(self, locker: str) -> int | None:
        """For a live command: when its turn at the supply comes (the world's ms), None where that is too late."""
        now_ms = self.kernel.now_ms
        if self._supply_free_ms - now_ms > 800 or locker in self._held_slots:
            return None
        turn_ms = max(now_ms, self._supply_free_ms)
        self._held_slots.add(locker)
        self._supply_free_ms = turn_ms + 3_500
        return turn_ms

    def give_slot_back(self, locker: str) -> None:
        if locker in self._held_slots:
            self._held_slots.discard(locker)
            self._supply_free_ms = self.kernel.now_ms

    def _unlock(self, order: io.Unlock) -> None:
        turn_ms = max(self.kernel.now_ms, self._supply_free_ms)
        if order.locker in self._held_slots:
            self._held_slots.discard(order.locker)
            turn_ms = self.kernel.now_ms
        left_ms = order.until_ms - self.clock.mono_ms()
        if turn_ms - self.kernel.now_ms > left_ms:
            self.kernel.after(max(0, left_ms), self._late, self.life, order)
            return
        frame_ms = turn_ms + self.chance.randint(3, 60)
        self._supply_free_ms = frame_ms + self.settings.pulse_ms
        self.kernel.at(frame_ms, self._frame, self.life, order)

    def _late(self, life: int, order: io.Unlock) -> None:
        if life == self.life:
            self.post(io.PulseFailed(order.grant, order.locker, Outcome.LATE))

    def _frame(self, life: int, order: io.Unlock) -> None:
        if life != self.life:
            return
        if self.clock.mono_ms() > order.until_ms:
            self._late(life, order)
            return
        if self.power_fault == "before_pulse":
            self.power_fault = None
            self.coverage.fault("power_lost_before_pulse")
            self.die()
            return
        if self.board.port_gone:
            self.coverage.fault("port_gone")
            self.post(io.PulseFailed(order.grant, order.locker, Outcome.NOT_SENT))
            return
        now_ms = self.kernel.now_ms
        if not self.board.silent:
            door = self.doors[order.locker]
            self.witness.pulse(PulseSeen(self.settings.bank, order.locker, order.grant, self.boot_id, now_ms))
            door.pulse(now_ms)
            if door.free_until_ms is not None:
                self.kernel.at(door.free_until_ms, door.relatch, door.free_until_ms)
        if self.power_fault == "after_pulse":
            self.power_fault = None
            self.coverage.fault("power_lost_after_pulse")
            self.die()
            return
        confirmed = not (self.board.silent or self.board.loses_replies)
        if self.board.loses_replies:
            self.coverage.fault("board_deaf_reply")
        self.post(io.PulseSent(order.grant, order.locker, order.asked_ms, self.clock.mono_ms(), confirmed))
        deadline = self.settings.open_within_ms + POLL_MS
        self.kernel.after(deadline, self._poll_one, self.life, order.locker)

    # -- sensors ------------------------------------------------------------------------------------------------

    def door_moved(self, door: PhysicalDoor) -> None:
        """A sensor reads another value now; the coming polls say so."""
        if not self.alive:
            return
        self._polling[door.number] = 2
        if door.is_open:
            self.kernel.after(self.settings.held_open_ms + 4 * POLL_MS, self._poll_one, self.life, door.number)
        if not self._poll_due:
            self._poll_due = True
            self.kernel.after(self.chance.randint(20, POLL_MS), self._poll, self.life)

    def _poll_all(self) -> None:
        for number in self.doors:
            self._polling[number] = 2
        if not self._poll_due:
            self._poll_due = True
            self.kernel.after(POLL_MS, self._poll, self.life)

    def _poll(self, life: int) -> None:
        if life != self.life:
            return
        self._poll_due = False
        if self.board.silent or self.board.port_gone:
            return
        readings: dict[str, Reading] = {}
        for number, left in list(self._polling.items()):
            readings[number] = self.doors[number].read()
            if left <= 1:
                del self._polling[number]
            else:
                self._polling[number] = left - 1
        self._seen(readings)
        if self._polling:
            self._poll_due = True
            self.kernel.after(POLL_MS, self._poll, life)

    def _poll_one(self, life: int, number: str) -> None:
        if life == self.life and not (self.board.silent or self.board.port_gone):
            self._seen({number: self.doors[number].read()})

    def _seen(self, readings: dict[str, Reading]) -> None:
        self.post(io.Polled("bus/1", readings, self.clock.mono_ms()))

    def board_lost(self) -> None:
        """Three polls went unanswered."""
        if self.board.silent or self.board.port_gone:
            self.post(io.LinkDown("bus/1", tuple(self.doors)))

    def board_back(self) -> None:
        if self.alive:
            self._poll_all()
