"""9: every tap has its answer in the journal, denials too, and the actor is who held the badge."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cubbyhole.domain.decision import Denied, Granted
from cubbyhole.edge.inputs import Said, TapSeen
from cubbyhole.simulator.world.banks import BankScene, World
from cubbyhole.simulator.world.witness import Checker, LineSeen

SAME_BADGE_MS = 700
NOBODY = ("unknown_credential", "no_directory", "late")


@dataclass(slots=True)
class _Bank:
    denied: deque[LineSeen] = field(default_factory=deque)
    granted: deque[LineSeen] = field(default_factory=deque)
    noted: deque[LineSeen] = field(default_factory=deque)
    waiting: dict[TapSeen, str | None] = field(default_factory=dict)
    last: dict[str | None, tuple[str, int]] = field(default_factory=dict)


class Denials(Checker):
    invariant = "9 denials are events, of whoever acted"

    def __init__(self, world: World, scenes: Sequence[BankScene]) -> None:
        super().__init__(world.kernel)
        self._banks = {s.bank: _Bank() for s in scenes}

    def tapped(self, bank: str, tap: TapSeen, owner: str | None) -> None:
        b = self._banks[bank]
        last = b.last.get(tap.locker)
        b.last[tap.locker] = (tap.canonical, tap.mono_ms)
        if last is None or last[0] != tap.canonical or tap.mono_ms - last[1] >= SAME_BADGE_MS:
            b.waiting[tap] = owner

    def lines(self) -> dict[str, Callable[[LineSeen], None]]:
        return {
            "tap.denied": self._denied, "access.granted": self._granted, "release.armed": self._noted,
            "release.disarmed": self._noted, "boot.started": self._boot,
        }  # fmt: skip

    def _denied(self, line: LineSeen) -> None:
        if line.fields["reason"] != "disk_full":
            self._banks[line.bank].denied.append(line)

    def _granted(self, line: LineSeen) -> None:
        if line.fields["way"] != "command":
            self._banks[line.bank].granted.append(line)

    def _noted(self, line: LineSeen) -> None:
        self._banks[line.bank].noted.append(line)

    def _boot(self, line: LineSeen) -> None:
        self._banks[line.bank] = _Bank()

    def decided(self, bank: str, said: Said) -> None:
        b, tap, decision = self._banks[bank], said.tap, said.decision
        if tap not in b.waiting:
            self.fail(f"{bank} answered a tap that it should have taken for a repeated one: {tap}")
        owner = b.waiting.pop(tap, None)
        if isinstance(decision, Denied):
            if decision.reason == "disk_full":
                return
            if not b.denied:
                self.fail(f"{bank} denied {tap} ({decision.reason}) and journaled nothing")
            line = b.denied.popleft()
            if line.fields["reason"] != decision.reason:
                self.fail(f"{bank} denied {tap} as {decision.reason}, its journal says {line.fields['reason']}")
            expected = None if decision.reason in NOBODY else owner
        elif isinstance(decision, Granted):
            if not b.granted:
                self.fail(f"{bank} granted {tap} and journaled nothing")
            line, expected = b.granted.popleft(), owner
        else:
            if not b.noted:
                self.fail(f"{bank} took the gesture of {tap} and journaled nothing")
            line, expected = b.noted.popleft(), owner
        if line.actor != expected:
            self.fail(f"{bank} journaled {line.type} as done by {line.actor}; it was {expected}'s badge")

    def finished(self) -> None:
        for bank, b in self._banks.items():
            if b.waiting or b.denied or b.granted or b.noted:
                self.fail(f"{bank} never answered {list(b.waiting)[:3]}, or journaled what nobody was told")
