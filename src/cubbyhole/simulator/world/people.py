"""The people of one bank: they come, tap, put things in, forget, come back, tap at the wrong door, leave.

Each visit is a short chain of things to come. What a person does next depends only on what the door and the reader
showed them, never on the bank's inside, except that most of them can see a green light.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from cubbyhole.domain.decision import Denied, Granted
from cubbyhole.edge import inputs as io
from cubbyhole.simulator.world.clockwork import DAY_MS, HOUR_MS, MINUTE_MS, Kernel
from cubbyhole.simulator.world.coverage import Coverage
from cubbyhole.simulator.world.doors import PhysicalDoor

TAPS_A_DAY = 360


@dataclass(slots=True)
class Human:
    """Somebody with a badge. ``window`` limits when a visitor may come."""

    person: str
    name: str
    groups: tuple[str, ...]
    badge: str
    badge_number: int
    active: bool = True
    blocked: bool = False
    window: tuple[int, int] | None = None
    locker: str | None = None  # where they believe their things are
    things_inside: bool = False


class Scene(Protocol):
    """What of a bank people can see and touch."""

    @property
    def doors(self) -> dict[str, PhysicalDoor]: ...
    @property
    def shared_reader(self) -> bool: ...
    def tap(self, locker: str | None, badge: str, owner: Human | None, age_ms: int = 0) -> io.TapSeen | None: ...
    def green(self) -> list[str]: ...


Told = Callable[[io.Said], None]


@dataclass(slots=True)
class Crowd:
    """All who use one bank."""

    kernel: Kernel
    chance: random.Random
    coverage: Coverage
    scene: Scene
    humans: list[Human]
    taps: int = 0
    _waiting: dict[io.TapSeen, Told] = field(default_factory=dict)

    def start(self, days: int) -> None:
        for day in range(days):
            self.kernel.after(day * DAY_MS, self._day)

    def said(self, said: io.Said) -> None:
        """The bank has decided on a tap."""
        told = self._waiting.pop(said.tap, None)
        if told is not None:
            told(said)

    def _day(self) -> None:
        self._waiting.clear()
        self.taps, chance = 0, self.chance
        present = [h for h in self.humans if chance.random() < 0.75]
        for human in present:
            arrival = self._workday(7, 11)
            self.kernel.after(arrival, self._arrive, human, 0)
            for _ in range(chance.randint(1, 4)):
                self.kernel.after(arrival + chance.randint(20 * MINUTE_MS, 6 * HOUR_MS), self._fetch, human)
            self.kernel.after(max(arrival, self._workday(15, 21)) + HOUR_MS, self._leave, human)
        for _ in range(30):
            self.kernel.after(self._workday(6, 22), self._wander)
        for _ in range(10):
            self.kernel.after(chance.randint(0, DAY_MS), self._wander)  # gates never close entirely

    def fill_up(self) -> None:
        """Somebody keeps coming until the day has had its taps."""
        for _ in range(max(0, TAPS_A_DAY - self.taps)):
            self.kernel.after(self.chance.randint(0, 100 * MINUTE_MS), self._wander)

    def _workday(self, first: int, last: int) -> int:
        return self.chance.randint(first * HOUR_MS, last * HOUR_MS)

    # -- visits -------------------------------------------------------------------------------------------------

    def _arrive(self, human: Human, attempt: int) -> None:
        if human.locker is not None:
            self._try(human, human.locker, lambda said: self._entered(human, said, attempt))
            return
        green = self.scene.green()
        pick = (
            self.chance.choice(green)
            if green and self.chance.random() < 0.85
            else self.chance.choice(list(self.scene.doors))
        )
        self._try(human, pick, lambda said: self._entered(human, said, attempt))

    def _entered(self, human: Human, said: io.Said, attempt: int) -> None:
        decision = said.decision
        if isinstance(decision, Granted):
            human.locker = decision.locker
            self._use(human, decision.locker, leave_things=True)
        elif isinstance(decision, Denied) and attempt < 3 and self.chance.random() < 0.8:
            if human.locker is not None and not human.things_inside:
                human.locker = None
            self.kernel.after(self.chance.randint(3_000, 40_000), self._arrive, human, attempt + 1)

    def _fetch(self, human: Human) -> None:
        if human.locker is not None:
            number = human.locker
            self._try(human, number, lambda said: self._at_own(human, said, leave_things=self.chance.random() < 0.8))

    def _at_own(self, human: Human, said: io.Said, leave_things: bool) -> None:
        if isinstance(said.decision, Granted):
            self._use(human, said.decision.locker, leave_things)
        elif self.chance.random() < 0.1:
            human.locker = None  # gives it up

    def _leave(self, human: Human) -> None:
        if human.locker is None or self.chance.random() < 0.12:
            return  # forgets
        number = human.locker
        self._try(human, number, lambda said: self._last_visit(human, said))

    def _last_visit(self, human: Human, said: io.Said) -> None:
        if not isinstance(said.decision, Granted):
            return
        number = said.decision.locker
        releases = self.chance.random() < 0.6
        self._use(human, number, leave_things=False, gesture=releases)
        human.locker = None if releases or self.chance.random() < 0.8 else number

    def _wander(self) -> None:
        """Somebody tries a door that is not theirs, badges without thinking, or holds up a strange badge."""
        chance, doors = self.chance, list(self.scene.doors)
        human, number, draw = chance.choice(self.humans), chance.choice(doors), chance.random()
        if draw < 0.06:
            self._tap(number, f"uid:{chance.getrandbits(32):08x}", None)
        elif draw < 0.08:
            self.coverage.fault("garbage_tap")
            self._tap(chance.choice(["99", "", "0x", "é"]), human.badge, human)
        elif draw < 0.10:
            self.coverage.fault("late_tap")
            self._tap(number, human.badge, human, age_ms=chance.randint(2_500, 9_000))
        elif draw < 0.5 and human.locker is not None:
            self._fetch(human)
        else:
            tap = self._tap(number, human.badge, human)
            if tap is not None:
                self._waiting[tap] = lambda said: self._entered(human, said, 3)

    # -- at a door ----------------------------------------------------------------------------------------------

    def _tap(self, number: str | None, badge: str, human: Human | None, age_ms: int = 0) -> io.TapSeen | None:
        made = self.scene.tap(
            None if self.scene.shared_reader and number in self.scene.doors else number, badge, human, age_ms
        )
        self.taps += made is not None
        return made

    def _try(self, human: Human, number: str, told: Told) -> None:
        tap = self._tap(number, human.badge, human)
        if tap is not None:
            self._waiting[tap] = told
        if self.chance.random() < 0.05:  # impatience
            self.kernel.after(self.chance.randint(200, 2_500), self._tap, number, human.badge, human)

    def _use(self, human: Human, number: str, leave_things: bool, gesture: bool = False) -> None:
        """The door has been released, or is open already."""
        chance, door = self.chance, self.scene.doors[number]
        if chance.random() < 0.015:
            return  # distracted, walks off without touching it
        pull_ms = chance.randint(150, 1_800)
        self.kernel.after(pull_ms, self._inside, human, door, leave_things, gesture)

    def _inside(self, human: Human, door: PhysicalDoor, leave_things: bool, gesture: bool) -> None:
        if not door.pull():
            return
        chance = self.chance
        work_ms = chance.randint(3_000, 25_000)
        keeps = leave_things or (not leave_things and chance.random() < 0.04)
        if keeps and not leave_things:
            self.coverage.fault("left_inside")
        human.things_inside = keeps
        self.kernel.after(work_ms, self._put, human, door, keeps)
        close_ms = work_ms + chance.randint(500, 4_000)
        if gesture:
            first = work_ms + chance.randint(3_500, 6_000)
            self.kernel.after(first, self._tap, door.number, human.badge, human)
            again = first + chance.randint(900, 4_000)
            self.kernel.after(again, self._tap, door.number, human.badge, human)
            close_ms = again + chance.randint(800, 4_000)
            if chance.random() < 0.1:  # changes their mind
                self.kernel.after(again + 1_500, self._tap, door.number, human.badge, human)
                self.kernel.after(again + 3_000, self._tap, door.number, human.badge, human)
                close_ms = again + 5_000
        if chance.random() < 0.02:
            self.coverage.fault("door_left_open")
            close_ms += chance.randint(5 * MINUTE_MS, 90 * MINUTE_MS)
        self.kernel.after(close_ms, door.push)

    def _put(self, human: Human, door: PhysicalDoor, keeps: bool) -> None:
        if door.is_open:
            door.fill(human.person if keeps else None)
