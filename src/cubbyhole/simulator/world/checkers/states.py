"""Which locker states a run has met; judges nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cubbyhole.server.banks.receive import Accepted
from cubbyhole.simulator.world.banks import BankScene, World
from cubbyhole.simulator.world.server import BankRecord
from cubbyhole.simulator.world.witness import Checker, LineSeen

EVERY_COMMITS = 20


class States(Checker):
    invariant = "coverage"

    def __init__(self, world: World, scenes: Sequence[BankScene]) -> None:
        super().__init__(world.kernel)
        self._states, self._commits = world.coverage.states, 0

    def lines(self) -> dict[str, Callable[[LineSeen], None]]:
        return {"assignment.started": self._started, "release.armed": self._armed}

    def _started(self, line: LineSeen) -> None:
        self._states["untimed"] += line.fields["ends_ms"] is None and line.fields["mode"] == "day"

    def _armed(self, line: LineSeen) -> None:
        self._states["armed"] += 1

    def committed(self, record: BankRecord, verdict: Accepted) -> None:
        self._commits += 1
        if self._commits % EVERY_COMMITS:
            return
        states = self._states
        for s in record.state.lockers.values():
            states["free" if s.not_offered() is None else "held"] += s.assignment is not None or s.not_offered() is None
            states["former"] += s.former is not None
            states["check"] += s.check is not None
            states["out_of_service"] += s.out_of_service is not None
            states["unverified"] += s.unverified
            states["link_lost"] += s.link_lost
            if s.alarm is not None:
                states[f"alarm_{s.alarm.value}"] += 1
