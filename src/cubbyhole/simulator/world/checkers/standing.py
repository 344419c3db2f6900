"""4: standing commands are executed once, in order, and hit what was meant or are refused for good."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cubbyhole.simulator.world.banks import BankScene, World
from cubbyhole.simulator.world.witness import Checker, CommandIssued, LineSeen

CLOCK_MS = 70_000
COMMIT_LINES = 30  # a move takes its shares along
CHANGES = {
    "end": "assignment.ended", "assign": "assignment.started", "out_of_service": "locker.out_of_service",
    "in_service": "locker.in_service", "checked": "locker.checked", "renew": "assignment.renewed",
    "share": "assignment.shared", "unshare": "share.ended", "hand_over": "assignment.started",
    "move": "assignment.ended", "retime": "assignment.timed",
}  # fmt: skip


@dataclass(slots=True)
class _Bank:
    last: int = 0
    recent: dict[str, LineSeen] = field(default_factory=dict)  # since the command before, by type
    directory: int = 0
    doubt: bool = False
    held: dict[str, str] = field(default_factory=dict)


class StandingCommands(Checker):
    invariant = "4 standing commands hit what was meant, once and in order"

    def __init__(self, world: World, scenes: Sequence[BankScene]) -> None:
        super().__init__(world.kernel)
        self._office, self._scenes = world.office, scenes
        self._issued: dict[str, CommandIssued] = {}
        self._banks = {s.bank: _Bank() for s in scenes}
        self._settled_at_server: set[str] = set()
        self._settled_at_backup: set[str] = set()

    def issued(self, command: CommandIssued) -> None:
        if command.ordinal is not None:
            self._issued[command.command] = command

    def lines(self) -> dict[str, Callable[[LineSeen], None]]:
        return {"*": self._line}

    def _line(self, line: LineSeen) -> None:
        b, kind = self._banks[line.bank], line.type
        if kind == "command.done":
            if line.fields["ordinal"] is not None:
                self._done(b, line)
        elif kind == "epoch.started":
            held = {a["locker"]: a["assignment"] for a in line.fields["assignments"]}
            self._banks[line.bank] = b = _Bank(last=line.fields["standing"], held=held)
        elif kind == "directory.applied":
            b.directory = line.fields["version"]
        elif kind == "clock.doubted":
            b.doubt = True
        elif kind == "clock.trusted":
            b.doubt = False
        elif kind == "assignment.started":
            b.held[line.fields["locker"]] = line.fields["assignment"]
        elif kind == "assignment.ended":
            b.held.pop(line.fields["locker"], None)
        b.recent[kind] = line
        if kind == "command.done":
            b.recent.clear()

    def _done(self, b: _Bank, line: LineSeen) -> None:
        name, outcome = line.fields["command"], line.fields["outcome"]
        command = self._issued.get(name)
        if command is None or command.bank != line.bank:
            self.fail(f"{line.bank} executed a command that was never meant for it: {name}")
            return
        if line.fields["ordinal"] != b.last + 1 or command.ordinal != b.last + 1:
            self.fail(f"{line.bank} executed command {command.ordinal} after command {b.last}")
        b.last += 1
        if name in self._settled_at_server:
            self.fail(f"command {name} had its outcome at the server and was executed again")
        if line.actor != command.actor:
            self.fail(f"command {name} is {command.actor}'s, the journal says {line.actor}")
        if b.directory < command.needs_directory:
            self.fail(f"command {name} needs directory {command.needs_directory}, {line.bank} had {b.directory}")
        if outcome == "done":
            self._hit(b, line, command)
        elif line.fields["reason"] == "late" and command.kind in ("share", "retime"):
            pass  # an end that had passed by then
        elif line.fields["reason"] == "late" and line.true_ms < command.deadline_ms - CLOCK_MS:
            self.fail(f"command {name} was refused as late {command.deadline_ms - line.true_ms} ms before it was")
        elif (
            line.fields["reason"] == "assignment_changed"
            and command.kind in ("end", "renew", "move", "retime")
            and b.held.get(command.locker) == command.assignment
        ):
            self.fail(f"command {name} was refused although {command.assignment} still stands")

    def _hit(self, b: _Bank, line: LineSeen, command: CommandIssued) -> None:
        before = b.recent.get(CHANGES.get(command.kind, ""))
        if line.true_ms > command.deadline_ms + CLOCK_MS and not b.doubt:
            self.fail(f"command {command.command} was executed {line.true_ms - command.deadline_ms} ms too late")
        lockers = command.candidates if command.kind == "assign" and command.candidates else (command.locker,)
        if before is None or before.seq < line.seq - COMMIT_LINES or before.fields["locker"] not in lockers:
            meant = f"{command.command} ({command.kind} {command.locker})"
            self.fail(f"command {meant} is done, but the change before it is {before}")
            return
        names = command.kind in ("end", "renew", "share", "unshare", "move", "retime")
        if names and before.fields["assignment"] != command.assignment:
            self.fail(f"command {command.command} meant {command.assignment} and hit {before.fields['assignment']}")
        if command.kind in ("assign", "hand_over") and before.fields["person"] != command.person:
            self.fail(f"command {command.command} meant {command.person} and gave to {before.fields['person']}")
        if before.actor != command.actor:
            self.fail(f"command {command.command} is {command.actor}'s, its change is said to be {before.actor}'s")

    def backed_up(self) -> None:
        self._settled_at_backup = set(self._settled_at_server)

    def restored(self) -> None:
        self._settled_at_server = set(self._settled_at_backup)

    def server_line(self, line: LineSeen) -> None:
        if line.type == "command.done" and line.fields["ordinal"] is not None:
            self._settled_at_server.add(line.fields["command"])

    def finished(self) -> None:
        for scene in self._scenes:
            wanted, got = self._office.standing_head(scene.bank), self._banks[scene.bank].last
            if got < wanted:
                self.fail(f"{scene.bank} has executed {got} of {wanted} standing commands and everything is well")
