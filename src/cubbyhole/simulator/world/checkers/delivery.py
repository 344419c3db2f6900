"""5: no event is lost, doubled or reordered between a bank's disk and the server; forged lines are never believed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from cubbyhole.server.banks.receive import Accepted
from cubbyhole.simulator.world.banks import BankScene, World
from cubbyhole.simulator.world.server import BankRecord
from cubbyhole.simulator.world.witness import Checker, LineSeen


class Delivery(Checker):
    invariant = "5 no event lost, doubled or reordered"

    def __init__(self, world: World, scenes: Sequence[BankScene]) -> None:
        super().__init__(world.kernel)
        self._witness, self._scenes = world.witness, {s.bank: s for s in scenes}
        self._waiting: dict[str, deque[LineSeen]] = {s.bank: deque() for s in scenes}
        self._server_at: dict[str, tuple[str, int]] = {}
        self._at_backup: dict[str, tuple[str, int]] = {}
        self._since: dict[str, list[LineSeen]] = {s.bank: [] for s in scenes}  # the last backup

    def lines(self) -> dict[str, Callable[[LineSeen], None]]:
        return {"*": self._durable}

    def _durable(self, line: LineSeen) -> None:
        waiting = self._waiting[line.bank]
        if waiting and waiting[-1].epoch == line.epoch and waiting[-1].seq + 1 != line.seq:
            self.fail(f"{line.bank} wrote line {line.seq} behind line {waiting[-1].seq}")
        waiting.append(line)

    def committed(self, record: BankRecord, verdict: Accepted) -> None:
        bank, waiting = record.bank, self._waiting[record.bank]
        for new in verdict.lines:
            epoch, seq = self._server_at.get(bank, ("", 0))
            if new.line.epoch == epoch and new.line.seq != seq + 1:
                self.fail(f"the server committed line {new.line.seq} of {bank} behind line {seq}")
            while waiting and waiting[0].epoch != new.line.epoch:
                waiting.popleft()  # what a dead controller never sent
            if not waiting:
                self.fail(f"the server committed line {new.line.seq} of {bank}, which the bank never wrote")
            wrote = waiting.popleft()
            self._since[bank].append(wrote)
            if wrote.seq != new.line.seq or wrote.raw != new.raw:
                ours, theirs = wrote.raw[:200], new.raw[:200]
                self.fail(f"the server committed {theirs!r} as line {new.line.seq} of {bank}; the bank wrote {ours!r}")
            self._server_at[bank] = (new.line.epoch, new.line.seq)
            for checker in self._witness.checkers:
                checker.server_line(wrote)

    def backed_up(self) -> None:
        self._at_backup = dict(self._server_at)
        for since in self._since.values():
            since.clear()

    def restored(self) -> None:
        """What the server had taken since its backup must all come again."""
        self._server_at = dict(self._at_backup)
        for bank, since in self._since.items():
            self._waiting[bank].extendleft(reversed(since))
            since.clear()

    def suspected(self, record: BankRecord, why: str) -> None:
        if record.bank not in self._witness.forged:
            self.fail(f"the server does not believe {record.bank}, which is honest: {why}")

    def finished(self) -> None:
        for bank, waiting in self._waiting.items():
            current = self._scenes[bank].machine.core.epoch
            left = [line.seq for line in waiting if line.epoch == current]
            if left and self._scenes[bank].record.quarantined_under is None:
                self.fail(f"lines {left[0]} to {left[-1]} of {bank} never reached the server")
