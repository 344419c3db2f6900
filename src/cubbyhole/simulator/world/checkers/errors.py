"""10: an error in one door, reader or message stays there. What escapes the core is reported where it escapes
(`machine.Machine`); here it is seen that a bank goes on answering after each bad input."""

from __future__ import annotations

from collections.abc import Sequence

from cubbyhole.edge.inputs import Said, TapSeen
from cubbyhole.simulator.world.banks import BankScene, World
from cubbyhole.simulator.world.witness import Checker

ANSWER_MS = 120_000


class Errors(Checker):
    invariant = "10 errors stay where they are"

    def __init__(self, world: World, scenes: Sequence[BankScene]) -> None:
        super().__init__(world.kernel)
        self._scenes = {s.bank: s for s in scenes}
        self._answers: dict[str, int] = {}

    def tapped(self, bank: str, tap: TapSeen, owner: str | None) -> None:
        if tap.locker is not None and tap.locker not in self._scenes[bank].doors:
            machine = self._scenes[bank].machine
            self.kernel.after(ANSWER_MS, self._still_answers, bank, machine.life, self._answers.get(bank, 0))

    def decided(self, bank: str, said: Said) -> None:
        self._answers[bank] = self._answers.get(bank, 0) + 1

    def _still_answers(self, bank: str, life: int, before: int) -> None:
        if self._scenes[bank].machine.life == life and self._answers.get(bank, 0) <= before:
            self.fail(f"{bank} answers no tap since one at a locker that does not exist")

    def finished(self) -> None:
        for bank, scene in self._scenes.items():
            if not scene.machine.alive:
                self.fail(f"the controller of {bank} did not come back")
