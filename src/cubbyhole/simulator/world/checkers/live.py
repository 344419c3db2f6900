"""3: a live command is never late and never twice, and does what the desk asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cubbyhole.simulator.world.banks import BankScene, World
from cubbyhole.simulator.world.witness import Checker, CommandIssued, LineSeen, PulseSeen

CLAIM_IS_GOOD_MS = 1_000


class LiveCommands(Checker):
    invariant = "3 live commands are never late and never twice"

    def __init__(self, world: World, scenes: Sequence[BankScene]) -> None:
        super().__init__(world.kernel)
        self._issued: dict[str, CommandIssued] = {}
        self._grants: dict[str, str] = {}
        self._granted: set[str] = set()
        self._done: dict[tuple[str, str], str] = {}
        self._pulsed: set[str] = set()

    def issued(self, command: CommandIssued) -> None:
        if command.ordinal is None:
            self._issued[command.command] = command

    def lines(self) -> dict[str, Callable[[LineSeen], None]]:
        return {"access.granted": self._access, "command.done": self._command_done}

    def _access(self, line: LineSeen) -> None:
        name = line.fields["command"]
        if name is None:
            return
        command = self._issued.get(name)
        if command is None or (command.bank, command.locker) != (line.bank, line.fields["locker"]):
            self.fail(f"{line.bank}-{line.fields['locker']} was granted for a command that meant {command}")
            return
        if line.actor != command.actor:
            self.fail(f"command {name} is {command.actor}'s, the journal says {line.actor}")
        if name in self._granted:
            self.fail(f"command {name} was granted twice")
        if line.true_ms > command.deadline_ms + CLAIM_IS_GOOD_MS:
            self.fail(f"command {name} was granted {line.true_ms - command.deadline_ms} ms after its deadline")
        self._granted.add(name)
        self._grants[line.fields["grant"]] = name

    def _command_done(self, line: LineSeen) -> None:
        name = line.fields["command"]
        if name not in self._issued:
            return
        key = (line.epoch, name)
        if key in self._done:
            self.fail(f"command {name} has two outcomes: {self._done[key]} and {line.fields['outcome']}")
        if line.fields["outcome"] == "done" and name not in self._granted:
            self.fail(f"command {name} is done without a grant")
        self._done[key] = line.fields["outcome"]

    def pulse(self, seen: PulseSeen) -> None:
        name = self._grants.get(seen.grant)
        if name is None:
            return
        late_ms = seen.true_ms - self._issued[name].deadline_ms
        if late_ms > CLAIM_IS_GOOD_MS:
            self.fail(f"command {name} opened {seen.bank}-{seen.locker} {late_ms} ms after its deadline")
        if name in self._pulsed:
            self.fail(f"command {name} opened {seen.bank}-{seen.locker} twice")
        self._pulsed.add(name)
