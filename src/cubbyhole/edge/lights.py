"""Door lights: steady and blinking looks drawn on outputs that know only on and off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from cubbyhole.edge.inputs import Look

STEP_S = 0.25
# One character a step of STEP_S, repeated; DENIED plays once and falls back to what was shown before.
PATTERNS: dict[Look, str] = {
    Look.OFF: ".",
    Look.FREE: "#",
    Look.YOURS: "####....",
    Look.RELEASING: "#.",
    Look.OUT_OF_SERVICE: ".",
    Look.DENIED: "#.#.#.",
}


class Lights:
    """The lights of one bank. ``draw`` is called only when an output changes."""

    def __init__(self, draw: Callable[[str, bool], None]) -> None:
        self._draw = draw
        self._looks: dict[str, Look] = {}
        self._denied: dict[str, int] = {}
        self._shown: dict[str, bool] = {}

    def show(self, locker: str, look: Look) -> None:
        if look is Look.DENIED:
            self._denied[locker] = len(PATTERNS[Look.DENIED])
        else:
            self._looks[locker] = look

    async def run(self) -> None:
        step = 0
        while True:
            for locker in self._looks.keys() | self._denied.keys():
                self._set(locker, self._is_on(locker, step))
            step += 1
            await asyncio.sleep(STEP_S)

    def _is_on(self, locker: str, step: int) -> bool:
        left = self._denied.pop(locker, 0)
        if left:
            if left > 1:
                self._denied[locker] = left - 1
            return PATTERNS[Look.DENIED][-left] == "#"
        pattern = PATTERNS[self._looks.get(locker, Look.OFF)]
        return pattern[step % len(pattern)] == "#"

    def _set(self, locker: str, on: bool) -> None:
        if self._shown.get(locker) is not on:
            self._shown[locker] = on
            self._draw(locker, on)
