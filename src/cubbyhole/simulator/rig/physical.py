"""One locker as a thing of steel: a latch, a spring, sensors that bounce, a door that people pull.

Time is an argument (ns of CLOCK_MONOTONIC) and must not run backwards; what was due since the last call happens
first, in order. Nothing here knows of bytes, boards or tasks.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass
from typing import Literal

MS = 1_000_000
Act = Literal["open", "close", "force", "jam", "unjam", "fill", "empty"]
Latch = Literal["slam", "rotary"]
_Due = Literal["release", "relax", "spring", "close"]


class Impossible(Exception):
    """A hand cannot do that now; the text says why and what would work."""


@dataclass(frozen=True, slots=True)
class Build:
    """How the lockers of a bank are built.

    A ``slam`` latch bolts a shut door again when the pulse ends; a ``rotary`` one stays released until the door has
    been opened and shut. ``auto_close_ms``: a simulated person shuts the door after that; None: nobody does.
    """

    spring: bool = True
    latch: Latch = "slam"
    release_ms: int = 12
    spring_ms: int = 60
    bounce_ms: int = 20
    auto_close_ms: int | None = None


@dataclass(frozen=True, slots=True)
class State:
    """What one would see on looking."""

    door: Literal["open", "closed"]
    lock: Literal["secured", "released"]
    occupied: bool
    light: bool
    jammed: bool


class Locker:
    """The state of one locker. ``number`` is what stands on its door."""

    def __init__(self, number: str, build: Build, seed: int = 0) -> None:
        self.number = number
        self._build = build
        self._noise = random.Random(f"{seed}/{number}")
        self._door_open = False
        self._secured = True
        self._energised = False
        self._due: list[tuple[int, int, _Due]] = []
        self._ordinal = 0
        self._door_moved_ns: int | None = None
        self.jammed = False
        self.occupied = False
        self.light = False

    def state(self, now_ns: int) -> State:
        self._settle(now_ns)
        return State(
            door="open" if self._door_open else "closed",
            lock="secured" if self._secured else "released",
            occupied=self.occupied,
            light=self.light,
            jammed=self.jammed,
        )

    def pulse(self, now_ns: int, pulse_ms: int | None) -> bool:
        """Current on the solenoid for so long (None: until ``relax``). Returns whether the latch will let go."""
        self._settle(now_ns)
        self._cancel("relax", "release", "spring")
        self._energised = True
        frees = not self.jammed and (pulse_ms is None or pulse_ms > self._build.release_ms)
        if frees:
            self._later(now_ns + self._build.release_ms * MS, "release")
        if pulse_ms is not None:
            self._later(now_ns + pulse_ms * MS, "relax")
        return frees

    def relax(self, now_ns: int) -> None:
        """Current off: the end of a pulse, or the power is gone."""
        self._settle(now_ns)
        self._cancel("relax", "release")
        self._happen(now_ns, "relax")

    def door_sensor(self, now_ns: int) -> bool:
        """Whether the door's contact says open; for a moment after each move it bounces."""
        self._settle(now_ns)
        moved_ns = self._door_moved_ns
        if moved_ns is not None and now_ns - moved_ns < self._build.bounce_ms * MS:
            return self._noise.random() < 0.5
        return self._door_open

    def lock_sensor(self, now_ns: int) -> bool:
        """Whether the bolt's contact says secured."""
        self._settle(now_ns)
        return self._secured

    def hand(self, now_ns: int, act: Act) -> bool:
        """What a person does to it. Returns whether anything changed. Raises ``Impossible``."""
        self._settle(now_ns)
        if act == "open":
            if self._door_open:
                return False
            if self._secured:
                raise Impossible(f"locker {self.number} is locked: unlock it first, or use force")
            self._move_door(now_ns, True)
        elif act == "force":
            if self._door_open:
                return False
            self._move_door(now_ns, True)
        elif act == "close":
            if not self._door_open:
                return False
            self._shut(now_ns)
        elif act in ("jam", "unjam"):
            if self.jammed == (act == "jam"):
                return False
            self.jammed = act == "jam"
        else:
            if self.occupied == (act == "fill"):
                return False
            self.occupied = act == "fill"
        return True

    def _settle(self, now_ns: int) -> None:
        while self._due and self._due[0][0] <= now_ns:
            at_ns, _, kind = heapq.heappop(self._due)
            self._happen(at_ns, kind)

    def _happen(self, at_ns: int, kind: _Due) -> None:
        if kind == "release":
            if self.jammed:
                return
            self._secured = False
            if self._build.spring and not self._door_open:
                self._later(at_ns + self._build.spring_ms * MS, "spring")
        elif kind == "spring":
            if not self._door_open and not self._secured:
                self._move_door(at_ns, True)
        elif kind == "relax":
            self._energised = False
            if not self._door_open and not self.jammed and self._build.latch == "slam":
                self._secured = True
        elif self._door_open:
            self._shut(at_ns)

    def _move_door(self, at_ns: int, to_open: bool) -> None:
        self._cancel("close")
        self._door_open = to_open
        self._door_moved_ns = at_ns
        if to_open and self._build.auto_close_ms is not None:
            self._later(at_ns + self._build.auto_close_ms * MS, "close")

    def _shut(self, at_ns: int) -> None:
        self._move_door(at_ns, False)
        if not self._energised and not self.jammed:
            self._secured = True

    def _later(self, at_ns: int, kind: _Due) -> None:
        self._ordinal += 1
        heapq.heappush(self._due, (at_ns, self._ordinal, kind))

    def _cancel(self, *kinds: _Due) -> None:
        self._due = [due for due in self._due if due[2] not in kinds]
        heapq.heapify(self._due)
