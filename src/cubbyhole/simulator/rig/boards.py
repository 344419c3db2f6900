"""What all simulated boards share: the wires from a board's channels to the lockers, and how a family speaks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

from cubbyhole.simulator.rig.physical import Locker
from cubbyhole.simulator.rig.settings import BoardSpec
from cubbyhole.simulator.rig.truth import Pulse, Truth, wall_ms


@dataclass(frozen=True, slots=True)
class Heard:
    """A sound request as it came over the wire: its bytes, and when its first byte began and its last ended."""

    octets: bytes
    first_ns: int
    last_ns: int


class Family(Protocol):
    """All boards of one bus. Pure towards the wire: bytes in, bytes out, nothing waits here."""

    def take(self, held: bytes) -> tuple[int, bytes | None]:
        """How many bytes are done with, and the sound request among them; ``(0, None)``: wait for more."""
        ...

    def is_unlock(self, request: bytes) -> bool:
        """Whether the request is an unlock, for any board."""
        ...

    def answer(self, heard: Heard) -> bytes | None:
        """Do what the request asks and return the reply; None: this board family or address stays silent."""
        ...

    def power_off(self) -> None:
        """Everything that current holds lets go."""
        ...


class Wiring:
    """One board's channels, wired to lockers, with the polarity of the wiring."""

    def __init__(self, bank: str, spec: BoardSpec, lockers: dict[str, Locker], truth: Truth) -> None:
        self.spec = spec
        self._bank = bank
        self._truth = truth
        self._lockers = [lockers[spec.number(channel)] for channel in range(spec.channels)]

    def pulse(self, channel: int, pulse_ms: int, heard: Heard) -> None:
        """Current on a lock for so long (0: until switched off), put on the record first."""
        now_ns = time.monotonic_ns()
        locker = self._lockers[channel]
        released = locker.pulse(now_ns, pulse_ms or None)
        self._truth.pulse(
            Pulse(
                bank=self._bank,
                locker=locker.number,
                board=self.spec.address,
                channel=channel,
                at_ms=wall_ms(),
                mono_ns=heard.last_ns,
                pulse_ms=pulse_ms,
                frame_first_ns=heard.first_ns,
                frame_last_ns=heard.last_ns,
                released=released,
            )
        )

    def relax(self, channel: int) -> None:
        self._lockers[channel].relax(time.monotonic_ns())

    def power_off(self) -> None:
        now_ns = time.monotonic_ns()
        for locker in self._lockers:
            locker.relax(now_ns)
            locker.light = False

    def door_level(self, channel: int) -> bool:
        return self._lockers[channel].door_sensor(time.monotonic_ns()) == self.spec.door_open_level

    def lock_level(self, channel: int) -> bool:
        return self._lockers[channel].lock_sensor(time.monotonic_ns()) == self.spec.lock_secured_level

    def occupied_level(self, channel: int) -> bool:
        return self._lockers[channel].occupied == self.spec.occupied_level

    def light(self, channel: int, on: bool) -> None:
        self._lockers[channel].light = on

    def is_lit(self, channel: int) -> bool:
        return self._lockers[channel].light
