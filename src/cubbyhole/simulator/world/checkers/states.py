"""Which locker states a run has met; judges nothing."""

from __future__ import annotations

from collections.abc import Sequence

from cubbyhole.server.banks.receive import Accepted
from cubbyhole.simulator.world.banks import BankScene, World
from cubbyhole.simulator.world.office import BankRecord
from cubbyhole.simulator.world.witness import Checker

EVERY_COMMITS = 20


class States(Checker):
    invariant = "coverage"

    def __init__(self, world: World, scenes: Sequence[BankScene]) -> None:
        super().__init__(world.kernel)
        self._states, self._commits = world.coverage.states, 0

    def committed(self, record: BankRecord, verdict: Accepted) -> None:
        self._commits += 1
        if self._commits % EVERY_COMMITS:
            return
        states = self._states
        for s in record.state.lockers.values():
            states["free" if s.not_offered() is None else "held"] += s.assignment is not None or s.not_offered() is None
            states["armed"] += s.armed
            states["former"] += s.former is not None
            states["check"] += s.check is not None
            states["out_of_service"] += s.out_of_service is not None
            states["unverified"] += s.unverified
            states["link_lost"] += s.link_lost
            states["untimed"] += s.assignment is not None and not s.assignment.timed
            if s.alarm is not None:
                states[f"alarm_{s.alarm.value}"] += 1
