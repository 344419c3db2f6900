"""What goes wrong, and what the desk does about it: everything drawn from the seed before the day begins."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec

from cubbyhole.protocol import messages as m
from cubbyhole.simulator.world.asking import ask
from cubbyhole.simulator.world.banks import BankScene, World
from cubbyhole.simulator.world.clockwork import DAY_MS, HOUR_MS, MINUTE_MS
from cubbyhole.simulator.world.machine import SLOW_SYNC_MS
from cubbyhole.simulator.world.wire import Weather
from cubbyhole.simulator.world.witness import Violated


class Faults:
    """Troubles for all banks of a world. ``often`` scales how many there are."""

    def __init__(self, world: World, scenes: list[BankScene], days: int, often: float) -> None:
        self._world, self._scenes, self._often = world, scenes, often
        self._chance = random.Random(world.chance.getrandbits(64))
        for day in range(days):
            world.kernel.after(day * DAY_MS, self._day)

    def _day(self) -> None:
        for scene in self._scenes:
            self._bank_day(scene)
        office = self._world.office
        self._some(2, lambda: self._server_crash(self._chance.randint(5_000, 20 * MINUTE_MS)))
        self._some(2, lambda: setattr(office, "crash_at_commit", True))
        self._some(1, self._garbage)
        self._some(0.5, lambda: self._forge(self._chance.choice(self._scenes)))

    def _some(self, a_day: float, what: Callable[[], object]) -> None:
        """Do ``what`` about ``a_day`` times in the coming day."""
        amount = a_day * self._often
        times = int(amount) + (self._chance.random() < amount - int(amount))
        for _ in range(times):
            self._world.kernel.after(self._chance.randint(HOUR_MS // 2, DAY_MS - HOUR_MS // 2), what)

    def _bank_day(self, s: BankScene) -> None:
        chance = self._chance
        some = self._some
        some(0.6, lambda: self._weather(s, Weather.LOSSY, chance.randint(20 * MINUTE_MS, 3 * HOUR_MS)))
        some(
            0.7,
            lambda: self._weather(s, Weather.CUT, chance.choice((9_000, 4 * MINUTE_MS, 90 * MINUTE_MS, 8 * HOUR_MS))),
        )
        some(0.4, lambda: self._power(s, "idle"))
        some(0.4, lambda: self._power(s, "before_commit"))
        some(0.4, lambda: self._power(s, "after_commit"))
        some(0.4, lambda: self._power(s, "before_pulse"))
        some(0.4, lambda: self._power(s, "after_pulse"))
        some(0.4, lambda: self._disk_full(s))
        some(0.4, lambda: self._disk_slow(s))
        some(0.5, lambda: self._clock(s))
        some(0.5, lambda: self._board(s, "silent", chance.randint(30_000, 20 * MINUTE_MS)))
        some(0.3, lambda: self._board(s, "loses_replies", chance.randint(5 * MINUTE_MS, HOUR_MS)))
        some(0.3, lambda: self._board(s, "port_gone", chance.randint(30_000, 20 * MINUTE_MS)))
        some(0.5, lambda: self._jam(s))
        some(0.6, lambda: self._force(s))
        some(2.0, lambda: self._revoke(s))
        some(0.5, lambda: self._join(s))
        some(5.0, lambda: self._live(s))
        some(16.0, lambda: ask(s, chance))
        some(0.08, lambda: s.replace())
        for hour in range(1, 24, 2):
            self._world.kernel.after(hour * HOUR_MS + chance.randint(0, HOUR_MS), self._desk, s)
        for hour in (20, 22):
            self._world.kernel.after(hour * HOUR_MS, s.crowd.fill_up)

    # -- network and server -------------------------------------------------------------------------------------

    def _weather(self, s: BankScene, weather: Weather, for_ms: int) -> None:
        s.wire.turn(weather)
        s.check_contact()
        s.talk.alert()
        human, number = self._chance.choice(s.crowd.humans), self._chance.choice(list(s.doors))
        self._world.kernel.after(for_ms - 400, s.tap, None if s.shared_reader else number, human.badge, human)
        self._world.kernel.after(for_ms, self._clear, s)

    def _clear(self, s: BankScene) -> None:
        s.wire.turn(Weather.GOOD)
        s.check_contact()
        s.talk.alert()

    def _server_crash(self, for_ms: int) -> None:
        self._world.office.crash(for_ms)

    def _garbage(self) -> None:
        """Bytes that are no message, and one of a version that nobody knows."""
        self._world.coverage.fault("garbage_message")
        office = self._world.office
        was_up, office.up = office.up, True
        for raw in (b"", b"\xff\x00", b"{}", b'{"v":99,"bank":"A"}', b"[" * 5000):
            try:
                reply = office.serve_events(raw)
            except Exception as error:
                raise Violated("10 errors stay where they are", f"{raw[:40]!r} broke the server: {error!r}") from error
            assert reply is not None, "the server is up"
            assert msgspec.json.decode(reply)["error"], "what is no message is answered with trouble"
        office.up = was_up

    def _forge(self, s: BankScene) -> None:
        """Somebody on the fabric says things in the bank's name without its key."""
        record, office = s.record, self._world.office
        if not record.epoch or record.quarantined_under is not None or not s.machine.alive or not office.up:
            return
        batch = s.machine.conversation.batch()
        if batch is None:
            self._world.kernel.after(MINUTE_MS, self._forge, s)
            return
        self._world.coverage.fault("forged_lines")
        self._world.witness.forged.add(s.bank)
        raw = [bytes(part) for part in batch.lines]
        raw[-1] = raw[-1].replace(b'"sync":true', b'"sync":false') if b'"sync":true' in raw[-1] else raw[-1] + b" "
        lines = [msgspec.Raw(x) for x in raw]
        forged = m.Events(bank=batch.bank, epoch=batch.epoch, first=batch.first, lines=lines, heads=batch.heads)
        office.serve_events(m.encode(forged))
        # The bank goes on; its view stands still until an owner has enrolled a controller again.
        self._world.kernel.after(self._chance.randint(HOUR_MS // 4, 2 * HOUR_MS), s.replace)

    # -- controller ---------------------------------------------------------------------------------------------

    def _power(self, s: BankScene, when: str) -> None:
        machine = s.machine
        if not machine.alive:
            return
        if when == "idle":
            self._world.coverage.fault("power_lost_idle")
            if not machine.clock.synced and self._chance.random() < 0.3:
                self._world.coverage.fault("clock_dead_battery")
                machine.clock.jump(-300 * DAY_MS)
            machine.die()
        elif when in ("before_pulse", "after_pulse"):
            machine.power_fault = when
        else:
            self._world.coverage.fault(f"power_lost_{when}")
            machine.disk.cut = "before" if when == "before_commit" else "after"

    def _disk_full(self, s: BankScene) -> None:
        self._world.coverage.fault("disk_full")
        s.machine.disk.full = True
        s.check_contact()
        self._world.kernel.after(self._chance.randint(2 * MINUTE_MS, 40 * MINUTE_MS), self._disk_free, s, s.machine)

    def _disk_free(self, s: BankScene, machine: object) -> None:
        if machine is s.machine:
            s.machine.disk.full = False
            s.machine.tick()
            s.check_contact()

    def _disk_slow(self, s: BankScene) -> None:
        s.machine.slow_disk = True
        s.check_contact()
        machine = s.machine

        def quick() -> None:
            machine.slow_disk = False
            s.check_contact()
            self._world.kernel.after(SLOW_SYNC_MS[1] + 1, s.check_contact)  # the last slow sync is over by then

        self._world.kernel.after(self._chance.randint(5 * MINUTE_MS, 40 * MINUTE_MS), quick)

    def _clock(self, s: BankScene) -> None:
        clock, chance = s.machine.clock, self._chance
        if clock.synced:
            return  # a machine whose time source lies is beyond what a bank can know
        by_ms = chance.choice((-1, 1)) * chance.randint(10 * MINUTE_MS, 6 * HOUR_MS)
        self._world.coverage.fault("clock_jump_forward" if by_ms > 0 else "clock_jump_back")
        clock.jump(by_ms)
        self._world.kernel.after(chance.randint(1, 1_000), s.machine.tick)

    # -- boards and doors ---------------------------------------------------------------------------------------

    def _board(self, s: BankScene, what: str, for_ms: int) -> None:
        machine = s.machine
        if what == "silent":
            self._world.coverage.fault("board_silent")
        setattr(machine.board, what, True)
        if what != "loses_replies":
            self._world.kernel.after(800, machine.board_lost)

        def mend() -> None:
            setattr(machine.board, what, False)
            machine.board_back()

        self._world.kernel.after(for_ms, mend)

    def _jam(self, s: BankScene) -> None:
        door = self._chance.choice(list(s.doors.values()))
        self._world.coverage.fault("jam")
        door.jammed = True

    def _force(self, s: BankScene) -> None:
        door = self._chance.choice(list(s.doors.values()))
        if not door.is_open:
            self._world.coverage.fault("door_forced")
            door.force()
            self._world.kernel.after(self._chance.randint(5_000, HOUR_MS), door.push)

    # -- people and desk ----------------------------------------------------------------------------------------

    def _revoke(self, s: BankScene) -> None:
        """A badge is lost: blocked in the directory; its owner gets another one an hour later."""
        human = self._chance.choice(s.crowd.humans)
        if human.blocked or not self._world.office.up:
            return
        self._world.coverage.fault("credential_revoked")
        human.blocked = True
        self._world.office.block(s.bank, human)
        for delay_ms in (2_500, 20_000, 9 * MINUTE_MS):
            # Whoever found it tries it at the owner's locker.
            number = human.locker or self._chance.choice(list(s.doors))
            s.world.kernel.after(delay_ms, s.tap, None if s.shared_reader else number, human.badge, human)
        self._world.kernel.after(HOUR_MS, self._new_badge, s, human)

    def _new_badge(self, s: BankScene, human: object) -> None:
        if not self._world.office.up:
            self._world.kernel.after(HOUR_MS, self._new_badge, s, human)
            return
        for h in s.crowd.humans:
            if h is human:
                h.badge, h.blocked = s.new_badge(), False
                h.badge_number += 1000
                s.owners[h.badge] = h.person
                self._world.office.give_badge(s.bank, h)

    def _join(self, s: BankScene) -> None:
        if self._world.office.up:
            self._world.office.enter(s.bank, [s.newcomer()])

    def _live(self, s: BankScene) -> None:
        if self._world.office.up and s.machine.alive:
            number = self._chance.choice([*s.doors, "77"] if self._chance.random() < 0.1 else list(s.doors))
            self._world.office.open_now(s.bank, number, f"op:desk{self._chance.randint(1, 3)}")

    def _desk(self, s: BankScene) -> None:
        """A round at the desk: look at what the server shows, walk over, put right, give and take lockers."""
        office, chance, state = self._world.office, self._chance, s.record.state
        if not office.up or not state.columns:
            return
        for number, locker in state.lockers.items():
            if locker.check or locker.alarm or locker.unverified or locker.link_lost or s.doors[number].jammed:
                if chance.random() < 0.5:
                    continue
                s.doors[number].jammed = False
                s.doors[number].push()
                if locker.assignment is None:
                    s.doors[number].fill(None)
                if chance.random() < 0.8:
                    office.new_standing(s.bank, "checked", number)
            if locker.out_of_service and chance.random() < 0.5:
                office.new_standing(s.bank, "in_service", number)
        number = chance.choice(list(s.doors))
        held = state.lockers[number].assignment if number in state.lockers else None
        draw = chance.random()
        if draw < 0.15:
            office.new_standing(s.bank, "out_of_service", number)
        elif draw < 0.35 and held is not None:
            office.new_standing(s.bank, "end", number, assignment=held.assignment)
        elif draw < 0.42:
            office.new_standing(s.bank, "end", number, assignment=f"a_{chance.getrandbits(64):016x}")
        elif draw < 0.60:
            office.new_standing(s.bank, "assign", number, person=chance.choice(s.crowd.humans).person)
        elif draw < 0.65:
            office.new_standing(s.bank, "checked", "88")
        elif draw < 0.72:
            office.new_standing(s.bank, "out_of_service", number, for_ms=-5_000)
