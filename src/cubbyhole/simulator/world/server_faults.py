"""What happens to the server itself, where it is the real one: its clock, its database, its release."""

from __future__ import annotations

import random
from collections.abc import Callable

from cubbyhole.simulator.world.banks import BankScene, World
from cubbyhole.simulator.world.clockwork import DAY_MS, HOUR_MS, MINUTE_MS
from cubbyhole.simulator.world.installation import Installation

CLOCK_MOST_MS = 45_000  # below what a bank takes for a disagreement: more than that it follows, or doubts


class ServerFaults:
    """About ``often`` of each a day."""

    def __init__(self, world: World, server: Installation, scenes: list[BankScene], days: int, often: float) -> None:
        self._world, self._server, self._scenes = world, server, scenes
        self._chance = random.Random(world.chance.getrandbits(64))
        for day in range(days):
            for a_day, fault in ((1.0, self._clock), (0.5, self._restored), (0.4, self._older), (4.0, self._visit)):
                self._some(day, a_day * often, fault)

    def _some(self, day: int, amount: float, fault: Callable[[], None]) -> None:
        times = int(amount) + (self._chance.random() < amount - int(amount))
        for _ in range(times):
            when_ms = day * DAY_MS + self._chance.randint(HOUR_MS, DAY_MS - 2 * HOUR_MS)
            self._world.kernel.after(when_ms, fault)

    def _clock(self) -> None:
        """The server's wall clock is wrong for a while, also in the middle of a live command."""
        server, chance = self._server, self._chance
        self._world.coverage.fault("server_clock_jump")
        server.clock_error_ms = chance.choice((-1, 1)) * chance.randint(5_000, CLOCK_MOST_MS)
        for at_ms in (chance.randint(1, 300), chance.randint(MINUTE_MS, HOUR_MS)):
            self._world.kernel.after(at_ms, self._jumps_in_command)

        def right() -> None:
            server.clock_error_ms = 0

        self._world.kernel.after(chance.randint(MINUTE_MS, 2 * HOUR_MS), right)

    def _jumps_in_command(self) -> None:
        s, server, chance = self._chance.choice(self._scenes), self._server, self._chance
        if not server.up:
            return
        server.open_now(s.bank, chance.choice(list(s.doors)), "op:desk2")
        error_ms = server.clock_error_ms
        server.clock_error_ms = -CLOCK_MOST_MS

        def back() -> None:
            server.clock_error_ms = error_ms

        self._world.kernel.after(chance.randint(3_000, 9_000), back)

    def _restored(self) -> None:
        """The database is lost, and a backup that is minutes or hours old takes its place."""
        server = self._server
        if not server.up or server.is_older:
            return
        server.back_up()
        self._world.witness.backed_up()
        self._world.kernel.after(self._chance.randint(MINUTE_MS, 6 * HOUR_MS), self._restore)

    def _restore(self) -> None:
        server = self._server
        if not server.can_restore or server.is_older:
            return
        self._world.coverage.fault("server_restored")
        self._world.witness.restored()
        server.restore(self._chance.randint(2_000, 10 * MINUTE_MS))
        server.forget_backup()

    def _older(self) -> None:
        """The controllers are a release ahead of the server; later the server is brought up to theirs."""
        server = self._server
        if server.is_older or not server.up:
            return
        self._world.coverage.fault("newer_events")
        server.forget_backup()
        server.is_older = True
        self._world.kernel.after(self._chance.randint(HOUR_MS, 8 * HOUR_MS), self.upgrade)

    def upgrade(self) -> None:
        """The server of the controllers' release takes over."""
        server = self._server
        if not server.is_older:
            return
        server.is_older = False
        if server.up:
            server.crash(3_000)

    def settle(self) -> None:
        """No more of it: the release and the clock are right, and no backup takes the database's place."""
        self.upgrade()
        self._server.forget_backup()
        self._server.clock_error_ms = 0

    def _visit(self) -> None:
        """Somebody of one bank taps at another one: the directory is the same, and so is their badge."""
        here, there = self._chance.choice(self._scenes), self._chance.choice(self._scenes)
        if here is there:
            return
        human = self._chance.choice(there.crowd.humans)
        self._world.coverage.fault("visitor_of_another_bank")
        number = self._chance.choice(list(here.doors))
        here.tap(None if here.shared_reader else number, human.badge, human)
