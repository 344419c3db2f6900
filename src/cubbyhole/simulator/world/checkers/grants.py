"""1: no unlock without a durable grant; and no grant is pulsed twice, late, or in another life of the controller."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cubbyhole.simulator.world.banks import BankScene, World
from cubbyhole.simulator.world.witness import Checker, LineSeen, PulseSeen

PATIENCE_MS = 6_000
COUNTED_MS = 3_600_000
NEEDS_NONE = ("not_sent", "late")  # and where it was open already before the pulse, none follows


@dataclass(slots=True)
class _Grant:
    bank: str
    locker: str
    boot: str
    true_ms: int
    pulses: int = 0
    settled: str | None = None


class Grants(Checker):
    invariant = "1 no unlock without a durable grant"

    def __init__(self, world: World, scenes: Sequence[BankScene]) -> None:
        super().__init__(world.kernel)
        self._scenes = scenes
        self._grants: dict[str, _Grant] = {}
        self._owes_count: dict[str, int] = {}

    def lines(self) -> dict[str, Callable[[LineSeen], None]]:
        return {
            "access.granted": self._granted, "unlock.settled": self._settled, "journal.lost": self._counted,
            "boot.started": self._counted,
        }  # fmt: skip

    def _granted(self, line: LineSeen) -> None:
        grant = line.fields["grant"]
        if grant in self._grants:
            self.fail(f"grant {grant} was given twice")
        self._grants[grant] = _Grant(line.bank, line.fields["locker"], line.boot, line.true_ms)

    def pulse(self, seen: PulseSeen) -> None:
        grant = self._grants.get(seen.grant)
        where = f"{seen.bank}-{seen.locker}"
        if grant is None:
            self.fail(f"a pulse at {where} and no grant {seen.grant} on the disk")
            return
        if (grant.bank, grant.locker) != (seen.bank, seen.locker):
            self.fail(f"a pulse at {where} for a grant of {grant.bank}-{grant.locker}")
        if grant.pulses or grant.settled is not None:
            self.fail(f"a second pulse at {where} for grant {seen.grant} ({grant.settled})")
        if grant.boot != seen.boot:
            self.fail(f"a pulse at {where} for a grant from before a restart")
        if seen.true_ms - grant.true_ms > PATIENCE_MS:
            self.fail(
                f"a pulse at {where} {seen.true_ms - grant.true_ms} ms after its grant; nobody stands there any more"
            )
        grant.pulses += 1

    def _settled(self, line: LineSeen) -> None:
        grant, outcome = self._grants.get(line.fields["grant"]), line.fields["outcome"]
        if grant is None:
            self.fail(f"line {line.seq} of {line.bank} settles a grant that was never given")
            return
        if grant.settled is not None:
            self.fail(f"grant {line.fields['grant']} was settled as {grant.settled} and then as {outcome}")
        if outcome in NEEDS_NONE and grant.pulses:
            self.fail(f"grant {line.fields['grant']} is settled as {outcome}, but a pulse went out")
        if outcome == "opened" and not grant.pulses:
            self.fail(f"grant {line.fields['grant']} is settled as opened without a pulse")
        grant.settled = outcome

    # A disk that refused commits must say later what it lost.

    def refused(self, bank: str) -> None:
        if bank not in self._owes_count:
            self._owes_count[bank] = self.kernel.now_ms
            self.kernel.after(COUNTED_MS, self._must_have_counted, bank, self.kernel.now_ms)

    def _must_have_counted(self, bank: str, since_ms: int) -> None:
        machine = next(s.machine for s in self._scenes if s.bank == bank)
        if self._owes_count.get(bank) == since_ms and machine.alive and not machine.disk.full:
            self.fail(f"the disk of {bank} refused a commit an hour ago, has room now, and no journal.lost says so")

    def _counted(self, line: LineSeen) -> None:
        self._owes_count.pop(line.bank, None)

    def finished(self) -> None:
        if self._owes_count:
            self.fail(f"a full disk took no commit and no journal.lost followed: {self._owes_count}")
        closed = {s.bank: s for s in self._scenes}
        for name, grant in self._grants.items():
            scene = closed[grant.bank]
            waits_for_hand = not scene.hardware.springs and scene.hardware.senses_lock
            if grant.settled is None and grant.boot == scene.machine.boot_id and not waits_for_hand:
                self.fail(f"grant {name} at {grant.bank}-{grant.locker} never got an outcome")
