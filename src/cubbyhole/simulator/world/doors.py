"""Doors as things: a latch, a spring, a board's channel. This is the truth that journals are held against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cubbyhole.domain.watch import Reading


@dataclass(slots=True)
class Hardware:
    """How one bank is built. Without ``springs`` a released latch stays free until somebody pulls or it times out."""

    springs: bool
    senses_lock: bool
    senses_occupancy: bool
    relatch_ms: int | None


@dataclass(slots=True)
class PhysicalDoor:
    """One compartment. ``moved`` is called after every change that a sensor could see."""

    number: str
    hardware: Hardware
    moved: Callable[[PhysicalDoor], None]
    is_open: bool = False
    secured: bool = True
    jammed: bool = False
    belongings: str | None = None  # whose things are inside
    free_until_ms: int | None = None

    def pulse(self, now_ms: int) -> bool:
        """The solenoid fires; False where the latch did not give."""
        if self.jammed:
            return False
        if self.is_open:
            return True
        self.secured = False
        if self.hardware.springs:
            self.is_open = True
        elif self.hardware.relatch_ms is not None:
            self.free_until_ms = now_ms + self.hardware.relatch_ms
        self.moved(self)
        return True

    def relatch(self, now_ms: int) -> None:
        """The latch falls back where nobody pulled the door in time."""
        if self.free_until_ms is not None and now_ms >= self.free_until_ms:
            self.free_until_ms = None
            if not self.is_open and not self.secured:
                self.secured = True
                self.moved(self)

    def pull(self) -> bool:
        """Somebody pulls the door; False where it does not open."""
        if self.is_open:
            return True
        if self.secured:
            return False
        self.is_open = True
        self.free_until_ms = None
        self.moved(self)
        return True

    def force(self) -> None:
        """Somebody levers the door open."""
        if not self.is_open:
            self.is_open, self.secured = True, False
            self.moved(self)

    def push(self) -> None:
        """Somebody closes the door, and the latch catches."""
        if self.is_open:
            self.is_open, self.secured = False, True
            self.moved(self)

    def fill(self, whose: str | None) -> None:
        if self.belongings != whose:
            self.belongings = whose
            self.moved(self)

    def read(self) -> Reading:
        """What the board's inputs say now."""
        hardware = self.hardware
        return Reading(
            door_open=self.is_open,
            lock_secured=self.secured if hardware.senses_lock else None,
            occupied=self.belongings is not None if hardware.senses_occupancy else None,
        )
