"""What each door's light says, worked out from the bank's state; how it blinks is `lights`' business."""

from __future__ import annotations

from collections.abc import Iterable

from cubbyhole.domain.bank import BankState, LockerState
from cubbyhole.edge.inputs import Light, Look

YOURS_FOR_MS = 10_000


class Looks:
    """Remembers what every light says, so that only changes are sent."""

    def __init__(self) -> None:
        self._shown: dict[str, Look] = {}
        self._yours_until_ms: dict[str, int] = {}

    def yours(self, number: str, mono_ms: int) -> None:
        """Somebody was just let in here: their door says so for YOURS_FOR_MS."""
        self._yours_until_ms[number] = mono_ms + YOURS_FOR_MS

    def lapse(self, mono_ms: int) -> set[str]:
        """Forget what has been shown for long enough; the lockers to look at again."""
        shown = set(self._yours_until_ms)
        self._yours_until_ms = {n: until for n, until in self._yours_until_ms.items() if until > mono_ms}
        return shown

    def changes(self, state: BankState, numbers: Iterable[str], mono_ms: int) -> list[Light]:
        """The lights among ``numbers`` that say something else than the last time."""
        changed = []
        for number in numbers:
            s = state.lockers.get(number)
            if s is None:
                continue
            look = self._look(s, mono_ms)
            if self._shown.get(number) is not look:
                self._shown[number] = look
                changed.append(Light(number, look))
        return changed

    def _look(self, s: LockerState, mono_ms: int) -> Look:
        if s.armed:
            return Look.RELEASING
        if s.out_of_service is not None:
            return Look.OUT_OF_SERVICE
        if self._yours_until_ms.get(s.number, 0) > mono_ms:
            return Look.YOURS
        return Look.FREE if s.not_offered() is None else Look.OFF
