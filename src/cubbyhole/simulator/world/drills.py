"""Coincidences that chance alone brings too rarely, set up on purpose: two things in the same second."""

from __future__ import annotations

import random

from cubbyhole.simulator.world.banks import BankScene, World
from cubbyhole.simulator.world.clockwork import DAY_MS, HOUR_MS, MINUTE_MS
from cubbyhole.simulator.world.people import Human
from cubbyhole.simulator.world.wire import Weather


class Drills:
    """About ``often`` of each coincidence at each bank a day."""

    def __init__(self, world: World, scenes: list[BankScene], days: int, often: float) -> None:
        self._world, self._chance = world, random.Random(world.chance.getrandbits(64))
        drills = (
            self._cable_of_the_boards,
            self._second_locker,
            self._open_before_the_pulse,
            self._levered,
            self._odd_command,
            self._order_on_slow_disk,
            self._visitor_in_doubt,
        )
        for day in range(days):
            for scene in scenes:
                if self._chance.random() < 0.3 * often:
                    world.kernel.after(day * DAY_MS + 18 * HOUR_MS + HOUR_MS // 4, self._doubt_over_midnight, scene)
                for drill in drills:
                    if self._chance.random() < 0.5 * often:
                        when_ms = day * DAY_MS + self._chance.randint(HOUR_MS, DAY_MS - HOUR_MS)
                        world.kernel.after(when_ms, drill, scene)

    def _holder(self, s: BankScene, closed: bool = True) -> tuple[Human, str] | None:
        """Somebody who has a locker now, and its number."""
        held = {
            locker.assignment.person: number
            for number, locker in s.record.state.lockers.items()
            if locker.assignment is not None and not (closed and s.doors[number].is_open)
        }
        found = [(h, held[h.person]) for h in s.crowd.humans if h.person in held and h.active and not h.blocked]
        return self._chance.choice(found) if found else None

    def _tap(self, s: BankScene, number: str, human: Human) -> None:
        s.tap(None if s.shared_reader else number, human.badge, human)

    def _cable_of_the_boards(self, s: BankScene) -> None:
        """The boards' cable is pulled between the decision and the frame."""
        found, machine = self._holder(s), s.machine
        if found is None or not machine.alive:
            return
        human, number = found
        self._tap(s, number, human)
        machine.board.port_gone = True
        self._world.kernel.after(800, machine.board_lost)

        def mend() -> None:
            machine.board.port_gone = False
            machine.board_back()

        self._world.kernel.after(self._chance.randint(3_000, 5 * MINUTE_MS), mend)

    def _second_locker(self, s: BankScene) -> None:
        """The desk gives somebody a second locker; they come to the shared reader."""
        found = self._holder(s, closed=False)
        free = [n for n, locker in s.record.state.lockers.items() if locker.not_offered() is None]
        if found is None or not free or not self._world.office.up:
            return
        human, number = found
        self._world.office.new_standing(s.bank, "assign", self._chance.choice(free), person=human.person)
        for delay_ms in (10_000, 5 * MINUTE_MS):
            self._world.kernel.after(delay_ms, self._tap, s, number, human)

    def _slow_for_a_moment(self, s: BankScene) -> None:
        machine = s.machine
        machine.slow_disk = True
        s.check_contact()

        def quick() -> None:
            machine.slow_disk = False
            s.check_contact()

        self._world.kernel.after(8_000, quick)

    def _open_before_the_pulse(self, s: BankScene) -> None:
        """A door stands open over a restart; its holder taps before the first reading, and the disk is slow."""
        found = self._holder(s)
        if found is None or not s.machine.alive:
            return
        human, number = found
        s.doors[number].force()
        self._world.kernel.after(5 * MINUTE_MS, s.doors[number].push)
        s.machine.on_died, died = (lambda: None), s.machine.on_died
        s.machine.die()
        s.machine.on_died = died
        s.check_contact()
        machine = s.machine

        def again() -> None:
            s.power_on(machine)
            self._slow_for_a_moment(s)
            self._world.kernel.after(20, self._tap, s, number, human)

        self._world.kernel.after(5_000, again)

    def _levered(self, s: BankScene) -> None:
        """Somebody levers the door open in the moment between the decision and the pulse."""
        found = self._holder(s)
        if found is None or not s.machine.alive:
            return
        human, number = found
        self._slow_for_a_moment(s)
        self._tap(s, number, human)
        self._world.coverage.fault("door_forced")
        self._world.kernel.after(30, s.doors[number].force)
        self._world.kernel.after(MINUTE_MS, s.doors[number].push)

    def _odd_command(self, s: BankScene) -> None:
        """A standing command of a kind that this release does not know."""
        if self._world.office.up:
            self._world.office.new_standing(s.bank, "repaint", self._chance.choice(list(s.doors)))

    def _order_on_slow_disk(self, s: BankScene) -> None:
        """The desk asks for a door while the disk takes seconds for another tap."""
        found = self._holder(s)
        if found is None or not s.machine.alive or not self._world.office.up:
            return
        self._slow_for_a_moment(s)
        number = self._chance.choice(list(s.doors))
        self._world.kernel.after(self._chance.randint(0, 200), self._tap, s, found[1], found[0])
        self._world.office.open_now(s.bank, number, "op:desk1")

    def _visitor_in_doubt(self, s: BankScene) -> None:
        """A clock that nobody disciplines jumps while the cable is cut; then a visitor comes."""
        clock, visitors = s.machine.clock, [h for h in s.crowd.humans if h.window is not None and h.active]
        if clock.synced or not visitors or not s.machine.alive:
            return
        self._world.coverage.fault("clock_jump_forward")
        s.wire.turn(Weather.CUT)
        s.check_contact()
        s.talk.alert()
        clock.jump(self._chance.randint(20 * MINUTE_MS, HOUR_MS))

        def mend() -> None:
            s.wire.turn(Weather.GOOD)
            s.check_contact()
            s.talk.alert()

        self._world.kernel.after(800, s.machine.tick)
        for at, human in enumerate(visitors):
            self._world.kernel.after(5_000 + at * 2_000, self._tap, s, self._chance.choice(list(s.doors)), human)
        self._world.kernel.after(MINUTE_MS, mend)

    def _doubt_over_midnight(self, s: BankScene) -> None:
        """A controller without a time source starts before midnight and reaches the server only after it."""
        if s.machine.clock.synced or not s.machine.alive:
            return
        s.wire.turn(Weather.CUT)
        s.machine.die()

        def mend() -> None:
            s.wire.turn(Weather.GOOD)
            s.check_contact()
            s.talk.alert()

        self._world.kernel.after(2 * HOUR_MS + HOUR_MS // 2, mend)
