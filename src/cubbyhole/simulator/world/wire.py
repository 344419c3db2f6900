"""The network between one bank and the server: delays, loses, doubles and reorders; may be cut."""

from __future__ import annotations

import random
from collections.abc import Callable
from enum import StrEnum

from cubbyhole.simulator.world.clockwork import Kernel
from cubbyhole.simulator.world.coverage import Coverage


class Weather(StrEnum):
    GOOD = "good"
    LOSSY = "lossy"
    CUT = "cut"


class Wire:
    """Carries requests. A request has one reply or none; the asker stops waiting after its own patience."""

    def __init__(self, kernel: Kernel, chance: random.Random, coverage: Coverage) -> None:
        self._kernel, self._chance, self._coverage = kernel, chance, coverage
        self.weather = Weather.GOOD
        self.since_ms = kernel.now_ms
        self._cuts = 0

    def turn(self, weather: Weather) -> None:
        if weather is not self.weather:
            self.weather, self.since_ms = weather, self._kernel.now_ms
            self._cuts += weather is Weather.CUT

    def carry(self, deliver: Callable[[bytes], object], payload: bytes) -> None:
        """Bring ``payload`` to the other side: late, twice or not at all, as the weather is."""
        if self.weather is Weather.CUT:
            self._coverage.fault("partition")
            return
        delay_ms = self._chance.randint(2, 40)
        if self.weather is Weather.LOSSY:
            draw = self._chance.random()
            if draw < 0.12:
                self._coverage.fault("loss")
                return
            if draw < 0.20:
                self._coverage.fault("duplicate")
                self._kernel.after(
                    delay_ms + self._chance.randint(1, 3_000), self._arrive, deliver, payload, self._cuts
                )
            if draw < 0.40:
                self._coverage.fault("reorder")
                delay_ms += self._chance.randint(50, 2_500)
        self._kernel.after(delay_ms, self._arrive, deliver, payload, self._cuts)

    def _arrive(self, deliver: Callable[[bytes], object], payload: bytes, cuts: int) -> None:
        if cuts == self._cuts and self.weather is not Weather.CUT:
            deliver(payload)

    def ask(
        self,
        serve: Callable[[bytes], bytes | None],
        payload: bytes,
        answered: Callable[[bytes], object],
        silent: Callable[[], object],
        patience_ms: int,
    ) -> None:
        """Ask the other side. Exactly one of ``answered`` and ``silent`` is called, once."""
        done = False

        def reply(raw: bytes) -> None:
            nonlocal done
            if not done:
                done = True
                answered(raw)

        def give_up() -> None:
            nonlocal done
            if not done:
                done = True
                silent()

        def served(raw: bytes) -> None:
            made = serve(raw)
            if made is not None:
                self.carry(reply, made)

        self.carry(served, payload)
        self._kernel.after(patience_ms, give_up)
